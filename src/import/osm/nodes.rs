//! Where the nodes are that ways and relations go through: of all nodes in the file, only those are kept that some
//! place depends on.

use osmpbf::{DenseNode, Element, Way};

use super::Done;
use crate::import::bounds::Bounds;

/// Where an element is, in ten-millionths of a degree.
pub(super) type OsmPoint = (i32, i32);

pub(super) fn point(nano_latitude: i64, nano_longitude: i64) -> Option<OsmPoint> {
    let within = |nano: i64, bound: i64| (-bound..=bound).contains(&nano).then_some((nano / 100) as i32);
    Some((within(nano_latitude, 90_000_000_000)?, within(nano_longitude, 180_000_000_000)?))
}

pub(super) fn dense_point(node: &DenseNode<'_>) -> Option<OsmPoint> {
    point(node.nano_lat(), node.nano_lon())
}

/// The nodes that places depend on: their ids in order, and their positions.
#[derive(Default)]
pub(super) struct Nodes {
    ids: Vec<i64>,
    points: Vec<OsmPoint>,
    /// So many ids are sorted and unique.
    sorted: usize,
}

const NOWHERE: OsmPoint = (i32::MAX, i32::MAX);

impl Nodes {
    pub(super) fn need(&mut self, id: i64) {
        self.ids.push(id);
        // Neighbouring ways share nodes: removing duplicates from time to time keeps the list near its final length.
        if self.ids.len() >= 2 * self.sorted.max(1 << 20) {
            self.sort();
        }
    }

    pub(super) fn need_those_of(&mut self, way: &Way<'_>) {
        if way.node_locations().len() == 0 {
            way.refs().for_each(|id| self.need(id));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn sort(&mut self) {
        self.ids.sort_unstable();
        self.ids.dedup();
        self.sorted = self.ids.len();
    }

    pub(super) fn close(&mut self) {
        self.sort();
        self.ids.shrink_to_fit();
        self.points = vec![NOWHERE; self.ids.len()];
    }

    pub(super) fn locate(&mut self, element: &Element<'_>) -> Done {
        let (id, point) = match element {
            Element::Node(node) => (node.id(), point(node.nano_lat(), node.nano_lon())),
            Element::DenseNode(node) => (node.id(), dense_point(node)),
            Element::Way(_) | Element::Relation(_) => return Ok(()),
        };
        if let (Ok(at), Some(point)) = (self.ids.binary_search(&id), point) {
            self.points[at] = point;
        }
        Ok(())
    }

    pub(super) fn add_to(&self, bounds: &mut Bounds, id: i64) {
        let found = self.ids.binary_search(&id).ok().map(|at| self.points[at]);
        if let Some((latitude, longitude)) = found.filter(|point| *point != NOWHERE) {
            bounds.add(latitude, longitude);
        }
    }

    pub(super) fn around(&self, way: &Way<'_>) -> Bounds {
        let mut bounds = Bounds::NONE;
        way.refs().for_each(|id| self.add_to(&mut bounds, id));
        let located = way.node_locations().filter_map(|node| point(node.nano_lat(), node.nano_lon()));
        located.for_each(|(latitude, longitude)| bounds.add(latitude, longitude));
        bounds
    }
}
