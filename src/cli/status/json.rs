//! What `herd status` prints for programs: one object a poll, on one line, with each node's status as it was answered.

use serde::Serialize;
use serde_json::Value;

use super::{fetch::FetchOutcome, verdict::Verdict};
use crate::config::Herd;

#[derive(Serialize)]
struct StatusJson<'r> {
    herd: &'r str,
    time: &'r str,
    in_step: bool,
    summary: String,
    nodes: Vec<AskedNode<'r>>,
}

#[derive(Serialize)]
struct AskedNode<'r> {
    node: &'r str,
    /// Where it was asked; null where there is nowhere to.
    address: Option<String>,
    result: &'static str,
    error: Option<&'r str>,
    status: Option<&'r Value>,
}

/// One line.
pub(super) fn text(herd: &Herd, outcomes: &[FetchOutcome], verdict: &Verdict, time: &str) -> String {
    let nodes = herd.nodes.iter().zip(outcomes).map(|(node, outcome)| {
        let (result, error, status) = match outcome {
            FetchOutcome::Answered(_, status) => ("answered", None, Some(status)),
            _ if node.plain.is_some() => ("plain", None, None),
            FetchOutcome::Down(why) => ("down", Some(why.as_str()), None),
            FetchOutcome::NoHttp => ("no_http", None, None),
            FetchOutcome::Timeout => ("timeout", None, None),
            FetchOutcome::BadAnswer(what) => ("bad_answer", Some(what.as_str()), None),
        };
        let address = node.http.as_ref().map(ToString::to_string);
        AskedNode { node: node.id.as_str(), address, result, error, status }
    });
    let (in_step, summary) = (verdict.in_step(), verdict.summary());
    let report = StatusJson { herd: &herd.name, time, in_step, summary, nodes: nodes.collect() };
    // There is no map in it whose keys are not text.
    let mut line = serde_json::to_string(&report).unwrap_or_default();
    line.push('\n');
    line
}
