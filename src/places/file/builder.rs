//! Makes a file of places from one place after another. Holds in memory what the file will hold, and nothing more: 32
//! bytes per place, and its texts.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::{
    borrow::Cow,
    collections::HashMap,
    io::{self, Write},
};

use super::layout::{Header, Made, Prelude};
use crate::places::local::{Kind, texts};
use crate::places::record::{Record, UNITS_PER_DEGREE};

/// The maximum length of a text in bytes; the rest is cut off.
const TEXT_BYTES_MAX: usize = 255;
/// Text is written in pieces of this size, so that writing can be stopped without waiting for all of it.
const PIECE_BYTES: usize = 1 << 20;
const RANK_STEPS: f64 = 50.0;
const RANK_MAX: f64 = 5.0;

/// What distinguishes a place from others of its source.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Id<'a> {
    /// A number, with which its place_id ends.
    Number(u64),
    /// A text, with which its place_id ends; not empty.
    Text(&'a str),
}

/// One place, as readers of foreign files pass it on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PlaceEntry<'a> {
    /// A number that [`Builder::kind`] returned.
    pub kind: u16,
    /// What distinguishes it from others of the kind's source.
    pub id: Id<'a>,
    /// As people know it.
    pub name: &'a str,
    /// The town or the street; empty if unknown.
    pub vicinity: &'a str,
    /// In degrees, north positive.
    pub latitude: f64,
    /// In degrees, east positive.
    pub longitude: f64,
    /// How well known it is: 0 to 5.
    pub rank: f64,
}

/// Why a place is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadEntry {
    /// Its name is empty.
    NoName,
    /// Its coordinates are not a point on the Earth.
    NotOnEarth,
    /// Its id is empty, or longer than 255 bytes.
    BadId,
    /// The file would have more than 4 GiB of text, or more than 65,536 kinds.
    Full,
}

/// An accepted place, as it will be in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TakenPlace<'a> {
    /// The first part of its place_id.
    pub source: &'a str,
    /// Google's types, separated by commas.
    pub types: &'a str,
    /// The end of its place_id, if that is a number; else 0.
    pub number: u64,
    /// As people know it.
    pub name: &'a str,
    /// In hundred-thousandths of a degree, north positive.
    pub latitude: i32,
    /// In hundred-thousandths of a degree, east positive.
    pub longitude: i32,
}

/// What has become of the places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// How many are in the file.
    pub places: usize,
    /// How many were left out because one with the same place_id came before.
    pub duplicates: usize,
    /// The length of the file in bytes.
    pub bytes: u64,
}

/// The places accepted so far.
#[derive(Debug, Default)]
pub struct Builder {
    records: Vec<Record>,
    text: String,
    kinds: Vec<Kind<String>>,
    numbers: HashMap<Kind<String>, u16>,
    html_attributions: Vec<String>,
    shortened: u64,
}

impl Builder {
    /// The number of a kind: the first part of its place_ids, and Google's types, separated by commas; neither is empty.
    pub fn kind(&mut self, source: &str, types: &str) -> Result<u16, BadEntry> {
        let kind = Kind { source: source.to_owned(), types: types.to_owned() };
        if let Some(&number) = self.numbers.get(&kind) {
            return Ok(number);
        }
        let number = u16::try_from(self.kinds.len()).map_err(|_| BadEntry::Full)?;
        self.kinds.push(kind.clone());
        self.numbers.insert(kind, number);
        Ok(number)
    }

    /// Adds an attribution to be shown wherever the places are, as HTML.
    pub fn attribute(&mut self, html: &str) {
        if !self.html_attributions.iter().any(|known| known == html) {
            self.html_attributions.push(html.to_owned());
        }
    }

    /// Accepts a place, or says why not.
    pub fn add(&mut self, entry: &PlaceEntry<'_>) -> Result<(), BadEntry> {
        let latitude = units(entry.latitude, 90.0).ok_or(BadEntry::NotOnEarth)?;
        let longitude = units(entry.longitude, 180.0).ok_or(BadEntry::NotOnEarth)?;
        let (number, id) = match entry.id {
            Id::Number(number) => (number, ""),
            Id::Text(id) if id.is_empty() || id.len() > TEXT_BYTES_MAX || id.contains(char::is_control) => {
                return Err(BadEntry::BadId);
            }
            Id::Text(id) => match plain_number(id) {
                Some(number) => (number, ""),
                None => (0, id),
            },
        };
        let (name, vicinity) = (clean(entry.name), clean(entry.vicinity));
        if name.is_empty() {
            return Err(BadEntry::NoName);
        }
        let (name, vicinity) = (self.cut(&name), self.cut(&vicinity));
        let vicinity = if vicinity == name { "" } else { vicinity };
        let text_start = u32::try_from(self.text.len()).map_err(|_| BadEntry::Full)?;
        for text in [name, vicinity, id] {
            self.text.push_str(text);
        }
        let length = |text: &str| text.len() as u8;
        self.records.push(Record {
            latitude,
            longitude,
            number,
            text_start,
            name_len: length(name),
            vicinity_len: length(vicinity),
            id_len: length(id),
            rank: (entry.rank.clamp(0.0, RANK_MAX) * RANK_STEPS).round() as u8,
            kind: entry.kind,
        });
        Ok(())
    }

    /// The beginning of a text that fits; counts texts that do not fit.
    fn cut<'a>(&mut self, text: &'a str) -> &'a str {
        let end = text.floor_char_boundary(TEXT_BYTES_MAX);
        self.shortened += u64::from(end < text.len());
        text[..end].trim_end()
    }

    /// How many places have been accepted, duplicates included.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// The place that was accepted as this one, counted from 0.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn taken(&self, at: usize) -> TakenPlace<'_> {
        let record = &self.records[at];
        let Kind { source, types } = &self.kinds[usize::from(record.kind)];
        let [name, ..] = self.texts(record);
        let Record { number, latitude, longitude, .. } = *record;
        TakenPlace { source, types, number, name, latitude, longitude }
    }

    /// Makes a place as well known as another that is the same, and gives it that one's vicinity if it has none.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn absorb(&mut self, at: usize, other: usize) {
        let (mut record, other) = (self.records[at], self.records[other]);
        record.rank = record.rank.max(other.rank);
        if record.vicinity_len == 0 && other.vicinity_len > 0 {
            let ([name, _, id], [_, vicinity, _]) = (self.texts(&record), self.texts(&other));
            let text = [name, vicinity, id].concat();
            // If there is no room for one more text, the vicinity stays unknown.
            if let Ok(text_start) = u32::try_from(self.text.len()) {
                record = Record { text_start, vicinity_len: other.vicinity_len, ..record };
                self.text.push_str(&text);
            }
        }
        self.records[at] = record;
    }

    /// Removes the places with these numbers, which are in order.
    pub fn remove(&mut self, sorted: &[usize]) {
        let mut at = 0;
        self.records.retain(|_| {
            at += 1;
            sorted.binary_search(&(at - 1)).is_err()
        });
    }

    fn texts(&self, record: &Record) -> [&str; 3] {
        texts(&self.text, record).expect("the texts of every record are there")
    }

    /// How many names and vicinities were cut to 255 bytes.
    pub fn shortened(&self) -> u64 {
        self.shortened
    }

    /// Sorts the places. Of those with the same place_id, the one added first is kept.
    pub fn finish(mut self, made: Made) -> Ready {
        let taken = self.records.len();
        self.drop_duplicates();
        self.records.sort_unstable_by_key(Record::sort_key);
        let duplicates = taken - self.records.len();
        let header = Header { kinds: self.kinds, html_attributions: self.html_attributions, made }.to_json();
        Ready { header, records: self.records, text: self.text, duplicates }
    }

    fn drop_duplicates(&mut self) {
        let mut sources = HashMap::new();
        let of_kind: Vec<usize> = self
            .kinds
            .iter()
            .map(|kind| {
                let next = sources.len();
                *sources.entry(kind.source.as_str()).or_insert(next)
            })
            .collect();
        let id = |record: &Record| {
            let id = texts(&self.text, record).map(|[_, _, id]| id);
            (of_kind[usize::from(record.kind)], record.number, id)
        };
        // Texts are stored in the order in which their places came.
        self.records.sort_unstable_by(|a, b| id(a).cmp(&id(b)).then(a.text_start.cmp(&b.text_start)));
        self.records.dedup_by(|later, first| id(later) == id(first));
    }
}

/// A file that is ready to be written.
#[derive(Debug)]
pub struct Ready {
    header: Vec<u8>,
    records: Vec<Record>,
    text: String,
    duplicates: usize,
}

impl Ready {
    /// Writes the file.
    pub fn write(&self, out: &mut impl Write) -> io::Result<Finished> {
        let prelude = Prelude::new(self.header.len(), self.records.len(), self.text.len());
        let mut sum = prelude.summed();
        out.write_all(prelude.bytes())?;
        out.write_all(&self.header)?;
        sum.add(&self.header);
        for record in &self.records {
            let bytes = record.to_bytes();
            out.write_all(&bytes)?;
            sum.add(&bytes);
        }
        for piece in self.text.as_bytes().chunks(PIECE_BYTES) {
            out.write_all(piece)?;
            sum.add(piece);
        }
        out.write_all(&sum.end().to_le_bytes())?;
        let places = self.records.len();
        Ok(Finished { places, duplicates: self.duplicates, bytes: prelude.file_length() })
    }
}

/// Degrees in a record's units, if they are within the bound.
fn units(degrees: f64, bound: f64) -> Option<i32> {
    (degrees.abs() <= bound).then(|| (degrees * UNITS_PER_DEGREE).round() as i32)
}

/// The number whose only written form this is.
fn plain_number(id: &str) -> Option<u64> {
    let number: u64 = id.parse().ok()?;
    (number.to_string() == id).then_some(number)
}

/// A text without control characters, and without white space around it.
fn clean(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if text.contains(char::is_control) {
        Cow::Owned(text.replace(char::is_control, " "))
    } else {
        Cow::Borrowed(text)
    }
}
