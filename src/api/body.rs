//! Reports in bodies: one JSON object for one report, an array or lines of them for several. Each becomes what an IAMAT
//! says, with the digits received.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{
    ids,
    numbers::{NUMBER_BYTES_MAX, plain_number, posix_of},
    problem::{Problem, ProblemKind},
};
use crate::core::{
    model::{ClientId, Timestamp, is_position},
    wire::Report,
};

/// The fields of a report as they stand in JSON. Others are refused: a word misspelt must not be a report without it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportBody<'a> {
    #[serde(borrow, default)]
    client: Option<&'a RawValue>,
    #[serde(borrow, default)]
    lat: Option<&'a RawValue>,
    #[serde(borrow, default)]
    lng: Option<&'a RawValue>,
    #[serde(borrow, default)]
    position: Option<&'a RawValue>,
    #[serde(borrow, default)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
}

/// A report that owns its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OwnedReport {
    client: Vec<u8>,
    position: String,
    timestamp: String,
    time: Timestamp,
}

impl OwnedReport {
    /// Reads one. `named` is the client of the path; without it, the report names its own. `now` is its time if it has none.
    pub(super) fn parse(
        json: &[u8],
        named: Option<ClientId<'_>>,
        now: Timestamp,
        line_bytes: usize,
    ) -> Result<Self, Problem> {
        // An array would be taken for the fields in their order.
        if !json.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::malformed("the report is not a JSON object"));
        }
        let body: ReportBody<'_> = serde_json::from_slice(json)
            .map_err(|fault| Problem::malformed(format!("the report: {fault}")))?;
        let client = client_of(body.client, named)?;
        let position = position_of(&body)?;
        let timestamp = timestamp_of(&body, now)?;
        let time = Timestamp::parse(timestamp.as_bytes()).ok_or_else(|| {
            Problem::malformed("the time is not POSIX seconds, 1 to 12 digits with at most 9 decimals")
        })?;
        let line = "IAMAT   ".len() + client.len() + position.len() + timestamp.len();
        if line > line_bytes {
            let detail = format!("as a line the report would be longer than line_bytes ({line_bytes})");
            return Err(Problem::new(ProblemKind::TooLarge, detail));
        }
        Ok(Self { client, position, timestamp, time })
    }

    /// It, if its client's id is one.
    pub(super) fn report(&self) -> Result<Report<'_>, Problem> {
        let client = ClientId::new(&self.client).ok_or_else(no_id)?;
        let (position, timestamp) = (self.position.as_bytes(), self.timestamp.as_bytes());
        Ok(Report { client, position, timestamp, time: self.time })
    }
}

/// What is said of bytes that are no client's id.
pub(super) fn no_id() -> Problem {
    Problem::malformed("the client's id is empty or has white space")
}

fn string(name: &str, value: &RawValue) -> Result<String, Problem> {
    serde_json::from_str(value.get()).map_err(|_| Problem::malformed(format!("{name} is not a string")))
}

/// A number as it is written, or one in a string, for programs whose numbers lose digits.
fn number(name: &str, value: &RawValue) -> Result<String, Problem> {
    let text = match value.get().starts_with('"') {
        true => string(name, value)?,
        false => value.get().to_owned(),
    };
    plain_number(&text).ok_or_else(|| {
        let detail = format!("{name} is not a decimal number of at most {NUMBER_BYTES_MAX} bytes");
        Problem::malformed(detail)
    })
}

fn client_of(value: Option<&RawValue>, named: Option<ClientId<'_>>) -> Result<Vec<u8>, Problem> {
    let said = value.map(|value| string("client", value)).transpose()?;
    let said = said.map(|text| {
        ids::bytes_of(&text).ok_or_else(|| {
            Problem::malformed("client has a % without two hexadecimal digits; write %25 for a %")
        })
    });
    match (said.transpose()?, named) {
        (Some(said), Some(named)) if said != named.as_bytes() => {
            Err(Problem::malformed("client is not the one of the path; leave it out"))
        }
        (_, Some(named)) => Ok(named.as_bytes().to_vec()),
        (Some(said), None) => ClientId::new(&said).map(|id| id.as_bytes().to_vec()).ok_or_else(no_id),
        (None, None) => Err(Problem::malformed("client is missing")),
    }
}

fn position_of(body: &ReportBody<'_>) -> Result<String, Problem> {
    let position = match (body.lat, body.lng, body.position) {
        (Some(lat), Some(lng), None) => {
            let signed = |number: String| {
                if number.starts_with('-') { number } else { format!("+{number}") }
            };
            signed(number("lat", lat)?) + &signed(number("lng", lng)?)
        }
        (None, None, Some(position)) => string("position", position)?,
        _ => return Err(Problem::malformed("a report has either lat and lng, or position")),
    };
    if !is_position(position.as_bytes()) {
        return Err(Problem::malformed(
            "the location is not latitude and longitude within 90 and 180 degrees, 3 digits before the point at most",
        ));
    }
    Ok(position)
}

fn timestamp_of(body: &ReportBody<'_>, now: Timestamp) -> Result<String, Problem> {
    match (body.timestamp, body.time) {
        (Some(timestamp), None) => number("timestamp", timestamp),
        (None, Some(time)) => posix_of(&string("time", time)?).ok_or_else(|| {
            let detail = "time is not a moment of RFC 3339 since 1970 with a zone and at most 9 decimals, such as 2016-11-17T20:18:04.392Z";
            Problem::malformed(detail)
        }),
        (None, None) => Ok(now.to_string()),
        (Some(_), Some(_)) => Err(Problem::malformed("a report has either timestamp or time")),
    }
}

/// Several reports of a body, each unread.
#[derive(Debug)]
pub(super) struct Reports<'a>(pub(super) Vec<&'a [u8]>);

impl<'a> Reports<'a> {
    /// Of an array.
    pub(super) fn of_array(json: &'a [u8], most: usize) -> Result<Self, Problem> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let items = deserializer.deserialize_seq(Items { most });
        let items = items.and_then(|items| deserializer.end().map(|()| items));
        match items.map_err(|fault| Problem::malformed(format!("the reports: {fault}")))? {
            Some(items) => Ok(Self(items)),
            None => Err(too_many(most)),
        }
    }

    /// Of lines, empty ones left out.
    pub(super) fn of_lines(text: &'a [u8], most: usize) -> Result<Self, Problem> {
        let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        let lines: Vec<_> = lines.filter(|line| !line.is_empty()).take(most + 1).collect();
        if lines.len() > most { Err(too_many(most)) } else { Ok(Self(lines)) }
    }
}

fn too_many(most: usize) -> Problem {
    Problem::new(ProblemKind::TooLarge, format!("there are more than {most} reports; nothing was done"))
}

/// Reads the items of an array, up to so many; `None` for more.
struct Items {
    most: usize,
}

impl<'de> Visitor<'de> for Items {
    type Value = Option<Vec<&'de [u8]>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of reports")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < self.most {
            match seq.next_element::<&'de RawValue>()? {
                Some(item) => items.push(item.get().as_bytes()),
                None => return Ok(Some(items)),
            }
        }
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(Some(items)),
            // What follows is still read, so that a call that is no JSON is told that.
            Some(_) => {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(None)
            }
        }
    }
}
