//! Calls without HTTP: what is answered, what is waited for, and that a report is the same whatever face it came by.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::*;
use crate::core::{
    access::{
        Access, Allowance, Anyone, Pattern, Patterns, Principal, QuotaRules, Token, TokenEntry, TokenList,
        TokenRole,
    },
    dialogue::Looked,
    links::{Health, Queue, outbox},
    model::{ClientId, NodeId, Now, Timestamp},
    node::{LookupRules, Neighbour, Node, Options, ReportLimits, Subscribers},
    store::Placement,
    wire::Form,
};

mod listing;
mod reading;
mod reporting;
mod rights;
mod truth;

const T0: u64 = 1_479_413_884;

fn now(milliseconds: u64) -> Now {
    Now { wall: Timestamp::new(T0, 0), tick: Duration::from_millis(milliseconds) }
}

/// A node with a peer, and whatever becomes of its changes.
struct Scene {
    node: Node,
    face: ApiFace,
    news: Queue,
    all: Queue,
}

impl Scene {
    fn with(limits: ReportLimits, change: impl FnOnce(Node) -> Node) -> Self {
        let ((link, news), (all_outbox, all)) = (outbox(1 << 20), outbox(1 << 20));
        let neighbour = Neighbour {
            id: NodeId::new("Welsh").unwrap(),
            outbox: link,
            called: crossbeam_channel::bounded(1).0,
            plain: None,
            health: Health::default(),
        };
        news.open();
        all.open();
        let node = Node::new(Options {
            herd: "test".to_owned(),
            placement: Placement::of_herd("test"),
            secret: None,
            id: NodeId::new("Alford").unwrap(),
            incarnation: 1,
            forget_after: None,
            reports: limits,
            liveness: Duration::from_secs(5),
            neighbours: vec![neighbour],
            subscribers: Subscribers { all: vec![all_outbox], keys: Vec::new() },
            lookups: Some(LookupRules { form: Form::PLACES, may_wait: false }),
        });
        Self { node: change(node), face: ApiFace::new(ApiBounds::default(), [7; 32]), news, all }
    }

    fn new() -> Self {
        Self::with(ReportLimits::NONE, |node| node)
    }

    fn exchange(&self, call: ApiCall) -> ApiExchange<'_> {
        ApiExchange::new(&self.node, &self.face, call, None, None)
    }

    /// The answer to a call of nobody's.
    fn answer(&self, call: ApiCall) -> ApiAnswer {
        drive(&mut self.exchange(call), now(0)).0
    }

    /// Status and body.
    fn said(&self, call: ApiCall) -> (u16, Value) {
        told(&self.answer(call))
    }

    fn put(&self, id: &str, body: &str) -> (u16, Value) {
        self.said(put(id, body))
    }

    fn knows(&self, id: &str) -> bool {
        let client = ClientId::new(id.as_bytes()).unwrap();
        self.node.store().get(self.node.key(client), client, |_| ()).is_some()
    }
}

fn told(answer: &ApiAnswer) -> (u16, Value) {
    let body =
        if answer.body.is_empty() { Value::Null } else { serde_json::from_slice(&answer.body).unwrap() };
    (answer.status, body)
}

/// A document of a source.
const DOCUMENT: &[u8] = b"{\n   \"results\" : [],\n   \"status\" : \"OK\"\n}";

/// Does what the exchange says, waits included, until there is an answer, and says what it did.
fn drive(exchange: &mut ApiExchange<'_>, mut now: Now) -> (ApiAnswer, Vec<&'static str>) {
    let mut did = Vec::new();
    for _ in 0..10_000 {
        match exchange.next(now) {
            ApiNext::Rest(until, _) => {
                did.push("rest");
                now.tick = until;
            }
            ApiNext::Offer => {
                did.push("offer");
                exchange.offer(|_| panic!("there is room"));
            }
            ApiNext::Commit => {
                did.push("commit");
                exchange.committed();
            }
            ApiNext::Look(_) => {
                did.push("look");
                exchange.document().unwrap().extend_from_slice(DOCUMENT);
                exchange.looked(Looked { results: 0, is_failed: false });
            }
            ApiNext::Watch { until, .. } => {
                did.push("watch");
                now.tick = until;
            }
            ApiNext::Answer(answer) => return (answer, did),
        }
    }
    panic!("there is no end to it: {:?}", &did[..20]);
}

fn call(method: ApiMethod, path: &[&str], query: &[(&str, &str)]) -> ApiCall {
    ApiCall {
        method,
        path: path.iter().map(|part| part.as_bytes().to_vec()).collect(),
        query: query
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect(),
        accept: None,
        content_type: None,
        if_none_match: None,
        body: Vec::new(),
        bytes: 100,
    }
}

fn get(path: &[&str], query: &[(&str, &str)]) -> ApiCall {
    call(ApiMethod::Get, path, query)
}

fn get_client(id: &str) -> ApiCall {
    get(&["v1", "clients", id], &[])
}

fn put(id: &str, body: &str) -> ApiCall {
    with_body(call(ApiMethod::Put, &["v1", "clients", id], &[]), "application/json", body)
}

fn post(media: &str, body: &str) -> ApiCall {
    with_body(call(ApiMethod::Post, &["v1", "reports"], &[]), media, body)
}

fn with_body(call: ApiCall, media: &str, body: &str) -> ApiCall {
    ApiCall { content_type: Some(media.into()), body: body.into(), ..call }
}

const KIWI: &str = r#"{"lat": 34.068930, "lng": -118.445127, "timestamp": 1479413884.392014450}"#;
