//! One record as the watch knows it. It knows the total order and from when ages count by itself, so that a fault in the
//! program's own is not shared.

use std::hash::{DefaultHasher, Hasher};

use proxyherd::core::model::{ClientRecord, Generation};

/// One record, ordered as PROTOCOL.md orders them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Version {
    generation: u64,
    time: i128,
    pub(super) is_tombstone: bool,
    /// Timestamp, position, server and skew; of a tombstone, timestamp and server.
    content: [Box<[u8]>; 4],
    /// From when its age counts, in nanoseconds since 1970.
    pub(super) counted: i128,
}

impl Version {
    /// Of a herd whose clocks differ by so many seconds at most.
    pub(super) fn of(record: &ClientRecord<'_>, day: u64) -> Self {
        let counted = counted(record, day);
        let (generation, time) = match record {
            ClientRecord::Location(location) => (location.generation, location.time),
            ClientRecord::Tombstone(tombstone) => (tombstone.generation, tombstone.time),
        };
        let (generation, time) = (generation.number(), time.as_nanoseconds());
        let (is_tombstone, content) = (record.location().is_none(), content(record).map(Into::into));
        Self { generation, time, is_tombstone, content, counted }
    }

    /// Whether a node whose watermark that is has forgotten it.
    pub(super) fn is_old(&self, watermark: u64) -> bool {
        is_old(self.counted, watermark)
    }

    /// Whether its client was forgotten before.
    pub(super) fn is_afresh(&self) -> bool {
        self.generation > 0
    }

    pub(super) fn is_of(&self, record: &ClientRecord<'_>) -> bool {
        let generation = match record {
            ClientRecord::Location(location) => location.generation,
            ClientRecord::Tombstone(tombstone) => tombstone.generation,
        };
        self.generation == generation.number()
            && self.is_tombstone == record.location().is_none()
            && self.content.iter().zip(content(record)).all(|(ours, theirs)| **ours == *theirs)
    }
}

/// A location counts from when its server took it; a generation counts for a day more.
pub(super) fn counted(record: &ClientRecord<'_>, day: u64) -> i128 {
    let of_generation =
        |generation: Generation| i128::from(generation.number()) * 1_000_000 + i128::from(day) * NANOS;
    match record {
        ClientRecord::Tombstone(tombstone) => of_generation(tombstone.generation),
        ClientRecord::Location(location) => {
            let skew: String = String::from_utf8_lossy(location.skew).replace('.', "");
            let taken = location.time.as_nanoseconds() + skew.parse::<i128>().unwrap_or_default();
            if location.generation.number() == 0 {
                taken
            } else {
                taken.max(of_generation(location.generation))
            }
        }
    }
}

/// Whether what counts from then is forgotten at that watermark.
pub(super) fn is_old(counted: i128, watermark: u64) -> bool {
    watermark > 0 && counted < i128::from(watermark) * NANOS
}

/// Nanoseconds in a second.
const NANOS: i128 = 1_000_000_000;

fn content<'a>(record: &ClientRecord<'a>) -> [&'a [u8]; 4] {
    match record {
        ClientRecord::Location(location) => {
            [location.timestamp, location.position, location.server, location.skew]
        }
        ClientRecord::Tombstone(tombstone) => [tombstone.timestamp, tombstone.server, b"", b""],
    }
}

/// By which records are told apart.
pub(super) fn hash_of(record: &ClientRecord<'_>) -> u64 {
    let mut line = Vec::with_capacity(256);
    record.write(&mut line);
    hash_of_bytes(&line)
}

/// The same of a record's line.
pub(super) fn hash_of_bytes(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
