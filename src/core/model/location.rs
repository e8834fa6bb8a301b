//! Where a client is: the ISO 6709 text of a report, checked exactly, and its value in degrees for lookups; and a report
//! as the server that took it passes it on.

use super::{ClientId, Generation, NodeId, Skew, Timestamp};

/// A client's location as one server accepted it: the fields of an AT line, borrowed from wherever they are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location<'a> {
    /// The id of the server the client reported to.
    pub server: &'a [u8],
    /// That server's clock minus the client's timestamp, as [`Skew::text`] writes it.
    pub skew: &'a [u8],
    /// The client.
    pub client: ClientId<'a>,
    /// The ISO 6709 text of the report.
    pub position: &'a [u8],
    /// The text of the report's timestamp.
    pub timestamp: &'a [u8],
    /// The value of `timestamp`.
    pub time: Timestamp,
    /// The generation in which that server took it.
    pub generation: Generation,
}

impl<'a> Location<'a> {
    /// The fields of an AT line, checked by the rules that are the same on every node; `None` if one breaks them. Of the
    /// first generation, since that is left out.
    pub fn of_fields(fields: [&'a [u8]; 5]) -> Option<Self> {
        let [server, skew, client, position, timestamp] = fields;
        let sound = NodeId::is_valid(server) && is_position(position);
        let time = Timestamp::parse(timestamp)?;
        // When its server took it must be a time itself: what a herd does with the age of a report is then defined.
        time.after(Skew::parse(skew)?)?;
        let (client, generation) = (ClientId::new(client)?, Generation::FIRST);
        sound.then_some(Self { server, skew, client, position, timestamp, time, generation })
    }
}

/// A location that owns its text: copied under a lock, and read afterwards.
#[derive(Clone, Default, Debug)]
pub struct OwnedLocation {
    /// Server, skew, position and timestamp, one after the other.
    text: Vec<u8>,
    /// Where each of them ends.
    ends: [usize; 4],
    time: Timestamp,
    generation: Generation,
}

impl OwnedLocation {
    /// Stores that location. The client's id is not copied, because the caller has it.
    pub fn copy_from(&mut self, location: &Location<'_>) {
        self.text.clear();
        let fields = [location.server, location.skew, location.position, location.timestamp];
        for (field, end) in fields.into_iter().zip(&mut self.ends) {
            self.text.extend_from_slice(field);
            *end = self.text.len();
        }
        (self.time, self.generation) = (location.time, location.generation);
    }

    /// The location, given its client.
    pub fn of<'a>(&'a self, client: ClientId<'a>) -> Location<'a> {
        let [server, skew, position, timestamp] = self.ends;
        Location {
            server: &self.text[..server],
            skew: &self.text[server..skew],
            client,
            position: &self.text[skew..position],
            timestamp: &self.text[position..timestamp],
            time: self.time,
            generation: self.generation,
        }
    }

    /// Bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }
}

/// A point on the Earth, in decimal degrees, north and east positive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Coordinates {
    /// -90.0 to 90.0
    pub latitude: f64,
    /// -180.0 to 180.0
    pub longitude: f64,
}

impl Coordinates {
    /// Reads a position such as `+34.068930-118.445127`, by the rules of [`is_position`].
    pub fn of_position(text: &[u8]) -> Option<Self> {
        let latitude_end = number(text, 90)?;
        is_position(text).then_some(())?;
        let degrees = |part: &[u8]| std::str::from_utf8(part).ok()?.parse().ok();
        let text = text.strip_suffix(b"/").unwrap_or(text);
        Some(Self { latitude: degrees(&text[..latitude_end])?, longitude: degrees(&text[latitude_end..])? })
    }
}

/// Whether `text` is a position by the rules of PROTOCOL.md: twice a sign, 1 to 3 digits and optionally a `.` with at
/// least one digit, latitude first, within ±90 and ±180, optionally a closing `/`. The bounds are exact in every digit.
pub fn is_position(text: &[u8]) -> bool {
    let Some(latitude_end) = number(text, 90) else { return false };
    let rest = &text[latitude_end..];
    number(rest, 180).is_some_and(|end| matches!(&rest[end..], b"" | b"/"))
}

/// The length of the signed decimal number `text` begins with, if its size is at most `bound`.
fn number(text: &[u8], bound: u32) -> Option<usize> {
    let (b'+' | b'-') = text.first()? else { return None };
    let digit = |at: usize| text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10);
    let (mut whole, mut end) = (0, 1);
    while let Some(digit) = digit(end) {
        whole = whole * 10 + u32::from(digit);
        end += 1;
        if end > 4 {
            return None;
        }
    }
    if end == 1 {
        return None;
    }
    let mut has_fraction = false;
    if text.get(end) == Some(&b'.') {
        let begin = end + 1;
        end = begin;
        while let Some(digit) = digit(end) {
            has_fraction |= digit != 0;
            end += 1;
        }
        if end == begin {
            return None;
        }
    }
    (whole < bound || whole == bound && !has_fraction).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_must_have_taken_it_at_a_time_that_a_timestamp_tells() {
        let of = |skew: &'static str, timestamp: &'static str| {
            Location::of_fields([b"Alford", skew.as_bytes(), b"kiwi", b"+1+1", timestamp.as_bytes()])
        };
        for (skew, timestamp) in [
            ("-5.000000000", "5"),
            ("+0.999999999", "999999999999"),
            ("-999999999999.000000000", "999999999999"),
        ] {
            assert!(of(skew, timestamp).is_some(), "{skew} {timestamp}");
        }
        for (skew, timestamp) in
            [("-5.000000001", "5"), ("+1.000000000", "999999999999"), ("+1000000000000.000000000", "0")]
        {
            assert_eq!(of(skew, timestamp), None, "{skew} {timestamp}");
        }
    }

    #[test]
    fn positions_of_the_rulings_are_taken() {
        for text in [
            "+34-118",
            "+34.06893-118.445127",
            "+27.5916+086.5640",
            "+34.068930-118.445127/",
            "+90.000-180.0",
            "-90+180",
            "+0.0-0.0",
            "-000.5+1",
        ] {
            assert!(is_position(text.as_bytes()), "{text}");
            assert!(Coordinates::of_position(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_position() {
        for text in [
            "",
            "+",
            "+34",
            "34-118",
            "+34118",
            "+34.-118",
            "+.5-118",
            "+34-118.",
            "+34-118+5",
            "+34-118//",
            "+34-118x",
            "+3e1-118",
            "+0034-118",
            "+34-1180",
            "+90.0000000000000000000000000000001-118",
            "+91-118",
            "-34-180.00001",
            "+34-181",
            "+34 -118",
            "++34-118",
            "+nan-118",
        ] {
            assert!(!is_position(text.as_bytes()), "{text}");
            assert_eq!(Coordinates::of_position(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn degrees_are_north_and_east_positive() {
        let at = Coordinates::of_position(b"+34.068930-118.445127/").unwrap();
        assert_eq!(at, Coordinates { latitude: 34.06893, longitude: -118.445127 });
    }
}
