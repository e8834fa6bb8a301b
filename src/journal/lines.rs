//! A map's records as a journal's lines, and back; and the watermarks that the map has had.

use crate::core::{
    model::ClientRecord,
    store::{Cursor, Store},
    wire::{WATERMARK, parse_watermark, write_watermark},
};

/// How lines begin after which files before them have what is to be forgotten: those of tombstones and of watermarks.
const FORGETTING: [&[u8]; 2] = [b"FORGOT ", WATERMARK];

/// Appends the next records of a walk: so many bytes, and the rest of a line. Before the first of them comes the watermark,
/// where there is one. Returns whether the walk is over.
pub(super) fn write_lines(cursor: &mut Cursor, store: &Store, bytes: usize, out: &mut Vec<u8>) -> bool {
    let end = out.len() + bytes;
    let watermark = store.watermark();
    if *cursor == Cursor::default() && watermark > 0 {
        write_watermark(watermark, out);
    }
    cursor.walk(store, |_, record| {
        let has_room = out.len() < end;
        if has_room {
            record.write(out);
            out.push(b'\n');
        }
        has_room
    })
}

/// What was in lines besides records.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LinesRead {
    /// How many lines are neither a record nor a watermark.
    pub bad_lines: u64,
    /// The greatest watermark.
    pub watermark: u64,
}

impl LinesRead {
    /// These lines and those.
    #[must_use]
    pub fn with(self, others: Self) -> Self {
        let bad_lines = self.bad_lines + others.bad_lines;
        Self { bad_lines, watermark: self.watermark.max(others.watermark) }
    }
}

/// Stores each line's record, unless it is before the store's watermark.
pub fn store_lines(store: &Store, lines: &[u8]) -> LinesRead {
    let mut read = LinesRead::default();
    for line in lines.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end) {
        if let Some(record) = ClientRecord::parse(line) {
            store.merge(store.key_hash(record.client()), &record);
        } else if let Some(watermark) = parse_watermark(line) {
            read.watermark = watermark.max(read.watermark);
        } else {
            read.bad_lines += 1;
        }
    }
    read
}

/// Whether one of these lines forgets something. No id has white space in it.
pub(super) fn has_forgetting(lines: &[u8]) -> bool {
    let is_after_another = |at: usize| at == 0 || lines[at - 1] == b'\n';
    let has = |word: &[u8]| memchr::memmem::find_iter(lines, word).any(is_after_another);
    FORGETTING.into_iter().any(has)
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
        assert_eq!(store_lines(&store, lines.as_bytes()).bad_lines, 2);
        assert_eq!((store.len(), store.tombstones()), (2, 1));
    }
}
