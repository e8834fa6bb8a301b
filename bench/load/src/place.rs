//! Where a client is: ISO 6709 degrees with six decimals, of a fixed width.

use crate::digits;

/// Bytes of a latitude, `+34.068930`.
pub const LATITUDE_BYTES: usize = 10;
/// Bytes of a longitude, `-118.445127`.
pub const LONGITUDE_BYTES: usize = 11;
/// Bytes of both.
pub const PLACE_BYTES: usize = LATITUDE_BYTES + LONGITUDE_BYTES;

/// The position of every client that does not move: the example of the assignment.
pub const LOCATION: &str = "+34.068930-118.445127";

/// A point on the Earth, in millionths of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Millionths of a degree north.
    pub latitude_e6: i32,
    /// Millionths of a degree east.
    pub longitude_e6: i32,
}

impl Place {
    /// [`LOCATION`].
    pub const UCLA: Self = Self { latitude_e6: 34_068_930, longitude_e6: -118_445_127 };

    /// What goes on the wire, latitude first.
    pub fn text(self) -> [u8; PLACE_BYTES] {
        let mut text = [0; PLACE_BYTES];
        let (latitude, longitude) = text.split_at_mut(LATITUDE_BYTES);
        write_degrees(latitude, self.latitude_e6);
        write_degrees(longitude, self.longitude_e6);
        text
    }
}

/// A sign, degrees, a point, six decimals, over the whole of `text`.
fn write_degrees(text: &mut [u8], degrees_e6: i32) {
    let point = text.len() - 7;
    let size = u64::from(degrees_e6.unsigned_abs());
    text[0] = if degrees_e6 < 0 { b'-' } else { b'+' };
    digits::write(&mut text[1..point], size / 1_000_000);
    text[point] = b'.';
    digits::write(&mut text[point + 1..], size % 1_000_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_the_papers_write_it() {
        let text = |latitude_e6, longitude_e6| {
            String::from_utf8(Place { latitude_e6, longitude_e6 }.text().to_vec()).unwrap()
        };
        assert_eq!(Place::UCLA.text(), LOCATION.as_bytes());
        assert_eq!(text(-1, 5), "-00.000001+000.000005");
        assert_eq!(text(90_000_000, -180_000_000), "+90.000000-180.000000");
        assert_eq!(text(0, 0), "+00.000000+000.000000");
    }
}
