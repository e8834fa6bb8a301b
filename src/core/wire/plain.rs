//! What third-party nodes send and receive: AT lines in the form of each. Lenient in what it accepts: any decimal skew,
//! and what the node's form adds; strict in what it sends.

use super::{Ending, Fields, PEER_LINE_BYTES_MAX};
use crate::core::{
    access::Patterns,
    model::{ClientId, Generation, Location, NodeId, Skew, SkewText, Timestamp, is_position},
};

/// The form of AT lines for one third-party node, which knows nothing else, and its other wishes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlainForm {
    /// A word of its own before `AT` in what it is sent; what it sends may have it.
    pub keyword: Option<Box<str>>,
    /// Whether an AT line sent to it ends with the sender's id: seven fields, as in the assignment's flooding, or six,
    /// as clients get it.
    pub has_sender: bool,
    /// Whether more than seven fields are accepted from it; everything after the seventh is ignored.
    pub takes_more: bool,
    /// How the lines that it is sent end.
    pub ending: Ending,
    /// How many lines it is sent on one connection.
    pub per_connection: PerConnection,
    /// What each AT line from it is answered with.
    pub answer: Option<Box<str>>,
    /// For which clients its lines are accepted.
    pub may_report: Patterns,
    /// The clients that it is told of.
    pub may_see: Patterns,
}

/// How many lines a third-party node is sent on one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PerConnection {
    /// All of them, for as long as the connection lasts.
    Many,
    /// One, after which the connection ends.
    One,
}

impl Default for PlainForm {
    fn default() -> Self {
        Self {
            keyword: None,
            has_sender: true,
            takes_more: false,
            ending: Ending::Lf,
            per_connection: PerConnection::Many,
            answer: None,
            may_report: Patterns::all(),
            may_see: Patterns::all(),
        }
    }
}

impl PlainForm {
    /// The longest answer, in bytes.
    pub const ANSWER_BYTES_MAX: usize = 1024;

    /// Whether `word` may precede `AT`: 1 to 64 visible ASCII characters that are not `AT`.
    pub fn is_keyword(word: &str) -> bool {
        NodeId::is_valid(word.as_bytes()) && word != "AT"
    }

    /// Whether `text` may be an answer: one line with a visible character in it.
    pub fn is_answer(text: &str) -> bool {
        text.len() <= Self::ANSWER_BYTES_MAX && !text.contains(char::is_control) && !text.trim().is_empty()
    }

    /// Appends the line for a location, with `sender` as its sender.
    pub fn write(&self, location: &Location<'_>, sender: &NodeId, out: &mut Vec<u8>) {
        self.write_keyword(out);
        location.write_at(out);
        if self.has_sender {
            out.push(b' ');
            out.extend_from_slice(sender.as_bytes());
        }
        out.extend_from_slice(self.ending.as_bytes());
    }

    /// Appends a line that [`super::write_flooded`] wrote, in this form: without its generation, of which third-party
    /// nodes know nothing; and nothing for a tombstone, or for a client that the node may not see.
    pub fn write_again(&self, flooded: &[u8], out: &mut Vec<u8>) {
        if flooded.starts_with(b"FORGOT ") || !self.sees_client_of(flooded) {
            return;
        }
        let line = flooded.strip_suffix(b"\n").unwrap_or(flooded);
        let (record, sender) = line.split_at(memchr::memrchr(b' ', line).unwrap_or(line.len()));
        // The sixth space follows the timestamp.
        let at = memchr::memchr_iter(b' ', record).nth(5).map_or(record, |end| &record[..end]);
        self.write_keyword(out);
        out.extend_from_slice(at);
        out.extend_from_slice(if self.has_sender { sender } else { b"" });
        out.extend_from_slice(self.ending.as_bytes());
    }

    /// Whether it may see the client of an AT line.
    fn sees_client_of(&self, line: &[u8]) -> bool {
        let client = line.split(|&byte| byte == b' ').nth(3).and_then(ClientId::new);
        self.may_see.are_all() || client.is_some_and(|client| self.may_see.match_client(client))
    }

    /// Appends the answer to a line, if it gets one.
    pub fn write_answer(&self, out: &mut Vec<u8>) {
        if let Some(answer) = &self.answer {
            out.extend_from_slice(answer.as_bytes());
            out.extend_from_slice(self.ending.as_bytes());
        }
    }

    fn write_keyword(&self, out: &mut Vec<u8>) {
        if let Some(keyword) = &self.keyword {
            out.extend_from_slice(keyword.as_bytes());
            out.push(b' ');
        }
    }
}

/// A line from a third-party node: an AT line, optionally followed by its sender's id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlainLine<'a> {
    server: &'a [u8],
    skew: Skew,
    /// The client it is about.
    pub client: ClientId<'a>,
    position: &'a [u8],
    timestamp: &'a [u8],
    /// The value of the timestamp.
    pub time: Timestamp,
    /// Its sender.
    pub sender: Option<&'a [u8]>,
}

/// Why a line from a third-party node is refused: which field, counted from `AT` on, breaks which rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlainFault {
    /// It is not an AT line.
    #[error("its first word is not AT, nor the at_keyword of its sender and then AT")]
    Keyword,
    /// Fewer than six fields.
    #[error("it has fewer fields than the six of AT server skew client location timestamp")]
    TooFew,
    /// More than seven fields.
    #[error("it has more than seven fields; write extra_fields = true for a node that adds some")]
    TooMany,
    /// The server's id.
    #[error("field 2, the server, is not 1 to 64 visible ASCII characters")]
    Server,
    /// The skew.
    #[error("field 3, the skew, is not a decimal number with at most 13 digits before the point")]
    Skew,
    /// The location.
    #[error("field 5, the location, is not latitude and longitude with signs, within 90 and 180 degrees")]
    Position,
    /// The timestamp.
    #[error("field 6, the timestamp, is not 1 to 12 digits of seconds with at most 9 decimals")]
    Timestamp,
    /// The skew and the timestamp together.
    #[error(
        "fields 3 and 6 add up to no time that a timestamp can tell: before 1970, or of more than 12 digits"
    )]
    Taken,
    /// The sender's id.
    #[error("field 7, the sender, is not 1 to 64 visible ASCII characters")]
    Sender,
    /// A client for which its sender may not report.
    #[error("field 4, the client, is none that its sender may report for (may_report)")]
    NotAllowed,
    /// It could not be passed on.
    #[error("it is too long to pass on")]
    TooLong,
}

impl<'a> PlainLine<'a> {
    /// Parses a line from a node of that form, given without its terminator.
    pub fn parse(line: &'a [u8], form: &PlainForm) -> Result<Self, PlainFault> {
        let mut fields = Fields::of(line);
        let mut first = fields.next();
        if first.is_some() && first == form.keyword.as_deref().map(str::as_bytes) {
            first = fields.next();
        }
        if first != Some(b"AT") {
            return Err(PlainFault::Keyword);
        }
        let [server, skew, client, position, timestamp] = fields.first().ok_or(PlainFault::TooFew)?;
        let sender = fields.next();
        if fields.next().is_some() && !form.takes_more {
            return Err(PlainFault::TooMany);
        }
        // A node with fields of its own may put anything there.
        let is_sender = sender.is_none_or(NodeId::is_valid);
        if !is_sender && !form.takes_more {
            return Err(PlainFault::Sender);
        }
        if !NodeId::is_valid(server) {
            return Err(PlainFault::Server);
        }
        let skew = Skew::of_decimal(skew).ok_or(PlainFault::Skew)?;
        if !is_position(position) {
            return Err(PlainFault::Position);
        }
        let time = Timestamp::parse(timestamp).ok_or(PlainFault::Timestamp)?;
        time.after(skew).ok_or(PlainFault::Taken)?;
        let (client, sender) = (ClientId::of_field(client), sender.filter(|_| is_sender));
        if !form.may_report.match_client(client) {
            return Err(PlainFault::NotAllowed);
        }
        let line = Self { server, skew, client, position, timestamp, time, sender };
        // It may get a generation, and a node that passes it on appends its name, which may be longer.
        let location = line.location(&skew.text()).at_length();
        let length = location + Generation::BYTES_MAX + 1 + NodeId::LENGTH_MAX;
        if length <= PEER_LINE_BYTES_MAX { Ok(line) } else { Err(PlainFault::TooLong) }
    }

    /// When its server took the report, in nanoseconds since 1970.
    pub fn taken(&self) -> i128 {
        self.time.as_nanoseconds() + self.skew.as_nanoseconds()
    }

    /// The skew as nodes write it.
    pub fn skew_text(&self) -> SkewText {
        self.skew.text()
    }

    /// Its location, with the skew as nodes write it. The store knows in which generation it belongs.
    pub fn location<'s>(&'s self, skew: &'s SkewText) -> Location<'s> {
        let Self { server, client, position, timestamp, time, .. } = *self;
        let (skew, generation) = (skew.as_bytes(), Generation::FIRST);
        Location { server, skew, client, position, timestamp, time, generation }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::{access::Pattern, wire::write_flooded};

    fn parse(line: &str) -> Result<PlainLine<'_>, PlainFault> {
        PlainLine::parse(line.as_bytes(), &PlainForm::default())
    }

    /// The location in a line, as an AT line.
    fn told(line: &str, form: &PlainForm) -> String {
        let line = PlainLine::parse(line.as_bytes(), form).unwrap();
        let mut out = Vec::new();
        line.location(&line.skew_text()).write_at(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn any_decimal_skew_is_rewritten_and_all_else_stays_as_it_came() {
        for (skew, rewritten) in [
            ("+0.263873386", "+0.263873386"),
            ("0.263873", "+0.263873000"),
            ("-4.29e-05", "-0.000042900"),
            ("-0.00021109999999999998", "-0.000211100"),
            ("1795240785.8198101", "+1795240785.819810100"),
            ("7", "+7.000000000"),
        ] {
            let line = format!("AT Alford {skew} k\u{f6} +34.0689300-118.4/ 1479413884.5 Ball");
            let expected = format!("AT Alford {rewritten} k\u{f6} +34.0689300-118.4/ 1479413884.5");
            assert_eq!(told(&line, &PlainForm::default()), expected);
        }
    }

    #[test]
    fn what_a_node_adds_is_taken_where_its_form_says_so() {
        let form = PlainForm { keyword: Some("FLOOD".into()), takes_more: true, ..PlainForm::default() };
        let at = "AT A +1.000000000 k +1+1 7";
        for (line, sender) in [
            (at.to_owned(), None),
            (format!("FLOOD {at}"), None),
            (format!("FLOOD  {at} Ball Welsh Alford"), Some("Ball")),
            (format!("{at} ['B\u{f6}', 'Welsh']"), None),
        ] {
            assert_eq!(told(&line, &form), at);
            let parsed = PlainLine::parse(line.as_bytes(), &form).unwrap();
            assert_eq!(parsed.sender, sender.map(str::as_bytes), "{line}");
        }
        assert_eq!(parse(&format!("FLOOD {at}")), Err(PlainFault::Keyword));
        let twice = format!("FLOOD FLOOD {at}");
        assert_eq!(PlainLine::parse(twice.as_bytes(), &form), Err(PlainFault::Keyword));
    }

    #[test]
    fn refused_line_names_its_field() {
        for (line, fault) in [
            ("", PlainFault::Keyword),
            ("IAMAT a +1+1 1", PlainFault::Keyword),
            ("? AT A +1 a +1+1 1", PlainFault::Keyword),
            ("AT", PlainFault::TooFew),
            ("AT A +1 a +1+1", PlainFault::TooFew),
            ("AT A +1 a +1+1 1 B more", PlainFault::TooMany),
            ("AT \u{f6} +1 a +1+1 1", PlainFault::Server),
            ("AT A nan a +1+1 1", PlainFault::Skew),
            ("AT A 1e13 a +1+1 1", PlainFault::Skew),
            ("AT A +1 a 1+1 1", PlainFault::Position),
            ("AT A +1 a +91+1 1", PlainFault::Position),
            ("AT A +1 a +1+1 nan", PlainFault::Timestamp),
            ("AT A +1 a +1+1 1e9", PlainFault::Timestamp),
            ("AT A -1.000000001 a +1+1 1", PlainFault::Taken),
            ("AT A +1 a +1+1 999999999999", PlainFault::Taken),
            ("AT A +1 a +1+1 1 \u{f6}", PlainFault::Sender),
        ] {
            assert_eq!(parse(line), Err(fault), "{line}");
        }
    }

    #[test]
    fn node_that_is_bound_to_some_clients_reports_and_is_told_of_those_only() {
        let patterns = |text| Patterns::new(vec![Pattern::parse(text).unwrap()]);
        let form =
            PlainForm { may_report: patterns("bus-*"), may_see: patterns("tram-1"), ..PlainForm::default() };
        let parsed = |client: &str| {
            let line = format!("AT A +1.000000000 {client} +1+1 1");
            PlainLine::parse(line.as_bytes(), &form).map(|_| ())
        };
        assert_eq!(parsed("bus-7"), Ok(()));
        assert_eq!(["bus", "tram-1"].map(parsed), [Err(PlainFault::NotAllowed); 2]);
        let told = |client: &str| {
            let mut out = Vec::new();
            form.write_again(format!("AT A +1.000000000 {client} +1+1 1 B\n").as_bytes(), &mut out);
            !out.is_empty()
        };
        assert_eq!(["tram-1", "tram-12", "bus-7"].map(told), [true, false, false]);
    }

    #[test]
    fn line_is_taken_only_if_it_can_be_passed_on_as_it_is_rewritten() {
        let rest = "AT A +1.000000000  +1+1 1 ".len() + Generation::BYTES_MAX + NodeId::LENGTH_MAX;
        let of = |length: usize| format!("AT A 1 {} +1+1 1", "x".repeat(length));
        assert!(parse(&of(PEER_LINE_BYTES_MAX - rest)).is_ok());
        assert_eq!(parse(&of(PEER_LINE_BYTES_MAX - rest + 1)), Err(PlainFault::TooLong));
    }

    #[test]
    fn lines_and_answers_take_the_form_the_node_wants() {
        let line = "AT B -0.000000001 l +2+2 8.5";
        let parsed = parse(line).unwrap();
        let forms = |change: fn(&mut PlainForm)| {
            let mut form = PlainForm::default();
            change(&mut form);
            let (mut flooded, mut out, mut again) = (Vec::new(), Vec::new(), Vec::new());
            let (skew, sender) = (parsed.skew_text(), NodeId::new("Alford").unwrap());
            form.write(&parsed.location(&skew), &sender, &mut out);
            for generation in [Generation::FIRST, Generation::MAX] {
                flooded.clear();
                again.clear();
                let location = Location { generation, ..parsed.location(&skew) };
                write_flooded(&location.into(), &sender, &mut flooded);
                form.write_again(&flooded, &mut again);
                assert_eq!(out, again, "news is told as a sweep tells it");
            }
            form.write_again(b"FORGOT l 7 8.5 B Alford\n", &mut again);
            assert_eq!(out, again, "a third-party node is told nothing of tombstones");
            form.write_answer(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(forms(|_| {}), format!("{line} Alford\n"));
        assert_eq!(forms(|form| form.has_sender = false), format!("{line}\n"));
        assert_eq!(forms(|form| form.keyword = Some("FLOOD".into())), format!("FLOOD {line} Alford\n"));
        let all = |form: &mut PlainForm| {
            (form.ending, form.answer) = (Ending::CrLf, Some("200 taken".into()));
        };
        assert_eq!(forms(all), format!("{line} Alford\r\n200 taken\r\n"));
    }

    #[test]
    fn keywords_and_answers_hold_at_their_edges() {
        assert!(PlainForm::is_keyword(&"x".repeat(64)) && !PlainForm::is_keyword(&"x".repeat(65)));
        assert!(["", "AT", "a b", "a\n", "\u{f6}"].iter().all(|word| !PlainForm::is_keyword(word)));
        assert!(PlainForm::is_answer(&"x".repeat(1024)) && !PlainForm::is_answer(&"x".repeat(1025)));
        assert!(
            PlainForm::is_answer("OK, \u{f6}")
                && ["", " ", "a\nb", "\0"].iter().all(|text| !PlainForm::is_answer(text))
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again_as_it_is_passed_on(
            fields in prop::collection::vec("AT|FLOOD|[-+]?[0-9]{1,14}(\\.[0-9]{1,12})?(e-?[0-9]{1,2})?|[-+][0-9][-+][0-9]|[0-9.]{1,12}|\\PC{1,8}", 5..9),
            takes_more in any::<bool>(),
            has_sender in any::<bool>(),
        ) {
            let form = PlainForm { keyword: Some("FLOOD".into()), takes_more, has_sender, ..PlainForm::default() };
            let line = format!("AT A {}", fields.join(" "));
            if let Ok(taken) = PlainLine::parse(line.as_bytes(), &form) {
                let (skew, mut out) = (taken.skew_text(), Vec::new());
                form.write(&taken.location(&skew), &NodeId::new("Ball").unwrap(), &mut out);
                let again = PlainLine::parse(out.trim_ascii_end(), &form).unwrap();
                prop_assert_eq!(again, PlainLine { sender: has_sender.then_some(b"Ball"), ..taken });
            }
        }
    }
}
