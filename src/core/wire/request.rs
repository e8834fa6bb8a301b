//! What a client can say: `IAMAT`, `WHATSAT` and, where it is let, `FORGET`; `AUTH`; and why a line is none of them.

use std::fmt;

use super::{AUTH, Fields, Form, PlainFault, fields::decimal};
use crate::core::model::{ClientId, Timestamp, is_position};

/// A client's line, parsed.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Request<'a> {
    /// `IAMAT client position timestamp`
    Iamat(Report<'a>),
    /// `WHATSAT client radius bound`
    Whatsat(Whatsat<'a>),
    /// `FORGET client`
    Forget(ClientId<'a>),
    /// `AUTH token`. `None` if that is not the whole of a line whose first word is AUTH, in any case.
    Auth(Option<&'a [u8]>),
}

/// A client says where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report<'a> {
    /// The client.
    pub client: ClientId<'a>,
    /// Its location as written: an ISO 6709 text that [`is_position`] accepts.
    pub position: &'a [u8],
    /// The time, as written.
    pub timestamp: &'a [u8],
    /// The time.
    pub time: Timestamp,
}

/// A client asks what is near a client.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Whatsat<'a> {
    /// The client to search around.
    pub client: ClientId<'a>,
    /// Within how many kilometres.
    pub radius_km: f64,
    /// The most results wanted.
    pub bound: usize,
}

/// Why a line is invalid; for the log, since the client only gets its line back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalid {
    /// There is no field.
    Empty,
    /// The first field is not a command.
    Keyword,
    /// Not the four fields a command has.
    FieldCount,
    /// Not the two fields of FORGET.
    ForgetFieldCount,
    /// Not an ISO 6709 position within ±90 and ±180.
    Position,
    /// Not POSIX seconds.
    Timestamp,
    /// Not a plain decimal number, or above the limit.
    Radius,
    /// Not a plain whole number, or above the limit.
    Bound,
    /// Over the line limit.
    TooLong,
    /// WHATSAT for a client nobody has reported.
    UnknownClient,
    /// Further ahead of the server's clock than `max_ahead_seconds`.
    TooFarAhead,
    /// Before the watermark: it would be forgotten at once.
    BeforeWatermark,
    /// A report whose client's id is longer than `client_bytes`.
    LongClient,
    /// A new client beyond `max_clients`.
    TooManyClients,
    /// A report for which the store would grow beyond `max_bytes`.
    TooManyBytes,
    /// A line beyond its principal's requests or bytes a second, whose turn would come too late.
    OverQuota,
    /// A report of a client that the node does not know, beyond its principal's `new_clients_per_hour`.
    TooManyNew,
    /// A report while the journal fails, in which it would have to be before it is acknowledged.
    NotKept,
    /// WHATSAT in a herd that has no source of places.
    NoPlaces,
    /// FORGET by somebody who may not: without an operator's token, or at a node that can be reached from beyond its machine.
    NotLetForget,
    /// A FORGET that this node would execute, but not now or not of that client.
    NotForgotten(ForgetFault),
    /// A report for a client for whom the sender may not report.
    MayNotReport,
    /// WHATSAT for a client that the sender may not see, known or not.
    MayNotSee,
    /// AUTH without a valid token.
    WrongToken,
    /// AUTH at a node that takes no tokens.
    NoTokens,
    /// A line that is not allowed on a peer's connection.
    NotFromPeer,
    /// A line that is not allowed on a third-party node's connection.
    NotPlain(PlainFault),
}

/// Why a client is not forgotten at a node that forgets clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ForgetFault {
    /// The journal fails, in which the tombstone would have to be before it is acknowledged.
    #[error("the journal cannot be written, and forgettings are acknowledged only from there")]
    NotKept,
    /// Nothing is held of the client, and its id is longer than `client_bytes`.
    #[error("nothing is held of the client, and its id is longer than client_bytes")]
    LongClient,
    /// Nothing is held of the client, and `max_bytes` are in use.
    #[error("nothing is held of the client, and the store takes max_bytes of memory already")]
    TooManyBytes,
    /// The client's generation is too far ahead of the clock.
    #[error(
        "the client was last forgotten more than a day ahead of this server's clock; mend the clock that is wrong, \
         or forget it where the clock is ahead"
    )]
    GenerationAhead,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the line is empty",
            Self::Keyword => "the first field is neither IAMAT nor WHATSAT",
            Self::ForgetFieldCount => "FORGET does not have exactly two fields",
            Self::FieldCount => "the command does not have exactly four fields",
            Self::Position => {
                "the location is not latitude and longitude with signs, within 90 and 180 degrees"
            }
            Self::Timestamp => "the timestamp is not 1 to 12 digits of seconds with at most 9 decimals",
            Self::Radius => "the radius is not a plain decimal number of kilometres within the limit",
            Self::Bound => "the bound is not a plain whole number within the limit",
            Self::TooLong => "the line is over the line limit",
            Self::UnknownClient => "no location is known for that client",
            Self::TooFarAhead => {
                "the timestamp is further ahead of this server's clock than max_ahead_seconds"
            }
            Self::BeforeWatermark => {
                "it was taken longer ago than forget_after; check the clocks of this server and of the one that took it"
            }
            Self::LongClient => "the client's id is longer than client_bytes",
            Self::TooManyClients => "the store holds max_clients already",
            Self::TooManyBytes => "the store would take more memory than max_bytes",
            Self::OverQuota => "it would have to wait too long because of requests_per_second or bytes_per_second",
            Self::TooManyNew => "it is the report of a new client beyond new_clients_per_hour",
            Self::NotKept => "the journal cannot be written, and reports are acknowledged only from there",
            Self::NoPlaces => {
                "this herd's configuration has no source of places ([places] source = \"none\")"
            }
            Self::NotLetForget => {
                "only an operator's token has clients forgotten, or anyone where clients need no token and all addresses are loopback"
            }
            Self::NotForgotten(fault) => return write!(f, "{fault}"),
            Self::MayNotReport => "no token was shown that may report for that client",
            Self::MayNotSee => "no token was shown that may see that client",
            Self::WrongToken => "the token is unknown, expired or malformed",
            Self::NoTokens => "this node takes no tokens ([access] tokens_file)",
            Self::NotFromPeer => "it is not a line that PROTOCOL.md lets a peer send",
            Self::NotPlain(fault) => return write!(f, "{fault}"),
        })
    }
}

impl<'a> Request<'a> {
    /// Parses a line, given without its terminator.
    ///
    /// Inlined, as a report's parser is: copying whole what was just written field by field is slow.
    #[inline(always)]
    pub fn parse(line: &'a [u8], form: &Form) -> Result<Self, Invalid> {
        // How nearly every line begins.
        if let Some(operands) = line.strip_prefix(b"IAMAT ") {
            return Report::parse(Fields::of(operands)).map(Self::Iamat);
        }
        let mut fields = Fields::of(line);
        match fields.next() {
            Some(b"IAMAT") => Report::parse(fields).map(Self::Iamat),
            Some(b"WHATSAT") => Whatsat::parse(fields, form).map(Self::Whatsat),
            Some(b"FORGET") => {
                let [client] = fields.exactly().ok_or(Invalid::ForgetFieldCount)?;
                Ok(Self::Forget(ClientId::of_field(client)))
            }
            Some(word) if word.eq_ignore_ascii_case(AUTH) => {
                let token = fields.exactly().map(|[token]| token);
                Ok(Self::Auth(token.filter(|_| word == AUTH)))
            }
            Some(_) => Err(Invalid::Keyword),
            None => Err(Invalid::Empty),
        }
    }
}

/// Appends the answer to a FORGET, without a terminator.
pub fn write_forgotten(client: ClientId<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"FORGOT ");
    out.extend_from_slice(client.as_bytes());
}

impl<'a> Report<'a> {
    #[inline(always)]
    fn parse(operands: Fields<'a>) -> Result<Self, Invalid> {
        let [client, position, timestamp] = operands.exactly().ok_or(Invalid::FieldCount)?;
        if !is_position(position) {
            return Err(Invalid::Position);
        }
        let time = Timestamp::parse(timestamp).ok_or(Invalid::Timestamp)?;
        Ok(Self { client: ClientId::of_field(client), position, timestamp, time })
    }
}

impl<'a> Whatsat<'a> {
    fn parse(operands: Fields<'a>, form: &Form) -> Result<Self, Invalid> {
        let [client, radius, bound] = operands.exactly().ok_or(Invalid::FieldCount)?;
        Ok(Self {
            client: ClientId::of_field(client),
            radius_km: self::radius(radius, form.radius_km_max).ok_or(Invalid::Radius)?,
            bound: decimal(bound)
                .filter(|bound| *bound <= form.bound_max)
                .and_then(|bound| bound.try_into().ok())
                .ok_or(Invalid::Bound)?,
        })
    }
}

/// Digits, then optionally a `.` and more digits; at most `max`, exactly.
fn radius(text: &[u8], max: u64) -> Option<f64> {
    let (before, after) = match memchr::memchr(b'.', text) {
        Some(point) => (&text[..point], Some(&text[point + 1..])),
        None => (text, None),
    };
    let is_whole = decimal(before).filter(|whole| *whole <= max)? < max;
    if let Some(after) = after {
        let has_digits = !after.is_empty() && after.iter().all(u8::is_ascii_digit);
        let fits = is_whole || after.iter().all(|&digit| digit == b'0');
        (has_digits && fits).then_some(())?;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<Request<'_>, Invalid> {
        Request::parse(line.as_bytes(), &Form::PLACES)
    }

    #[test]
    fn the_assignments_lines_are_understood() {
        let line = "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450";
        let Ok(Request::Iamat(report)) = parse(line) else { panic!("{line}") };
        assert_eq!(report.client.as_bytes(), b"kiwi.cs.ucla.edu");
        assert_eq!(report.position, b"+34.068930-118.445127");
        assert_eq!(report.timestamp, b"1479413884.392014450");
        assert_eq!(report.time, Timestamp::new(1_479_413_884, 392_014_450));
        let Ok(Request::Whatsat(query)) = parse(" \tWHATSAT\x0b kiwi.cs.ucla.edu\x0c10 5 \r") else {
            panic!()
        };
        assert_eq!(
            (query.client.as_bytes(), query.radius_km, query.bound),
            (&b"kiwi.cs.ucla.edu"[..], 10.0, 5)
        );
    }

    #[test]
    fn a_client_is_forgotten_by_its_name_alone() {
        let Ok(Request::Forget(client)) = parse(" FORGET \tIAMAT\r") else { panic!() };
        assert_eq!(client.as_bytes(), b"IAMAT");
    }

    #[test]
    fn a_token_is_the_only_field_of_a_line_that_begins_with_auth() {
        for (line, token) in [
            ("AUTH herd_x", Some("herd_x")),
            ("\tAUTH  x \r", Some("x")),
            ("AUTH", None),
            ("AUTH a b", None),
            ("auth a", None),
            ("Auth", None),
        ] {
            assert_eq!(parse(line), Ok(Request::Auth(token.map(str::as_bytes))), "{line}");
        }
        assert_eq!(parse("AUTHx a"), Err(Invalid::Keyword));
    }

    #[test]
    fn radius_and_bound_hold_at_their_edges() {
        for (radius, bound) in
            [("0", "0"), ("50", "20"), ("50.000", "020"), ("10.5", "5"), ("0.0", "1"), ("007", "0")]
        {
            assert!(parse(&format!("WHATSAT a {radius} {bound}")).is_ok(), "{radius} {bound}");
        }
        for radius in [
            "50.00000000000000000001",
            "51",
            "-1",
            "+1",
            "1e1",
            ".5",
            "5.",
            "ten",
            "5.5.5",
            "0x5",
            "99999999999999999999999",
        ] {
            assert_eq!(parse(&format!("WHATSAT a {radius} 5")), Err(Invalid::Radius), "{radius}");
        }
        for bound in
            ["21", "-1", "+1", "5.0", "1e1", "five", "99999999999999999999999", "18446744073709551617"]
        {
            assert_eq!(parse(&format!("WHATSAT a 10 {bound}")), Err(Invalid::Bound), "{bound}");
        }
    }

    #[test]
    fn whatever_else_is_invalid_for_the_first_thing_wrong_with_it() {
        for (line, why) in [
            ("", Invalid::Empty),
            (" \t\r\x0b\x0c", Invalid::Empty),
            ("iamat a +1+1 1", Invalid::Keyword),
            ("Whatsat a 1 1", Invalid::Keyword),
            ("AT Alford +0.000000001 a +1+1 1", Invalid::Keyword),
            ("IAMATa +1+1 1", Invalid::Keyword),
            ("HELLO", Invalid::Keyword),
            ("IAMAT", Invalid::FieldCount),
            ("IAMAT a +1+1", Invalid::FieldCount),
            ("IAMAT a +1+1 1 1", Invalid::FieldCount),
            ("WHATSAT a 1", Invalid::FieldCount),
            ("WHATSAT a 1 1 1", Invalid::FieldCount),
            ("FORGET", Invalid::ForgetFieldCount),
            ("FORGET a b", Invalid::ForgetFieldCount),
            ("forget a", Invalid::Keyword),
            ("FORGOT a", Invalid::Keyword),
            ("IAMAT a 1+1 1", Invalid::Position),
            ("IAMAT a +91+1 1", Invalid::Position),
            ("IAMAT a +1+1 nan", Invalid::Timestamp),
            ("IAMAT a +1+1 -1", Invalid::Timestamp),
        ] {
            assert_eq!(parse(line), Err(why), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::parse(&line, &Form::PLACES);
        }

        #[test]
        fn no_line_that_is_nearly_right_panics(
            fields in prop::collection::vec("IAMAT|WHATSAT|FORGET|[-+0-9.]{0,30}|\\PC{0,8}|[ \t\r]", 0..8),
        ) {
            let _ = Request::parse(fields.join(" ").as_bytes(), &Form::PLACES);
        }

        #[test]
        fn a_reports_fields_come_back_byte_for_byte(
            client in prop::collection::vec(any::<u8>().prop_filter("white", |&byte| !crate::core::model::is_white_space(byte)), 1..40),
            position in "[-+][0-8]?[0-9](\\.[0-9]{1,20})?[-+](1[0-7])?[0-9](\\.[0-9]{1,20})?/?",
            timestamp in "[0-9]{1,12}(\\.[0-9]{1,9})?",
            gap in "[ \t\x0b\x0c\r]{1,3}",
        ) {
            let mut line = Vec::new();
            for field in [b"IAMAT", &client[..], position.as_bytes(), timestamp.as_bytes()] {
                line.extend_from_slice(field);
                line.extend_from_slice(gap.as_bytes());
            }
            let Ok(Request::Iamat(report)) = Request::parse(&line, &Form::PLACES) else { panic!("{line:?}") };
            prop_assert_eq!(report.client.as_bytes(), &client[..]);
            prop_assert_eq!(report.position, position.as_bytes());
            prop_assert_eq!(report.timestamp, timestamp.as_bytes());
        }
    }
}
