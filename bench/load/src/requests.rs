//! The requests that a tester sends, made by patching digits into ready lines, because at millions a second the tester
//! must not be the slower side.

use crate::{
    digits,
    load::{Dialect, Load},
    stamp::{STAMP_BYTES, Stamp},
};

/// Where every client is, latitude first: the example of the assignment.
pub const LOCATION: &str = "+34.068930-118.445127";
/// Bytes of its latitude.
const LATITUDE_BYTES: usize = 10;

const BEFORE_NUMBER: &str = "kiwi";
const AFTER_NUMBER: &str = ".cs.ucla.edu";
/// Digits in the largest client number, `u32::MAX`.
const NUMBER_DIGITS_MAX: usize = 10;

/// The id of client `number`, as its requests spell it.
pub fn client_id(number: u32) -> String {
    format!("{BEFORE_NUMBER}{number}{AFTER_NUMBER}")
}

/// A request with gaps.
#[derive(Debug)]
struct Template {
    bytes: Vec<u8>,
    number: usize,
    stamp: Option<usize>,
}

/// Writes requests, with one ready line of each kind for each possible length of a client's number.
#[derive(Debug)]
pub struct Composer {
    reports: Vec<Template>,
    lookups: Vec<Vec<u8>>,
    stamp: Stamp,
}

impl Composer {
    /// A composer for a load's commands, whose first report is later than `posix_ns`.
    pub fn new(load: &Load, posix_ns: u64) -> Self {
        let end = if load.crlf { "\r\n" } else { "\n" };
        let reports = (1..=NUMBER_DIGITS_MAX).map(|digits| report(load.dialect, digits, end)).collect();
        let lookup = |digits| {
            let id = id_template(digits);
            format!("WHATSAT {id} {} {}{end}", load.radius_km, load.bound).into_bytes()
        };
        let lookups = (1..=NUMBER_DIGITS_MAX).map(lookup).collect();
        Self { reports, lookups, stamp: Stamp::new(posix_ns) }
    }

    /// Sets the time before a batch, so that the skews in the replies stay those of honest clocks.
    pub fn set_time(&mut self, posix_ns: u64) {
        self.stamp.advance_to(posix_ns);
    }

    /// Appends client `number`'s next report, newer than every report before it, and returns its timestamp.
    pub fn report(&mut self, out: &mut Vec<u8>, number: u32) -> Stamp {
        self.stamp.advance();
        let digits = digits::count(number);
        let template = &self.reports[digits - 1];
        let start = out.len();
        out.extend_from_slice(&template.bytes);
        let line = &mut out[start..];
        digits::write(&mut line[template.number..template.number + digits], u64::from(number));
        if let Some(stamp) = template.stamp {
            line[stamp..stamp + STAMP_BYTES].copy_from_slice(self.stamp.text());
        }
        self.stamp
    }

    /// Appends a question about client `number`.
    pub fn lookup(&mut self, out: &mut Vec<u8>, number: u32) {
        let digits = digits::count(number);
        let number_at = out.len() + "WHATSAT ".len() + BEFORE_NUMBER.len();
        out.extend_from_slice(&self.lookups[digits - 1]);
        digits::write(&mut out[number_at..number_at + digits], u64::from(number));
    }
}

fn id_template(number_digits: usize) -> String {
    format!("{BEFORE_NUMBER}{}{AFTER_NUMBER}", "0".repeat(number_digits))
}

/// The report of a client whose number has so many digits, at the one place, with a stamp of zeros.
fn report(dialect: Dialect, number_digits: usize, end: &str) -> Template {
    let id = id_template(number_digits);
    let (latitude, longitude) = LOCATION.split_at(LATITUDE_BYTES);
    let stamp = "0".repeat(STAMP_BYTES);
    let text = match dialect {
        Dialect::Herd => format!("IAMAT {id} {LOCATION} {stamp}{end}"),
        Dialect::RedisGeoadd => format!(
            "*5\r\n$6\r\nGEOADD\r\n$4\r\nherd\r\n${}\r\n{longitude}\r\n${}\r\n{latitude}\r\n${}\r\n{id}\r\n",
            longitude.len(),
            latitude.len(),
            id.len()
        ),
        Dialect::RedisSet => format!(
            "*3\r\n$3\r\nSET\r\n${}\r\n{id}\r\n${}\r\n{LOCATION} {stamp}\r\n",
            id.len(),
            LOCATION.len() + 1 + STAMP_BYTES
        ),
    };
    let id_at = text.find(&id).expect("it was written a moment ago");
    Template { number: id_at + BEFORE_NUMBER.len(), stamp: text.find(&stamp), bytes: text.into_bytes() }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// The time of the assignment's example, less a nanosecond.
    const PAPER: u64 = 1_479_413_884_392_014_449;

    fn load() -> Load {
        Load::on(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    fn first_report(load: &Load, number: u32) -> String {
        let mut out = Vec::new();
        Composer::new(load, PAPER).report(&mut out, number);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn reports_look_like_those_of_the_papers() {
        for (number, id) in
            [(0, "kiwi0"), (7, "kiwi7"), (1_234_567, "kiwi1234567"), (u32::MAX, "kiwi4294967295")]
        {
            let line = format!("IAMAT {id}.cs.ucla.edu +34.068930-118.445127 1479413884.392014450\n");
            assert_eq!(first_report(&load(), number), line);
        }
        let crlf = Load { crlf: true, ..load() };
        assert_eq!(
            first_report(&crlf, 12),
            "IAMAT kiwi12.cs.ucla.edu +34.068930-118.445127 1479413884.392014450\r\n"
        );
    }

    #[test]
    fn questions_name_the_client_the_radius_and_the_bound() {
        let load = Load { radius_km: 50, bound: 20, ..load() };
        let mut out = Vec::new();
        let mut composer = Composer::new(&load, PAPER);
        composer.lookup(&mut out, 90);
        composer.lookup(&mut out, 123);
        assert_eq!(out, b"WHATSAT kiwi90.cs.ucla.edu 50 20\nWHATSAT kiwi123.cs.ucla.edu 50 20\n");
    }

    #[test]
    fn redis_is_asked_in_its_own_words() {
        let geoadd = Load { dialect: Dialect::RedisGeoadd, ..load() };
        assert_eq!(
            first_report(&geoadd, 42),
            "*5\r\n$6\r\nGEOADD\r\n$4\r\nherd\r\n$11\r\n-118.445127\r\n$10\r\n+34.068930\r\n$18\r\nkiwi42.cs.ucla.edu\r\n"
        );
        let set = Load { dialect: Dialect::RedisSet, ..load() };
        assert_eq!(
            first_report(&set, 3),
            "*3\r\n$3\r\nSET\r\n$17\r\nkiwi3.cs.ucla.edu\r\n$42\r\n+34.068930-118.445127 1479413884.392014450\r\n"
        );
    }

    #[test]
    fn every_report_is_newer_than_the_one_before() {
        let mut composer = Composer::new(&load(), 0);
        let mut before = String::new();
        for step in 0..1_000_u64 {
            if step % 7 == 0 {
                // This clock stands still, then jumps, then goes back.
                composer.set_time(1_479_413_884_999_999_900 + (step % 3) * 50);
            }
            let mut out = Vec::new();
            composer.report(&mut out, 7);
            let line = String::from_utf8(out).unwrap();
            let stamp = line.trim_end().rsplit(' ').next().unwrap().to_owned();
            assert!(stamp > before, "{stamp} after {before}");
            before = stamp;
        }
        assert!(before.starts_with("1479413885.0"));
    }
}
