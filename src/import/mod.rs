//! Readers of third-party files of places: OpenStreetMap, GeoJSON, CSV, GeoNames. Each passes on one place after
//! another and keeps none, so that memory holds only what the new file needs; what is left out is counted by reason.
//!
//! Readers accept any byte stream, and know nothing of paths, terminals or progress.

mod bounds;
mod columns;
mod csv;
mod form;
mod geojson;
mod geonames;
mod osm;
mod publishers;
mod rows;
mod sink;

use std::{fmt, io};

pub use columns::{ColumnMap, ColumnMapError, Field};
pub use csv::read as read_csv;
pub use form::{HEAD_BYTES, recognise};
pub use geojson::read as read_geojson;
pub use geonames::{ATTRIBUTION as GEONAMES_ATTRIBUTION, read as read_geonames};
pub use osm::{ATTRIBUTION as OSM_ATTRIBUTION, read as read_osm};
pub use sink::{Sink, Skipped};

/// The forms of files that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// OpenStreetMap's `.osm.pbf`.
    OsmPbf,
    /// GeoJSON: a FeatureCollection, or one Feature per line.
    GeoJson,
    /// Lines of values, the first of them names of columns.
    Csv,
    /// A dump of geonames.org: 19 columns separated by tabs.
    GeoNames,
}

impl Format {
    /// All of them, with the names that users know them by.
    pub const ALL: [(&'static str, Self); 4] = [
        ("osm-pbf", Self::OsmPbf),
        ("geojson", Self::GeoJson),
        ("csv", Self::Csv),
        ("geonames", Self::GeoNames),
    ];
}

/// Why something in a file did not become a place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Skip {
    /// No name, or an empty one.
    NoName,
    /// Nothing that the tables call a place.
    NoKind,
    /// Coordinates that are missing, not numbers, or not on the Earth.
    BadCoordinates,
    /// A way or relation whose points are not in the file.
    NoPoints,
    /// An id that is too long or has control characters in it.
    BadId,
    /// A row with more values than the header has columns: it is unclear which value is which.
    LongRow,
    /// A row with fewer values than the header has columns.
    ShortRow,
    /// A way or relation that is in the data as a node, or a way that is there as a relation.
    Twin,
    /// A place_id that occurred before.
    Duplicate,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoName => "without a name",
            Self::NoKind => "of a kind that is not a place",
            Self::BadCoordinates => "without coordinates on the Earth",
            Self::NoPoints => "whose points are not in the file",
            Self::BadId => "with an id that is too long or has control characters in it",
            Self::LongRow => "with more values than the header has columns",
            Self::ShortRow => "with fewer values than the header has columns",
            Self::Twin => "that repeat another element's place",
            Self::Duplicate => "with an id that came before",
        })
    }
}

/// What was read differently from what is in its file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Note {
    /// A text longer than a file of places can hold.
    Shortened,
    /// A rank that is not a number from 0 to 5.
    BadRank,
    /// A row with text between the quote that closes a value and the next delimiter.
    TextBehindQuote,
}

impl Note {
    /// What was done how many times, in words for a user.
    pub fn told(self, count: &str, is_one: bool) -> String {
        let noun = |one: &str, many: &str| format!("{count} {}", if is_one { one } else { many });
        match self {
            Self::Shortened => format!("{} cut to 255 bytes", noun("text", "texts")),
            Self::BadRank => format!(
                "{} not 0 to 5, taken as the nearest of these, or as unknown",
                noun("rank is", "ranks are")
            ),
            Self::TextBehindQuote => format!(
                "{} text after a closing quote, taken as part of the value",
                noun("row has", "rows have")
            ),
        }
    }
}

/// Why a file cannot be read to its end; displays as what follows the file's name.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The system refuses.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A line does not have the right format.
    #[error("line {line}: {fault}")]
    Line {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// A place in a line does not have the right format.
    #[error("line {line}, column {column}: {fault}")]
    Character {
        /// The line, counted from 1.
        line: u64,
        /// The character in the line, counted from 1.
        column: u64,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// A file without lines does not have the right format.
    #[error("byte {offset}: {fault}")]
    Offset {
        /// Where, counted from 0.
        offset: u64,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// The file as a whole is something else, or lacks something required.
    #[error("{0}")]
    Form(String),
    /// More than one file of places can hold.
    #[error("has more text or more kinds of places than one file can hold; import it in parts")]
    Full,
}

/// What a user may say about a file.
#[derive(Clone, Copy, Debug)]
pub struct ImportOptions<'a> {
    /// What the place_ids of places from CSV and GeoJSON begin with.
    pub label: &'a str,
    /// Which column, or property, means what.
    pub columns: &'a ColumnMap,
    /// The language of names, where there are several: `en`.
    pub lang: Option<&'a str>,
}

/// The types of a place about which nothing else is known.
const ANY_TYPES: &str = "point_of_interest,establishment";
/// The rank of a place about which nothing else is known.
const ANY_RANK: f64 = 1.0;

/// A user's rank, and whether it is valid: if it is not a number it is unknown, and outside 0 to 5 it counts as the
/// nearest of these.
fn rank_of(text: &str) -> (Option<f64>, bool) {
    let rank = number(text);
    (rank, text.trim().is_empty() || rank.is_some_and(|rank| (0.0..=5.0).contains(&rank)))
}

/// A user's list of types, separated by commas, semicolons or bars, as answers have it; the types of any place if it is
/// empty.
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

/// What place_ids of rows and features without an id begin with. No label contains a `/`, so none of these is ever the
/// place_id of one with an id.
fn unnumbered(label: &str, what: &str) -> String {
    format!("{label}/{what}")
}

/// A number in a table; a single comma without a point is a decimal comma.
fn number(cell: &str) -> Option<f64> {
    let cell = cell.trim();
    let number: Option<f64> = match cell.parse() {
        Ok(number) => Some(number),
        Err(_) if cell.matches(',').count() == 1 && !cell.contains('.') => {
            cell.replace(',', ".").parse().ok()
        }
        Err(_) => None,
    };
    number.filter(|number| number.is_finite())
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is wrong with a text, and the usual cure.
const NOT_UTF8: &str = "this is not UTF-8; if it is Latin-1, convert it: iconv -f LATIN1 -t UTF-8 FILE > NEW";

/// A town's rank by the number of people in it; an unknown number counts as 100.
fn rank_of_population(population: f64) -> f64 {
    const POPULATION_LEAST: f64 = 100.0;
    let population = if population > 0.0 { population } else { POPULATION_LEAST };
    (population + 1.0).log10() / 2.0
}

#[cfg(test)]
mod tests;
