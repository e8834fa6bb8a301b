//! A map's records as a journal's lines, and back.

use crate::core::{
    model::ClientRecord,
    store::{Cursor, Store},
};

/// How a tombstone's line begins after another.
const TOMBSTONE: &[u8] = b"\nFORGOT ";

/// Appends the next records of a walk: so many bytes, and the rest of a line. Returns whether the walk is over.
pub(super) fn write_lines(cursor: &mut Cursor, store: &Store, bytes: usize, out: &mut Vec<u8>) -> bool {
    let end = out.len() + bytes;
    cursor.walk(store, |_, record| {
        let has_room = out.len() < end;
        if has_room {
            record.write(out);
            out.push(b'\n');
        }
        has_room
    })
}

/// Stores each line's record. Returns how many lines have none.
pub fn store_lines(store: &Store, lines: &[u8]) -> u64 {
    let mut bad_lines = 0;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        match ClientRecord::parse(line.trim_ascii_end()) {
            Some(record) => drop(store.merge(store.key_hash(record.client()), &record)),
            None => bad_lines += 1,
        }
    }
    bad_lines
}

/// Whether one of these lines is a tombstone's. No id has white space in it.
pub(super) fn has_tombstone(lines: &[u8]) -> bool {
    lines.starts_with(TOMBSTONE.trim_ascii_start()) || memchr::memmem::find(lines, TOMBSTONE).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::store::Placement;

    /// An older version took the second line and the fourth, whose servers would have taken the reports at no time.
    #[test]
    fn line_that_is_no_record_is_counted_and_those_around_it_are_stored() {
        let store = Store::new(Placement::of_herd("quick"), usize::MAX);
        let lines = "AT Alford +0.000000001 a +1+1 1\nAT Alford -1.000000001 b +1+1 1\n\
                     FORGOT c 7 1 Alford\nAT Alford +1.000000000 d +1+1 999999999999\nAT Alford +0.000000001 e +1+1 1\n";
        assert_eq!(store_lines(&store, lines.as_bytes()), 2);
        assert_eq!((store.len(), store.tombstones()), (2, 1));
    }
}
