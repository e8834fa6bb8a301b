//! `herd send` as a user runs it: lines from its arguments or its standard input, and one line of error where the node is
//! not there.

use std::{
    io::{BufWriter, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};

use super::support::{Herd, Process, heavy, herd_command, shipped, solo};

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
    let writer = thread::spawn(move || {
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

/// What `send` does with one server that takes all of a connection and answers so: its exit code and its complaints.
fn answered(answer: &'static [u8], line: &str) -> (Option<i32>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.read_to_end(&mut Vec::new()).unwrap();
        stream.write_all(answer).unwrap();
    });
    let sent = herd_command(&["send", &address, line]).output().unwrap();
    server.join().unwrap();
    let said = String::from_utf8(sent.stderr).unwrap();
    (sent.status.code(), said.lines().map(str::to_owned).collect())
}

#[test]
fn node_whose_configuration_is_not_known_is_held_to_no_rule_of_another() {
    let herd = shipped("2012.toml");
    let first = herd.split("id = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut herd = Herd::new(&herd);
    herd.start(&first);
    let sent =
        herd_command(&["send", &herd.address(&first), "WHATSAT x 99 5", "WHATSAT x 99 y"]).output().unwrap();
    let said = String::from_utf8(sent.stderr).unwrap();
    let said: Vec<_> = said.lines().collect();
    assert!(
        said.len() == 2
            && said[0].starts_with(
                "herd: line 1: the radius or the bound is over a limit of that node, or no location is known"
            )
            && said[1] == "herd: line 2: the bound is not a plain whole number, such as 5: WHATSAT x 99 y",
        "{said:?}"
    );
}

#[test]
fn report_that_is_too_far_ahead_is_told_from_a_full_store() {
    let mut herd = solo("[limits]\nmax_ahead_seconds = 60\nmax_clients = 1\n");
    herd.start("Solo");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let lines = format!("IAMAT a +1+1 {now}\nIAMAT b +1+1 {}\nIAMAT b +1+1 1\n", now + 100_000);
    let said = reasons(&herd, "Solo", lines.as_bytes());
    assert!(
        said.len() == 2
            && said[0]
                .contains(" s ahead of this machine's clock, and the node takes 60 s (max_ahead_seconds): ")
            && said[1].contains(
                "so the node has 1 clients already (max_clients), or as much as it may keep of them (max_bytes), or its \
                 clock is behind: "
            ),
        "{said:?}"
    );
}

#[test]
fn line_that_looks_like_another_protocol_is_named_as_why_the_node_closes() {
    let mut herd = solo("");
    herd.start("Solo");
    let http = herd.command(&["send", "Solo", "GET / HTTP/1.1", "Host: x", ""]).output().unwrap();
    let said = String::from_utf8(http.stderr).unwrap();
    assert_eq!(
        (http.status.code(), said.contains("the first line looks like HTTP")),
        (Some(1), true),
        "{said}"
    );
    let mut send = Process::start(herd.command(&["send", "Solo"]));
    let mut input = send.take_input();
    input.write_all(b"\x16\x03\x01\x00").unwrap();
    drop(input);
    assert_eq!(send.end().code(), Some(1));
    let said = send.all_complaints();
    assert!(said.len() == 1 && said[0].contains("the first line looks like TLS"), "{said:?}");
}

#[test]
fn web_server_that_answers_is_named() {
    let (code, said) = answered(b"HTTP/1.1 400 Bad Request\r\n\r\n? x\n", "WHATSAT x 10 5");
    assert_eq!(code, Some(1));
    assert!(said.last().unwrap().contains(" answers as a web server does; "), "{said:?}");
}

#[test]
fn refusal_in_other_words_is_not_taken_for_the_line() {
    let (code, said) = answered(b"? no\xff\n", "IAMAT kiwi +34.068930-118.445127 1400000000");
    assert_eq!(code, Some(0));
    assert_eq!(said, [r"herd: line 1: the node refuses it, and answers other than with the line: no\xff"]);
}

#[test]
fn what_is_no_address_is_not_taken_for_a_nodes_name() {
    for word in [":11600", "", "11600", "127.0.0.1:99999", "127.0.0.1", "::1:11600", "Alford:"] {
        let sent = herd_command(&["send", word, "x"]).output().unwrap();
        let said = String::from_utf8(sent.stderr).unwrap();
        assert_eq!(sent.status.code(), Some(2), "{word}: {said}");
        assert!(said.starts_with(&format!("herd: {word:?} is not HOST:PORT, such as ")), "{word}: {said}");
    }
    let sent = herd_command(&["send", "Alfrod", "x"]).output().unwrap();
    assert!(
        String::from_utf8(sent.stderr)
            .unwrap()
            .contains("has no node \"Alfrod\" (did you mean \"Alford\"?); its nodes are ")
    );
}

/// What `send --timeout 0.3` of these lines comes to at a server that answers all with this, and does not close:
/// its complaint.
fn late(answer: &'static [u8], lines: &[&str]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        stream.read_to_end(&mut Vec::new()).unwrap();
        stream.write_all(answer).unwrap();
        // It stays open until the other end has given up.
        stream
    });
    let begin = Instant::now();
    let sent = herd_command(&["send", "--timeout", "0.3", &address]).args(lines).output().unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(300), "not before its time");
    drop(server.join().unwrap());
    assert_eq!((sent.status.code(), &sent.stdout[..]), (Some(1), answer), "what came is printed");
    let said = String::from_utf8(sent.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said.strip_prefix(&format!("herd: {address}: ")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

#[test]
fn what_was_missing_when_time_was_up_is_told() {
    let (report, lookup) = ("IAMAT kiwi +1+1 1", "WHATSAT kiwi 10 5");
    for (answer, lines, told) in [
        (
            &b""[..],
            &[report, lookup][..],
            "0 of 2 replies came within 0.3 s; what is unanswered may have been ",
        ),
        (b"AT A +1 kiwi +1+1 1\n", &[report, lookup, "x"], "1 of 3 replies came within 0.3 s; "),
        (b"AT A +1 kiwi +1+1 1\nAT A", &[report, lookup, "x"], "1 of 3 replies came within 0.3 s; "),
        // Of a lookup, its document is the better half.
        (b"AT A +1 kiwi +1+1 1\n", &[lookup], "0 of 1 replies came within 0.3 s; "),
        (b"AT A +1 kiwi +1+1 1\n{\n\"results\" : [", &[lookup], "0 of 1 replies came within 0.3 s; "),
        (
            b"AT A +1 kiwi +1+1 1\n",
            &[report],
            "1 of 1 replies came within 0.3 s, and the connection was not closed; its log may say more",
        ),
    ] {
        let said = late(answer, lines);
        assert!(said.starts_with(told) && said.contains("a longer --timeout"), "{said}");
    }
}

#[test]
fn standard_input_that_stays_open_is_no_reason_to_wait_longer() {
    let mut herd = solo("");
    herd.start("Solo");
    let mut send = Process::start(herd.command(&["send", "--timeout", "0.5", "Solo"]));
    let mut input = send.take_input();
    input.write_all(b"one\n").unwrap();
    assert_eq!(send.end().code(), Some(1));
    let said = send.all_complaints();
    let told = "herd: Solo: 1 of 1 replies came within 0.5 s, and standard input had not ended; ";
    assert!(said.last().unwrap().starts_with(told), "{said:?}");
    drop(input);
    let sent = herd.command(&["send", "--timeout", "30", "Solo", "one"]).output().unwrap();
    assert_eq!((sent.status.code(), &sent.stdout[..]), (Some(0), &b"? one\n"[..]), "in time all is as ever");
}

#[test]
fn server_that_never_accepts_is_given_up_in_time() {
    // A queue for one, which is full: the system answers nobody else.
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&listener, 0).unwrap();
    let address = std::net::SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(stream);
    }
    let begin = Instant::now();
    let sent = herd_command(&["send", "--timeout", "0.3", &address.to_string(), "x"]).output().unwrap();
    // Without the flag it is five seconds.
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    let said = String::from_utf8(sent.stderr).unwrap();
    let told = format!("herd: cannot connect to {address}: no connection within 0.3 s; ");
    assert!(sent.status.code() == Some(1) && said.starts_with(&told), "{said}");
}

#[test]
fn time_that_is_none_is_wrong_usage() {
    for seconds in ["0", "-1", "x", "nan", "86401"] {
        let sent = herd_command(&["send", &format!("--timeout={seconds}"), "Alford", "x"]).output().unwrap();
        let said = String::from_utf8(sent.stderr).unwrap();
        assert!(sent.status.code() == Some(2) && said.contains("give 0.01 to 86400 seconds"), "{said}");
    }
}
