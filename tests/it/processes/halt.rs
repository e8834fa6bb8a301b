//! Nodes that are stopped and continued by signals: to the others they are neighbours that read nothing. That costs the
//! others an outbox, no client waits for it, and what the stopped node missed it gets once it goes on.

use std::{
    io::{BufWriter, Read, Write},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::bounded;
use rustix::process::Signal;

use super::{
    memory::status,
    support::{FaultyHerd, Floors, Load, heavy, line_of, wait_until_agreed},
};

const MIB: u64 = 1 << 20;
const GROWN_BYTES_MAX: u64 = 64 * MIB;
pub(super) const CLIENTS: u64 = 20_000;
/// What is flooded is twice what the node may grow, at the least.
const REPORTS: u64 = 1_600_000;
const FIRST_TIME: u64 = 1_400_000_000;
const SLOWEST_REPLY: Duration = Duration::from_secs(1);

#[test]
fn neighbour_that_stops_reading_costs_its_outbox_and_nothing_more() {
    let _turn = heavy();
    // The link outlives the halt: nothing but the mark on its outbox tells that the neighbour misses something.
    let mut herd = line_of(&["B", "A", "C"], "liveness_seconds = 120\nwrite_seconds = 60\n");
    herd.start_all();
    report(&herd, "A", 0..CLIENTS);
    wait_until_agreed(&herd, &["A", "B", "C"], &floors(0));
    let pid = herd.process("A").pid();
    let before = status(pid, "VmRSS:") * 1024;

    herd.process("B").signal(Signal::STOP);
    let (stop, stopped) = bounded::<()>(0);
    let mut other = herd.client("A");
    let slowest = thread::scope(|scope| {
        let asks = scope.spawn(move || {
            let mut slowest = Duration::ZERO;
            // Asked about all along, not as often as possible.
            while stopped.recv_timeout(Duration::from_millis(5)).is_err_and(|error| error.is_timeout()) {
                let asked = Instant::now();
                let reply = other.ask("IAMAT other +1+1 1400000000");
                assert!(reply.starts_with("AT A "), "{reply}");
                slowest = slowest.max(asked.elapsed());
            }
            slowest
        });
        report(&herd, "A", CLIENTS..REPORTS);
        drop(stop);
        asks.join().unwrap()
    });
    // The most it ever was.
    let grown = (status(pid, "VmHWM:") * 1024).saturating_sub(before);
    println!("grown by {} KiB, slowest reply {slowest:?}", grown / 1024);
    assert!(grown <= GROWN_BYTES_MAX, "{grown} bytes");
    assert!(slowest < SLOWEST_REPLY, "{slowest:?}");
    herd.wait_for_log("A", &["WARN  the outbox of B is full"]);

    herd.process("B").signal(Signal::CONT);
    wait_until_agreed(&herd, &["A", "B", "C"], &floors(REPORTS - CLIENTS));
    assert!(!herd.log("A").iter().any(|line| line.contains("lost B")), "the link was there all along");
}

#[test]
fn node_halted_under_load_until_it_is_given_up_loses_nothing() {
    let _turn = heavy();
    let all = ["A", "B", "C"];
    let mut herd = FaultyHerd::line_of(&all, "liveness_seconds = 1\n");
    herd.start_all();
    let load = Load::start(&herd, &all);
    load.wait_for_more(&all, 1000);
    herd.process("B").signal(Signal::STOP);
    for neighbour in ["A", "C"] {
        herd.wait_for_log(neighbour, &["WARN  lost B: it "]);
        herd.wait_for_log(neighbour, &["WARN  no link to B at ", " yet: "]);
    }
    load.wait_for_more(&["A", "C"], 1000);
    let (a_lines, c_lines) = (herd.log("A").len(), herd.log("C").len());
    herd.process("B").signal(Signal::CONT);
    herd.wait_for_step("A", "B", a_lines);
    herd.wait_for_step("C", "B", c_lines);
    load.wait_for_more(&all, 500);
    wait_until_agreed(&herd, &all, &load.end());
}

/// Reports at a node as fast as it answers, and waits for all answers.
pub(super) fn report(herd: &super::support::Herd, id: &str, numbers: std::ops::Range<u64>) {
    let client = herd.client(id);
    let mut replies = client.stream.try_clone().unwrap();
    let expected = numbers.end - numbers.start;
    let lines = thread::scope(|scope| {
        let count = scope.spawn(move || {
            let (mut lines, mut buffer) = (0, vec![0; 1 << 16]);
            loop {
                match replies.read(&mut buffer).unwrap() {
                    0 => return lines,
                    read => lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64,
                }
            }
        });
        let mut out = BufWriter::with_capacity(1 << 16, &client.stream);
        for number in numbers {
            let (name, time) = (number % CLIENTS, FIRST_TIME + number);
            writeln!(out, "IAMAT kiwi{name}.cs.ucla.edu +34.068930-118.445127 {time}").unwrap();
        }
        out.flush().unwrap();
        client.end_input();
        count.join().unwrap()
    });
    assert_eq!(lines, expected);
}

/// What must be known once as many as there are clients have been reported from this number on, which is a round one.
pub(super) fn floors(from: u64) -> Floors {
    (from..from + CLIENTS)
        .map(|number| (format!("kiwi{}.cs.ucla.edu", number % CLIENTS), FIRST_TIME + number))
        .collect()
}
