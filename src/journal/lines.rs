//! A map's records as a journal's lines, and back; and the watermarks that the map has had.

use crate::core::{
    model::ClientRecord,
    store::{Cursor, Store},
    wire::{parse_watermark, write_watermark},
};

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
