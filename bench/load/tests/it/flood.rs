//! `flood`: real nodes in a row, and herds played here, whose servers learn of reports when the test wants them to.

use std::{
    collections::HashMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Output},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use herd_load::{
    flood::{Endpoint, FloodError, FloodPlan, measure},
    server::Server,
};
use serde_json::Value;

use crate::support::{FakeNode, herd, run};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// What was reported, by client: since when, and the AT line.
type Reports = Arc<Mutex<HashMap<String, (Instant, String)>>>;
/// How long after a report a server learns of it; none for never.
type Delay = Arc<dyn Fn() -> Option<Duration> + Send + Sync>;

/// A server that takes reports at once, and answers lookups of what it has learned of.
struct Played {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    accept: Option<JoinHandle<()>>,
}

impl Played {
    fn new(reports: &Reports, delay: Delay) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, reports) = (Arc::clone(&stop), Arc::clone(reports));
        let accept = thread::spawn(move || {
            thread::scope(|scope| {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let (reports, delay) = (&reports, &delay);
                    scope.spawn(move || session(&stream, reports, delay));
                }
            });
        });
        Self { address, stop, accept: Some(accept) }
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(accept) = self.accept.take() {
            drop(accept.join());
        }
    }
}

fn session(mut stream: &TcpStream, reports: &Reports, delay: &Delay) {
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let fields: Vec<_> = line.split(' ').collect();
        let client = fields[1].to_owned();
        let answer = if fields[0] == "IAMAT" {
            let at = format!("AT Played +0.000000001 {}\n", fields[1..].join(" "));
            reports.lock().unwrap().insert(client, (Instant::now(), at.clone()));
            at
        } else {
            let is_known = |since: &Instant| delay().is_some_and(|delay| since.elapsed() >= delay);
            match reports.lock().unwrap().get(&client) {
                Some((since, at)) if is_known(since) => format!("{at}{{\n   \"results\" : []\n}}\n\n"),
                _ => format!("? {line}\n"),
            }
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Where reports are made, and those who learn of them so long after.
fn played(delays: &[Option<Duration>]) -> (Played, Vec<Played>) {
    let reports = Reports::default();
    let nodes = delays.iter().map(|delay| {
        let delay = *delay;
        Played::new(&reports, Arc::new(move || delay))
    });
    let nodes = nodes.collect();
    (Played::new(&reports, Arc::new(|| Some(Duration::ZERO))), nodes)
}

fn plan(from: SocketAddr, to: &[SocketAddr]) -> FloodPlan {
    let to = to.iter().map(|address| Endpoint::from(*address)).collect();
    FloodPlan { reports: 5, warmup: 1, round_trips: 3, timeout: LONG, ..FloodPlan::new(from.into(), to) }
}

fn flood(arguments: &[&str]) -> Output {
    run(&[&["flood", "--warmup=1", "--round-trips=5"], arguments].concat())
}

/// The figures a run printed, a JSON object a line.
fn figures(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn figure(figures: &[Value], server: &str, what: &str) -> f64 {
    let is_it = |figure: &&Value| figure["server"] == server && figure["what"] == what;
    let found: Vec<_> = figures.iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "{server} {what}: {figures:?}");
    found[0]["value"].as_f64().unwrap()
}

/// Nodes in a row, each linked with the next.
fn row(ids: &[&str]) -> Vec<Server> {
    let program = herd();
    // The ports must be known beforehand: ones that were free a moment ago.
    let free: Vec<_> = ids.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = free.iter().map(|listener| listener.local_addr().unwrap()).collect();
    drop(free);
    let scratch = tempfile::tempdir().unwrap();
    let config = scratch.path().join("herd.toml");
    let mut text = "[herd]\nname = \"flood\"\n".to_owned();
    for (index, id) in ids.iter().enumerate() {
        let next = ids.get(index + 1).map(|next| format!("{next:?}")).unwrap_or_default();
        text += &format!("\n[[node]]\nid = {id:?}\nlisten = \"{}\"\nlinks = [{next}]\n", addresses[index]);
    }
    fs::write(&config, text).unwrap();
    let start = |id: &&str| {
        let mut command = Command::new(&program);
        command.args(["node", id, "--config"]).arg(&config).arg("--log-dir").arg(scratch.path().join(id));
        Server::start(command).unwrap()
    };
    ids.iter().map(start).collect()
}

#[test]
fn each_node_of_a_row_is_seen_to_learn_of_every_report() {
    let nodes = row(&["Alford", "Ball", "Holiday"]);
    let named = |index: usize, name: &str| format!("{name}={}", nodes[index].address());
    let (from, ball, holiday) = (named(0, "Alford"), named(1, "Ball"), named(2, "Holiday"));
    let output = flood(&[&from, &ball, &holiday, "-n", "40", "--timeout=60s", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let figures = figures(&output);
    for server in ["Ball", "Holiday"] {
        assert_eq!(figure(&figures, server, "known"), 40.0);
        assert_eq!(figure(&figures, server, "lost"), 0.0);
        let [least, most] = ["not before p50", "hop p50"].map(|what| figure(&figures, server, what));
        assert!(0.0 <= least && least < most, "{least} {most}");
        assert!(figure(&figures, server, "bare p50") > 0.0 && figure(&figures, server, "lookup p50") > 0.0);
    }
    assert_eq!(figure(&figures, "every node", "known"), 40.0);
    assert!(figure(&figures, "every node", "hop max") >= figure(&figures, "Ball", "hop p50"));
    for figure in &figures {
        let keys: Vec<_> = figure.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["better", "part", "server", "unit", "value", "what"]);
        assert_eq!(figure["part"], "flood");
    }
}

#[test]
fn the_figures_are_text_to_read_or_json() {
    let (from, to) = played(&[Some(Duration::ZERO)]);
    let (from, to) = (from.address.to_string(), to[0].address.to_string());
    let text = String::from_utf8(flood(&[&from, &to, "-n", "3"]).stdout).unwrap();
    for part in ["3 reports at", &to, "every one of these", "of a core"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let figures = figures(&flood(&[&from, &to, "-n", "3", "--json"]));
    assert_eq!(figure(&figures, &to, "known"), 3.0);
}

#[test]
fn a_server_that_learns_late_is_told_to_be_as_late() {
    let late = Duration::from_millis(50);
    let (from, to) = played(&[Some(Duration::ZERO), Some(late)]);
    let outcome = measure(&plan(from.address, &[to[0].address, to[1].address])).unwrap();
    let [soon, late] = &outcome.nodes[..] else { panic!("{outcome:?}") };
    assert!(outcome.is_whole());
    assert_eq!((soon.hop.count, late.hop.count, outcome.every.count), (5, 5, 5));
    assert!(late.hop.p50_us >= 50_000.0 && outcome.every.p50_us >= 50_000.0, "{outcome}");
    assert!(late.not_before.p50_us > 0.0 && late.not_before.max_us < late.hop.max_us, "{outcome}");
    assert!(late.asked.p50_us >= late.not_before.p50_us && late.spacing.count > 0, "{outcome}");
}

#[test]
fn questions_can_be_further_apart() {
    let (from, to) = played(&[Some(Duration::from_millis(30))]);
    let spacing = Duration::from_millis(5);
    let outcome = measure(&FloodPlan { spacing, ..plan(from.address, &[to[0].address]) }).unwrap();
    assert!(outcome.nodes[0].spacing.p50_us >= 5_000.0 * 0.999, "{outcome}");
}

#[test]
fn a_server_that_never_learns_has_lost_the_reports() {
    let (from, to) = played(&[Some(Duration::ZERO), None]);
    let (from, known) = (from.address.to_string(), format!("Ball={}", to[0].address));
    let lost = format!("Welsh={}", to[1].address);
    let output = flood(&[&from, &known, &lost, "-n", "6", "--timeout=0.1"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("LOST") && text.contains("Welsh did not know of 3 reports"), "{text}");
    let row = text.lines().find(|line| line.starts_with("Welsh")).unwrap();
    assert!(row.contains(" - "), "what was not timed has no time: {row}");
    let output = flood(&[&from, &known, &lost, "-n", "6", "--timeout=0.1", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let figures = figures(&output);
    assert_eq!((figure(&figures, "Welsh", "known"), figure(&figures, "Welsh", "lost")), (0.0, 3.0));
    assert_eq!(figure(&figures, "every node", "known"), 0.0);
    assert!(!figures.iter().any(|figure| figure["server"] == "Welsh" && figure["what"] == "hop p50"));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let (from, _nobody) = played(&[]);
    let output = flood(&[&from.address.to_string(), "Ball=127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("cannot connect to Ball") && error.contains("check"), "{error}");
}

#[test]
fn what_is_no_server_of_the_protocol_is_told() {
    let (from, to) = played(&[Some(Duration::ZERO)]);
    let refusing = FakeNode::answering(|line| format!("? {line}\n"));
    let refused = measure(&plan(refusing.address(), &[to[0].address]));
    assert!(matches!(refused, Err(FloodError::Refused { .. })), "{refused:?}");
    let chatting = FakeNode::answering(|_| "220 welcome\n".to_owned());
    let wrong = measure(&plan(from.address, &[chatting.address()]));
    assert!(matches!(wrong, Err(FloodError::Wrong { .. })), "{wrong:?}");
}

/// A herd of one command a connection: it reads each to the end of the input, and answers without a newline.
#[test]
fn servers_of_one_command_a_connection_are_measured() {
    let reports = Reports::default();
    let [from, to] = [0, 1].map(|_| {
        let reports = Arc::clone(&reports);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        // It ends with the process.
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let reports = Arc::clone(&reports);
                thread::spawn(move || {
                    let mut command = String::new();
                    let Ok(1..) = stream.read_to_string(&mut command) else { return };
                    let fields: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
                    let mut reports = reports.lock().unwrap();
                    let answer = if fields[0] == "IAMAT" {
                        let at = format!("AT Played -4.29e-05 {}", fields[1..].join(" "));
                        reports.insert(fields[1].clone(), (Instant::now(), at.clone()));
                        at
                    } else {
                        let known =
                            reports.get(&fields[1]).map(|(_, at)| format!("{at}\n{{\"results\" : []}}"));
                        known.unwrap_or_else(|| format!("? {}", command.trim_end()))
                    };
                    let _ = stream.write_all(answer.as_bytes());
                });
            }
        });
        address
    });
    let [from, to] = [from, to].map(|address| address.to_string());
    let output = flood(&[&from, &to, "-n", "5", "--half-close", "--timeout=60s", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(figure(&figures(&output), &to, "known"), 5.0);
    let output = run(&[
        "run",
        &from,
        "-n",
        "50",
        "-c",
        "2",
        "--reconnect",
        "--half-close",
        "--verify",
        "--output-format=json",
    ]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn servers_that_close_after_each_answer_are_measured_with_a_connection_each() {
    let (from, to) = played(&[Some(Duration::ZERO)]);
    let reconnect = true;
    let outcome = measure(&FloodPlan { reconnect, ..plan(from.address, &[to[0].address]) }).unwrap();
    assert!(outcome.is_whole(), "{outcome}");
    assert_eq!(outcome.nodes[0].hop.count, 5);
    let known = Mutex::new(HashMap::new());
    let once = FakeNode::once(true, move |line| {
        let client = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut known = known.lock().unwrap();
        if let Some(fields) = line.strip_prefix("IAMAT") {
            return known.entry(client).or_insert(format!("AT Solo 0.5{fields}\n")).clone();
        }
        known.get(&client).map_or_else(|| format!("? {line}\n"), |at| format!("{at}{{}}\n\n"))
    });
    let outcome = measure(&FloodPlan { reconnect, ..plan(once.address(), &[once.address()]) }).unwrap();
    assert!(outcome.is_whole(), "{outcome}");
    let (bare, reports) = (3, 6);
    assert!(once.connections() >= bare + 2 * reports, "{}", once.connections());
}
