//! When a certificate's time is over, out of its DER. Nothing else of it is read: TLS checks the rest.

use chrono::NaiveDateTime;

use crate::core::model::Timestamp;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of a certificate's validity (RFC 5280, section 4.1.2.5); `None` if it is no certificate. One that ends before
/// 1970 ends then.
pub(super) fn expiry(certificate: &[u8]) -> Option<Timestamp> {
    let mut certificate = Der(Der(certificate).take(SEQUENCE)?);
    let mut signed = Der(certificate.take(SEQUENCE)?);
    if signed.0.first() == Some(&VERSION) {
        signed.next()?;
    }
    // The serial number, the algorithm and the issuer.
    for _ in 0..3 {
        signed.next()?;
    }
    let mut validity = Der(signed.take(SEQUENCE)?);
    validity.next()?;
    let (tag, text) = validity.next()?;
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        // Of 1950 to 2049.
        UTC_TIME if text.as_bytes().first()? >= &b'5' => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(Timestamp::new(u64::try_from(time.and_utc().timestamp()).unwrap_or(0), 0))
}

/// What is left of a run of DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next value, which must be of that kind.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The kind and the content of the next value.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, length], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match length {
            short @ ..0x80 => (usize::from(short), rest),
            // How many bytes the length has. Four are more than any certificate needs.
            long => {
                let (digits, rest) = rest
                    .split_at_checked(usize::from(long & 0x7f))
                    .filter(|(digits, _)| digits.len() <= 4)?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32, month: u8, day: u8) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["alford.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1960, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn end_is_found_in_either_form_of_time() {
        for (year, month, day, seconds) in [
            (2026, 12, 1, 1_796_083_200),
            (2049, 12, 31, 2_524_521_600),
            (2050, 1, 1, 2_524_608_000),
            (4096, 1, 1, 67_090_118_400),
            (1999, 2, 28, 920_160_000),
            (1969, 1, 1, 0),
        ] {
            let found = expiry(&certificate(year, month, day));
            assert_eq!(found, Some(Timestamp::new(seconds, 0)), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn part_of_a_certificate_has_no_end() {
        let whole = certificate(2026, 12, 1);
        for length in 0..whole.len() {
            assert_eq!(expiry(&whole[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let _ = expiry(&bytes);
            let mut bent = certificate(2026, 12, 1);
            let at = at.index(bent.len());
            bent[at] = byte;
            let _ = expiry(&bent);
        }
    }
}
