//! How bytes become lines on a real node: terminators, white space, pipelining, the end of the input, and lines that
//! are too long. PROTOCOL.md's table "Lines", row by row.

use crate::support::Setup;

/// What the node answers to `sent` on a new connection, once that has been half-closed.
fn replies(setup: Setup, sent: impl AsRef<[u8]>) -> String {
    let node = setup.start();
    let mut client = node.client();
    client.send(sent);
    client.half_close();
    String::from_utf8(client.rest()).unwrap()
}

/// A text in which each skew is replaced by `SKEW`, which no test can know beforehand.
fn without_skew(text: &str) -> String {
    let is_skew = |field: &str| proxyherd::core::model::Skew::is_skew(field.as_bytes());
    let fields = text.split(' ').map(|field| if is_skew(field) { "SKEW" } else { field });
    fields.collect::<Vec<_>>().join(" ")
}

#[test]
fn reply_ends_as_its_line_ended() {
    let node = Setup::new().start();
    let mut client = node.client();
    client.exchange("hello\n", "? hello\n");
    client.exchange("hello\r\n", "? hello\r\n");
    client.exchange("hello\r\r\n", "? hello\r\r\n");
    client.exchange("hello\n\r\n", "? hello\n? \r\n");
    client.send("IAMAT a +1+1 1\r\n");
    assert!(client.line().ends_with(b" a +1+1 1\r\n"));
    client.send("IAMAT a +1+1 1\n");
    assert!(client.line().ends_with(b" a +1+1 1\n"));
}

#[test]
fn every_white_space_separates_fields_and_may_stand_around_them() {
    let node = Setup::new().start();
    for line in [
        "IAMAT a +1+2 3",
        "  IAMAT a +1+2 3  ",
        "\tIAMAT\ta\t+1+2\t3\t",
        "\x0bIAMAT\x0ba\x0b+1+2\x0b3\x0b",
        "\x0cIAMAT\x0ca\x0c+1+2\x0c3\x0c",
        "\rIAMAT\ra\r+1+2\r3",
        "IAMAT \t\x0b\x0c\r a \t\x0b\x0c\r +1+2   3",
    ] {
        for ending in ["\n", "\r\n"] {
            let mut client = node.client();
            client.send(format!("{line}{ending}"));
            let reply = String::from_utf8(client.line()).unwrap();
            assert_eq!(without_skew(&reply), format!("AT Alford SKEW a +1+2 3{ending}"), "{line:?}");
        }
    }
}

#[test]
fn other_bytes_below_the_space_separate_nothing() {
    let node = Setup::new().start();
    let mut client = node.client();
    for byte in (0..0x20_u8).filter(|byte| !matches!(byte, b'\t'..=b'\r')).chain([0x7f, 0xa0]) {
        let line = [b"IAMAT a", &[byte][..], b"+1+2 3\n"].concat();
        client.exchange(&line, [b"? ", &line[..]].concat());
    }
}

#[test]
fn client_id_of_any_bytes_comes_back_byte_for_byte() {
    let node = Setup::new().start();
    let mut client = node.client();
    let every_byte: Vec<u8> = (0..=255).filter(|byte| !matches!(byte, b' ' | b'\t'..=b'\r')).collect();
    for id in [&b"\xff\xfe"[..], b"caf\xc3\xa9", b"\xc3", b"\0", b"?", b"IAMAT", &every_byte] {
        let tail = [b" ", id, b" +1+2 3\n"].concat();
        client.send([b"IAMAT", &tail[..]].concat());
        let reply = client.line();
        assert!(reply.starts_with(b"AT Alford +") && reply.ends_with(&tail), "{}", id.escape_ascii());
        client.send([b"WHATSAT ", id, b" 1 1\n"].concat());
        assert_eq!(client.line(), reply);
        while client.line() != b"\n" {}
    }
}

#[test]
fn pipelined_lines_are_answered_in_order_whatever_they_are() {
    let mut sent = String::new();
    let mut expected = String::new();
    for number in 0..2000 {
        match number % 4 {
            0 => {
                sent += &format!("IAMAT c{number} +1+2 3.{number}\n");
                expected += &format!("AT Alford SKEW c{number} +1+2 3.{number}\n");
            }
            1 => {
                sent += &format!("nonsense {number}\r\n");
                expected += &format!("? nonsense {number}\r\n");
            }
            2 => {
                sent += "\n";
                expected += "? \n";
            }
            _ => {
                sent += &format!("WHATSAT unknown{number} 1 1\n");
                expected += &format!("? WHATSAT unknown{number} 1 1\n");
            }
        }
    }
    assert_eq!(without_skew(&replies(Setup::new(), sent)), expected);
}

#[test]
fn last_line_without_a_terminator_is_executed_at_the_half_close() {
    for (sent, expected) in [
        ("IAMAT a +1+2 3", "AT Alford SKEW a +1+2 3\n"),
        ("IAMAT a +1+2 3\r", "AT Alford SKEW a +1+2 3\n"),
        ("first\nsecond", "? first\n? second\n"),
        ("second\r", "? second\r\n"),
        (" ", "?  \n"),
        ("first\n", "? first\n"),
        ("", ""),
    ] {
        assert_eq!(without_skew(&replies(Setup::new(), sent)), expected, "{sent:?}");
    }
}

#[test]
fn empty_line_gets_its_empty_copy() {
    let node = Setup::new().start();
    let mut client = node.client();
    client.exchange("\n", "? \n");
    client.exchange("\r\n", "? \r\n");
    client.exchange("\n\n\n", "? \n? \n? \n");
    client.exchange(" \t\n", "?  \t\n");
    client.exchange("\x0b\x0c\r\r\n", "? \x0b\x0c\r\r\n");
}

#[test]
fn keyword_is_exact_upper_case() {
    let node = Setup::new().start();
    let mut client = node.client();
    for line in [
        "iamat a +1+2 3",
        "Iamat a +1+2 3",
        "IAMAt a +1+2 3",
        "IAMATa +1+2 3",
        "IAMA a +1+2 3",
        "whatsat a 1 1",
        "WHATSATS a 1 1",
        "WHATIS a 1 1",
        "AT Alford +0.000000001 a +1+2 3",
        "AT Welsh +0.000000001 a +1+2 3 Welsh",
        "PING 1",
        "SUM 0",
        "PUSH Welsh +0.000000001 a +1+2 3",
        "HELLO",
        "? hello",
    ] {
        assert_eq!(client.ask(line), format!("? {line}"));
    }
}

#[test]
fn invalid_line_comes_back_with_its_white_space_untouched() {
    let node = Setup::new().start();
    let mut client = node.client();
    for line in ["  two   spaces  ", "\ttab\t", "a\x0bb\x0cc", "cr\rcr", "\0\x01\x7f", "IAMAT  a   +1+2"] {
        client.exchange(format!("{line}\n"), format!("? {line}\n"));
        client.exchange(format!("{line}\r\n"), format!("? {line}\r\n"));
    }
    client.exchange(b"not utf-8 \xff\xfe\xc3\n", b"? not utf-8 \xff\xfe\xc3\n");
}

#[test]
fn line_is_too_long_one_byte_beyond_the_limit() {
    let node = Setup::new().limit("line_bytes", 512).start();
    let mut client = node.client();
    let line: String = ('a'..='z').cycle().take(513).collect();
    let (whole, head) = (&line[..512], &line[..64]);
    for ending in ["\n", "\r\n"] {
        client.exchange(format!("{whole}{ending}"), format!("? {whole}{ending}"));
        client.exchange(format!("{line}{ending}"), format!("? {head}{ending}"));
        // In two pieces, so that the node has seen too much of it before it ends.
        client.send(&line);
        client.exchange(format!("more{ending}"), format!("? {head}{ending}"));
        client.send(format!("{line}\r"));
        client.exchange(format!("more{ending}"), format!("? {head}{ending}"));
    }
    client.exchange(format!("{whole}\r\r\n"), format!("? {head}\r\n"));
    client.send(format!("{line}\r"));
    client.exchange("\n", format!("? {head}\r\n"));
    assert_eq!(client.ask("still here"), "? still here");
}

#[test]
fn too_long_line_is_skipped_to_its_end_however_long_it_is() {
    let node = Setup::new().start();
    let mut client = node.client();
    let report = "IAMAT a +1+2 3 ";
    let head = report.repeat(10)[..64].to_owned();
    let line = report.repeat(1_000_000 / report.len());
    client.exchange(format!("{line}\r\nnext\n"), format!("? {head}\r\n? next\n"));
    let limit = 16 * 1024;
    let longest = "x".repeat(limit);
    client.exchange(format!("{longest}\n"), format!("? {longest}\n"));
    client.exchange(format!("{longest}x\n"), format!("? {}\n", &longest[..64]));
}

#[test]
fn too_long_line_that_the_half_close_ends_gets_its_reply() {
    let sent = "y".repeat(600);
    let expected = format!("? {}\n", &sent[..64]);
    assert_eq!(replies(Setup::new().limit("line_bytes", 512), &sent), expected);
    assert_eq!(replies(Setup::new().limit("line_bytes", 512), sent.repeat(1000)), expected);
}
