//! What a million clients cost in memory, as the growth of a real node's process.

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

/// A number of `/proc/PID/status`; memory in KiB.
pub(super) fn status(pid: Pid, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
