//! How one location is laid out in memory: a header of fixed width, then the fields' text one after another.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | the entry's hash |
//! | 8 | how much more room the record has than it needs, in units of 4 bytes; 255 marks a dead record |
//! | 9..11, 11..13 | lengths of client and position; in a dead record the first is its room, in units of 4 bytes |
//! | 13, 14, 15 | lengths of server, skew and timestamp |
//! | 16.. | client, position, server, skew, timestamp |

use super::placement::Placement;
use crate::core::model::{ClientId, Location, Timestamp};

const HASH: usize = 0;
const SPARE: usize = 8;
const LENGTHS: usize = 9;
const TEXT: usize = 16;

/// Stored in place of the spare room, marks a dead record.
const DEAD: u8 = u8::MAX;

/// Records begin at multiples of this, and their room is a multiple of it. A smaller unit would save about a byte per
/// record, but more records would move for a report that is a digit longer.
pub(super) const UNIT: usize = 4;

/// The most room a record may have beyond what it needs, in bytes.
pub(super) const SPARE_BYTES_MAX: usize = 64;

/// The room a location needs, in bytes.
pub(super) fn room_for(location: &Location<'_>) -> usize {
    let text: usize = fields(location).iter().map(|field| field.len()).sum();
    (TEXT + text).next_multiple_of(UNIT)
}

fn fields<'a>(location: &Location<'a>) -> [&'a [u8]; 5] {
    [location.client.as_bytes(), location.position, location.server, location.skew, location.timestamp]
}

/// Writes a location into `record`, which is as long as its room: at least [`room_for`] it, and at most
/// [`SPARE_BYTES_MAX`] more. Returns the entry's hash.
pub(super) fn write(record: &mut [u8], location: &Location<'_>, placement: &Placement) -> u64 {
    let [client, position, server, skew, timestamp] = fields(location);
    record[SPARE] = ((record.len() - room_for(location)) / UNIT) as u8;
    record[LENGTHS..][..2].copy_from_slice(&(client.len() as u16).to_le_bytes());
    record[LENGTHS + 2..][..2].copy_from_slice(&(position.len() as u16).to_le_bytes());
    record[LENGTHS + 4] = server.len() as u8;
    record[LENGTHS + 5] = skew.len() as u8;
    record[LENGTHS + 6] = timestamp.len() as u8;
    let mut at = TEXT;
    for field in [client, position, server, skew, timestamp] {
        record[at..][..field.len()].copy_from_slice(field);
        at += field.len();
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
    let [.., (_, end)] = spans(record);
    end.next_multiple_of(UNIT) + usize::from(record[SPARE]) * UNIT
}

/// The record's client.
pub(super) fn client(record: &[u8]) -> &[u8] {
    &record[TEXT..][..usize::from(u16_at(record, LENGTHS))]
}

/// When the client reported.
pub(super) fn time(record: &[u8]) -> Option<Timestamp> {
    let [.., (start, end)] = spans(record);
    Timestamp::parse(&record[start..end])
}

/// The location the record holds. `None` never happens for what [`write`] wrote.
pub(super) fn location(record: &[u8]) -> Option<Location<'_>> {
    let [client, position, server, skew, timestamp] = spans(record).map(|(start, end)| &record[start..end]);
    let time = Timestamp::parse(timestamp)?;
    Some(Location { server, skew, client: ClientId::of_field(client), position, timestamp, time })
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

/// Where the fields begin and end, in the order of the text.
fn spans(record: &[u8]) -> [(usize, usize); 5] {
    let lengths = [
        usize::from(u16_at(record, LENGTHS)),
        usize::from(u16_at(record, LENGTHS + 2)),
        usize::from(record[LENGTHS + 4]),
        usize::from(record[LENGTHS + 5]),
        usize::from(record[LENGTHS + 6]),
    ];
    let mut end = TEXT;
    lengths.map(|length| {
        let start = end;
        end += length;
        (start, end)
    })
}

fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}
