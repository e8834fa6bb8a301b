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
        if !media_type.is_empty() && !claim.media_types.is_empty() && !claim.media_types.iter().any(is_taken)
        {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::web::wire::{Site, WebConnection, WebNext, WireRules};

    /// Has something at every target that begins with its name.
    struct Named(&'static str, Claim);

    impl Face for Named {
        fn claim(&self, request: &HttpRequest) -> Option<Claim> {
            (request.path.slices().first() == Some(&self.0.as_bytes())).then_some(self.1)
        }

        fn answer(&self, _request: &HttpRequest, _caller: &Caller) -> HttpReply {
            HttpReply::text(HttpStatus::OK, self.0)
        }
    }

    const WRITING: Claim = Claim {
        methods: Methods::of(&[Method::Put, Method::Post]),
        needs: Needs::Client,
        writes: true,
        body_bytes: 9,
        media_types: &["application/json", "text/plain"],
    };

    /// What becomes of a request: the text of the face that answers, or the reply's status and the named fields of it.
    fn routed(line: &str, fields: &str) -> String {
        let rules = WireRules {
            head_bytes: 4_096,
            body_bytes: 9,
            request_time: Duration::from_secs(1),
            body_time: Duration::from_secs(1),
            idle_time: Duration::from_secs(1),
        };
        let site = Site { hosts: Vec::new(), origins: vec!["https://map.example".into()] };
        let mut connection = WebConnection::new(&site, &rules, Duration::ZERO);
        for byte in format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").bytes() {
            assert!(matches!(connection.next(Duration::ZERO), WebNext::Wait(_)), "{line}");
            connection.space()[0] = byte;
            connection.received(1);
        }
        assert_eq!(connection.next(Duration::ZERO), WebNext::Admit);
        let faces: [&dyn Face; 3] = [
            &Named("a", WRITING),
            &Named("a", Claim { media_types: &[], ..Claim::page(Needs::Nothing) }),
            &Named("b", Claim { writes: true, ..Claim::page(Needs::Client) }),
        ];
        let request = connection.request().unwrap();
        match Router::new(&faces).route(request) {
            Ok((face, claim)) => {
                let reply = face.answer(request, &Caller::default());
                format!("{} {}", String::from_utf8_lossy(reply.body()), claim.body_bytes)
            }
            Err(reply) => {
                connection.answered(&reply, "now", false);
                let text = String::from_utf8_lossy(connection.output()).into_owned();
                let shown =
                    text.lines().filter(|line| line.starts_with("Allow:") || line.contains("-Control-"));
                format!("{} {}", reply.status().code(), shown.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn face_that_takes_the_method_answers_and_several_may_share_a_target() {
        assert_eq!(routed("GET /a", ""), "a 0");
        assert_eq!(routed("HEAD /a/x", ""), "a 0");
        assert_eq!(routed("PUT /a", ""), "a 9");
        assert_eq!(routed("DELETE /a", ""), "405 Allow: GET, HEAD, POST, PUT, OPTIONS");
        assert_eq!(routed("POST /b", ""), "405 Allow: GET, HEAD, OPTIONS");
        assert_eq!(routed("GET /c", ""), "404 ");
        assert_eq!(routed("GET /", ""), "404 ");
    }

    #[test]
    fn page_of_another_site_may_not_write_whatever_the_method() {
        for (line, expected) in [("PUT /a", "403"), ("GET /b", "403"), ("HEAD /b", "403"), ("GET /a", "a")] {
            for field in ["Sec-Fetch-Site: cross-site\r\n", "Origin: https://evil.example\r\n"] {
                assert!(routed(line, field).starts_with(expected), "{line} {field}");
            }
            let own = routed(line, "Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n");
            assert!(!own.starts_with("403"), "{line}");
            let configured = routed(line, "Sec-Fetch-Site: cross-site\r\nOrigin: https://map.example\r\n");
            assert!(!configured.starts_with("403"), "{line}");
        }
    }

    #[test]
    fn options_says_what_may_be_done_and_tells_browsers_of_configured_origins_only() {
        let allow = "Allow: GET, HEAD, POST, PUT, OPTIONS";
        assert_eq!(routed("OPTIONS /a", ""), format!("204 {allow}"));
        let all = "204 Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS";
        assert_eq!(routed("OPTIONS *", ""), all);
        assert_eq!(routed("OPTIONS /c", ""), "404 ");
        let asking = "Access-Control-Request-Method: PUT\r\nOrigin: ";
        let foreign = routed("OPTIONS /a", &format!("{asking}https://evil.example\r\n"));
        assert_eq!(foreign, format!("204 {allow}"));
        let configured = routed("OPTIONS /a", &format!("{asking}https://map.example\r\n"));
        for told in [
            "Access-Control-Allow-Origin: https://map.example",
            "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, OPTIONS",
            "Access-Control-Allow-Headers: Authorization, Content-Type",
        ] {
            assert!(configured.contains(told), "{configured}");
        }
    }

    #[test]
    fn body_has_one_of_the_formats_that_are_taken_if_it_says_which() {
        for (field, expected) in [
            ("", "a 9"),
            ("Content-Type: application/json\r\n", "a 9"),
            ("Content-Type: Text/Plain; charset=utf-8\r\n", "a 9"),
            ("Content-Type: text/html\r\n", "415 "),
            ("Content-Type: application/jsonx\r\n", "415 "),
        ] {
            assert!(routed("PUT /a", field).starts_with(expected), "{field}");
        }
        assert_eq!(routed("GET /a", "Content-Type: text/html\r\n"), "a 0");
    }
}
