//! `herd send` as a user runs it: lines from its arguments or its standard input, and one line of error where the node is
//! not there.

use std::io::{BufWriter, Write};

use super::support::{Herd, Process, heavy, shipped, solo};

const LINES: usize = 1_000_000;

#[test]
fn send_prints_the_replies_to_its_arguments() {
    let mut herd = solo("");
    herd.start("Solo");
    let report = "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1400000000";
    let sent = herd.command(&["send", "Solo", report, "nonsense"]).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");
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
    assert!(said.len() == 2 && said[1].starts_with("herd: Solo "), "{said:?}");
}

/// What it says on standard error of these lines, which it sends from its standard input.
fn reasons(herd: &Herd, node: &str, lines: &[u8]) -> Vec<String> {
    let mut send = Process::start(herd.command(&["send", node]));
    let mut input = send.take_input();
    input.write_all(lines).unwrap();
    drop(input);
    assert_eq!(send.end().code(), Some(0), "a refusal is an answer");
    send.all_complaints()
}

#[test]
fn refused_lines_are_told_with_their_number_and_the_reason() {
    let mut herd = solo("");
    herd.start("Solo");
    let long = vec![b'x'; 20_000];
    let report = b"IAMAT kiwi +34.068930-118.445127 1400000000\n";
    let lines = [
        &report[..],
        b"WHATSAT kiwi 50 20\r\nWHATSAT x 99 5\n\nWHATSAT x 10 5\nWHATSAT kiwi 10 1\n",
        &long,
        b"\niamat \x1b[2J\x07\nWHATSAT kiwi 10 21",
    ];
    let said = reasons(&herd, "Solo", &lines.concat());
    let shown =
        format!("herd: line 7: its 20000 bytes are over the node's limit (line_bytes): {}…", "x".repeat(64));
    assert_eq!(
        said,
        [
            "herd: line 3: the radius is over 50 km: WHATSAT x 99 5",
            "herd: line 4: the line is empty: ",
            "herd: line 5: no location is known for that client; report one with IAMAT first: WHATSAT x 10 5",
            &shown,
            r"herd: line 8: the first field is neither IAMAT nor WHATSAT: iamat \x1b[2J\x07",
            "herd: line 9: the bound is over 20: WHATSAT kiwi 10 21",
        ]
    );
    // The same node by its address, which is one of the configuration.
    assert_eq!(
        reasons(&herd, &herd.address("Solo"), b"WHATSAT x 99 5\n"),
        ["herd: line 1: the radius is over 50 km: WHATSAT x 99 5"]
    );
}

#[test]
fn document_on_one_line_is_no_refusal_and_ends_with_its_line() {
    let herd = shipped("2012.toml");
    let first = herd.split("id = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut herd = Herd::new(&herd);
    herd.start(&first);
    let lines = b"IAMAT kiwi +34.068930-118.445127 1400000000\nWHATSAT kiwi 99 5\nx\nWHATSAT kiwi 99 5\nWHATSAT kiwi 20017 5\n";
    assert_eq!(
        reasons(&herd, &first, lines),
        [
            "herd: line 3: the first field is neither IAMAT nor WHATSAT: x",
            "herd: line 5: the radius is over 20016 km: WHATSAT kiwi 20017 5"
        ]
    );
}
