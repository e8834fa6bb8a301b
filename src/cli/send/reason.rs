//! Why a node refused a line: it does not say, so its own parser is asked here. Where the node's configuration is known, its
//! rules are; elsewhere only faults that are none of configuration are certain. Pure.

use std::time::Duration;

use super::{printable, replies::RefusedLine};
use crate::{
    config::{Herd, Node, PlacesSource},
    core::{
        model::{Skew, Timestamp},
        wire::{Form, Invalid, Report, Request},
    },
};

/// The most that is shown of a line.
const SHOWN_CHARS_MAX: usize = 200;

/// A node logs one bad line a second.
const SEE_LOG: &str = "its log says which, unless it logged another bad line in the second before";

const NANOSECONDS: i128 = 1_000_000_000;

/// By what a node judges lines, as far as that is known here.
#[derive(Default)]
pub(super) struct KnownRules {
    configured: Option<Configured>,
}

/// What a node's configuration adds to the rules that every node has.
struct Configured {
    form: Form,
    has_places: bool,
    max_ahead: Option<Duration>,
    max_clients: usize,
    client_bytes: usize,
    /// Whether whoever reports or asks must have shown a token.
    wants_token: bool,
}

impl KnownRules {
    /// Those of a node of this herd. A third-party node has its own, which no configuration holds.
    pub(super) fn of(herd: &Herd, node: &Node) -> Self {
        if node.plain.is_some() {
            return Self::default();
        }
        let source = herd.places.source;
        let form = if source == PlacesSource::Tweets { Form::TWEETS } else { Form::PLACES };
        let configured = Configured {
            form,
            has_places: source != PlacesSource::None,
            max_ahead: herd.limits.max_ahead,
            max_clients: herd.limits.max_clients,
            client_bytes: herd.limits.client_bytes,
            wants_token: !herd.access.is_open(),
        };
        Self { configured: Some(configured) }
    }

    /// `line 3: the radius is over 50 km: WHATSAT x 99 5`; `now` is this machine's clock.
    pub(super) fn text(&self, refusal: &RefusedLine<'_>, now: Timestamp) -> String {
        let RefusedLine { number, line, length, is_other } = refusal;
        let reason = match length {
            Some(length) => format!("its {length} bytes are over the node's limit (line_bytes)"),
            None if *is_other && line.is_empty() => {
                "the node refuses it, and sends nothing of it back".into()
            }
            None if *is_other => "the node refuses it, and answers other than with the line".into(),
            None => self.reason(line, now),
        };
        let text = printable::text_of(line);
        let mut shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
        if length.is_some() || text.chars().nth(SHOWN_CHARS_MAX).is_some() {
            shown.push('…');
        }
        format!("line {number}: {reason}: {shown}")
    }

    fn reason(&self, line: &[u8], now: Timestamp) -> String {
        let without_limits = Form { radius_km_max: u64::MAX, bound_max: u64::MAX, ..Form::PLACES };
        match (Request::parse(line, &without_limits), &self.configured) {
            (Err(Invalid::Radius), _) => {
                "the radius is not a plain decimal number, such as 10 or 10.5".to_owned()
            }
            (Err(Invalid::Bound), _) => "the bound is not a plain whole number, such as 5".to_owned(),
            (Err(why), _) => why.to_string(),
            (Ok(Request::Whatsat(_)), Some(configured)) => configured.whatsat(line),
            (Ok(Request::Whatsat(_)), None) => {
                // What every source of places takes is over no limit.
                let is_usual = Request::parse(line, &Form::PLACES).is_ok();
                let limit =
                    if is_usual { "" } else { "the radius or the bound is over a limit of that node, or " };
                format!(
                    "{limit}{}, or {}, or the node has no places; {SEE_LOG}",
                    Invalid::UnknownClient,
                    Invalid::MayNotSee
                )
            }
            (Ok(Request::Auth(_)), _) => {
                format!("{}, or the node takes no tokens", Invalid::WrongToken)
            }
            (Ok(Request::Forget(_)), _) => {
                format!("{}, and none whose journal cannot be written; {SEE_LOG}", Invalid::NotLetForget)
            }
            (Ok(Request::Iamat(report)), Some(configured)) => configured.iamat(&report, now),
            (Ok(Request::Iamat(report)), None) => format!(
                "the line is valid, and its timestamp {}, but it is over a limit of that node, such as max_ahead_seconds, \
                 client_bytes, max_clients, max_bytes or a quota, or no token was shown that may say it; {SEE_LOG}",
                standing(&report, now)
            ),
        }
    }
}

impl Configured {
    /// Why a WHATSAT that is well formed is refused.
    fn whatsat(&self, line: &[u8]) -> String {
        let Form { radius_km_max, bound_max, .. } = self.form;
        match Request::parse(line, &self.form) {
            _ if !self.has_places => Invalid::NoPlaces.to_string(),
            Err(Invalid::Radius) => format!("the radius is over {radius_km_max} km"),
            Err(Invalid::Bound) => format!("the bound is over {bound_max}"),
            _ if self.wants_token => {
                format!("{}, or {}; see --token-file", Invalid::MayNotSee, Invalid::UnknownClient)
            }
            _ => format!("{}; report one with IAMAT first", Invalid::UnknownClient),
        }
    }

    /// Why an IAMAT that is well formed is refused.
    fn iamat(&self, report: &Report<'_>, now: Timestamp) -> String {
        let (standing, id_bytes) = (standing(report, now), report.client.as_bytes().len());
        if id_bytes > self.client_bytes {
            let limit = self.client_bytes;
            return format!(
                "the client's id has {id_bytes} bytes, and the node takes {limit} (client_bytes)"
            );
        }
        let full = format!(
            "the node has {} clients already (max_clients), or as much as it may keep of them (max_bytes)",
            self.max_clients
        );
        match self.max_ahead {
            Some(limit) if ahead(report, now) > limit.as_nanos() as i128 => {
                format!(
                    "the timestamp {standing}, and the node takes {} s (max_ahead_seconds)",
                    limit.as_secs_f64()
                )
            }
            _ if self.wants_token => {
                format!(
                    "{}; see --token-file. Otherwise, {full}, or a quota is used up, or its clock is behind",
                    Invalid::MayNotReport
                )
            }
            // The clocks of two machines may differ.
            Some(_) => format!("the timestamp {standing}, so {full}, or its clock is behind"),
            None => full,
        }
    }
}

/// In nanoseconds; negative where the report is older than this machine's clock.
fn ahead(report: &Report<'_>, now: Timestamp) -> i128 {
    -Skew::between(now, report.time).as_nanoseconds()
}

fn standing(report: &Report<'_>, now: Timestamp) -> String {
    match ahead(report, now) {
        ..=0 => "is not ahead of this machine's clock".to_owned(),
        ahead => format!("is {} s ahead of this machine's clock", (ahead + NANOSECONDS - 1) / NANOSECONDS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn rules(source: Option<PlacesSource>) -> KnownRules {
        let Some(source) = source else { return KnownRules::default() };
        let mut herd = Herd::embedded();
        herd.places.source = source;
        (herd.limits.max_clients, herd.limits.client_bytes) = (7, 20);
        KnownRules::of(&herd, &herd.nodes[0])
    }

    fn shown(rules: &KnownRules, refusal: &RefusedLine<'_>) -> String {
        rules.text(refusal, Timestamp::new(NOW, 0))
    }

    fn reason(rules: &KnownRules, line: &str) -> String {
        let refusal = RefusedLine { number: 3, line: line.as_bytes(), length: None, is_other: false };
        let text = shown(rules, &refusal);
        let reason = text.strip_prefix("line 3: ").unwrap();
        reason.strip_suffix(&format!(": {line}")).unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    #[test]
    fn each_kind_of_wrong_line_has_its_reason() {
        let embedded = rules(Some(PlacesSource::Embedded));
        for (line, begin) in [
            ("", "the line is empty"),
            ("iamat x +1+1 1", "the first field is neither"),
            ("WHATSAT x 10", "the command does not have exactly four fields"),
            ("IAMAT x 1+1 1", "the location is not"),
            ("IAMAT x +1+1 now", "the timestamp is not"),
            ("WHATSAT x 99 5", "the radius is over 50 km"),
            ("WHATSAT x 50.0001 99", "the radius is over 50 km"),
            ("WHATSAT x -1 5", "the radius is not a plain decimal number"),
            ("WHATSAT x 10 21", "the bound is over 20"),
            ("WHATSAT x 10 5.0", "the bound is not a plain whole number"),
            ("WHATSAT x 10 5", "no location is known for that client"),
            (
                "FORGET x",
                "only an operator's token has clients forgotten, or anyone where clients need no token",
            ),
            ("AUTH x", "the token is unknown, expired or malformed, or the node takes no tokens"),
            ("IAMAT twenty-one-bytes-long +1+1 1", "the client's id has 21 bytes, and the node takes 20"),
            (
                "IAMAT x +1+1 1",
                "the timestamp is not ahead of this machine's clock, so the node has 7 clients already",
            ),
            (
                "IAMAT x +1+1 1800086400",
                "the timestamp is 86400 s ahead of this machine's clock, so the node has 7",
            ),
            (
                "IAMAT x +1+1 1800086400.000000001",
                "the timestamp is 86401 s ahead of this machine's clock, and the node takes 86400 s",
            ),
        ] {
            assert!(reason(&embedded, line).starts_with(begin), "{line}: {}", reason(&embedded, line));
        }
    }

    #[test]
    fn what_may_be_asked_depends_on_the_source_of_places() {
        let tweets = rules(Some(PlacesSource::Tweets));
        assert!(reason(&tweets, "WHATSAT x 99 5").starts_with("no location is known"));
        assert_eq!(reason(&tweets, "WHATSAT x 20017 5"), "the radius is over 20016 km");
        assert!(reason(&rules(Some(PlacesSource::None)), "WHATSAT x 10 5").contains("no source of places"));
    }

    #[test]
    fn where_clients_need_tokens_the_first_reason_is_that_none_was_shown() {
        let mut herd = Herd::embedded();
        herd.access.clients = Some("tokens".to_owned());
        let rules = KnownRules::of(&herd, &herd.nodes[0]);
        for (line, begin) in [
            ("WHATSAT x 10 5", "no token was shown that may see that client, or no location is known"),
            ("IAMAT x +1+1 1", "no token was shown that may report for that client; see --token-file"),
            ("IAMAT x +1+1 1800086401", "the timestamp is 86401 s ahead"),
        ] {
            assert!(reason(&rules, line).starts_with(begin), "{line}: {}", reason(&rules, line));
        }
    }

    #[test]
    fn of_an_unknown_node_only_what_any_node_refuses_is_certain() {
        let unknown = rules(None);
        for (line, begin) in [
            ("WHATSAT x -1 5", "the radius is not a plain decimal number"),
            ("WHATSAT x 10 5.0", "the bound is not a plain whole number"),
            ("iamat x +1+1 1", "the first field is neither"),
            (
                "WHATSAT x 99 5",
                "the radius or the bound is over a limit of that node, or no location is known",
            ),
            (
                "WHATSAT x 10 21",
                "the radius or the bound is over a limit of that node, or no location is known",
            ),
            (
                "WHATSAT x 50 20",
                "no location is known for that client, or no token was shown that may see that client, or the node has no places; its log",
            ),
            (
                "IAMAT x +1+1 1",
                "the line is valid, and its timestamp is not ahead of this machine's clock, but",
            ),
            (
                "IAMAT x +1+1 1800000001",
                "the line is valid, and its timestamp is 1 s ahead of this machine's clock, but",
            ),
        ] {
            assert!(reason(&unknown, line).starts_with(begin), "{line}: {}", reason(&unknown, line));
        }
        let mut herd = Herd::embedded();
        herd.nodes[0].plain = Some(crate::core::wire::PlainForm::default());
        let third_party = KnownRules::of(&herd, &herd.nodes[0]);
        assert_eq!(reason(&third_party, "WHATSAT x 99 5"), reason(&unknown, "WHATSAT x 99 5"));
    }

    #[test]
    fn other_words_than_the_line_are_the_nodes_own() {
        let refusal = |line| RefusedLine { number: 1, line, length: None, is_other: true };
        assert_eq!(
            shown(&rules(None), &refusal(b"no\xff")),
            r"line 1: the node refuses it, and answers other than with the line: no\xff"
        );
        assert!(shown(&rules(None), &refusal(b"")).contains("sends nothing of it back"));
    }

    #[test]
    fn long_lines_are_shown_in_part() {
        let long = RefusedLine { number: 1, line: &[b'x'; 64], length: Some(20_000), is_other: false };
        let text = shown(&rules(None), &long);
        assert_eq!(
            text,
            format!("line 1: its 20000 bytes are over the node's limit (line_bytes): {}…", "x".repeat(64))
        );
        let long = RefusedLine { number: 1, line: &[b'x'; 1_000], length: None, is_other: false };
        assert!(shown(&rules(None), &long).ends_with(&format!(": {}…", "x".repeat(200))));
    }
}
