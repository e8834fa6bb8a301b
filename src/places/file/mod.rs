//! A file of places, as `herd places import` makes them: read whole, checked in every byte, then searched where it is
//! in memory. `layout.rs` defines the layout of the file, `builder.rs` makes one. A file that opens can be asked
//! anything: no lookup waits or fails.

mod builder;
mod layout;

use std::{
    io::{self, Read},
    path::Path,
};

pub use builder::{BadEntry, Builder, Finished, Id, PlaceEntry, Ready, TakenPlace};
pub use layout::{LayoutFault, Made, VERSION};

use layout::{Header, Prelude};

use super::index::Index;
use super::local::{Local, Shown};
use super::record::{self, Record, STRIDE};
use super::{Failure, Query, Source};
use crate::regular_file;

/// Why a file of places does not open; displays as one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is missing, may not be read, or is not a regular file.
    #[error(
        "{file}: the places cannot be read: {error}; make the file with `herd places import`, or name another"
    )]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// It is not what an import has written.
    #[error("{file} {fault}")]
    Invalid {
        /// Its path.
        file: String,
        /// What is wrong.
        fault: LayoutFault,
    },
}

/// The places of one file.
#[derive(Debug)]
pub struct PlacesFile {
    records: Vec<[u8; STRIDE]>,
    band_starts: Vec<u32>,
    text: String,
    shown: Shown,
    html_attributions: Vec<String>,
    made: Made,
}

impl PlacesFile {
    /// Reads the file and checks all of it.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let name = || path.display().to_string();
        let unreadable = |error| FileError::Unreadable { file: name(), error };
        let mut file = regular_file::open(path).map_err(io::Error::from).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        match Self::read(&mut file, length) {
            Ok(Ok(places)) => Ok(places),
            Ok(Err(fault)) => Err(FileError::Invalid { file: name(), fault }),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// Reads the `length` bytes of a file. Uses no more memory than those, whatever they claim.
    pub fn read(from: &mut impl Read, length: u64) -> io::Result<Result<Self, LayoutFault>> {
        let mut prelude = [0; Prelude::LENGTH];
        let at_hand = usize::try_from(length).unwrap_or(usize::MAX).min(Prelude::LENGTH);
        from.read_exact(&mut prelude[..at_hand])?;
        let prelude = match Prelude::read(&prelude, at_hand, length) {
            Ok(prelude) => prelude,
            Err(fault) => return Ok(Err(fault)),
        };
        let mut header = vec![0; prelude.header_length];
        from.read_exact(&mut header)?;
        let mut records = vec![[0; STRIDE]; prelude.count];
        from.read_exact(records.as_flattened_mut())?;
        let mut text = vec![0; prelude.text_length];
        from.read_exact(&mut text)?;
        let mut sum = [0; 8];
        from.read_exact(&mut sum)?;
        let mut summed = prelude.summed();
        [&header, records.as_flattened(), &text].into_iter().for_each(|part| summed.add(part));
        if summed.end() != u64::from_le_bytes(sum) {
            return Ok(Err(LayoutFault::Damaged));
        }
        Ok(Self::of_parts(&header, records, text))
    }

    /// Checks what the checksum cannot: that the parts fit together. So no lookup can go astray in them.
    fn of_parts(header: &[u8], records: Vec<[u8; STRIDE]>, text: Vec<u8>) -> Result<Self, LayoutFault> {
        let Header { kinds, html_attributions, made } = Header::read(header)?;
        let text = String::from_utf8(text).map_err(|_| LayoutFault::Contradicts("its text is not UTF-8"))?;
        let mut band_starts = vec![0];
        let mut last = None;
        for (at, bytes) in (0..).zip(&records) {
            let record = Record::from_bytes(bytes);
            check(&record, &text, kinds.len())?;
            let key = record.sort_key();
            if last.is_some_and(|last| last > key) {
                return Err(LayoutFault::Contradicts("its places are not in order"));
            }
            band_starts.resize(key.0 + 1, at);
            last = Some(key);
        }
        let count =
            u32::try_from(records.len()).map_err(|_| LayoutFault::Contradicts("it has too many places"))?;
        band_starts.resize(record::BANDS + 1, count);
        let shown = Shown::new(&kinds, &html_attributions);
        Ok(Self { records, band_starts, text, shown, html_attributions, made })
    }

    /// How many places there are.
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// The origin of the file.
    pub fn made(&self) -> &Made {
        &self.made
    }

    /// The attributions wherever the places are shown, as HTML.
    pub fn html_attributions(&self) -> &[String] {
        &self.html_attributions
    }

    fn local(&self) -> Local<'_> {
        Local {
            index: Index { records: &self.records, band_starts: &self.band_starts },
            text: &self.text,
            shown: &self.shown,
        }
    }
}

fn check(record: &Record, text: &str, kinds: usize) -> Result<(), LayoutFault> {
    if !record.is_on_earth() {
        return Err(LayoutFault::Contradicts("it has a place that is not on the Earth"));
    }
    if usize::from(record.kind) >= kinds {
        return Err(LayoutFault::Contradicts("it has a place of a kind that it does not list"));
    }
    if record.name_len == 0 || super::local::texts(text, record).is_none() {
        return Err(LayoutFault::Contradicts("it has a place without a name"));
    }
    Ok(())
}

impl Source for PlacesFile {
    fn may_wait(&self) -> bool {
        false
    }

    /// As from the embedded places: ordered by rank and distance.
    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        Ok(self.local().answer(query, out))
    }
}

#[cfg(test)]
mod tests;
