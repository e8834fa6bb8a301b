//! A call as a value, and which operation it is of.

use std::time::Duration;

use super::problem::{Problem, ProblemKind};

/// The methods that some path has, and any other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApiMethod {
    /// GET; HEAD, too, whose answer goes without its body.
    Get,
    /// PUT
    Put,
    /// POST
    Post,
    /// DELETE
    Delete,
    /// One that no path has.
    Other,
}

impl ApiMethod {
    /// As it is written.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Other => "",
        }
    }
}

/// A call: what an HTTP request says, once its target is split and decoded.
#[derive(Clone, Debug)]
pub struct ApiCall {
    /// The method.
    pub method: ApiMethod,
    /// What stands between the slashes of the path, percent-decoded.
    pub path: Vec<Vec<u8>>,
    /// The names and values of the query, percent-decoded; without what showed a token.
    pub query: Vec<(Vec<u8>, Vec<u8>)>,
    /// The field `Accept`.
    pub accept: Option<Vec<u8>>,
    /// The field `Content-Type`.
    pub content_type: Option<Vec<u8>>,
    /// The field `If-None-Match`.
    pub if_none_match: Option<Vec<u8>>,
    /// The body.
    pub body: Vec<u8>,
    /// How many bytes arrived for it, with its head: its principal pays for them.
    pub bytes: usize,
}

/// What a call asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    ListClients,
    GetClient,
    PutClient,
    ForgetClient,
    GetPlacesNearClient,
    PostReports,
    GetPlaces,
    GetHerd,
    GetOpenApi,
}

/// An operation's method, path, and the statuses that it may be answered with.
pub(super) struct OperationRow {
    pub(super) operation: Operation,
    pub(super) method: ApiMethod,
    /// `{id}` stands for any one segment.
    pub(super) path: &'static str,
    pub(super) statuses: &'static [u16],
}

const fn row(
    operation: Operation,
    method: ApiMethod,
    path: &'static str,
    statuses: &'static [u16],
) -> OperationRow {
    OperationRow { operation, method, path, statuses }
}

/// All operations. What the document says of them is compared with this, and so is every answer in tests.
pub(super) static OPERATIONS: [OperationRow; 9] = {
    use ApiMethod::{Delete, Get, Post, Put};
    [
        row(Operation::ListClients, Get, "/v1/clients", &[200, 400, 401, 429]),
        row(Operation::GetClient, Get, "/v1/clients/{id}", &[200, 304, 400, 401, 404, 429]),
        row(
            Operation::PutClient,
            Put,
            "/v1/clients/{id}",
            &[200, 400, 401, 403, 413, 415, 422, 429, 503, 507],
        ),
        row(
            Operation::ForgetClient,
            Delete,
            "/v1/clients/{id}",
            &[204, 400, 401, 403, 409, 422, 429, 503, 507],
        ),
        row(
            Operation::GetPlacesNearClient,
            Get,
            "/v1/clients/{id}/places",
            &[200, 400, 401, 404, 429, 501, 502, 503],
        ),
        row(Operation::PostReports, Post, "/v1/reports", &[200, 400, 413, 415, 429, 503]),
        row(Operation::GetPlaces, Get, "/v1/places", &[200, 400, 401, 429, 501, 502, 503]),
        row(Operation::GetHerd, Get, "/v1/herd", &[200, 400, 401, 403, 429]),
        row(Operation::GetOpenApi, Get, "/openapi.json", &[200, 400, 429]),
    ]
};

impl Operation {
    pub(super) fn row(self) -> Option<&'static OperationRow> {
        OPERATIONS.iter().find(|row| row.operation == self)
    }
}

impl OperationRow {
    fn has_path(&self, path: &[Vec<u8>]) -> bool {
        let segments = self.path.split('/').skip(1);
        segments.clone().count() == path.len()
            && segments.zip(path).all(|(own, asked)| own == "{id}" || own.as_bytes() == asked)
    }
}

impl ApiCall {
    /// What it asks for.
    pub(super) fn operation(&self) -> Result<Operation, Problem> {
        let path = &self.path[..];
        let here = || OPERATIONS.iter().filter(move |row| row.has_path(path));
        if let Some(row) = here().find(|row| row.method == self.method) {
            return Ok(row.operation);
        }
        let methods: Vec<&str> = here().map(|row| row.method.text()).collect();
        Err(match methods.is_empty() {
            true => Problem::new(ProblemKind::NoPath, "there is no such path; /openapi.json lists all"),
            false => Problem::method(methods.join(", ")),
        })
    }

    /// The values of the query, each at most once and none that is not among `names`.
    pub(super) fn values<const N: usize>(&self, names: [&str; N]) -> Result<[Option<&[u8]>; N], Problem> {
        let mut values = [None; N];
        for (name, value) in &self.query {
            let Some(at) = names.iter().position(|known| known.as_bytes() == name) else {
                let known = if N == 0 { "nothing".to_owned() } else { names.join(", ") };
                let name = name.escape_ascii();
                return Err(Problem::malformed(format!("the query may say {known} here, and not {name}")));
            };
            if values[at].replace(value.as_slice()).is_some() {
                return Err(Problem::malformed(format!("the query says {} twice", names[at])));
            }
        }
        Ok(values)
    }

    /// Whether `Accept` prefers GeoJSON: it names that, and not JSON with a greater weight.
    pub(super) fn wants_geojson(&self) -> bool {
        let accept = String::from_utf8_lossy(self.accept.as_deref().unwrap_or_default()).to_ascii_lowercase();
        let weight = |media: &str| {
            let mut ranges = accept.split(',').map(|range| range.split(';').map(str::trim));
            ranges.find_map(|mut range| {
                (range.next() == Some(media)).then(|| {
                    let weight = range.find_map(|parameter| parameter.strip_prefix("q=")?.parse().ok());
                    weight.unwrap_or(1.0_f32)
                })
            })
        };
        let geojson = weight(super::GEOJSON).unwrap_or(0.0);
        geojson > 0.0 && geojson >= weight(super::JSON).unwrap_or(0.0)
    }

    /// The media type of the body, without parameters and in lower case.
    pub(super) fn media_type(&self) -> String {
        let field = String::from_utf8_lossy(self.content_type.as_deref().unwrap_or_default());
        field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether `If-None-Match` names that tag, or any.
    pub(super) fn has(&self, etag: &str) -> bool {
        let field = String::from_utf8_lossy(self.if_none_match.as_deref().unwrap_or_default());
        let mut tags = field.split(',').map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    }
}

/// A whole number of the query, from 1 to `most`.
pub(super) fn count(name: &str, value: Option<&[u8]>, default: usize, most: usize) -> Result<usize, Problem> {
    let Some(value) = value else { return Ok(default.min(most)) };
    let number =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number =
        number.and_then(|text| text.parse::<usize>().ok()).filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| Problem::malformed(format!("{name} is not a whole number from 1 to {most}")))
}

/// A time of the query in whole seconds, such as `30s`, up to `most`.
pub(super) fn seconds(name: &str, value: &[u8], most: Duration) -> Result<Duration, Problem> {
    let digits = value.strip_suffix(b"s").unwrap_or(value);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
    let time = number.map(Duration::from_secs).filter(|time| *time <= most);
    let most = most.as_secs();
    time.ok_or_else(|| Problem::malformed(format!("{name} is not a time such as 30s, of at most {most}s")))
}
