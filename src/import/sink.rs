//! Where readers put places: the file in progress, and the counts of what was left out.

use std::{collections::BTreeMap, mem};

use super::{ImportError, Note, Skip, osm::Twins};
use crate::places::file::{BadEntry, Builder, PlaceEntry};

/// What was skipped, or noted, for one reason.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Skipped {
    /// How many rows, features or elements.
    pub count: u64,
    /// Where the first of them is, if its file has lines: the file's name and the line.
    pub first: Option<(String, u64)>,
}

impl Skipped {
    fn count(&mut self, file: &str, line: Option<u64>) {
        self.count += 1;
        if self.first.is_none() {
            self.first = line.map(|line| (file.to_owned(), line));
        }
    }
}

/// The file in progress, and the counts of what was left out.
#[derive(Debug, Default)]
pub struct Sink {
    /// The file in progress.
    pub builder: Builder,
    skipped: BTreeMap<Skip, Skipped>,
    noted: BTreeMap<Note, Skipped>,
    /// The name of the file that is being read.
    file: String,
    /// The files whose last line has no newline.
    unended: Vec<String>,
    /// How many rows or features have been numbered for each label.
    numbered: BTreeMap<String, u64>,
    pub(super) twins: Twins,
}

impl Sink {
    /// What follows comes from the file of this name.
    pub fn begin(&mut self, file: &str) {
        file.clone_into(&mut self.file);
    }

    /// Merges elements that are one place. Called once, after the last file.
    pub fn end(&mut self) {
        let count = mem::take(&mut self.twins).merge(&mut self.builder);
        if count > 0 {
            self.skipped.entry(Skip::Twin).or_default().count = count;
        }
    }

    /// What was skipped, by its reason.
    pub fn skipped(&self) -> &BTreeMap<Skip, Skipped> {
        &self.skipped
    }

    /// What was read differently from what is in its file, by what was done.
    pub fn noted(&self) -> &BTreeMap<Note, Skipped> {
        &self.noted
    }

    /// The files that may be truncated in their last line, which has no newline.
    pub fn unended(&self) -> &[String] {
        &self.unended
    }

    /// Notes that the last line of the file has no newline.
    pub(super) fn note_unended(&mut self) {
        self.unended.push(self.file.clone());
    }

    /// Counts something that is not a place; `line` is where it is, if its file has lines.
    pub(super) fn skip(&mut self, why: Skip, line: Option<u64>) {
        self.skipped.entry(why).or_default().count(&self.file, line);
    }

    /// Counts something that is read differently from what is in its file.
    pub(super) fn note(&mut self, what: Note, line: Option<u64>) {
        self.noted.entry(what).or_default().count(&self.file, line);
    }

    /// Accepts a place, or counts why not. True if it is accepted.
    pub(super) fn add(&mut self, entry: &PlaceEntry<'_>, line: Option<u64>) -> Result<bool, ImportError> {
        let shortened = self.builder.shortened();
        let why = match self.builder.add(entry) {
            Ok(()) => {
                (shortened..self.builder.shortened()).for_each(|_| self.note(Note::Shortened, line));
                return Ok(true);
            }
            Err(BadEntry::NoName) => Skip::NoName,
            Err(BadEntry::NotOnEarth) => Skip::BadCoordinates,
            Err(BadEntry::BadId) => Skip::BadId,
            Err(BadEntry::Full) => return Err(ImportError::Full),
        };
        self.skip(why, line);
        Ok(false)
    }

    /// The next number for the label, so that those of several files differ.
    pub(super) fn number(&mut self, label: &str) -> u64 {
        if !self.numbered.contains_key(label) {
            self.numbered.insert(label.to_owned(), 0);
        }
        self.numbered.get_mut(label).map_or(0, |number| {
            *number += 1;
            *number
        })
    }

    pub(super) fn kind(&mut self, source: &str, types: &str) -> Result<u16, ImportError> {
        self.builder.kind(source, types).map_err(|_| ImportError::Full)
    }
}
