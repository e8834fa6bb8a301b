//! How a client's record is laid out in memory: a header of fixed width, then the fields' text one after another, and the
//! generation unless it is the first.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | the entry's hash |
//! | 8 | how much more room the record has than it needs, in units of 4 bytes; the top bit says that it is hidden; 255 marks a dead record |
//! | 9..11, 11..13 | lengths of client and position; in a dead record the first is its room, in units of 4 bytes |
//! | 13, 14, 15 | lengths of server, skew and timestamp; the last one's top bit says that there is a generation |
//! | 16.. | client, position, server, skew, timestamp |
//! | the next 7, if that bit is set | the generation |
//!
//! A tombstone has no position and no skew, which a location always has.

use super::placement::Placement;
use crate::core::model::{ClientId, ClientRecord, Generation, Location, Timestamp, Tombstone};

const HASH: usize = 0;
const SPARE: usize = 8;
const LENGTHS: usize = 9;
const TEXT: usize = 16;

/// Stored in place of the spare room, marks a dead record.
const DEAD: u8 = u8::MAX;

/// The bit beside the spare room that marks a hidden record: its age has passed the watermark, and it is not in the sums.
const HIDDEN: u8 = 0x80;

/// Records begin at multiples of this, and their room is a multiple of it. A smaller unit would save about a byte per
/// record, but more records would move for a report that is a digit longer.
pub(super) const UNIT: usize = 4;

/// The most room a record may have beyond what it needs, in bytes.
pub(super) const SPARE_BYTES_MAX: usize = 64;

/// The bit of the timestamp's length that says that a generation follows the text.
const HAS_GENERATION: u8 = 0x80;
const GENERATION_BYTES: usize = 7;

/// What is laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordFields<'a> {
    /// Client, position, server, skew and timestamp.
    text: [&'a [u8]; 5],
    generation: Generation,
    /// The room they need, in bytes.
    room: usize,
}

impl<'a> RecordFields<'a> {
    #[inline]
    pub(super) fn of_location(location: &Location<'a>) -> Self {
        let Location { client, position, server, skew, timestamp, generation, .. } = *location;
        Self::new([client.as_bytes(), position, server, skew, timestamp], generation)
    }

    pub(super) fn of(record: &ClientRecord<'a>) -> Self {
        match record {
            ClientRecord::Location(location) => Self::of_location(location),
            ClientRecord::Tombstone(tombstone) => {
                let Tombstone { client, server, timestamp, generation, .. } = *tombstone;
                Self::new([client.as_bytes(), b"", server, b"", timestamp], generation)
            }
        }
    }

    #[inline]
    fn new(text: [&'a [u8]; 5], generation: Generation) -> Self {
        let bytes: usize = text.iter().map(|field| field.len()).sum();
        let generation_bytes = if generation == Generation::FIRST { 0 } else { GENERATION_BYTES };
        Self { text, generation, room: (TEXT + bytes + generation_bytes).next_multiple_of(UNIT) }
    }

    pub(super) fn is_tombstone(&self) -> bool {
        let [_, position, ..] = self.text;
        position.is_empty()
    }

    fn has_generation(&self) -> bool {
        self.generation != Generation::FIRST
    }

    /// The room they need, in bytes.
    pub(super) fn room(&self) -> usize {
        self.room
    }
}

/// Writes fields into `record`, which is as long as its room: at least [`RecordFields::room`], and at most
/// [`SPARE_BYTES_MAX`] more. Returns the entry's hash.
pub(super) fn write(record: &mut [u8], fields: &RecordFields<'_>, placement: &Placement) -> u64 {
    let [client, position, server, skew, timestamp] = fields.text;
    record[SPARE] = ((record.len() - fields.room()) / UNIT) as u8;
    record[LENGTHS..][..2].copy_from_slice(&(client.len() as u16).to_le_bytes());
    record[LENGTHS + 2..][..2].copy_from_slice(&(position.len() as u16).to_le_bytes());
    record[LENGTHS + 4] = server.len() as u8;
    record[LENGTHS + 5] = skew.len() as u8;
    record[LENGTHS + 6] = timestamp.len() as u8;
    let mut at = TEXT;
    for field in fields.text {
        record[at..][..field.len()].copy_from_slice(field);
        at += field.len();
    }
    if fields.has_generation() {
        record[LENGTHS + 6] |= HAS_GENERATION;
        record[at..][..GENERATION_BYTES]
            .copy_from_slice(&fields.generation.number().to_le_bytes()[..GENERATION_BYTES]);
        at += GENERATION_BYTES;
    }
    let hash = placement.entry_hash(&record[LENGTHS..at]);
    record[HASH..][..8].copy_from_slice(&hash.to_le_bytes());
    hash
}

/// The entry's hash.
pub(super) fn hash(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The record's room in bytes; `record` may reach beyond it.
pub(super) fn room(record: &[u8]) -> usize {
    if is_dead(record) {
        return usize::from(u16_at(record, LENGTHS)) * UNIT;
    }
    let end = text_end(record) + if has_generation(record) { GENERATION_BYTES } else { 0 };
    end.next_multiple_of(UNIT) + usize::from(record[SPARE] & !HIDDEN) * UNIT
}

/// The record's client.
pub(super) fn client(record: &[u8]) -> &[u8] {
    &record[TEXT..][..usize::from(u16_at(record, LENGTHS))]
}

/// The time of the record.
pub(super) fn time(record: &[u8]) -> Option<Timestamp> {
    let (end, [.., timestamp]) = (text_end(record), lengths(record));
    Timestamp::parse(&record[end - timestamp..end])
}

/// The generation of the record.
pub(super) fn generation(record: &[u8]) -> Generation {
    if !has_generation(record) {
        return Generation::FIRST;
    }
    let end = text_end(record);
    let mut number = [0; 8];
    number[..GENERATION_BYTES].copy_from_slice(&record[end..][..GENERATION_BYTES]);
    Generation::new(u64::from_le_bytes(number)).unwrap_or(Generation::MAX)
}

/// Whether the record is a tombstone.
pub(super) fn is_tombstone(record: &[u8]) -> bool {
    u16_at(record, LENGTHS + 2) == 0
}

/// What the record holds. `None` never happens for what [`write`] wrote.
pub(super) fn read(record: &[u8]) -> Option<ClientRecord<'_>> {
    let [client, position, server, skew, timestamp] = spans(record).map(|(start, end)| &record[start..end]);
    let (client, time, generation) =
        (ClientId::of_field(client), Timestamp::parse(timestamp)?, generation(record));
    Some(match is_tombstone(record) {
        true => Tombstone { client, generation, timestamp, time, server }.into(),
        false => Location { server, skew, client, position, timestamp, time, generation }.into(),
    })
}

/// Marks the record as dead, so that a walk over its page skips it.
pub(super) fn bury(record: &mut [u8]) {
    let room = (room(record) / UNIT) as u16;
    record[LENGTHS..][..2].copy_from_slice(&room.to_le_bytes());
    record[SPARE] = DEAD;
}

/// Whether the record is dead.
pub(super) fn is_dead(record: &[u8]) -> bool {
    record[SPARE] == DEAD
}

/// Marks the record as hidden, until another is written in its place.
pub(super) fn hide(record: &mut [u8]) {
    record[SPARE] |= HIDDEN;
}

/// Whether the record is hidden.
pub(super) fn is_hidden(record: &[u8]) -> bool {
    record[SPARE] & HIDDEN != 0 && !is_dead(record)
}

/// Where the fields begin and end, in the order of the text.
fn spans(record: &[u8]) -> [(usize, usize); 5] {
    let mut end = TEXT;
    lengths(record).map(|length| {
        let start = end;
        end += length;
        (start, end)
    })
}

/// Where the last field ends.
fn text_end(record: &[u8]) -> usize {
    lengths(record).iter().fold(TEXT, |end, length| end + length)
}

/// How long the fields are, in the order of the text.
#[inline]
fn lengths(record: &[u8]) -> [usize; 5] {
    // Checked once for all.
    let header = &record[..TEXT];
    [
        usize::from(u16_at(header, LENGTHS)),
        usize::from(u16_at(header, LENGTHS + 2)),
        usize::from(header[LENGTHS + 4]),
        usize::from(header[LENGTHS + 5]),
        usize::from(header[LENGTHS + 6] & !HAS_GENERATION),
    ]
}

fn has_generation(record: &[u8]) -> bool {
    record[LENGTHS + 6] & HAS_GENERATION != 0
}

fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}
