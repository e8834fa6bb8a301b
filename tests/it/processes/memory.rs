//! What a million clients cost in memory, and what hostile ones can, as the growth of a real node's process.

use std::{
    fs,
    io::{BufWriter, Read, Write},
    thread,
};

use rustix::process::Pid;

use super::support::{eventually, heavy, solo};

const CLIENTS: u64 = 1_000_000;
const BYTES_A_CLIENT_MAX: f64 = 140.0;

#[test]
fn million_clients_take_at_most_140_bytes_each() {
    let _turn = heavy();
    let mut herd = solo("[log]\ntraffic = false\n");
    let start_time = herd.start("Solo");
    println!("from spawn to listening: {start_time:?}");
    let pid = herd.process("Solo").pid();
    let (resident_before, threads) = (status(pid, "VmRSS:") * 1024, status(pid, "Threads:"));

    let client = herd.client("Solo");
    let mut replies = client.stream.try_clone().unwrap();
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
        for number in 0..CLIENTS {
            let report = "+34.068930-118.445127 1479413884.392014450";
            writeln!(out, "IAMAT kiwi{number}.cs.ucla.edu {report}").unwrap();
        }
        out.flush().unwrap();
        client.end_input();
        count.join().unwrap()
    });
    assert_eq!(lines, CLIENTS);
    eventually("the connection's thread has ended", || status(pid, "Threads:") == threads);

    let grown = status(pid, "VmRSS:") * 1024 - resident_before;
    let each = grown as f64 / CLIENTS as f64;
    println!("{CLIENTS} clients: {grown} bytes resident more, {each:.1} each");
    assert!(each <= BYTES_A_CLIENT_MAX, "{each}");
    for number in [0, CLIENTS / 2, CLIENTS - 1] {
        let name = format!("kiwi{number}.cs.ucla.edu");
        let (at, _) = herd.client("Solo").whatsat(&name);
        assert!(at.ends_with(&format!(" {name} +34.068930-118.445127 1479413884.392014450")), "{at}");
    }
}

/// Reports as large as lines may be, each of another client: so many of them are more than a node may take.
const LARGE_REPORTS: usize = 2_000;

#[test]
fn large_ids_and_positions_take_no_more_of_a_node_than_its_bounds() {
    const STORE_BYTES_MAX: u64 = 4 << 20;
    // A thread's stack and buffers, and what the allocator keeps.
    const OTHER_BYTES_MAX: u64 = 4 << 20;
    let _turn = heavy();
    let mut herd = solo(&format!(
        "http = \"127.0.0.1:11680\"\n[log]\ntraffic = false\n[limits]\nmax_bytes = {STORE_BYTES_MAX}\n"
    ));
    herd.start("Solo");
    let pid = herd.process("Solo").pid();
    // The first report's own costs come once.
    herd.client("Solo").ask("IAMAT kiwi +1+1 1");
    let resident_before = status(pid, "VmRSS:") * 1024;
    let (digits, mut client) = ("1".repeat(16_000), herd.client("Solo"));
    let mut refused = 0;
    for number in 0..LARGE_REPORTS {
        refused += usize::from(client.ask(&format!("IAMAT {number}-{digits} +1+1 1")).starts_with("? "));
        refused += usize::from(client.ask(&format!("IAMAT {number} +1.{digits}+1 1")).starts_with("? "));
    }
    let grown = status(pid, "VmRSS:") * 1024 - resident_before;
    println!("{refused} of {} reports refused, {grown} bytes resident more", 2 * LARGE_REPORTS);
    assert!(grown <= STORE_BYTES_MAX + OTHER_BYTES_MAX, "{grown}");
    assert!(herd.metric("Solo", "proxyherd_store_bytes") <= STORE_BYTES_MAX as f64);
    let count = |outcome| {
        herd.metric("Solo", &format!("proxyherd_requests_total{{kind=\"iamat\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!(count("long_client"), LARGE_REPORTS as f64);
    assert_eq!(count("long_client") + count("out_of_bytes"), refused as f64);
    // Whoever is known goes on.
    let reply = client.ask("IAMAT kiwi +2+2 2");
    assert_eq!(client.whatsat("kiwi").0, reply);
}

/// A number of `/proc/PID/status`; memory in KiB.
pub(super) fn status(pid: Pid, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
