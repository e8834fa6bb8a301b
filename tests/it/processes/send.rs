//! `herd send` as a user runs it: lines from its arguments or its standard input, and one line of error where the node is
//! not there.

use std::io::{BufWriter, Write};

use super::support::{Process, heavy, solo};

const LINES: usize = 1_000_000;

#[test]
fn send_prints_the_replies_to_its_arguments() {
    let mut herd = solo("");
    herd.start("Solo");
    let report = "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1400000000";
    let sent = herd.command(&["send", "Solo", report, "nonsense"]).output().unwrap();
    assert!(sent.status.success() && sent.stderr.is_empty(), "{sent:?}");
    let said = String::from_utf8(sent.stdout).unwrap();
    let (at, rest) = said.split_once('\n').unwrap();
    assert!(at.starts_with("AT Solo +") && at.ends_with(&report["IAMAT".len()..]), "{said}");
    assert_eq!(rest, "? nonsense\n");
    let sent = herd.command(&["send", &herd.address("Solo"), "x"]).output().unwrap();
    assert_eq!(sent.stdout, b"? x\n", "an address will do for a name");
}

#[test]
fn million_lines_go_through_standard_input() {
    let _turn = heavy();
    let mut herd = solo("[log]\ntraffic = false\n");
    herd.start("Solo");
    let mut send = Process::start(herd.command(&["send", "Solo"]));
    let input = send.take_input();
    let writer = std::thread::spawn(move || {
        let mut input = BufWriter::with_capacity(1 << 16, input);
        for number in 0..LINES {
            writeln!(input, "IAMAT kiwi{} +34.068930-118.445127 1400{number:06}", number % 1000).unwrap();
        }
        input.flush().unwrap();
    });
    let mut count = 0;
    let mut last = String::new();
    send.each_line(|line| {
        assert!(line.starts_with("AT Solo +"), "{line}");
        count += 1;
        last = line;
    });
    writer.join().unwrap();
    assert_eq!(count, LINES);
    assert!(last.ends_with(" kiwi999 +34.068930-118.445127 1400999999"), "{last}");
    assert_eq!(send.end().code(), Some(0));
    assert!(send.all_complaints().is_empty());
}

#[test]
fn node_that_is_down_is_one_line_of_error() {
    let herd = solo("");
    let sent = herd.command(&["send", "Solo", "x"]).output().unwrap();
    assert_eq!(sent.status.code(), Some(1));
    assert!(sent.stdout.is_empty());
    let said = String::from_utf8(sent.stderr).unwrap();
    let expected = format!("herd: cannot connect to Solo at {}: ", herd.address("Solo"));
    assert!(said.starts_with(&expected) && said.lines().count() == 1, "{said}");
}

#[test]
fn node_that_dies_over_it_is_one_line_of_error() {
    let mut herd = solo("");
    herd.start("Solo");
    let mut send = Process::start(herd.command(&["send", "Solo"]));
    let mut input = send.take_input();
    input.write_all(b"one\n").unwrap();
    send.hear("the reply", |said| said.contains(&"? one".to_owned()));
    herd.kill("Solo");
    assert_eq!(send.end().code(), Some(1));
    let said = send.all_complaints();
    assert!(said.len() == 1 && said[0].starts_with("herd: Solo "), "{said:?}");
}
