//! The flat form of local places: records of fixed length in bands of latitude, each band in order of longitude.
//!
//! build.rs compiles this file too, to write what the binary reads; so it uses nothing else of the crate, and no I/O.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

/// The length of a record in bytes.
pub const STRIDE: usize = 26;

/// Coordinates are whole numbers of hundred-thousandths of a degree, about 1.1 m.
pub const UNITS_PER_DEGREE: f64 = 100_000.0;

/// The number of bands of latitude from pole to pole, each a tenth of a degree (11 km) high; the last holds the north pole only.
pub const BANDS: usize = 1801;

const BAND_HEIGHT: i32 = 10_000;
const SOUTH_POLE: i32 = -9_000_000;

/// One place; its fields are kept in this order, numbers little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// -9,000,000 to 9,000,000, north positive.
    pub latitude: i32,
    /// -18,000,000 to 18,000,000, east positive.
    pub longitude: i32,
    /// The place's number in its source; 0 if the source has texts for that.
    pub number: u64,
    /// Where in the text the name begins; the vicinity follows it directly, then the id.
    pub text_start: u32,
    /// The length of the name in bytes.
    pub name_len: u8,
    /// The length of the vicinity in bytes; 0 if it equals the name.
    pub vicinity_len: u8,
    /// The length of the id in bytes; 0 if the number is the id.
    pub id_len: u8,
    /// How well known the place is, in fiftieths: 0 to 250.
    pub rank: u8,
    /// Which of the kinds the place is.
    pub kind: u16,
}

impl Record {
    /// The record in its flat form.
    pub fn to_bytes(self) -> [u8; STRIDE] {
        let mut bytes = [0; STRIDE];
        bytes[..4].copy_from_slice(&self.latitude.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.longitude.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.text_start.to_le_bytes());
        bytes[20..24].copy_from_slice(&[self.name_len, self.vicinity_len, self.id_len, self.rank]);
        bytes[24..].copy_from_slice(&self.kind.to_le_bytes());
        bytes
    }

    /// The record in a flat form; any 26 bytes are one.
    pub fn from_bytes(bytes: &[u8; STRIDE]) -> Self {
        let [a, b, c, d, _, _, _, _, rest @ ..] = *bytes;
        let [i, j, k, l, m, n, o, p, rest @ ..] = rest;
        let [s, t, u, v, name_len, vicinity_len, id_len, rank, y, z] = rest;
        Self {
            latitude: i32::from_le_bytes([a, b, c, d]),
            longitude: longitude(bytes),
            number: u64::from_le_bytes([i, j, k, l, m, n, o, p]),
            text_start: u32::from_le_bytes([s, t, u, v]),
            name_len,
            vicinity_len,
            id_len,
            rank,
            kind: u16::from_le_bytes([y, z]),
        }
    }

    /// Whether the coordinates are on the Earth.
    pub fn is_on_earth(&self) -> bool {
        self.latitude.unsigned_abs() <= 9_000_000 && self.longitude.unsigned_abs() <= 18_000_000
    }

    /// The record's position in the flat form. The fields after the longitude make the order total, and so the build
    /// repeatable.
    pub fn sort_key(&self) -> (usize, i32, i32, u16, u64, u32) {
        (band(self.latitude), self.longitude, self.latitude, self.kind, self.number, self.text_start)
    }
}

/// The longitude of a flat record alone, which is all that a binary search reads.
pub fn longitude(bytes: &[u8; STRIDE]) -> i32 {
    i32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
}

/// The band of a latitude; one beyond a pole counts as the pole's.
pub fn band(latitude: i32) -> usize {
    usize::try_from((latitude - SOUTH_POLE) / BAND_HEIGHT).unwrap_or(0).min(BANDS - 1)
}

/// The index of the first record of every band, of records in order of [`Record::sort_key`], and at the end their count.
pub fn band_starts(sorted: &[Record]) -> Vec<usize> {
    (0..=BANDS).map(|limit| sorted.partition_point(|record| band(record.latitude) < limit)).collect()
}
