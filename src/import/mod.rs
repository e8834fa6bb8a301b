//! Readers of other people's files of places: OpenStreetMap, GeoJSON, CSV, GeoNames. Each hands over one place after the
//! other and keeps none, so that what is in memory is what the new file needs; what is left out is counted by its reason.
//!
//! Readers take anything that can be read, and know nothing of paths, terminals or progress.

mod bounds;
mod columns;
mod csv;
mod geojson;
mod geonames;
mod osm;
mod osm_tags;

use std::{collections::BTreeMap, fmt, io};

pub use columns::{ColumnMap, ColumnMapError, Field};
pub use csv::read as read_csv;
pub use geojson::read as read_geojson;
pub use geonames::{ATTRIBUTION as GEONAMES_ATTRIBUTION, read as read_geonames};
pub use osm::{ATTRIBUTION as OSM_ATTRIBUTION, read as read_osm};

use crate::places::file::{Builder, Entry, Refusal};

/// The forms of files that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// OpenStreetMap's `.osm.pbf`.
    OsmPbf,
    /// GeoJSON: a FeatureCollection, or a Feature a line.
    GeoJson,
    /// Lines of values, the first of them names of columns.
    Csv,
    /// A dump of geonames.org: 19 columns divided by tabs.
    GeoNames,
}

impl Format {
    /// All of them, with what a user calls them.
    pub const ALL: [(&'static str, Self); 4] = [
        ("osm-pbf", Self::OsmPbf),
        ("geojson", Self::GeoJson),
        ("csv", Self::Csv),
        ("geonames", Self::GeoNames),
    ];

    /// The form of a file by the end of its name.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
        match () {
            () if ends(&[".pbf"]) => Some(Self::OsmPbf),
            () if ends(&[".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson"]) => Some(Self::GeoJson),
            () if ends(&[".csv", ".tsv"]) => Some(Self::Csv),
            () if ends(&[".txt"]) => Some(Self::GeoNames),
            () => None,
        }
    }
}

/// Why something in a file has not become a place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Skip {
    /// No name, or an empty one.
    NoName,
    /// Nothing that the tables call a place.
    NoKind,
    /// Coordinates that are missing, no numbers, or not on the Earth.
    BadCoordinates,
    /// A way or relation whose points are not in the file.
    NoPoints,
    /// An id that is too long or has control characters in it.
    BadId,
    /// A place_id that came before.
    Duplicate,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoName => "without a name",
            Self::NoKind => "of no kind that is a place",
            Self::BadCoordinates => "without coordinates on the Earth",
            Self::NoPoints => "whose points are not in the file",
            Self::BadId => "with an id that is too long or has control characters in it",
            Self::Duplicate => "that came before",
        })
    }
}

/// Why a file cannot be read to its end; displays as what follows the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The system says no.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line is not of the format.
    #[error("line {line}: {fault}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// A file without lines is not of the format.
    #[error("byte {offset}: {fault}")]
    Offset {
        /// Where, counted from 0.
        offset: u64,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// The header, or the column map, does not fit.
    #[error("{0}")]
    Columns(String),
    /// More than one file of places can hold.
    #[error("has more text or more kinds of places than one file can hold; import it in parts")]
    Full,
}

/// What a user may say of a file.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What the place_ids of places from CSV and GeoJSON begin with.
    pub label: &'a str,
    /// Which column, or property, says what.
    pub columns: &'a ColumnMap,
    /// The language of names, where there are several: `en`.
    pub lang: Option<&'a str>,
}

/// Where readers put places: the file in the making, and the counts of what did not get into it.
#[derive(Debug, Default)]
pub struct Sink {
    /// The file in the making.
    pub builder: Builder,
    /// How many things were skipped for each reason.
    pub skipped: BTreeMap<Skip, u64>,
    /// How many rows or features have been numbered for each label.
    numbered: BTreeMap<String, u64>,
}

impl Sink {
    /// Counts something that is no place.
    pub fn skip(&mut self, why: Skip) {
        *self.skipped.entry(why).or_default() += 1;
    }

    /// Takes a place, or counts why not.
    fn add(&mut self, entry: &Entry<'_>) -> Result<(), ImportError> {
        match self.builder.add(entry) {
            Ok(()) => {}
            Err(Refusal::NoName) => self.skip(Skip::NoName),
            Err(Refusal::NotOnEarth) => self.skip(Skip::BadCoordinates),
            Err(Refusal::BadId) => self.skip(Skip::BadId),
            Err(Refusal::Full) => return Err(ImportError::Full),
        }
        Ok(())
    }

    /// The next number of the label, so that those of several files differ.
    fn number(&mut self, label: &str) -> u64 {
        if !self.numbered.contains_key(label) {
            self.numbered.insert(label.to_owned(), 0);
        }
        self.numbered.get_mut(label).map_or(0, |number| {
            *number += 1;
            *number
        })
    }

    fn kind(&mut self, source: &str, types: &str) -> Result<u16, ImportError> {
        self.builder.kind(source, types).map_err(|_| ImportError::Full)
    }
}

/// The types of a place of which nothing else is known.
const ANY_TYPES: &str = "point_of_interest,establishment";
/// The rank of a place of which nothing else is known.
const ANY_RANK: f64 = 1.0;

/// A user's list of types, divided by commas, semicolons or bars, as answers have it; the types of any place if it is empty.
fn types_of(list: &str) -> String {
    let types = list.split([',', ';', '|']).map(|kind| {
        let words: Vec<_> = kind
            .split(|letter: char| letter.is_whitespace() || letter.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        words.join("_").to_lowercase()
    });
    let types: Vec<_> = types.filter(|kind| !kind.is_empty()).collect();
    if types.is_empty() { ANY_TYPES.to_owned() } else { types.join(",") }
}

/// A town's rank by the number of people in it; an unknown number counts as 100.
fn rank_of_population(population: f64) -> f64 {
    const POPULATION_LEAST: f64 = 100.0;
    let population = if population > 0.0 { population } else { POPULATION_LEAST };
    (population + 1.0).log10() / 2.0
}

#[cfg(test)]
mod tests;
