//! What the tags of an OpenStreetMap element say about a place: its types and rank by the table in data/osm_types.tsv,
//! its name, and its address in words.

use std::{collections::HashMap, sync::LazyLock};

use crate::import::rank_of_population;

/// A row of the table: Google's types, separated by commas, a rank, and how many rows are above it.
#[derive(Clone, Copy, PartialEq, Debug)]
struct TypeRow {
    types: &'static str,
    rank: f64,
    above: usize,
}

impl TypeRow {
    /// Whether this row counts if another one fits, too; the order of an element's tags does not matter.
    fn counts_before(&self, other: &Self) -> bool {
        self.rank > other.rank || self.rank == other.rank && self.above < other.above
    }
}

/// The row for a key with a value; `*` stands for any value.
type TypeTable = HashMap<&'static str, HashMap<&'static str, TypeRow>>;

static TABLE: LazyLock<TypeTable> = LazyLock::new(|| {
    rows(include_str!("../../../data/osm_types.tsv")).fold(
        TypeTable::new(),
        |mut table, (key, value, row)| {
            table.entry(key).or_default().entry(value).or_insert(row);
            table
        },
    )
});

fn rows(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str, TypeRow)> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.enumerate().filter_map(|(above, line)| {
        let mut cells = line.split('\t');
        let (key, value, types, rank) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
        Some((key, value, TypeRow { types, rank: rank.parse().ok()?, above }))
    })
}

/// How much better known a place is for being in Wikipedia or Wikidata.
const KNOWN_RANK: f64 = 0.5;

/// What the tags so far have said.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::import) struct Tags<'a> {
    best: Option<TypeRow>,
    name: &'a str,
    name_in_language: &'a str,
    street: &'a str,
    /// What is used instead of a street if there is none.
    locality: &'a str,
    number: &'a str,
    city: &'a str,
    population: f64,
    is_settlement: bool,
    is_known: bool,
    wikidata: &'a str,
}

impl<'a> Tags<'a> {
    /// Reads a tag. `name_key` is the key of names in the wanted language, such as `name:en`.
    pub(in crate::import) fn add(&mut self, key: &str, value: &'a str, name_key: Option<&str>) {
        match key {
            "name" => self.name = value,
            "addr:street" => self.street = value,
            "addr:place" => self.locality = value,
            "addr:housenumber" => self.number = value,
            "addr:city" => self.city = value,
            "wikidata" => (self.wikidata, self.is_known) = (value, true),
            "wikipedia" => self.is_known = true,
            "population" => self.population = value.parse().unwrap_or(0.0),
            _ if Some(key) == name_key => self.name_in_language = value,
            _ => {
                let Some(values) = TABLE.get(key) else { return };
                for value in value.split(';').map(str::trim).filter(|value| !matches!(*value, "" | "no")) {
                    let row = values.get(value).or_else(|| values.get("*")).copied();
                    if row.is_some_and(|row| self.best.is_none_or(|best| row.counts_before(&best))) {
                        self.best = row;
                        self.is_settlement = key == "place";
                    }
                }
            }
        }
    }

    /// The types and the rank, if the tags are those of a place.
    pub(in crate::import) fn kind(&self) -> Option<(&'static str, f64)> {
        let TypeRow { types, rank, .. } = self.best?;
        let rank = if self.is_settlement && self.population > 0.0 {
            rank_of_population(self.population)
        } else {
            rank + if self.is_known { KNOWN_RANK } else { 0.0 }
        };
        Some((types, rank))
    }

    /// The name, in the wanted language if there is one.
    pub(in crate::import) fn name(&self) -> &'a str {
        if self.name_in_language.is_empty() { self.name } else { self.name_in_language }
    }

    /// The item of Wikidata, such as `Q42`; empty if there is none.
    pub(super) fn wikidata(&self) -> &'a str {
        self.wikidata
    }

    /// Street, number and town, as far as they are known.
    pub(in crate::import) fn vicinity(&self) -> String {
        let street = if self.street.is_empty() { self.locality } else { self.street };
        let house = [street, self.number].into_iter().filter(|part| !part.is_empty());
        let house = if street.is_empty() { String::new() } else { house.collect::<Vec<_>>().join(" ") };
        let parts = [house.as_str(), self.city].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn tags<'a>(pairs: &[(&str, &'a str)]) -> Tags<'a> {
        let mut tags = Tags::default();
        for (key, value) in pairs {
            tags.add(key, value, Some("name:en"));
        }
        tags
    }

    #[test]
    fn every_row_of_the_table_is_sound_and_there_once() {
        let text = include_str!("../../../data/osm_types.tsv");
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut seen = HashSet::new();
        let mut count = 0;
        for line in lines {
            let cells: Vec<_> = line.split('\t').collect();
            let [key, value, types, rank] = cells[..] else { panic!("{line}") };
            assert!(seen.insert((key, value)), "{line}");
            let is_type = |kind: &str| {
                !kind.is_empty()
                    && kind
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
            };
            assert!(types.split(',').all(is_type), "{line}");
            let rank: f64 = rank.parse().unwrap();
            assert!((0.1..=4.0).contains(&rank), "{line}");
            count += 1;
        }
        assert!(count >= 150, "{count}");
        assert_eq!(rows(text).count(), count);
    }

    #[test]
    fn the_best_known_of_several_kinds_wins() {
        let (types, rank) =
            tags(&[("shop", "books"), ("tourism", "museum"), ("building", "yes")]).kind().unwrap();
        assert!(types.starts_with("museum,"), "{types}");
        let (_, known) =
            tags(&[("tourism", "museum"), ("wikidata", "Q1"), ("wikipedia", "en:X")]).kind().unwrap();
        assert_eq!(known, rank + KNOWN_RANK);
        assert_eq!(tags(&[("building", "yes"), ("highway", "residential")]).kind(), None);
        assert_eq!(tags(&[("shop", "no")]).kind(), None);
        assert!(tags(&[("shop", "something_new")]).kind().unwrap().0.starts_with("store,"));
        assert!(tags(&[("amenity", "unheard_of; cafe")]).kind().unwrap().0.starts_with("cafe,"));
    }

    #[test]
    fn the_order_of_tags_has_no_say() {
        let mut first_in_table = 0;
        let all: Vec<_> = rows(include_str!("../../../data/osm_types.tsv")).collect();
        for (at, (key, value, row)) in all.iter().enumerate() {
            for (other_key, other_value, other) in &all[at + 1..] {
                if key == other_key || [*value, *other_value].contains(&"*") {
                    continue;
                }
                let pairs = [(*key, *value), (*other_key, *other_value)];
                let kind = tags(&pairs).kind();
                assert_eq!(kind, tags(&[pairs[1], pairs[0]]).kind(), "{pairs:?}");
                if row.rank == other.rank {
                    assert_eq!(kind.unwrap().0, row.types, "{pairs:?}");
                    first_in_table += 1;
                }
            }
        }
        assert!(first_in_table > 1000, "{first_in_table}");
        let (street, place) = (("addr:street", "Ring"), ("addr:place", "Hof"));
        assert_eq!([tags(&[street, place]).vicinity(), tags(&[place, street]).vicinity()], ["Ring"; 2]);
    }

    #[test]
    fn a_town_is_as_well_known_as_it_has_people() {
        assert_eq!(tags(&[("place", "town"), ("population", "9999")]).kind().unwrap().1, 2.0);
        assert_eq!(
            tags(&[("amenity", "prison"), ("population", "9999")]).kind(),
            tags(&[("amenity", "prison")]).kind()
        );
    }

    #[test]
    fn words_come_from_the_name_and_address_tags() {
        let all = [
            ("name", "Wien"),
            ("name:en", "Vienna"),
            ("addr:street", "Ring"),
            ("addr:housenumber", "1"),
            ("addr:city", "Wien"),
        ];
        assert_eq!((tags(&all).name(), tags(&all).vicinity().as_str()), ("Vienna", "Ring 1, Wien"));
        assert_eq!(tags(&all[..1]).name(), "Wien");
        assert_eq!(tags(&[("addr:housenumber", "1"), ("addr:city", "Wien")]).vicinity(), "Wien");
        assert_eq!(tags(&[("addr:street", "Ring")]).vicinity(), "Ring");
    }
}
