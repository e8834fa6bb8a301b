//! Google's legacy Nearby Search: its answers reach the client as they came.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use super::{
    Query,
    cut::{Document, Unfit},
    key::ApiKey,
    upstream::{CallFault, Service, UpstreamRequest},
};
use crate::{config::PlacesConfig, metrics::CallOutcome};

/// Google asks for a radius above zero.
pub(super) const RADIUS_M_MIN: f64 = 1.0;

/// The legacy service.
pub(super) struct Google {
    key: ApiKey,
    /// The part of the address that is the same for every question, without the key.
    base: String,
    options: String,
}

impl Google {
    pub(super) fn new(config: &PlacesConfig, key: ApiKey) -> Self {
        let mut options = String::new();
        for (name, value) in [("language", &config.language), ("type", &config.kind)] {
            if let Some(value) = value {
                options += &format!("&{name}={}", escaped(value));
            }
        }
        Self { key, base: format!("{}/maps/api/place/nearbysearch/json", config.base_url), options }
    }
}

impl Service for Google {
    fn name(&self) -> &'static str {
        "google"
    }

    fn request(&self, query: &Query) -> UpstreamRequest {
        let Query { center, radius_m, .. } = query;
        let url = format!(
            "{}?location={},{}&radius={}{}&key={}",
            self.base,
            center.latitude,
            center.longitude,
            radius_m.max(RADIUS_M_MIN),
            self.options,
            self.key.expose()
        );
        UpstreamRequest { url, headers: Vec::new(), body: None }
    }

    fn read(&self, status: u16, body: Vec<u8>) -> Result<Document, CallFault> {
        let document = match Document::parse(body, "results") {
            Ok(document) => document,
            Err(unfit) => return Err(unreadable(self.name(), status, &unfit)),
        };
        let outcome = match document.status.as_deref() {
            Some("OK" | "ZERO_RESULTS") if status == 200 && document.has_array() => return Ok(document),
            Some("REQUEST_DENIED") => CallOutcome::Denied,
            Some("OVER_QUERY_LIMIT" | "OVER_DAILY_LIMIT" | "RESOURCE_EXHAUSTED") => CallOutcome::Limited,
            Some("INVALID_REQUEST" | "NOT_FOUND") => CallOutcome::Invalid,
            Some("UNKNOWN_ERROR") => CallOutcome::Unavailable,
            _ if status == 200 => {
                let message = format!("{} answered with something other than places.", self.name());
                return Err(CallFault::new(CallOutcome::Malformed, message));
            }
            _ => return Err(CallFault::of_http(status, self.name())),
        };
        let message = match &document.error_message {
            Some(message) => self.key.scrub(message),
            None => format!("{} gave no reason.", self.name()),
        };
        Err(CallFault::new(outcome, message))
    }

    fn scrub(&self, text: &str) -> String {
        self.key.scrub(text)
    }
}

/// The fault of a body that is not JSON: what the HTTP status says, if that says something.
pub(super) fn unreadable(source: &str, status: u16, unfit: &Unfit) -> CallFault {
    let fault = match status {
        200..300 => CallFault::new(
            CallOutcome::Malformed,
            format!("{source} answered with something other than places."),
        ),
        _ => CallFault::of_http(status, source),
    };
    CallFault { cause: unfit.to_string(), ..fault }
}

/// A value for a URL's query: everything but letters, digits and `-_.~` as `%` and two digits.
fn escaped(value: &str) -> String {
    let escape = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{core::model::Coordinates, places::key::tests::key};

    fn query(latitude: f64, longitude: f64, radius_m: f64) -> Query {
        Query { center: Coordinates { latitude, longitude }, radius_m, bound: 5 }
    }

    fn google(config: &PlacesConfig) -> Google {
        Google::new(config, key("AIzaSecret"))
    }

    #[test]
    fn a_question_is_one_url() {
        let config = PlacesConfig::default();
        let request = google(&config).request(&query(34.06893, -118.445127, 10_000.0));
        assert_eq!(
            request.url,
            "https://maps.googleapis.com/maps/api/place/nearbysearch/json?location=34.06893,-118.445127&radius=10000&key=AIzaSecret"
        );
        assert!(request.body.is_none() && request.headers.is_empty());
        let config = PlacesConfig {
            language: Some("zh-TW".into()),
            kind: Some("caf\u{e9} & bar".into()),
            base_url: "http://127.0.0.1:8080/x".into(),
            ..config
        };
        assert_eq!(
            google(&config).request(&query(-0.5, 1e-7, 0.0)).url,
            "http://127.0.0.1:8080/x/maps/api/place/nearbysearch/json?location=-0.5,0.0000001&radius=1&language=zh-TW&type=caf%C3%A9%20%26%20bar&key=AIzaSecret"
        );
    }

    fn outcome(status: u16, body: &str) -> Result<usize, (CallOutcome, &'static str, String)> {
        let read = google(&PlacesConfig::default()).read(status, body.into());
        read.map(|document| document.count())
            .map_err(|fault| (fault.outcome, fault.failure.status, fault.failure.message))
    }

    #[test]
    fn an_answer_is_one_that_says_so() {
        assert_eq!(outcome(200, r#"{"results":[1,2],"status":"OK"}"#), Ok(2));
        assert_eq!(outcome(200, r#"{"results":[],"status":"ZERO_RESULTS"}"#), Ok(0));
        for body in [
            r#"{"results":[1]}"#,
            r#"{"status":"OK"}"#,
            r#"{"results":[],"status":"FINE"}"#,
            "[]",
            "<html>",
            "",
        ] {
            let (outcome, status, message) = outcome(200, body).unwrap_err();
            assert_eq!((outcome, status), (CallOutcome::Malformed, "UNKNOWN_ERROR"), "{body}");
            assert_eq!(message, "google answered with something other than places.");
        }
    }

    #[test]
    fn each_refusal_keeps_its_status_and_reason_but_not_the_key() {
        for (status, kind) in [
            ("REQUEST_DENIED", CallOutcome::Denied),
            ("OVER_QUERY_LIMIT", CallOutcome::Limited),
            ("INVALID_REQUEST", CallOutcome::Invalid),
            ("UNKNOWN_ERROR", CallOutcome::Unavailable),
        ] {
            let body = format!(
                "{{\"error_message\":\"Not with AIzaSecret\",\"results\":[],\"status\":\"{status}\"}}"
            );
            let (outcome, told, message) = outcome(200, &body).unwrap_err();
            assert_eq!((outcome, told, message.as_str()), (kind, status, "Not with [key]"));
        }
    }

    #[test]
    fn where_the_body_says_nothing_the_http_status_counts() {
        for (http, kind, status) in [
            (400, CallOutcome::Invalid, "INVALID_REQUEST"),
            (401, CallOutcome::Denied, "REQUEST_DENIED"),
            (403, CallOutcome::Denied, "REQUEST_DENIED"),
            (429, CallOutcome::Limited, "OVER_QUERY_LIMIT"),
            (500, CallOutcome::Unavailable, "UNKNOWN_ERROR"),
            (503, CallOutcome::Unavailable, "UNKNOWN_ERROR"),
            (302, CallOutcome::Malformed, "UNKNOWN_ERROR"),
        ] {
            for body in ["<html>Sorry</html>", "{}"] {
                let (outcome, told, message) = outcome(http, body).unwrap_err();
                assert_eq!((outcome, told), (kind, status), "{http}");
                assert!(message.contains(&http.to_string()), "{message}");
            }
        }
    }
}
