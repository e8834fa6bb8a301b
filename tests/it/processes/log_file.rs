//! The log's file as operators meet it: a disk that takes no more, a folder that was removed under the node, a file that is
//! not the node's to write.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use rustix::{
    fs::{CWD, FileType, Mode},
    process::{Resource, Rlimit, Signal, prlimit},
};
use serde_json::Value;

use super::support::{Herd, Process, eventually, herd_command, solo};

/// A herd of one node with a web face.
fn solo_with_http(more: &str) -> Herd {
    solo(&format!("http = \"127.0.0.1:11680\"\n{more}"))
}

fn log_status(herd: &Herd) -> Value {
    let status: Value = serde_json::from_str(&herd.page("Solo", "/status")).unwrap();
    status["log"].clone()
}

/// Lets no file of the node's grow, as a full disk would not, or lets them grow again.
fn fill_disk(herd: &mut Herd, is_full: bool) {
    let bytes = is_full.then(|| fs::metadata(herd.log_path("Solo")).unwrap().len());
    let pid = herd.process("Solo").pid();
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

/// Asks until the log fails; how many lines that took, in and out.
fn write_until_it_fails(herd: &Herd) -> u64 {
    let (mut client, mut lines) = (herd.client("Solo"), 0);
    eventually("the log fails", || {
        client.ask("a line of the log");
        lines += 2;
        log_status(herd)["state"] == "failing"
    });
    lines
}

#[test]
fn full_disk_degrades_the_node_and_is_told_wherever_it_is_asked() {
    let mut herd = solo_with_http("[log]\nbuffer_bytes = 65536\n");
    herd.start("Solo");
    herd.wait_for_log("Solo", &["status and metrics are at"]);
    assert_eq!(
        (log_status(&herd)["state"].as_str(), herd.page("Solo", "/readyz").as_str()),
        (Some("ok"), "ready\n")
    );
    fill_disk(&mut herd, true);
    write_until_it_fails(&herd);
    herd.process("Solo").complaint("the log fails", |line| {
        line.starts_with("herd: the log ") && line.contains(" cannot be written: File too large")
    });
    let log = log_status(&herd);
    assert!(log["error"].as_str().unwrap().starts_with("File too large"), "{log}");
    assert!(log["failing_seconds"].as_f64().is_some(), "{log}");
    let ready = herd.page("Solo", "/readyz");
    assert!(ready.starts_with("ready, degraded: the log cannot be written: File too large"), "{ready}");
    let status = herd.command(&["status"]).output().unwrap();
    let shown = String::from_utf8(status.stdout).unwrap();
    assert!(shown.contains("  degraded: the log cannot be written: File too large"), "{shown}");
    assert!(status.status.success() && shown.ends_with("\nin step\n"), "{shown}");
    assert_eq!(herd.metric("Solo", "proxyherd_log_failing"), 1.0);
    // What finds no room in the buffer either is counted while the disk is still full. Some may have found none before.
    let dropped_lines = || herd.metric("Solo", "proxyherd_log_dropped_lines_total");
    let before = dropped_lines();
    let mut client = herd.client("Solo");
    eventually("lines are dropped", || {
        client.ask(&"x".repeat(10_000));
        dropped_lines() > before
    });
    assert!(log_status(&herd)["dropped_lines"].as_u64().unwrap() > 0);
    assert_eq!(herd.page("Solo", "/livez"), "live\n");
    fill_disk(&mut herd, false);
    eventually("the log is well", || log_status(&herd)["state"] == "ok");
    assert_eq!(
        (herd.metric("Solo", "proxyherd_log_failing"), herd.page("Solo", "/readyz").as_str()),
        (0.0, "ready\n")
    );
    let dropped = log_status(&herd)["dropped_lines"].as_u64().unwrap();
    herd.wait_for_log("Solo", &["the log could not be written for a while: File too large"]);
    herd.wait_for_log("Solo", &[&format!("WARN  {dropped} traffic lines dropped: ")]);
    herd.stop("Solo");
    assert!(herd.log("Solo").last().unwrap().ends_with("Solo stops, drained"));
}

#[test]
fn what_a_full_disk_loses_at_the_end_is_counted_on_standard_error() {
    let mut herd = solo_with_http("");
    herd.start("Solo");
    herd.wait_for_log("Solo", &["status and metrics are at"]);
    fill_disk(&mut herd, true);
    let asked = write_until_it_fails(&herd);
    herd.process("Solo").signal(Signal::TERM);
    assert_eq!(herd.process("Solo").end().code(), Some(0));
    let complaints = herd.process("Solo").all_complaints();
    let [_, lacks] = &complaints[..] else { panic!("{complaints:?}") };
    assert!(
        lacks.starts_with("herd: the log ") && lacks.contains("which are lost: File too large"),
        "{lacks}"
    );
    let (_, rest) = lacks.split_once(" lacks ").unwrap();
    let lost: u64 = rest.split(' ').next().unwrap().parse().unwrap();
    // Each line is bad, and told as an event a second; the stop is two events more.
    assert!((asked..asked + 40).contains(&lost), "{asked} lines, {complaints:?}");
}

#[test]
fn log_that_takes_no_bytes_does_not_keep_a_drained_node_alive() {
    let mut herd = solo("[limits]\ndrain_seconds = 1\n");
    fs::create_dir(&herd.logs).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, herd.log_path("Solo"), FileType::Fifo, mode, 0).unwrap();
    herd.start("Solo");
    // Nobody reads the pipe, which holds 64 KiB.
    let (mut client, line) = (herd.client("Solo"), "x".repeat(10_000));
    (0..10).for_each(|_| assert!(client.ask(&line).starts_with("? x")));
    let process = herd.process("Solo");
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(1));
    let complaints = process.all_complaints();
    let [lacks, left] = &complaints[..] else { panic!("{complaints:?}") };
    assert!(
        lacks.starts_with("herd: the log ") && lacks.ends_with("the disk does not end a write"),
        "{lacks}"
    );
    assert_eq!(left, "herd: Solo has drained, but its log has not; threads left: log");
}

#[test]
fn of_two_logs_the_one_whose_write_hangs_is_named_as_why_the_other_lacks_lines() {
    let names = "[log]\nevents_file = \"{node}.events\"\n";
    let mut herd = solo(&format!("[limits]\ndrain_seconds = 1\n{names}"));
    fs::create_dir(&herd.logs).unwrap();
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, herd.log_path("Solo"), FileType::Fifo, mode, 0).unwrap();
    herd.start("Solo");
    let (mut client, line) = (herd.client("Solo"), "x".repeat(10_000));
    (0..20).for_each(|_| assert!(client.ask(&line).starts_with("? x")));
    let process = herd.process("Solo");
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(1));
    let complaints = process.all_complaints();
    let [events, traffic, _] = &complaints[..] else { panic!("{complaints:?}") };
    assert!(
        traffic.contains("Solo.log lacks ") && traffic.ends_with(": the disk does not end a write"),
        "{traffic}"
    );
    assert!(
        events.contains("Solo.events lacks ")
            && events.contains(": a write to the log ")
            && events.ends_with("Solo.log does not end"),
        "{events}"
    );
}

#[test]
fn log_folder_removed_under_a_node_is_made_again_at_sighup() {
    let mut herd = solo("");
    herd.start("Solo");
    herd.wait_for_log("Solo", &["Solo of the herd solo starts at"]);
    fs::remove_dir_all(&herd.logs).unwrap();
    herd.process("Solo").signal(Signal::HUP);
    eventually("there is a log again", || herd.log_path("Solo").exists());
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(herd.logs.clone()), mode(herd.log_path("Solo"))), (0o700, 0o600));
    herd.client("Solo").ask("after");
    herd.wait_for_log("Solo", &["< after"]);
    herd.stop("Solo");
}

#[test]
fn folder_that_cannot_be_made_is_named_with_what_is_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "").unwrap();
    std::os::unix::fs::symlink("nowhere", path("lost")).unwrap();
    std::os::unix::fs::symlink("round", path("round")).unwrap();
    let herd = solo("");
    for (name, expected) in [
        ("file", "/file is not a folder; choose another folder with --log-dir"),
        ("file/deeper/logs", "/file is not a folder; "),
        ("lost", "/lost is a link that leads nowhere; remove it, or choose another folder"),
        ("lost/deeper", "/lost is a link that leads nowhere; "),
        ("round", "Too many levels of symbolic links"),
    ] {
        let mut command = herd_command(&["node", "Solo", "--lifeline", "--config"]);
        command.arg(&herd.config).arg("--log-dir").arg(path(name));
        let mut node = Process::start(command);
        node.end_input();
        assert_eq!(node.end().code(), Some(1), "{name}");
        let said = node.all_complaints();
        assert!(said.len() == 1 && said[0].contains(expected), "{name}: {said:?}");
    }
}

#[test]
fn log_that_is_a_link_is_refused_at_start_with_the_cure() {
    let herd = solo("");
    fs::create_dir(&herd.logs).unwrap();
    let others = herd.logs.join("others");
    fs::write(&others, "theirs").unwrap();
    std::os::unix::fs::symlink(&others, herd.log_path("Solo")).unwrap();
    let mut node = Process::start(herd.command(&["node", "Solo", "--lifeline"]));
    node.end_input();
    assert_eq!(node.end().code(), Some(1));
    let complaints = node.all_complaints();
    let [said] = &complaints[..] else { panic!("{complaints:?}") };
    assert!(said.contains("cannot be opened: it is a symbolic link"), "{said}");
    assert!(said.contains("; remove it, or have --log-dir name the folder"), "{said}");
    assert_eq!(fs::read_to_string(&others).unwrap(), "theirs");
}

#[test]
fn logs_bear_the_nodes_name_and_start_and_events_have_their_own() {
    let names = "file = \"{node}/{start}.log\"\nevents_file = \"{node}/{start}.err.log\"\n";
    let mut herd = solo(&format!("[log]\n{names}"));
    herd.start("Solo");
    herd.client("Solo").ask("before");
    let folder = herd.logs.join("Solo");
    let logs = || {
        let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let [events, traffic]: [PathBuf; 2] = paths.try_into().unwrap();
        (events, traffic)
    };
    let (events, traffic) = logs();
    let start = traffic.file_name().unwrap().to_str().unwrap().strip_suffix(".log").unwrap().to_owned();
    assert_eq!(events, folder.join(format!("{start}.err.log")));
    let shape: String =
        start.chars().map(|letter| if letter.is_ascii_digit() { 'd' } else { letter }).collect();
    assert_eq!(shape, "ddddddddTddddddZ");
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap_or_default();
    eventually("the line is logged", || {
        text(&traffic).contains("< before") && text(&events).contains("bad line")
    });
    // Whoever rotates them has the node make both anew.
    let moved = [&events, &traffic].map(|path| {
        let moved = herd.logs.join(path.file_name().unwrap());
        fs::rename(path, &moved).unwrap();
        moved
    });
    herd.process("Solo").signal(Signal::HUP);
    eventually("both are there again", || events.exists() && traffic.exists());
    herd.client("Solo").ask("after");
    herd.stop("Solo");
    assert_eq!(logs(), (events.clone(), traffic.clone()));
    assert!(text(&events).ends_with("Solo stops, drained\n"), "{}", text(&events));
    assert!(text(&traffic).contains("< after") && !text(&traffic).contains("before"), "{}", text(&traffic));
    assert!(text(&moved[0]).contains("INFO  Solo of the herd solo starts at "), "{}", text(&moved[0]));
    for (of_events, of_traffic) in [(&moved[0], &moved[1]), (&events, &traffic)] {
        let is_traffic = |line: &str| super::support::traffic(line).is_some();
        assert!(!text(of_events).lines().any(is_traffic) && text(of_traffic).lines().all(is_traffic));
        assert_eq!(
            [of_events, of_traffic].map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o777),
            [0o600; 2]
        );
    }
}
