//! What a node says of itself at `/status`, as far as it is judged or shown. A newer node may say more, and an older one
//! less: unknown fields are passed over, missing ones are `None`. Nothing here asks or judges.

use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::Value;

/// A node's own view of itself and its links.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(super) struct NodeStatus {
    pub(super) node: String,
    pub(super) herd: Option<String>,
    pub(super) uptime_seconds: Option<f64>,
    /// `running` or `draining`.
    pub(super) state: Option<String>,
    /// Why it would rather not be asked yet.
    pub(super) not_ready: Option<String>,
    /// What is wrong with it though it serves.
    pub(super) degraded: Option<String>,
    pub(super) clients: Option<u64>,
    /// The sum of all it holds, 16 hexadecimal digits.
    pub(super) sum: Option<String>,
    pub(super) links: Vec<LinkStatus>,
    /// What it forgets by age, in a herd that does so.
    pub(super) retention: Option<RetentionStatus>,
    /// Whether it keeps what it knows over a stop.
    #[serde(rename = "journal", default, deserialize_with = "is_there")]
    pub(super) has_journal: Option<bool>,
}

/// `null` is an answer, too.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    Option::<IgnoredAny>::deserialize(deserializer).map(|found| Some(found.is_some()))
}

/// What a node forgets by age.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub(super) struct RetentionStatus {
    /// Everything before it is forgotten, in seconds since 1970.
    pub(super) watermark: u64,
}

/// One link, seen from the node that answers: what it sends to `peer`.
#[derive(Clone, PartialEq, Default, Debug, Deserialize)]
#[serde(default)]
pub(super) struct LinkStatus {
    pub(super) peer: String,
    /// `herd`, or `plain` for a neighbour that is another program.
    pub(super) dialect: Option<String>,
    /// `up`, `greeting` or `down`.
    pub(super) state: Option<String>,
    /// Whether the neighbour's own connection to this node is there.
    pub(super) connected_here: Option<bool>,
    /// Whether the neighbour was found to have all that this node has.
    pub(super) in_step: Option<bool>,
    /// The age of the oldest ping that is not answered.
    pub(super) lag_seconds: Option<f64>,
    /// How far the neighbour's clock is ahead of this node's.
    pub(super) clock_offset_seconds: Option<f64>,
    /// Whether something found no room on its way to the neighbour and is not made good for yet.
    pub(super) behind: Option<bool>,
    pub(super) outbox_bytes: Option<u64>,
    /// Differences that a round did not remove.
    pub(super) lasting: Option<u64>,
    pub(super) last_error: Option<String>,
    /// Lines of the neighbour that were refused, and those of whoever shares its address; why the last one was.
    pub(super) bad_lines: Option<u64>,
    pub(super) bad_lines_at_address: Option<u64>,
    pub(super) last_bad: Option<String>,
    /// Whether all of its lines since the link was last lost were refused.
    pub(super) refused: Option<bool>,
}

impl LinkStatus {
    pub(super) fn is_plain(&self) -> bool {
        self.dialect.as_deref() == Some("plain")
    }

    /// Whether nothing that the neighbour says is taken.
    pub(super) fn is_refused(&self) -> bool {
        self.refused == Some(true)
    }

    /// Of a third-party node: how many of its lines were refused, if any were, and why the last one was.
    pub(super) fn refused_lines(&self) -> Option<String> {
        let [own, shared] = [self.bad_lines, self.bad_lines_at_address].map(Option::unwrap_or_default);
        let count = match (own, shared) {
            _ if !self.is_plain() => return None,
            (0, 0) => return None,
            (own, 0) => format!("refused lines: {own}"),
            (0, shared) => format!("refused lines at its address: {shared}"),
            (own, shared) => format!("refused lines: {own}, at its address: {shared}"),
        };
        let why = self.last_bad.as_ref().map(|why| format!("; the last: {why}")).unwrap_or_default();
        Some(count + &why)
    }

    pub(super) fn differs_lastingly(&self) -> bool {
        self.lasting.is_some_and(|count| count > 0)
    }
}

/// Reads the body of an answer, both as it is and as far as it is understood. The `Err` says what it is instead.
pub(super) fn read(body: &[u8]) -> Result<(NodeStatus, Value), String> {
    let json: Value = serde_json::from_slice(body).map_err(|_| "it is not JSON".to_owned())?;
    let answer = NodeStatus::deserialize(&json).map_err(|error| format!("it is no status: {error}"))?;
    Ok((answer, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_fields_are_passed_over_and_missing_ones_are_none() {
        let body =
            br#"{"node": "Ball", "mood": {"x": [1]}, "clients": null, "links": [{"peer": "Welsh", "y": 1}]}"#;
        let (answer, json) = read(body).unwrap();
        assert_eq!((answer.node.as_str(), answer.clients, answer.state), ("Ball", None, None));
        assert_eq!(answer.links, [LinkStatus { peer: "Welsh".into(), ..LinkStatus::default() }]);
        assert_eq!(json["mood"]["x"][0], 1, "what is printed as JSON is what was answered");
    }

    #[test]
    fn node_without_a_journal_says_so_and_an_older_one_says_nothing() {
        let said = |journal: &str| {
            let body = format!(r#"{{"node": "Ball", "links": []{journal}}}"#);
            read(body.as_bytes()).unwrap().0.has_journal
        };
        assert_eq!(said(""), None);
        assert_eq!(said(r#", "journal": null"#), Some(false));
        assert_eq!(said(r#", "journal": {"state": "ok"}"#), Some(true));
    }

    #[test]
    fn what_is_no_status_says_so() {
        let wrong = |body: &[u8]| read(body).unwrap_err();
        assert_eq!(wrong(b"<html>"), "it is not JSON");
        assert_eq!(wrong(b""), "it is not JSON");
        assert_eq!(wrong(b"{}"), "it is no status: missing field `node`");
        assert_eq!(wrong(br#"{"node": "A"}"#), "it is no status: missing field `links`");
        assert!(wrong(b"[1]").starts_with("it is no status: "));
        let deep = "[".repeat(1_000_000);
        assert_eq!(wrong(deep.as_bytes()), "it is not JSON");
    }
}
