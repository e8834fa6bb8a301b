//! The reports a tester sends: `IAMAT kiwi<N>.cs.ucla.edu <location> <timestamp>`, made by patching digits into
//! ready lines, because at millions a second the tester must not be the slower side.

/// Where every client of the tester is.
pub const LOCATION: &str = "+34.068930-118.445127";

/// Bytes of a timestamp: ten digits of seconds, the point, nine digits of nanoseconds.
pub const STAMP_BYTES: usize = 20;

const BEFORE_NUMBER: &str = "IAMAT kiwi";
const AFTER_NUMBER: &str = ".cs.ucla.edu ";
const NANOSECONDS: u64 = 1_000_000_000;
/// Digits in the largest client number, `u32::MAX`.
const NUMBER_DIGITS_MAX: usize = 10;

/// A timestamp that only grows, kept both as a number and as the text that is sent.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    posix_ns: u64,
    text: [u8; STAMP_BYTES],
}

impl Stamp {
    /// The timestamp of this POSIX time, in nanoseconds.
    pub fn new(posix_ns: u64) -> Self {
        let mut text = [b'.'; STAMP_BYTES];
        write_digits(&mut text[..10], posix_ns / NANOSECONDS);
        write_digits(&mut text[11..], posix_ns % NANOSECONDS);
        Self { posix_ns, text }
    }

    /// Moves on to `posix_ns`, or by one nanosecond when that would not be strictly later.
    pub fn advance_to(&mut self, posix_ns: u64) {
        if posix_ns > self.posix_ns {
            *self = Self::new(posix_ns);
        } else {
            self.advance();
        }
    }

    /// Moves on by one nanosecond: nine times in ten a single digit changes.
    pub fn advance(&mut self) {
        self.posix_ns += 1;
        for digit in self.text.iter_mut().rev().filter(|byte| **byte != b'.') {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
    }

    /// POSIX nanoseconds.
    pub fn posix_ns(&self) -> u64 {
        self.posix_ns
    }

    /// What goes on the wire.
    pub fn text(&self) -> &[u8; STAMP_BYTES] {
        &self.text
    }
}

/// Writes reports, with one ready line for each possible length of a client's number.
#[derive(Debug)]
pub struct Composer {
    templates: Vec<Vec<u8>>,
    stamp: Stamp,
}

impl Composer {
    /// A composer whose first report is later than `posix_ns`.
    pub fn new(posix_ns: u64) -> Self {
        let templates = (1..=NUMBER_DIGITS_MAX).map(template).collect();
        Self { templates, stamp: Stamp::new(posix_ns) }
    }

    /// Tells the time before a batch, so that the skews in the replies stay those of honest clocks.
    pub fn set_time(&mut self, posix_ns: u64) {
        self.stamp.advance_to(posix_ns);
    }

    /// Appends client `number`'s next report, newer than every report before it, and gives its timestamp.
    pub fn append(&mut self, out: &mut Vec<u8>, number: u32) -> Stamp {
        self.stamp.advance();
        let digits = digits_of(number);
        let template = &self.templates[digits - 1];
        let line = out.len();
        out.extend_from_slice(template);
        let number_at = line + BEFORE_NUMBER.len();
        write_digits(&mut out[number_at..number_at + digits], u64::from(number));
        let stamp_at = line + template.len() - 1 - STAMP_BYTES;
        out[stamp_at..stamp_at + STAMP_BYTES].copy_from_slice(&self.stamp.text);
        self.stamp
    }
}

/// The id of client `number`, as its reports spell it.
pub fn client_id(number: u32) -> String {
    format!("kiwi{number}.cs.ucla.edu")
}

fn template(number_digits: usize) -> Vec<u8> {
    let number = "0".repeat(number_digits);
    let stamp = "0".repeat(STAMP_BYTES);
    format!("{BEFORE_NUMBER}{number}{AFTER_NUMBER}{LOCATION} {stamp}\n").into_bytes()
}

fn digits_of(number: u32) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Fills the whole of `place` with the last digits of `number`.
fn write_digits(place: &mut [u8], mut number: u64) {
    for byte in place.iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAPER: u64 = 1_479_413_884_392_014_450;

    fn report(composer: &mut Composer, number: u32) -> String {
        let mut out = Vec::new();
        composer.append(&mut out, number);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_report_is_the_papers_line() {
        let mut composer = Composer::new(PAPER - 1);
        assert_eq!(
            report(&mut composer, 42),
            "IAMAT kiwi42.cs.ucla.edu +34.068930-118.445127 1479413884.392014450\n"
        );
    }

    #[test]
    fn every_length_of_number_fits_its_line() {
        let mut composer = Composer::new(PAPER);
        for number in [0, 9, 10, 99_999, 100_000, u32::MAX] {
            let line = report(&mut composer, number);
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            assert_eq!(fields.len(), 4);
            assert_eq!(fields[1], client_id(number));
            assert_eq!(fields[3].len(), STAMP_BYTES);
        }
    }

    #[test]
    fn timestamps_are_strictly_newer_across_carries_and_clocks_that_stand_still() {
        let mut composer = Composer::new(1_479_413_884_999_999_900);
        let mut before = String::new();
        for step in 0..1_000_u64 {
            if step % 7 == 0 {
                // This clock stands still, then jumps, then goes back.
                composer.set_time(1_479_413_884_999_999_900 + (step % 3) * 50);
            }
            let line = report(&mut composer, 7);
            let stamp = line.trim_end().rsplit(' ').next().unwrap().to_owned();
            assert!(stamp > before, "{stamp} after {before}");
            before = stamp;
        }
        assert!(before.starts_with("1479413885.0"));
    }

    #[test]
    fn the_number_and_the_text_of_a_stamp_agree() {
        let mut stamp = Stamp::new(PAPER);
        for _ in 0..12_345 {
            stamp.advance();
        }
        assert_eq!(stamp.text(), Stamp::new(stamp.posix_ns()).text());
    }
}
