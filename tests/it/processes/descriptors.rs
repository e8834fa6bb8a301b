//! A node that has no descriptor left: it refuses, says so, and goes on. The limit of the running process is lowered from
//! outside.

use std::{collections::BTreeSet, fs, time::Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::support::{Client, Herd, eventually, solo};

const REFUSED: &str = "WARN  refused a connection: no file descriptor is left";

#[test]
fn node_without_descriptors_refuses_says_so_and_goes_on() {
    let mut herd = solo("");
    herd.start("Solo");
    let address = herd.address("Solo");
    let mut old = herd.client("Solo");
    assert!(serves(&mut old));

    let pid = herd.process("Solo").pid();
    let raised = prlimit(Some(pid), Resource::Nofile, limit(three_more(pid))).unwrap();
    let mut last: Vec<_> = (0..3).map(|_| herd.client("Solo")).collect();
    assert!(last.iter_mut().all(serves), "there was room for three more");

    let began = Instant::now();
    for _ in 0..300 {
        assert!(is_refused(&address));
    }
    herd.wait_for_log("Solo", &[REFUSED]);
    let took = began.elapsed().as_secs();
    let lines = refusals(&herd);
    assert!(lines as u64 <= took + 1, "{lines} lines in {took} s");
    assert!(serves(&mut old) && last.iter_mut().all(serves), "those that were there go on");

    drop(last.pop());
    eventually("where one leaves there is room for one", || Client::try_connect(&address).is_ok_and(keeps));
    prlimit(Some(pid), Resource::Nofile, raised).unwrap();
    let mut many: Vec<_> = (0..20).map(|_| herd.client("Solo")).collect();
    assert!(many.iter_mut().all(serves), "the limit is raised");
    herd.stop("Solo");
}

#[test]
fn web_face_without_descriptors_closes_connections_and_does_not_leave_them_waiting() {
    let mut herd = solo("http = \"127.0.0.1:11700\"\n[http]\nrequest_seconds = 60\n");
    herd.start("Solo");
    let web = herd.address("Solo").replace(":11600", ":11700");
    let pid = herd.process("Solo").pid();
    let raised = prlimit(Some(pid), Resource::Nofile, limit(three_more(pid))).unwrap();
    // The web face's `accept` already holds one of the three for its next connection, so clients get two.
    let mut last: Vec<_> = (0..2).map(|_| herd.client("Solo")).collect();
    assert!(last.iter_mut().all(serves), "there was room for two clients");
    let _idle = Client::connect(&web);

    for _ in 0..100 {
        assert!(is_refused(&web));
    }
    assert!(last.iter_mut().all(serves), "those that were there go on");
    prlimit(Some(pid), Resource::Nofile, raised).unwrap();
    let mut probe = Client::connect(&web);
    probe.send(b"GET /livez HTTP/1.0\r\n\r\n");
    assert!(probe.line().starts_with("HTTP/1.1 200"), "the limit is raised");
    herd.stop("Solo");
}

fn limit(descriptors: u64) -> Rlimit {
    Rlimit { current: Some(descriptors), maximum: rustix::process::getrlimit(Resource::Nofile).maximum }
}

/// The limit that leaves a process three descriptors: they are handed out from the lowest free number.
fn three_more(pid: Pid) -> u64 {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let used: BTreeSet<u64> =
        entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect();
    (0..).filter(|number| !used.contains(number)).nth(2).unwrap() + 1
}

fn serves(client: &mut Client) -> bool {
    client.ask("hello") == "? hello"
}

fn keeps(mut client: Client) -> bool {
    // A refused one fails here or there.
    std::io::Write::write_all(&mut &client.stream, b"hello\n").is_ok()
        && client.try_line().is_ok_and(|line| line == "? hello")
}

/// Whether a new connection ends without a word.
fn is_refused(address: &str) -> bool {
    let mut client = Client::connect(address);
    client.try_line().is_ok_and(|line| line.is_empty())
}

fn refusals(herd: &Herd) -> usize {
    herd.log("Solo").iter().filter(|line| line.contains(REFUSED)).count()
}
