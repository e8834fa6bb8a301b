//! How `run` ends: complete, interrupted, when a rate was not reached, with nothing measured, or at once. Each end has its
//! exit code, and is told.

use std::{
    fs::File,
    io::Read,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use herd_load::{
    drive::Drive,
    load::{Length, Load},
    outcome::{End, Errors},
};
use proxyherd::system::signals::is_ignored;
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::{Value, json};

use crate::support::{FakeNode, honest, json, run, tester};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A node that tells when it has answered so many, and answers nothing after that.
fn silent_after(count: u32) -> (FakeNode, mpsc::Receiver<()>) {
    let (said, heard) = mpsc::channel();
    let seen = AtomicU32::new(0);
    let node = FakeNode::answering(move |report| {
        if seen.fetch_add(1, Ordering::Relaxed) < count {
            return honest(report);
        }
        let _nobody = said.send(());
        " ".to_owned()
    });
    (node, heard)
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn an_interrupted_run_writes_what_it_has() {
    let ends = [(Signal::TERM, 15), (Signal::INT, 2)];
    for (how, _) in ends.into_iter().filter(|(_, number)| !is_ignored(*number)) {
        for rate in [&[][..], &["-R", "20"]] {
            let (node, silent) = silent_after(10);
            let directory = tempfile::tempdir().unwrap();
            let [result, log] = ["result.json", "result.hlog"].map(|name| directory.path().join(name));
            let address = node.address().to_string();
            let mut run = tester(&["run", &address, "-d", "10m", "--timeout", "10m", "-c", "1", "-P", "1"]);
            run.args(rate).arg("--output-format=json").arg("-o").arg(&result).arg("--hdr").arg(&log);
            let mut child = run.spawn().unwrap();
            silent.recv_timeout(LONG).unwrap();
            assert!(!result.exists() && !log.exists(), "nothing is there before it is whole");
            signal(&child, how);
            assert_eq!(child.wait().unwrap().code(), Some(130));
            let outcome: Value = serde_json::from_slice(&std::fs::read(&result).unwrap()).unwrap();
            assert_eq!(
                (&outcome["end"], &outcome["in_flight"]),
                (&"interrupted".into(), &1.into()),
                "{outcome}"
            );
            assert_eq!((&outcome["replies"], &outcome["failed"]), (&10.into(), &json!([])), "{outcome}");
            assert!(std::fs::read_to_string(&log).unwrap().contains("Tag=IAMAT-service,"));
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
        }
    }
}

#[test]
fn an_interrupted_run_says_so_in_text() {
    let (node, silent) = silent_after(10);
    let mut run = tester(&["run", &node.address().to_string(), "-d", "600", "-c", "1"]);
    let child = run.stdout(Stdio::piped()).spawn().unwrap();
    silent.recv_timeout(LONG).unwrap();
    signal(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(text.contains("replies   10 in") && text.contains("INTERRUPTED with 1 request"), "{text}");
}

#[test]
fn a_second_signal_kills() {
    let (node, silent) = silent_after(10);
    // Standard output is full, and nobody reads it: the first signal ends the load, and the result cannot be written.
    let (_reader, writer) = std::io::pipe().unwrap();
    let full = rustix::pipe::fcntl_getpipe_size(&writer).unwrap();
    std::io::Write::write_all(&mut &writer, &vec![b' '; full]).unwrap();
    let mut child =
        tester(&["run", &node.address().to_string(), "-d", "600"]).stdout(writer).spawn().unwrap();
    silent.recv_timeout(LONG).unwrap();
    let deadline = Instant::now() + LONG;
    let status = loop {
        signal(&child, Signal::TERM);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline);
        thread::yield_now();
    };
    assert_eq!(status.signal(), Some(15));
}

/// The only child of a process, once it has one.
fn child_of(parent: &Child) -> String {
    let children = format!("/proc/{0}/task/{0}/children", parent.id());
    let deadline = Instant::now() + LONG;
    loop {
        let found = std::fs::read_to_string(&children).unwrap();
        if let Some(child) = found.split_whitespace().next() {
            return child.to_owned();
        }
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
}

#[test]
fn what_is_interrupted_during_the_ceiling_leaves_no_echo_behind() {
    let node = FakeNode::honest();
    let mut child = tester(&["run", &node.address().to_string(), "-d", "600", "--ceiling"]).spawn().unwrap();
    let echo = child_of(&child);
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!std::path::Path::new("/proc").join(echo).exists());
    assert_eq!(node.connections(), 0, "there was no load");
}

#[test]
fn a_turn_that_was_given_up_and_dropped_leaves_nothing_to_its_repeat() {
    let is_silent = Arc::new(AtomicBool::new(false));
    let silent = Arc::clone(&is_silent);
    let node = FakeNode::answering(move |report| {
        // The beginning of a line, which nothing may be read as a part of.
        if silent.load(Ordering::Relaxed) { "AT ".to_owned() } else { honest(report) }
    });
    let patience = Duration::from_millis(50);
    for rate in [None, Some(1_000.0)] {
        is_silent.store(false, Ordering::Relaxed);
        let load = Load { connections: 2, idle: 1, rate, patience, ..Load::on(node.address()) };
        let mut drive = Drive::open(Load { length: Length::Requests(10), ..load }).unwrap();
        drive.turn().unwrap();
        let (before, opened) = (drive.measured(), node.connections());
        is_silent.store(true, Ordering::Relaxed);
        drive.turn().unwrap();
        assert!(drive.is_over() && !drive.measured().is_whole());
        assert_eq!((drive.outcome().end, drive.outcome().errors.unanswered), (End::GaveUp, 2));
        is_silent.store(false, Ordering::Relaxed);
        drive.restore(&before).unwrap();
        drive.turn().unwrap();
        let outcome = drive.outcome();
        assert_eq!((outcome.replies, outcome.end, outcome.objection()), (20, End::Complete, None));
        assert_eq!((outcome.sent, outcome.in_flight), (20, 0), "what was not answered may not have arrived");
        assert_eq!(node.connections() - opened, 3, "all were replaced, the idle one included");
    }
}

#[test]
fn a_refusal_in_a_turn_that_is_dropped_is_still_told() {
    let lies = Arc::new(AtomicBool::new(false));
    let is_lying = Arc::clone(&lies);
    let node = FakeNode::answering(move |report| {
        if is_lying.swap(false, Ordering::Relaxed) { format!("? {report}\n") } else { honest(report) }
    });
    let load = Load { length: Length::Requests(10), ..Load::on(node.address()) };
    let mut drive = Drive::open(load).unwrap();
    let before = drive.measured();
    lies.store(true, Ordering::Relaxed);
    drive.turn().unwrap();
    drive.restore(&before).unwrap();
    drive.turn().unwrap();
    let outcome = drive.outcome();
    assert_eq!((outcome.replies, outcome.errors), (10, Errors { refused: 1, ..Errors::default() }));
    assert_eq!(outcome.mismatches.len(), 1);
    assert!(outcome.objection().is_some());
}

#[test]
fn a_rate_that_is_not_reached_ends_with_the_grace_and_all_that_was_planned_is_accounted_for() {
    // 5 ms each: on two connections it cannot answer more than 600 until the grace is over.
    let node = FakeNode::answering(|report| {
        thread::sleep(Duration::from_millis(5));
        honest(report)
    });
    let address = node.address().to_string();
    let slow = ["run", &address, "-R", "2000", "-d", "500ms", "-c", "2", "-P", "3", "--grace", "1s"];
    let output = run(&[&slow[..], &["--output-format=json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let outcome = json(&output);
    let number = |path: &str| outcome.pointer(path).and_then(Value::as_u64).unwrap();
    let (replies, sent) = (number("/replies"), number("/sent"));
    let (unanswered, unsent) = (number("/errors/unanswered"), number("/errors/unsent"));
    assert_eq!(replies + unanswered + unsent, 1_000, "{outcome}");
    assert_eq!((sent, &outcome["end"]), (replies + unanswered, &"grace_over".into()));
    assert!(unsent > 0 && (1..=6).contains(&unanswered), "{outcome}");
    let rate = outcome["rate"].as_f64().unwrap();
    assert!((rate * 0.5 - number("/in_time") as f64).abs() < 1e-6, "the rate and the count agree: {outcome}");
    let text = String::from_utf8(run(&slow).stdout).unwrap();
    assert!(text.contains(" in 0.500 s, and ") && text.contains(" after that time"), "{text}");
    assert!(text.contains("unsent ") && text.contains("\nCUT OFF "), "{text}");
}

#[test]
fn a_run_that_measured_nothing_has_failed_whatever_its_limits() {
    let node = FakeNode::answering(|_| String::new());
    let address = node.address().to_string();
    for rate in [&[][..], &["-R", "1000"]] {
        let lax =
            ["run", &address, "-n", "10", "-c", "1", "--max-errors=1000", "--max-p99=60s", "--timeout=60"];
        let output = run(&[&lax[..], rate, &["--output-format=json"]].concat());
        let outcome = json(&output);
        assert_eq!((output.status.code(), &outcome["service"]), (Some(1), &Value::Null), "{outcome}");
        assert_eq!(outcome["failed"], json!(["nothing was measured: no reply counts"]), "{outcome}");
        // An open loop knows at least how long was waited in vain.
        let unknown = json!(["p99 is not known, so not within 60s"]);
        assert_eq!(outcome["missed"], if rate.is_empty() { unknown } else { json!([]) });
        let text = String::from_utf8(run(&[&lax[..], rate].concat()).stdout).unwrap();
        assert!(text.contains("service   –\n"), "{text}");
    }
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    for wrong in [
        &["127.0.0.1:1", "-n", "0"][..],
        &["127.0.0.1:1", "-d", "0"],
        &["127.0.0.1:1", "-d", "0ms"],
        &["127.0.0.1:1", "-c", "0"],
        &["127.0.0.1:1", "-P", "0"],
        &["127.0.0.1:1", "-R", "0"],
        &["127.0.0.1:1", "--timeout", "0"],
        &["127.0.0.1:1", "--clients", "5"],
        &["127.0.0.1:1", "--reconnect", "-P", "2"],
        &["127.0.0.1:1", "--half-close"],
        &["127.0.0.1"],
    ] {
        let output = run(&[&["run"], wrong].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong:?}: {said}");
        assert!(said.lines().count() == 1 && said.ends_with("; try herd-load run --help\n"), "{said}");
    }
}

#[test]
fn the_testers_own_limit_of_open_files_is_told_as_its_own() {
    let node = FakeNode::honest();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 40; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_herd-load"), "run"]);
    let output = limited.args([&node.address().to_string(), "-c", "50"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), node.connections()), (Some(1), 0), "{said}");
    assert!(said.contains("this tester may have 40 files open") && said.contains("ulimit -n"), "{said}");
}

#[test]
fn whoever_has_read_enough_makes_nothing_fail() {
    let node = FakeNode::honest();
    let address = node.address().to_string();
    let folder = tempfile::tempdir().unwrap();
    for words in [
        &["run", &address, "-n", "10", "-c", "1"][..],
        &["run", &address, "-n", "10", "-c", "1", "--output-format=json"],
        &["completions", "bash"],
        &["man", folder.path().to_str().unwrap()],
        &["echo"],
        &["upstream"],
        &["--help"],
        &["--version"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = tester(words).current_dir("../..").stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), &said[..]), (Some(0), ""), "{words:?}");
    }
}

#[test]
fn progress_fits_a_narrow_terminal_and_leaves_nothing_on_it() {
    let node = FakeNode::honest();
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: 40, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let address = node.address().to_string();
    let mut run = tester(&["run", &address, "-d", "100ms", "--prefill"]);
    let mut child = run.stdout(Stdio::null()).stderr(terminal).env("TERM", "xterm").spawn().unwrap();
    // The command holds the terminal, too; reading ends when nobody does.
    drop(run);
    let mut shown = Vec::new();
    let _no_terminal = File::from(master).read_to_end(&mut shown);
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(shown).unwrap();
    let lines: Vec<_> = shown.split("\r\u{1b}[2K").collect();
    assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= 40), "{shown:?}");
    assert!(shown.contains("/s  errors 0") && lines.last() == Some(&""), "{shown:?}");
}

#[test]
fn a_file_that_is_none_is_written_as_it_is_and_a_link_stays() {
    let node = FakeNode::honest();
    let address = node.address().to_string();
    let few = ["run", &address, "-n", "10", "-c", "1", "-o"];
    let output = run(&[&few[..], &["/dev/stdout"]].concat());
    assert!(output.status.success() && output.stdout.starts_with(b"servers "), "{output:?}");
    let directory = tempfile::tempdir().unwrap();
    let [link, file] = ["link", "file"].map(|name| directory.path().join(name));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink("file", &link).unwrap();
    assert!(tester(&few).arg(&link).status().unwrap().success());
    assert!(link.is_symlink() && std::fs::read(&file).unwrap().starts_with(b"servers "));
}
