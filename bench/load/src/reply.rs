//! The replies: cutting what arrives into lines, whatever the reads were, and judging each line. A reply is never taken
//! on trust: its first bytes are always checked, and all of its fields on request.

use memchr::{memchr, memchr_iter};

use crate::{
    load::Document,
    requests::{LOCATION, client_id},
    stamp::Stamp,
};

/// Cuts a stream into lines; holds the one that is incomplete.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// Hands every line that `data` completes to `each`, without its newline; gives their number.
    pub fn feed(&mut self, data: &[u8], mut each: impl FnMut(&[u8])) -> u32 {
        let mut count = 0;
        let mut rest = data;
        if !self.partial.is_empty() {
            let Some(end) = memchr(b'\n', data) else {
                self.partial.extend_from_slice(data);
                return 0;
            };
            self.partial.extend_from_slice(&data[..end]);
            each(&self.partial);
            self.partial.clear();
            count = 1;
            rest = &data[end + 1..];
        }
        let mut start = 0;
        for end in memchr_iter(b'\n', rest) {
            each(&rest[start..end]);
            count += 1;
            start = end + 1;
        }
        self.partial.extend_from_slice(&rest[start..]);
        count
    }

    /// The bytes of the line that has no end yet.
    pub fn unfinished(&self) -> usize {
        self.partial.len()
    }
}

/// What the head of a reply must carry: `AT server skew client location timestamp`.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The client.
    pub number: u32,
    /// When that client said where it is; `None` if only the client itself knows.
    pub report: Option<Stamp>,
}

/// The fields of a reply's head.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The server that received the report from the client.
    pub server: &'a [u8],
    client: &'a [u8],
    location: &'a [u8],
    stamp: &'a [u8],
}

impl<'a> Head<'a> {
    /// `None` for a line that does not have these fields, or whose skew is not a skew.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut next = || fields.next();
        let [keyword, server, skew, client, location, stamp] =
            [next()?, next()?, next()?, next()?, next()?, next()?];
        let is_head = keyword == b"AT" && !server.is_empty() && is_skew(skew) && fields.next().is_none();
        is_head.then_some(Self { server, client, location, stamp })
    }

    /// Whether it says what was expected, field by field as it was sent.
    pub fn says(&self, expected: &Expected) -> bool {
        self.client == client_id(expected.number).as_bytes()
            && expected
                .report
                .is_none_or(|stamp| self.location == LOCATION.as_bytes() && self.stamp == stamp.text())
    }
}

/// Whether a document is JSON with at most `bound` results, or what is known of it.
pub fn is_document(text: &[u8], bound: u32, known: Option<Document>) -> bool {
    let Ok(document) = serde_json::from_slice::<serde_json::Value>(text) else { return false };
    let results = ["results", "statuses"].into_iter().find_map(|name| document[name].as_array());
    let Some(count) = results.map(Vec::len) else { return false };
    known.map_or(count <= bound as usize, |Document { status, results }| {
        count == results && document["status"] == status
    })
}

/// The status in a line of a document, if it has one: a check cheap enough for every line.
pub fn status(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"   \"status\" : \"")?.split(|byte| *byte == b'"').next()
}

/// Whether a line can be the answer to a report at all.
pub fn is_at_line(line: &[u8]) -> bool {
    line.starts_with(b"AT ")
}

/// Whether a field is a skew as the assignment has it: any decimal number. A sign, the number of decimals and an exponent
/// are each server's own.
pub fn is_skew(field: &[u8]) -> bool {
    // Rust also reads words as numbers, such as `nan`.
    let has_no_word = field.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
    has_no_word && std::str::from_utf8(field).is_ok_and(|text| text.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Expected {
        Expected { number: 5, report: Some(Stamp::new(1_479_413_884_392_014_450)) }
    }

    fn answers(line: &str) -> bool {
        Head::parse(line.as_bytes()).is_some_and(|head| head.says(&expected()))
    }

    #[test]
    fn lines_are_the_same_however_the_stream_is_cut() {
        let stream = b"one\ntwo\n\nthree\nfour";
        for size in 1..=stream.len() {
            let mut lines = Lines::default();
            let mut seen = Vec::new();
            let mut count = 0;
            for piece in stream.chunks(size) {
                count += lines.feed(piece, |line| seen.push(line.to_vec()));
            }
            assert_eq!(count, 4);
            assert_eq!(seen, [&b"one"[..], b"two", b"", b"three"]);
            assert_eq!(lines.partial, b"four");
        }
    }

    #[test]
    fn the_right_answer_is_right() {
        let line = "AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450";
        assert!(is_at_line(line.as_bytes()));
        assert!(answers(line));
    }

    #[test]
    fn a_skew_is_any_decimal_number() {
        for skew in
            ["+0.263873386", "0.263873", "-4.29e-05", "1795240785.8198101", "7", ".5", "5.", "1E+3", "-0"]
        {
            assert!(is_skew(skew.as_bytes()), "{skew}");
            assert!(answers(&format!(
                "AT Solo {skew} kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450"
            )));
        }
        for text in
            ["", "+", ".", "-.", "e5", "1e", "1e+", "1.2.3", "nan", "inf", "0x1", "1,5", "--1", "1e1.5"]
        {
            assert!(!is_skew(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn wrong_answers_are_told_apart() {
        for line in [
            "? IAMAT kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "AT Solo soon kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "AT Solo +0.263873386 kiwi6.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.06893-118.445127 1479413884.392014450",
            "AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014451",
            "AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450 Solo",
            "AT Solo +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127",
            "AT  +0.263873386 kiwi5.cs.ucla.edu +34.068930-118.445127 1479413884.392014450",
            "",
        ] {
            assert!(!answers(line), "{line}");
        }
    }

    #[test]
    fn a_client_whose_report_is_not_known_is_judged_by_its_name() {
        let line = b"AT Solo +0.263873386 kiwi6.cs.ucla.edu +34.06893-118.445127 1479413884";
        let head = Head::parse(line).unwrap();
        assert_eq!(head.server, b"Solo");
        assert!(head.says(&Expected { number: 6, report: None }));
        assert!(!head.says(&Expected { number: 5, report: None }));
    }

    #[test]
    fn a_document_is_json_with_few_enough_results() {
        assert!(is_document(br#"{"results": [1, 2], "status": "OK"}"#, 2, None));
        assert!(is_document(br#"{"statuses": []}"#, 2, None));
        for text in [&br#"{"results": [1, 2, 3]}"#[..], br#"{"results": 5}"#, b"{}", b"{\"results\": [", b""]
        {
            assert!(!is_document(text, 2, None));
        }
        let text = br#"{"results": [1, 2], "status": "OK"}"#;
        assert!(is_document(text, 0, Some(Document { status: "OK", results: 2 })));
        assert!(!is_document(text, 9, Some(Document { status: "OK", results: 3 })));
        assert!(!is_document(text, 9, Some(Document { status: "ZERO_RESULTS", results: 2 })));
    }

    #[test]
    fn a_documents_status_is_found_in_its_line() {
        assert_eq!(status(b"   \"status\" : \"OK\""), Some(&b"OK"[..]));
        assert_eq!(status(b"         \"status\" : \"OK\""), None);
    }
}
