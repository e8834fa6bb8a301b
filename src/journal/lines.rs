//! A map's locations as a journal's lines, and back.

use crate::core::{
    model::Location,
    store::{Cursor, Store},
};

/// Appends the next locations of a walk: so many bytes, and the rest of a line. Returns whether the walk is over.
pub(super) fn write_lines(cursor: &mut Cursor, store: &Store, bytes: usize, out: &mut Vec<u8>) -> bool {
    let end = out.len() + bytes;
    cursor.walk(store, |_, location| {
        let has_room = out.len() < end;
        if has_room {
            location.write_at(out);
            out.push(b'\n');
        }
        has_room
    })
}

/// Stores each line's location. Returns how many lines have none.
pub fn store_lines(store: &Store, lines: &[u8]) -> u64 {
    let mut bad_lines = 0;
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        match Location::parse_at(line.trim_ascii_end()) {
            Some(location) => drop(store.merge(store.key_hash(location.client), &location)),
            None => bad_lines += 1,
        }
    }
    bad_lines
}
