//! What an HTTP request asks for: the head of one, parsed once and judged. Pure: bytes in, an [`HttpRequest`] without its
//! body or a refusal out, neither of which holds the token that was shown.

use std::fmt;

use httparse::{EMPTY_HEADER, Header};

use super::{
    HeaderName, KeptHeaders, Method, PageOrigin, QueryPairs, Refused, Segments, Site, framing::Framing,
    target::RequestTarget, token::ShownTokens,
};
use crate::core::access::TokenHash;

/// More header fields than any client sends.
pub const HEADERS_MAX: usize = 64;

/// A request that can be answered. Its path and its query are percent-decoded once.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// What is to be done.
    pub method: Method,
    /// Whether it is about the server itself: `OPTIONS *`.
    pub is_about_server: bool,
    /// The path, without the token if one stood there.
    pub path: Segments,
    /// The query, likewise.
    pub query: QueryPairs,
    /// The header fields that faces read.
    pub headers: KeptHeaders,
    /// What the token hashes to that it shows, if it shows one.
    pub token: Option<TokenHash>,
    /// The name beside the password of `Basic`, which nobody has proved.
    pub user: Option<Vec<u8>>,
    /// Whose web page has it sent, if one has.
    pub page_origin: PageOrigin,
    /// Decoded from chunks, if it came in chunks.
    pub body: Vec<u8>,
}

/// Without its query and its body: where somebody is belongs in no log.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, body, .. } = self;
        write!(f, "HttpRequest({method} {}, {} bytes)", path.path().escape_ascii(), body.len())
    }
}

/// A head, and what it says about what follows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) request: HttpRequest,
    pub(super) framing: Framing,
    /// Whether its sender wants another answer on this connection.
    pub(super) is_persistent: bool,
    pub(super) is_1_1: bool,
    /// Whether its sender wants to be told before it sends the body.
    pub(super) expects_continue: bool,
}

/// The values of a field.
pub(super) fn named<'h>(headers: &'h [Header<'_>], name: &str) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

/// Whether what has come of a head shows already that it will be refused.
pub(super) fn refuse_early(part: &[u8]) -> Option<Refused> {
    parse_with(part, |_request| ()).err()
}

/// Parses a head that ends with the empty line. `body_most` is what any body may have.
pub(super) fn parse(head: &[u8], site: &Site, body_most: usize) -> Result<Head, Refused> {
    parse_with(head, |request| judge(request, site, body_most))?
}

fn parse_with<T>(head: &[u8], then: impl FnOnce(&httparse::Request<'_, '_>) -> T) -> Result<T, Refused> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(_) => Ok(then(&request)),
        Err(httparse::Error::TooManyHeaders) => Err(Refused::HeadTooLarge),
        Err(httparse::Error::Version) => Err(not_this_version(head)),
        Err(_) => Err(Refused::Garbage),
    }
}

/// Another version of HTTP, or no HTTP at all.
fn not_this_version(head: &[u8]) -> Refused {
    let line = head.split(|&byte| byte == b'\r').find(|line| !line.is_empty()).unwrap_or_default();
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    match version.strip_prefix(b"HTTP/") {
        // A version that is spoken is not what is wrong with the line.
        Some(b"1.0" | b"1.1") => Refused::Garbage,
        Some([b'0'..=b'9', ..]) => Refused::Version,
        _ => Refused::Garbage,
    }
}

fn judge(request: &httparse::Request<'_, '_>, site: &Site, body_most: usize) -> Result<Head, Refused> {
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version) else {
        return Err(Refused::Garbage);
    };
    let (headers, is_1_1) = (&*request.headers, minor == 1);
    let framing = Framing::of(headers, is_1_1, body_most)?;
    let mut hosts = named(headers, "host");
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            Some(std::str::from_utf8(host).map_err(|_not_text| Refused::HostMissing)?.trim())
        }
        // No browser speaks version 1.0.
        (None, None) if !is_1_1 => None,
        _ => return Err(Refused::HostMissing),
    };
    let method = Method::parse(method).ok_or(Refused::NotImplemented)?;
    let target = RequestTarget::parse(target)?;
    // A target that names a host takes precedence over the field (RFC 9112, section 3.2.2).
    let host = target.authority.or(host);
    if host.is_some_and(|host| !site.is_ours(host)) {
        return Err(Refused::Host);
    }
    let is_about_server = target.path.is_empty();
    if is_about_server && method != Method::Options {
        return Err(Refused::Target);
    }
    if named(headers, "content-encoding").any(|coding| !coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Refused::Coding);
    }
    let mut shown = ShownTokens::default();
    shown.note_authorization(headers);
    let request = HttpRequest {
        method,
        is_about_server,
        path: Segments::parse(target.path, &mut shown)?,
        query: QueryPairs::parse(target.query, &mut shown)?,
        headers: KeptHeaders::of(headers),
        token: shown.hash()?,
        user: shown.take_user(),
        page_origin: page_origin(headers, site, host),
        body: Vec::new(),
    };
    let is_persistent = is_persistent(headers, is_1_1);
    let expects_continue = expects_continue(headers)? && is_1_1 && framing != Framing::None;
    Ok(Head { request, framing, is_persistent, is_1_1, expects_continue })
}

/// A field that comes twice is one that no browser sends.
fn page_origin(headers: &[Header<'_>], site: &Site, host: Option<&str>) -> PageOrigin {
    let mut origins = named(headers, "origin");
    let mut fetch_sites = named(headers, "sec-fetch-site");
    let (origin, fetch_site) = (origins.next(), fetch_sites.next());
    if origins.next().is_some() || fetch_sites.next().is_some() {
        return PageOrigin::Foreign;
    }
    site.page_origin(origin.map(<[u8]>::trim_ascii), fetch_site.map(<[u8]>::trim_ascii), host)
}

/// Whether the connection goes on: by default from version 1.1 on (RFC 9112, section 9.3).
fn is_persistent(headers: &[Header<'_>], is_1_1: bool) -> bool {
    let has = |wanted: &[u8]| {
        named(headers, "connection")
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|option| option.trim_ascii().eq_ignore_ascii_case(wanted))
    };
    !has(b"close") && (is_1_1 || has(b"keep-alive"))
}

fn expects_continue(headers: &[Header<'_>]) -> Result<bool, Refused> {
    let mut expected = named(headers, "expect");
    match (expected.next(), expected.next()) {
        (None, None) => Ok(false),
        (Some(value), None) if value.trim_ascii().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        _ => Err(Refused::Expectation),
    }
}

impl HttpRequest {
    /// Whether a page of another site has it sent, which may not write.
    pub fn is_from_foreign_page(&self) -> bool {
        self.page_origin == PageOrigin::Foreign
    }

    /// The first value of a header field that is kept.
    pub fn header(&self, name: HeaderName) -> Option<&[u8]> {
        self.headers.get(name)
    }

    /// The media type of the body, without its parameters; empty where none is stated.
    pub fn media_type(&self) -> &[u8] {
        let value = self.header(HeaderName::ContentType).unwrap_or_default();
        value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
    }
}
