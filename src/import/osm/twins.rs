//! What OpenStreetMap has as more than one element: a town as a node and as its boundary, a museum as a node, as a way and as
//! a relation. It becomes one place, whatever the order of elements, blobs and files.
//!
//! A way or relation is left out if an element of the same name is the same place: the node that labels it; or a node
//! (for a way, a relation too) in the box around it or 100 m beyond, whose first type or item of Wikidata is the same.
//! Two elements with different items of Wikidata are never one place, nor are two nodes, two ways or two relations. The
//! one that stays gets the higher of the ranks, and the vicinity of the one left out if it has none.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{
    import::bounds::Bounds,
    places::file::{Builder, TakenPlace},
};

/// How far from an area's box a node may be, in hundred-thousandths of a degree of latitude.
const MARGIN: i64 = 90;

/// All the way around the Earth, in hundred-thousandths of a degree.
const TURN: i64 = 36_000_000;

/// What is known about the elements in a [`Builder`], by their numbers there, beyond what they are as places.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    /// In order of their numbers.
    areas: Vec<Area>,
    wikidata: HashMap<u32, u64>,
    /// A relation, and the node that labels it.
    labels: BTreeSet<(u32, i64)>,
}

/// A way or relation, and half its box's height and width in hundred-thousandths of a degree.
#[derive(Clone, Copy, Debug)]
struct Area {
    number: u32,
    half: (u32, u32),
}

impl Twins {
    /// Notes a node that has become a place.
    pub(super) fn note_node(&mut self, number: usize, wikidata: &str) {
        let number = number as u32;
        if let Some(item) = item(wikidata) {
            self.wikidata.insert(number, item);
        }
    }

    /// Notes a way or relation that has become a place.
    pub(super) fn note_area(&mut self, number: usize, wikidata: &str, bounds: &Bounds, labels: &[i64]) {
        self.note_node(number, wikidata);
        let number = number as u32;
        self.areas.push(Area { number, half: bounds.half() });
        self.labels.extend(labels.iter().map(|&node| (number, node)));
    }

    /// Leaves out elements that are another element's place, and returns how many.
    pub(crate) fn merge(self, builder: &mut Builder) -> u64 {
        if self.areas.is_empty() {
            return 0;
        }
        let mut gone = vec![];
        let named = names(builder);
        for group in named.chunk_by(|a, b| a.0 == b.0) {
            let elements: Vec<_> =
                group.iter().filter_map(|&(_, number)| self.element(builder, number)).collect();
            self.merge_group(elements, builder, &mut gone);
        }
        gone.sort_unstable();
        builder.remove(&gone);
        gone.len() as u64
    }

    fn element(&self, builder: &Builder, number: u32) -> Option<Element> {
        let TakenPlace { source, number: id, latitude, longitude, .. } = builder.taken(number as usize);
        let area = self.areas.binary_search_by_key(&number, |area| area.number);
        let half = area.map_or((0, 0), |at| self.areas[at].half);
        Some(Element {
            number,
            class: Class::of_source(source)?,
            id,
            latitude: latitude.into(),
            longitude: longitude.into(),
            half: (half.0.into(), half.1.into()),
        })
    }

    /// Elements of one name, in any order.
    fn merge_group(&self, mut elements: Vec<Element>, builder: &mut Builder, gone: &mut Vec<usize>) {
        if elements.len() < 2 || elements.iter().all(|element| element.class == Class::Node) {
            return;
        }
        elements.sort_unstable_by_key(|element| element.latitude);
        let mut best: Vec<Option<Preference>> = vec![None; elements.len()];
        let mut offer = |area: usize, twin: usize| {
            let offered = self.preference(&elements[area], &elements[twin]);
            if best[area].is_none_or(|held| offered < held) {
                best[area] = Some(offered);
            }
        };
        for (around, inside) in pairs(&elements) {
            let classes = [around, inside].map(|at| elements[at].class);
            let (twin, area) = match classes[0].cmp(&classes[1]) {
                Ordering::Less => (around, inside),
                Ordering::Equal => continue,
                Ordering::Greater => (inside, around),
            };
            if elements[around].is_around(&elements[inside])
                && self.is_alike(&elements[area], &elements[twin], builder)
            {
                offer(area, twin);
            }
        }
        for (area, node) in self.labelled(&elements) {
            if self.may_be_one(&elements[area], &elements[node], builder) {
                offer(area, node);
            }
        }
        let areas = elements.iter().zip(best);
        let mut twins: Vec<_> = areas.filter_map(|(area, best)| Some((area, best?))).collect();
        // What a way passes to a relation, that one may pass on to a node.
        twins.sort_unstable_by_key(|(area, _)| (Reverse(area.class), area.id, area.number));
        for (area, (.., twin)) in twins {
            builder.absorb(twin as usize, area.number as usize);
            gone.push(area.number as usize);
        }
    }

    /// How well an element suits as the place that an area is; the least is the best.
    fn preference(&self, area: &Element, twin: &Element) -> Preference {
        let is_label = self.labels.contains(&(area.number, twin.id.cast_signed()));
        (twin.class, !is_label, area.distance(twin), twin.id, twin.number)
    }

    /// The areas with the nodes that label them, wherever those are, by their indices in `elements`.
    fn labelled(&self, elements: &[Element]) -> Vec<(usize, usize)> {
        let of_class = |is_wanted: fn(Class) -> bool| {
            elements.iter().enumerate().filter(move |(_, element)| is_wanted(element.class))
        };
        let nodes = of_class(|class| class == Class::Node);
        let nodes: HashMap<i64, usize> = nodes.map(|(at, node)| (node.id.cast_signed(), at)).collect();
        let areas = of_class(|class| class != Class::Node);
        let labelled = areas.flat_map(|(at, area)| {
            let labels = self.labels.range((area.number, i64::MIN)..=(area.number, i64::MAX));
            labels.filter_map(|(_, id)| nodes.get(id)).map(move |&node| (at, node))
        });
        labelled.collect()
    }

    /// Whether nothing contradicts their being one place: another name, or another item of Wikidata.
    fn may_be_one(&self, area: &Element, other: &Element, builder: &Builder) -> bool {
        let [first, second] = [area, other].map(|element| builder.taken(element.number as usize).name);
        let [one, another] = [area, other].map(|element| self.wikidata.get(&element.number));
        first == second && (one.is_none() || another.is_none() || one == another)
    }

    /// Whether they are one place if one is around the other.
    fn is_alike(&self, area: &Element, other: &Element, builder: &Builder) -> bool {
        let [first, second] = [area, other].map(|element| builder.taken(element.number as usize).types);
        let [one, another] = [area, other].map(|element| self.wikidata.get(&element.number));
        let is_same_item = one.is_some() && one == another;
        (is_same_item || main_type(first) == main_type(second)) && self.may_be_one(area, other, builder)
    }
}

/// The element's class, whether it is not the area's label, its distance, its id and its number.
type Preference = (Class, bool, i64, u64, u32);

/// Each area with every element that its box reaches in latitude, by their indices in `elements`, which are sorted by
/// latitude. An area looks only as far as its own box reaches, so that a huge one does not make all others look as far.
fn pairs(elements: &[Element]) -> impl Iterator<Item = (usize, usize)> {
    let areas = elements.iter().enumerate().filter(|(_, element)| element.class != Class::Node);
    areas.flat_map(|(at, area)| {
        let reach = area.half.0 + MARGIN;
        let from = elements.partition_point(|other| other.latitude < area.latitude - reach);
        let to = elements.partition_point(|other| other.latitude <= area.latitude + reach);
        (from..to).map(move |other| (at, other))
    })
}

/// The first of some types, which is the most specific.
fn main_type(types: &str) -> Option<&str> {
    types.split(',').next()
}

/// The item of a tag such as `Q42`; the first of several.
fn item(wikidata: &str) -> Option<u64> {
    wikidata.split(';').next()?.trim().strip_prefix('Q')?.parse().ok()
}

/// The elements by a hash of their names, so that those with the same name are adjacent.
fn names(builder: &Builder) -> Vec<(u64, u32)> {
    let numbers = (0..builder.count() as u32).filter(|&number| {
        let source = builder.taken(number as usize).source;
        Class::of_source(source).is_some()
    });
    let hash = |number: u32| {
        let mut hasher = DefaultHasher::new();
        builder.taken(number as usize).name.hash(&mut hasher);
        hasher.finish()
    };
    let mut named: Vec<_> = numbers.map(|number| (hash(number), number)).collect();
    named.sort_unstable();
    named
}

/// In the order in which elements stay.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Class {
    Node,
    Relation,
    Way,
}

impl Class {
    fn of_source(source: &str) -> Option<Self> {
        match source {
            super::NODE => Some(Self::Node),
            super::RELATION => Some(Self::Relation),
            super::WAY => Some(Self::Way),
            _ => None,
        }
    }
}

/// An element where it is, in hundred-thousandths of a degree.
struct Element {
    number: u32,
    class: Class,
    /// 0 for one that nobody has uploaded yet.
    id: u64,
    latitude: i64,
    longitude: i64,
    half: (i64, i64),
}

impl Element {
    fn offset(&self, other: &Self) -> (i64, i64) {
        let east = (self.longitude - other.longitude).rem_euclid(TURN);
        ((self.latitude - other.latitude).abs(), east.min(TURN - east))
    }

    /// Whether the other's point is in this one's box, or barely outside it.
    fn is_around(&self, other: &Self) -> bool {
        let (north, east) = self.offset(other);
        self.class != Class::Node && north <= self.half.0 + MARGIN && east <= self.half.1 + self.margin_east()
    }

    /// The margin in degrees of longitude, which are shorter far from the equator.
    fn margin_east(&self) -> i64 {
        let narrowing = (self.latitude as f64 / 1e5).to_radians().cos().max(0.01);
        (MARGIN as f64 / narrowing) as i64
    }

    /// Grows with the distance.
    fn distance(&self, other: &Self) -> i64 {
        let (north, east) = self.offset(other);
        let east = (east as f64 * (self.latitude as f64 / 1e5).to_radians().cos()) as i64;
        north * north + east * east
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_huge_area_does_not_make_all_others_look_as_far() {
        const WAYS: i64 = 10_000;
        let element = |number: i64, class, half| Element {
            number: number as u32,
            class,
            id: number as u64,
            latitude: number * 1_000,
            longitude: 0,
            half: (half, half),
        };
        let mut elements: Vec<_> = (0..WAYS).map(|number| element(number, Class::Way, 50)).collect();
        elements.push(element(WAYS, Class::Relation, WAYS * 1_000));
        let compared = pairs(&elements).count() as i64;
        assert!(compared <= 3 * WAYS, "{compared} comparisons");
    }
}
