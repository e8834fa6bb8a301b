//! Links under strain: a repair over a line that lets little pass costs no connection and few bytes more than it must, and
//! news overtakes it; a third-party node that is gone without a word is noticed, though it cannot be pinged.
//!
//! `cargo test --test it processes::strain -- --ignored --nocapture` measures how late news is during such a repair, and writes
//! the run folder `bench/runs/DATE-strain`.

use std::{
    net::{SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::support::{FaultyHerd, Herd, Namespace, eventually, heavy};
use crate::support::{Fault, Manners, Passed, PlainNode, RunFolder};

/// What the line lets pass in a second. All that is repaired takes more than twice the time after which a silent neighbour
/// is given up.
const RATE: u32 = 200_000;
const LIVENESS: &str = "liveness_seconds = 2\n";

const CLIENTS: usize = 2_000;
const ID_BYTES: usize = 480;

/// What may stand between news and the moment it is told: what is being written, what may be under way, and what the system
/// and the forwarder hold of it.
const AHEAD_BYTES_MAX: usize = 400_000;

fn client(number: usize) -> String {
    format!("{number:0ID_BYTES$}")
}

fn report_all(herd: &Herd, id: &str, clients: usize) {
    let mut client_of = herd.client(id);
    for first in (0..clients).step_by(50) {
        let numbers = first..(first + 50).min(clients);
        let lines = numbers.clone().map(|number| format!("IAMAT {} +1+1 1400000000\n", client(number)));
        client_of.send(lines.collect::<String>().as_bytes());
        numbers.for_each(|_| assert!(client_of.line().starts_with("AT ")));
    }
}

fn pushed_bytes(passed: &Passed) -> usize {
    let lines = passed.bytes.split_inclusive(|&byte| byte == b'\n');
    lines.filter(|line| line.starts_with(b"PUSH ")).map(<[u8]>::len).sum()
}

fn count(text: &[u8], what: &str) -> usize {
    memchr::memmem::find_iter(text, what).count()
}

#[test]
fn repair_over_a_slow_line_costs_no_link_and_few_bytes_more_than_it_must_and_news_overtakes_it() {
    let _turn = heavy();
    let mut herd = FaultyHerd::line_of(&["A", "B"], LIVENESS);
    herd.fail("A", "B", Fault::Throttle(RATE));
    herd.start("A");
    report_all(&herd, "A", CLIENTS);
    herd.start("B");
    let passed = || herd.passed("A", "B");
    eventually("the repair is under way", || passed().bytes.len() > 100_000);
    let news = herd.report("A", "late.example", "1400000001");
    let told = passed().bytes.len();
    herd.wait_for_step("A", "B", 0);
    herd.wait_until_known(&["B"], "late.example", &news);
    herd.wait_until_known(&["B"], &client(CLIENTS - 1), &herd.client("A").whatsat(&client(CLIENTS - 1)).0);

    let passed = passed();
    let needed = pushed_bytes(&passed);
    // The news may be stored already where a part of the store is told that the neighbour lacks.
    let pushed = count(&passed.bytes, "PUSH ");
    assert!((CLIENTS..=CLIENTS + 1).contains(&pushed), "each location is pushed once: {pushed}");
    assert!(needed > 1_000_000 && passed.bytes.len() <= needed / 10 * 12, "{}", passed.bytes.len());
    assert_eq!(passed.connections, 1, "{:#?}", herd.log("A"));
    let news_at = memchr::memmem::find(&passed.bytes, format!("{news} A\n").as_bytes());
    let news_at = news_at.expect("news is told as such");
    assert!(news_at <= told + AHEAD_BYTES_MAX, "{news_at}, though only {told} bytes had passed");
    assert!(count(&passed.bytes[news_at..], "PUSH ") > CLIENTS / 4, "it has overtaken the repair");
}

/// A node, and a third-party node beside it.
fn beside_plain() -> Herd {
    Herd::new(
        r#"
[herd]
name = "beside"
[limits]
liveness_seconds = 1
[[node]]
id = "A"
listen = "127.0.0.1:11601"
plain_listen = "127.0.0.1:11701"
links = ["Plain"]
[[node]]
id = "Plain"
listen = "127.0.0.1:11605"
dialect = "plain"
"#,
    )
}

#[test]
fn third_party_node_that_is_gone_without_a_word_is_noticed() {
    let _turn = heavy();
    let Some(namespace) = Namespace::new("a third-party node whose network goes away") else { return };
    thread::scope(|scope| {
        let test = scope.spawn(|| {
            namespace.enter().unwrap();
            let mut herd = beside_plain();
            herd.start("A");
            let at = |port| {
                let listens_at: SocketAddr = herd.listens_at("A").parse().unwrap();
                SocketAddr::new(listens_at.ip(), port)
            };
            let plain = PlainNode::start("Plain", TcpListener::bind(at(11605)).unwrap(), Manners::default());
            plain.tell(at(11701));
            plain.report("theirs", "6.5");
            herd.wait_until_known(&["A"], "theirs", "AT Plain +1.000000000 theirs +1+1 6.5");
            herd.wait_for_log("A", &["sent Plain every location"]);
            // Nothing is said on either connection from now on, and nothing closes them.
            namespace.ip("link set lo down");
            herd.wait_for_log("A", &["WARN  lost Plain: reading failed: "]);
            herd.wait_for_log("A", &["INFO  Plain is no longer connected as #"]);
            namespace.ip("link set lo up");
        });
        test.join().unwrap();
    });
}

/// Lines that are measured, in bytes a second, how long the repair over each takes at least, and how often it is done.
const MEASURED_RATES: [u32; 3] = [50_000, 200_000, 1_000_000];
const MEASURED_SECONDS: usize = 20;
const ROUNDS: usize = 3;

/// From one report that is followed to the next, and how many there are at most.
const NEWS_GAP: Duration = Duration::from_millis(300);
const NEWS_MAX: usize = 200;

/// How late each of several reports was known at the other end of the line during a repair, and what passed.
fn follow_news(rate: u32) -> (Vec<f64>, Passed) {
    let mut herd = FaultyHerd::line_of(&["A", "B"], "");
    herd.fail("A", "B", Fault::Throttle(rate));
    herd.start("A");
    report_all(&herd, "A", rate as usize * MEASURED_SECONDS / ID_BYTES);
    herd.start("B");
    eventually("the repair is under way", || herd.passed("A", "B").bytes.len() > 2_000);
    let (mut watcher, mut news) = (herd.client("B"), Vec::new());
    while news.len() < NEWS_MAX && !herd.log("A").iter().any(|line| line.contains("in step with B: ")) {
        let client = format!("news-{}.example", news.len());
        let at = herd.report("A", &client, "1400000001");
        let began = Instant::now();
        while watcher.whatsat(&client).0 != at {
            thread::sleep(Duration::from_millis(2));
        }
        news.push(began.elapsed().as_secs_f64() * 1000.0);
        thread::sleep(NEWS_GAP);
    }
    news.sort_by(f64::total_cmp);
    (news, herd.passed("A", "B"))
}

#[test]
#[ignore = "takes minutes, and writes a run folder"]
fn news_during_a_repair_over_slow_lines_is_measured() {
    let _turn = heavy();
    let command = "cargo test --test it processes::strain -- --ignored --nocapture";
    let mut folder = RunFolder::create("strain", command);
    let mut summary = "# strain\n\nNews from one node to another while a repair goes the same way over a line that carries \
        little: from the reporting node's answer until the other node gives it to who asks every 2 ms. Two processes, between \
        them a forwarder that passes so many bytes a second on.\n\n\
        | line, kB/s | round | repaired, kB | passed / repaired | connections | news | median, ms | slowest, ms |\n\
        |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for rate in MEASURED_RATES {
        for round in 1..=ROUNDS {
            let (news, passed) = follow_news(rate);
            let (needed, bytes, connections) =
                (pushed_bytes(&passed), passed.bytes.len(), passed.connections);
            folder.append(&json!({
                "round": round, "rate": rate, "repaired_bytes": needed, "passed_bytes": bytes,
                "connections": connections, "news_ms": news,
            }));
            let row = format!(
                "| {} | {round} | {} | {:.3} | {connections} | {} | {:.0} | {:.0} |\n",
                rate / 1000,
                needed / 1000,
                bytes as f64 / needed as f64,
                news.len(),
                news[news.len() / 2],
                news[news.len() - 1],
            );
            print!("{row}");
            summary += &row;
        }
    }
    folder.finish(&summary);
}
