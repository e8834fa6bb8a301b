//! Which face answers a request, and what holds for all of them: methods, `OPTIONS`, what web pages of other sites may do, and
//! the format of bodies.

use std::net::SocketAddr;

use super::wire::{HeaderName, HttpReply, HttpRequest, HttpStatus, Method, Methods, PageOrigin, Refused};
use crate::core::access::Principal;

/// How long a browser may remember what a page of another site may do, in seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// The header fields that such a page may set.
const PAGE_HEADERS: &str = "Authorization, Content-Type, If-Match, If-None-Match, Last-Event-ID, Prefer";

/// Who may use what is somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Anyone, as often as they like: it costs nothing and shows nothing but health.
    Nothing,
    /// Monitors, within their quota.
    Monitor,
    /// Anyone, within their quota: the face asks what the caller may do. A token that is shown must be valid.
    Client,
}

/// What a face has at a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// What it takes there.
    pub methods: Methods,
    /// Who may use it.
    pub needs: Needs,
    /// Whether even GET may change something there. (Other methods than GET may everywhere.)
    pub writes: bool,
    /// The longest body.
    pub body_bytes: usize,
    /// The media types that a body may have, if it states one; empty for any.
    pub media_types: &'static [&'static str],
}

impl Claim {
    /// Of what can only be read.
    pub const fn page(needs: Needs) -> Self {
        let methods = Methods::of(&[Method::Get]);
        Self { methods, needs, writes: false, body_bytes: 0, media_types: &[] }
    }
}

/// Who sends a request.
#[derive(Clone, Default, Debug)]
pub struct Caller {
    /// Whom its token is for.
    pub principal: Option<Principal>,
    /// Unknown if the other end has left.
    pub address: Option<SocketAddr>,
}

/// A part of the web face: parse, call, render.
pub trait Face: Sync {
    /// What it has at a request's target; `None` if nothing. The body has not come yet.
    fn claim(&self, request: &HttpRequest) -> Option<Claim>;

    /// Answers a request that it has claimed, once that is whole. HEAD is answered as GET is.
    fn answer(&self, request: &HttpRequest, caller: &Caller) -> HttpReply;
}

/// All faces, in the order in which they are asked. Several may have something at one target.
#[derive(Clone, Copy)]
pub struct Router<'f> {
    faces: &'f [&'f dyn Face],
}

impl<'f> Router<'f> {
    /// Of these.
    pub fn new(faces: &'f [&'f dyn Face]) -> Self {
        Self { faces }
    }

    /// The face that is to answer and its claim; or the reply, where none is.
    pub fn route(&self, request: &HttpRequest) -> Result<(&'f dyn Face, Claim), HttpReply> {
        if request.is_about_server {
            return Err(allowing(request, Methods::of(&Method::ALL)));
        }
        let mut found = Vec::new();
        found.extend(self.faces.iter().filter_map(|face| Some((*face, face.claim(request)?))));
        if found.is_empty() {
            return Err(Refused::NotFound.reply());
        }
        let all = found.iter().fold(Methods::default(), |all, (_, claim)| all.and(claim.methods));
        if request.method == Method::Options {
            return Err(allowing(request, all));
        }
        let mut fitting = found.into_iter().filter(|(_, claim)| claim.methods.have(request.method));
        let (face, claim) = fitting.next().ok_or_else(|| Refused::Method(all).reply())?;
        if (claim.writes || !request.method.is_safe()) && request.is_from_foreign_page() {
            return Err(Refused::ForeignPage.reply());
        }
        let media_type = request.media_type();
        let is_taken = |known: &&str| media_type.eq_ignore_ascii_case(known.as_bytes());
        if !media_type.is_empty() && !claim.media_types.is_empty() && !claim.media_types.iter().any(is_taken) {
            return Err(Refused::MediaType.reply());
        }
        Ok((face, claim))
    }
}

/// The answer to OPTIONS, which browsers ask before they let a page of another site do something.
fn allowing(request: &HttpRequest, methods: Methods) -> HttpReply {
    let reply = HttpReply::empty(HttpStatus::NO_CONTENT).with("Allow", methods.to_string());
    let is_preflight = request.header(HeaderName::AccessControlRequestMethod).is_some();
    match request.page_origin {
        PageOrigin::Allowed(_) if is_preflight => reply
            .with("Access-Control-Allow-Methods", methods.to_string())
            .with("Access-Control-Allow-Headers", PAGE_HEADERS)
            .with("Access-Control-Max-Age", PREFLIGHT_SECONDS),
        _ => reply,
    }
}
