//! Places from a service, over real sockets: a node whose source is upstream, a service made of test code in Google's stead,
//! and what a client of the node is told, byte for byte.

mod breaker;
mod bytes;
mod faults;
mod flow;
mod limits;
mod new;
mod tls;

use serde_json::Value;

use crate::support::{Client, Setup, TestNode, Upstream};

/// The key in these tests.
const KEY: &str = "AIza-invented_0123456789";

/// What was recorded, but for its contents.
macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/places/", $name, ".json"))
    };
}
pub(crate) use recorded;

/// A node that asks the legacy service, with more of the table `[places]`.
fn google(upstream: &Upstream, more: &str) -> Setup {
    let table = format!("source = \"google\"\nbase_url = \"{}\"\n{more}", upstream.url());
    Setup::new().source(&table).key(KEY).http("")
}

/// A connection, and the AT line of the client `kiwi` that has just reported.
#[track_caller]
fn located(node: &TestNode) -> (Client, String) {
    let mut client = node.client();
    let at = client.ask("IAMAT kiwi +34.068930-118.445127 1479413884.392014450");
    assert!(at.starts_with("AT "), "{at}");
    (client, at)
}

/// Asks what is near `kiwi`; the JSON of the reply.
#[track_caller]
fn lookup(client: &mut Client, at: &str, radius: &str, bound: usize) -> String {
    client.send(format!("WHATSAT kiwi {radius} {bound}\n"));
    reply(client, at)
}

/// The JSON of the next reply, whose other parts must be as they always are.
#[track_caller]
fn reply(client: &mut Client, at: &str) -> String {
    client.expect(format!("{at}\n"), "the AT line");
    let mut json = Vec::new();
    while !json.ends_with(b"\n\n") {
        json.extend_from_slice(&client.line());
    }
    json.truncate(json.len() - 2);
    String::from_utf8(json).unwrap()
}

/// The status and the message of a document that holds nothing else.
#[track_caller]
fn failure(json: &str) -> (String, String) {
    let Value::Object(document) = serde_json::from_str(json).unwrap() else { panic!("{json}") };
    let keys: Vec<_> = document.keys().map(String::as_str).collect();
    assert_eq!(keys, ["error_message", "html_attributions", "results", "status"], "{json}");
    assert_eq!(
        (&document["results"], &document["html_attributions"]),
        (&Value::from([(); 0]), &Value::from([(); 0]))
    );
    assert!(!json.contains(KEY), "the key is told: {json}");
    let text = |key: &str| document[key].as_str().unwrap().to_owned();
    assert!(!text("error_message").is_empty(), "{json}");
    (text("status"), text("error_message"))
}

/// The status of such a document.
#[track_caller]
fn failed(json: &str) -> String {
    failure(json).0
}

/// A metric of lookups; 0 where there is no such line. `calls_total/google/ok` is `proxyherd_places_calls_total` with
/// source google, and ok as its other label's value.
#[track_caller]
fn metric(node: &TestNode, path: &str) -> f64 {
    let mut parts = path.split('/');
    let name = format!("proxyherd_places_{}{{", parts.next().unwrap());
    let values: Vec<_> = parts.map(|value| format!("=\"{value}\"")).collect();
    let (_, text) = node.page("/metrics");
    let mut lines = text.lines().filter(|line| {
        let labels = line.strip_prefix(name.as_str()).and_then(|rest| rest.split_once('}'));
        labels.is_some_and(|(labels, _)| values.iter().all(|value| labels.contains(value)))
    });
    let found = lines.next().map_or(0.0, |line| line.rsplit_once(' ').unwrap().1.parse().unwrap());
    assert_eq!(lines.next(), None, "{path} is one metric");
    found
}

/// Several of them.
#[track_caller]
fn metrics<const N: usize>(node: &TestNode, paths: [&str; N]) -> [f64; N] {
    paths.map(|path| metric(node, path))
}
