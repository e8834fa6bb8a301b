//! The layout of a file of places: a prelude of fixed length, a header in JSON, the records, their text, a checksum.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | `proxyherd places` |
//! | 4 | the version of the layout |
//! | 4, 8, 8 | the length of the header, the number of records, the length of the text |
//! | … | header, records (`places/record.rs`), text |
//! | 8 | XXH3 of all before it |
//!
//! Numbers are little-endian. A change to this layout must raise [`VERSION`].

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::hash::Hasher as _;

use serde::{Deserialize, Serialize};
use twox_hash::xxhash3_64::Hasher as Xxh3;

use crate::places::local::Kind;
use crate::places::record::STRIDE;

/// The version of the layout that is written, and the only one that is read.
pub const VERSION: u32 = 1;

const MAGIC: &[u8; 16] = b"proxyherd places";
const SUM_LENGTH: u64 = 8;

/// What is wrong with a file; follows its name, and says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutFault {
    /// Something else entirely.
    #[error("is not a file of places; name one that `herd places import` made")]
    NotPlaces,
    /// Made by another herd.
    #[error(
        "has version {0} of the format, and this herd reads {VERSION}; import it again with this herd, or use the herd that made it"
    )]
    OtherVersion(u32),
    /// It is too short or too long.
    #[error("is {have} bytes long where it should be {want}; copy it again, or import it again")]
    WrongLength {
        /// Its length in bytes.
        have: u64,
        /// The length that it claims.
        want: u64,
    },
    /// Some bit has changed since it was written.
    #[error("is damaged, as its checksum shows; copy it again, or import it again")]
    Damaged,
    /// The checksum is right but the content is not: another program wrote it.
    #[error("is inconsistent: {0}; import it again")]
    Contradicts(&'static str),
}

/// The part of fixed length at the beginning.
#[derive(Debug)]
pub(super) struct Prelude {
    bytes: [u8; Self::LENGTH],
    pub(super) header_length: usize,
    pub(super) count: usize,
    pub(super) text_length: usize,
}

impl Prelude {
    pub(super) const LENGTH: usize = 40;

    pub(super) fn new(header_length: usize, count: usize, text_length: usize) -> Self {
        let mut bytes = [0; Self::LENGTH];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..20].copy_from_slice(&VERSION.to_le_bytes());
        bytes[20..24].copy_from_slice(&(header_length as u32).to_le_bytes());
        bytes[24..32].copy_from_slice(&(count as u64).to_le_bytes());
        bytes[32..].copy_from_slice(&(text_length as u64).to_le_bytes());
        Self { bytes, header_length, count, text_length }
    }

    /// Reads the prelude of a file of `length` bytes, of which `at_hand` are in `bytes`, and compares its lengths with
    /// the file's: whatever is read by them afterwards exists.
    pub(super) fn read(bytes: &[u8; Self::LENGTH], at_hand: usize, length: u64) -> Result<Self, LayoutFault> {
        let begins = at_hand.min(MAGIC.len());
        if at_hand == 0 || bytes[..begins] != MAGIC[..begins] {
            return Err(LayoutFault::NotPlaces);
        }
        if at_hand < Self::LENGTH {
            return Err(LayoutFault::WrongLength { have: length, want: Self::LENGTH as u64 + SUM_LENGTH });
        }
        let four = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]));
        let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
        if four(16) != VERSION {
            return Err(LayoutFault::OtherVersion(four(16)));
        }
        let (header, count, text) = (u64::from(four(20)), eight(24), eight(32));
        let want = (Self::LENGTH as u64 + SUM_LENGTH + header)
            .saturating_add(count.saturating_mul(STRIDE as u64))
            .saturating_add(text);
        let sizes = [header, count, text].map(usize::try_from);
        let [Ok(header_length), Ok(count), Ok(text_length)] = sizes else {
            return Err(LayoutFault::WrongLength { have: length, want });
        };
        if length != want {
            return Err(LayoutFault::WrongLength { have: length, want });
        }
        Ok(Self { bytes: *bytes, header_length, count, text_length })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The length of the whole file in bytes.
    pub(super) fn file_length(&self) -> u64 {
        let records = self.count as u64 * STRIDE as u64;
        Self::LENGTH as u64 + self.header_length as u64 + records + self.text_length as u64 + SUM_LENGTH
    }

    /// The checksum so far; the header, the records and the text go into it, in pieces of any size.
    pub(super) fn summed(&self) -> Sum {
        let mut sum = Sum(Xxh3::new());
        sum.add(&self.bytes);
        sum
    }
}

/// A checksum in progress.
#[derive(Clone)]
pub(super) struct Sum(Xxh3);

impl Sum {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    pub(super) fn end(&self) -> u64 {
        self.0.finish()
    }
}

/// What a file says about itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Made {
    /// When, as RFC 3339.
    pub at: String,
    /// By which program.
    pub by: String,
    /// From which files.
    pub from: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) kinds: Vec<Kind<String>>,
    pub(super) html_attributions: Vec<String>,
    pub(super) made: Made,
}

impl Header {
    pub(super) fn read(json: &[u8]) -> Result<Self, LayoutFault> {
        let header: Self =
            serde_json::from_slice(json).map_err(|_| LayoutFault::Contradicts("its header is malformed"))?;
        let is_sound = |kind: &Kind<String>| !kind.source.is_empty() && !kind.types.is_empty();
        if !header.kinds.iter().all(is_sound) {
            return Err(LayoutFault::Contradicts("it has a kind without types"));
        }
        Ok(header)
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings can be written as JSON")
    }
}
