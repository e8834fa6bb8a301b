//! `herd status` as a user runs it, against servers made of test code in the nodes' stead: what it prints, and the exit
//! code, for each way in which a node may answer or not.

use std::{
    fs,
    io::Write,
    net::TcpStream,
    path::PathBuf,
    process::{Output, Stdio},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::{Process, herd_command};

mod stand_in;

pub(super) use stand_in::StandIn;
use stand_in::refusing_address;

/// What `/status` of a node answers in which all is well.
pub(super) fn well(node: &str, peers: &[&str]) -> Value {
    let links = peers.iter().map(|peer| {
        json!({ "peer": peer, "dialect": "herd", "state": "up", "connected_here": true, "in_step": true,
            "in_step_seconds": 3.2, "lag_seconds": 0.0012, "clock_offset_seconds": -0.0004, "behind": false, "outbox_bytes": 0, "rounds": 3,
            "differences": 12, "lasting": 0, "last_error": null, "mood": "of a newer version" })
    });
    json!({ "herd": "pair", "node": node, "version": "0.1.0", "uptime_seconds": 12.345, "state": "running",
        "ready": true, "not_ready": null, "clients": 123, "sum": "0123456789abcdef", "links": links.collect::<Vec<_>>(),
        "log": { "dropped_lines": 0 } })
}

fn http(code: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {code}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub(super) fn ok(status: &Value) -> String {
    http("200 OK", &status.to_string())
}

/// A folder with a herd of nodes in a chain, and where each is asked.
pub(super) struct Asked {
    folder: tempfile::TempDir,
}

impl Asked {
    pub(super) fn new(nodes: &[(&str, Option<&str>)]) -> Self {
        Self::with_keys(nodes, "", "")
    }

    /// The same with more keys for the first node and for the last.
    fn with_keys(nodes: &[(&str, Option<&str>)], first: &str, last: &str) -> Self {
        let mut text = "[herd]\nname = \"pair\"\n".to_owned();
        for (at, (id, http)) in nodes.iter().enumerate() {
            let http = http.map_or_else(String::new, |http| format!("http = \"{http}\"\n"));
            let links =
                nodes.get(at + 1).map_or_else(String::new, |(next, _)| format!("links = [\"{next}\"]\n"));
            text += &format!("[[node]]\nid = \"{id}\"\nlisten = \"127.0.0.1:{}\"\n{http}{links}", at + 1);
            text += if at == 0 { first } else { last };
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("herd.toml"), text).unwrap();
        Self { folder }
    }

    /// Alford, in which all is well, and Ball, which answers as the stand-in does.
    pub(super) fn pair(alford: &StandIn, ball: &StandIn) -> Self {
        Self::new(&[("Alford", Some(alford.address())), ("Ball", Some(ball.address()))])
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder.path().join("herd.toml")
    }

    pub(super) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = herd_command(&["status"]);
        command.args(arguments).arg("--config").arg(self.config());
        // Nodes are asked directly, whatever the environment says of the way out.
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env(name, "http://127.0.0.1:1");
        }
        command
    }

    fn status(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(output.stderr.is_empty(), "{output:?}");
        output
    }

    /// The row of a node, without its name, and the last line; the exit code must say that it is not in step.
    fn not_in_step(&self, id: &str, arguments: &[&str]) -> (String, String) {
        let output = self.status(arguments);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout).unwrap();
        let row = text.lines().find_map(|line| line.strip_prefix(id)?.strip_prefix(' '));
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("not in step: "), "{text}");
        (row.unwrap_or_else(|| panic!("{text}")).trim().to_owned(), last.to_owned())
    }
}

fn alford() -> StandIn {
    StandIn::answering(ok(&well("Alford", &["Ball"])))
}

/// The row and the last line of a herd whose Ball does this with its connections.
fn with_ball(serve: impl Fn(&TcpStream) + Send + Sync + 'static, arguments: &[&str]) -> (String, String) {
    let (alford, ball) = (alford(), StandIn::new(serve));
    Asked::pair(&alford, &ball).not_in_step("Ball", arguments)
}

fn with_answer(answer: impl Into<Vec<u8>>) -> (String, String) {
    let answer = answer.into();
    // It is not asked for more than it has; a write to one who has heard enough may fail.
    with_ball(move |mut stream| drop(stream.write_all(&answer)), &[])
}

#[test]
fn herd_in_step_is_a_table_and_exit_code_0() {
    let (alford, ball) = (alford(), StandIn::answering(ok(&well("Ball", &["Alford"]))));
    let output = Asked::pair(&alford, &ball).status(&[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "\
NODE    STATE    UPTIME  CLIENTS  DIGEST
Alford  running     12s      123  01234567
Ball    running     12s      123  01234567

LINK           STATE       LAG    CLOCK  OUTBOX
Alford > Ball  in step  1.2 ms  -0.4 ms
Ball > Alford  in step  1.2 ms  -0.4 ms

in step
"
    );
    assert!(alford.asked().starts_with("GET /status HTTP/1.1\r\n"), "{}", alford.asked());
}

#[test]
fn node_that_is_down_is_named() {
    let alford = alford();
    let (address, _taken) = refusing_address();
    let asked = Asked::new(&[("Alford", Some(alford.address())), ("Ball", Some(&address))]);
    let (row, last) = asked.not_in_step("Ball", &[]);
    assert!(row.starts_with("down ") && row.contains("refused"), "{row}");
    assert_eq!(last, "not in step: Ball is down");
}

#[test]
fn node_without_http_cannot_be_judged() {
    let alford = alford();
    for http in [None, Some("127.0.0.1:0")] {
        let asked = Asked::new(&[("Alford", Some(alford.address())), ("Ball", http)]);
        let (row, last) = asked.not_in_step("Ball", &[]);
        assert_eq!(
            (row.as_str(), last.as_str()),
            ("no http", "not in step: Ball has no http and cannot be judged")
        );
    }
}

#[test]
fn plain_node_is_not_judged() {
    let mut status = well("Alford", &["Ball"]);
    status["links"][0]["dialect"] = json!("plain");
    let alford = StandIn::answering(ok(&status));
    let nodes = [("Alford", Some(alford.address())), ("Ball", None)];
    let keys = ("plain_listen = \"127.0.0.1:9\"\n", "dialect = \"plain\"\n");
    let output = Asked::with_keys(&nodes, keys.0, keys.1).status(&[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nBall    plain\n") && text.ends_with("\nin step\n"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn node_that_does_not_answer_in_time_is_named_however_it_is_slow() {
    let silent = |stream: &TcpStream| stand_in::wait_for_close(stream);
    let (row, last) = with_ball(silent, &[]);
    assert_eq!(
        (row.as_str(), last.as_str()),
        ("no answer in 2 s", "not in step: Ball does not answer in 2 s")
    );
    // Each byte comes in time; all of them would not.
    let slow_head = |stream: &TcpStream| stand_in::dribble(stream, "HTTP/1.1 200 OK\r\nx-slow: ");
    let slow_body =
        |stream: &TcpStream| stand_in::dribble(stream, "HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n");
    for serve in [slow_head, slow_body] {
        let (row, last) = with_ball(serve, &["--timeout", "0.3"]);
        assert_eq!(
            (row.as_str(), last.as_str()),
            ("no answer in 0.3 s", "not in step: Ball does not answer in 0.3 s")
        );
    }
}

#[test]
fn nodes_are_asked_all_at_once() {
    let all_are_asked = Arc::new(Barrier::new(3));
    let stand_in = |node: &str, peers: &[&str]| {
        let (all_are_asked, answer) = (Arc::clone(&all_are_asked), ok(&well(node, peers)));
        StandIn::new(move |mut stream| {
            all_are_asked.wait();
            stream.write_all(answer.as_bytes()).unwrap();
        })
    };
    let [a, b, c] = [stand_in("A", &["B"]), stand_in("B", &["A", "C"]), stand_in("C", &["B"])];
    let asked = Asked::new(&[("A", Some(a.address())), ("B", Some(b.address())), ("C", Some(c.address()))]);
    assert_eq!(asked.status(&["--timeout", "20"]).status.code(), Some(0));
}

#[test]
fn what_is_no_status_is_a_bad_answer() {
    let mut other_herd = well("Ball", &["Alford"]);
    other_herd["herd"] = json!("other");
    let short = format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", well("Ball", &["Alford"]));
    for (answer, what) in [
        (http("500 Internal Server Error", "{}"), "HTTP 500"),
        (http("404 Not Found", ""), "HTTP 404"),
        (http("302 Found", "").replace("\r\n\r\n", "\r\nlocation: /elsewhere\r\n\r\n"), "HTTP 302"),
        (http("200 OK", "<html>"), "it is not JSON"),
        (http("200 OK", ""), "it is not JSON"),
        (http("200 OK", "{\"node\": \"Ball\"}"), "it is no status: missing field `links`"),
        (ok(&well("Carol", &["Alford"])), "it is Carol"),
        (ok(&other_herd), "it is a node of the herd other"),
        (String::new(), "it ended early"),
        ("HTTP/1.1 200 OK\r\ncont".to_owned(), "it ended early"),
        (short, "it ended early"),
    ] {
        let (row, last) = with_answer(answer);
        assert_eq!(row, format!("bad answer: {what}"));
        assert_eq!(last, format!("not in step: Ball's answer is bad: {what}"));
    }
    let (row, _) = with_answer("? GET /status HTTP/1.1\n".repeat(100));
    assert!(row.starts_with("bad answer: "), "{row}");
}

#[test]
fn answer_without_end_is_not_read_to_its_end() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"] {
        let pour = move |mut stream: &TcpStream| {
            let spaces = [b' '; 64 * 1024];
            let mut written = stream.write_all(head.as_bytes());
            while written.is_ok() {
                written = stream.write_all(&spaces);
            }
        };
        let (row, _) = with_ball(pour, &["--timeout", "20"]);
        assert_eq!(row, "bad answer: it is longer than 1048576 bytes");
    }
    let endless_head = |mut stream: &TcpStream| {
        let mut written = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while written.is_ok() {
            written = stream.write_all(b"x-more: and more of it, and more of it, and more of it\r\n");
        }
    };
    let (row, _) = with_ball(endless_head, &["--timeout", "20"]);
    assert!(row.starts_with("bad answer: "), "{row}");
}

#[test]
fn json_has_every_node_with_its_result_and_its_status_as_answered() {
    let (a, slow, bad) = (
        StandIn::answering(ok(&well("A", &["Down"]))),
        StandIn::new(stand_in::wait_for_close),
        StandIn::answering(http("500 Internal Server Error", "")),
    );
    let (address, _taken) = refusing_address();
    let nodes = [
        ("A", Some(a.address())),
        ("Down", Some(address.as_str())),
        ("None", None),
        ("Slow", Some(slow.address())),
        ("Bad", Some(bad.address())),
    ];
    let output = Asked::new(&nodes).status(&["--json", "--timeout", "0.5"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    let look: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&look["in_step"], &look["herd"]), (&json!(false), &json!("pair")));
    let summary = look["summary"].as_str().unwrap();
    assert_eq!(
        summary,
        "not in step: Down is down; Slow does not answer in 0.5 s; None has no http and cannot be judged; \
         Bad's answer is bad: HTTP 500"
    );
    let results = ["answered", "down", "no_http", "timeout", "bad_answer"];
    for ((node, result), found) in nodes.iter().zip(results).zip(look["nodes"].as_array().unwrap()) {
        assert_eq!((&found["node"], &found["address"]), (&json!(node.0), &json!(node.1)));
        assert_eq!(found["result"], result);
        assert_eq!(found["error"].is_string(), ["down", "bad_answer"].contains(&result), "{found}");
    }
    assert_eq!(look["nodes"][0]["status"], well("A", &["Down"]), "unknown fields too");
    assert_eq!(look["nodes"][1]["status"], Value::Null);
}

#[test]
fn json_of_a_herd_in_step_says_so() {
    let (alford, ball) = (alford(), StandIn::answering(ok(&well("Ball", &["Alford"]))));
    let output = Asked::pair(&alford, &ball).status(&["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let look: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&look["in_step"], &look["summary"]), (&json!(true), &json!("in step")));
}

/// Ball that is draining when it is asked for the first time, and well from then on; or the other way round.
pub(super) fn turning(well_at_first: bool) -> StandIn {
    let asked = AtomicUsize::new(0);
    StandIn::new(move |mut stream| {
        let is_first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        let mut status = well("Ball", &["Alford"]);
        if is_first != well_at_first {
            status["state"] = json!("draining");
        }
        stream.write_all(ok(&status).as_bytes()).unwrap();
    })
}

#[test]
fn watch_prints_block_after_block_and_ends_with_the_last_ones_exit_code() {
    for (well_at_first, signal) in [(false, Signal::INT), (true, Signal::TERM)] {
        let (alford, ball) = (alford(), turning(well_at_first));
        let asked = Asked::pair(&alford, &ball);
        let mut watch = Process::start(asked.command(&["--watch", "--interval", "0.05"]));
        let verdicts = ["not in step: Ball is draining", "in step"];
        let (first, then) =
            if well_at_first { (verdicts[1], verdicts[0]) } else { (verdicts[0], verdicts[1]) };
        watch.hear("two blocks", |said| {
            let ends: Vec<_> = said.iter().filter(|line| verdicts.contains(&line.as_str())).collect();
            ends.len() >= 2 && ends[0] == first && ends[1..].iter().all(|end| *end == then)
        });
        watch.signal(signal);
        assert_eq!(watch.end().code(), Some(i32::from(well_at_first)), "{:?}", watch.said);
        let titles: Vec<_> = watch.said.iter().filter(|line| line.starts_with("pair at 2")).collect();
        assert!(titles.len() >= 2 && titles.iter().all(|title| title.ends_with('Z')), "{:?}", watch.said);
        assert!(watch.said.iter().all(|line| !line.contains('\x1b')), "no terminal, no control sequences");
        assert!(watch.all_complaints().is_empty());
    }
}

#[test]
fn watch_as_json_is_an_object_a_line() {
    let (alford, ball) = (alford(), turning(false));
    let asked = Asked::pair(&alford, &ball);
    let mut watch = Process::start(asked.command(&["--watch", "--json", "--interval", "0.05"]));
    watch.hear("two lines", |said| said.len() >= 2);
    watch.signal(Signal::INT);
    assert_eq!(watch.end().code(), Some(0));
    let looks: Vec<Value> = watch.said.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&looks[0]["in_step"], &looks[1]["in_step"]), (&json!(false), &json!(true)));
}

#[test]
fn reader_who_has_seen_enough_does_not_put_the_herd_in_step() {
    let (go, gone) = crossbeam_channel::bounded::<()>(0);
    let ball = StandIn::new(move |mut stream| {
        // Answers once nobody reads any more.
        let _ = gone.recv();
        stream.write_all(http("500 Internal Server Error", "").as_bytes()).unwrap();
    });
    let alford = alford();
    let asked = Asked::pair(&alford, &ball);
    for arguments in [&["--timeout", "20"][..], &["--timeout", "20", "--watch"]] {
        let mut command = asked.command(arguments);
        let mut status = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(status.stdout.take());
        go.send_timeout((), Duration::from_secs(20)).unwrap();
        let output = status.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let alford = alford();
    let asked = Asked::new(&[("Alford", Some(alford.address()))]);
    for (arguments, why) in [
        (&["--interval", "1"][..], "--watch"),
        (&["--timeout", "0"], "give 0.01 to 60 seconds"),
        (&["--timeout", "61"], "give 0.01 to 60 seconds"),
        (&["--timeout", "nan"], "give 0.01 to 60 seconds"),
        (&["--watch", "--interval", "x"], "give 0.01 to 86400 seconds"),
        (&["Alford"], "unexpected argument"),
    ] {
        let output = asked.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why) && said.lines().count() == 1 && output.stdout.is_empty(), "{said}");
    }
    let missing = herd_command(&["status", "--config", "/nowhere/x.toml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
}
