//! Who may call itself a neighbour: the handshake of a connection that comes in, and what follows it on that
//! connection. The node's own calls are in `links`.

use crate::support::{Client, FakePeer, HERD, Setup, TestNode, check, expect_hello, heavy, wait_until};

const AT: &str = "AT Welsh +0.000000001";

/// Waits until the node has stored a location of that client.
#[track_caller]
fn expect_stored(node: &TestNode, id: &str) {
    wait_until(&format!("{id} is stored"), || {
        node.client().ask(&format!("WHATSAT {id} 1 1")).starts_with("AT ")
    });
}

#[track_caller]
fn expect_refused(node: &TestNode, hello: &str, cure: &str) {
    let mut session = node.client();
    session.send(hello);
    let answer = String::from_utf8(session.line()).unwrap();
    assert!(answer.starts_with("REFUSED ") && answer.contains(cure), "{hello}{answer}");
    session.expect_closed();
}

#[test]
fn neighbours_hello_is_answered_with_the_nodes_own() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let hello = welsh.hello();
    let mut session = node.client();
    session.send(&hello);
    expect_hello(&mut session, "Welsh");
    // Only when it calls does the node tell who it is this time, too.
    let (_flooder, call) = welsh.answer_call();
    let fields: Vec<&str> = call.trim_end().split(' ').collect();
    let ["HELLO", "2", HERD, Setup::ID, "Welsh", incarnation, theirs, "-", "-", "-"] = fields[..] else {
        panic!("{call}")
    };
    let number = u64::from_str_radix(incarnation, 16).unwrap();
    assert!(incarnation.len() == 16 && number != 0, "{call}");
    assert_eq!(theirs, check());
}

#[test]
fn neighbour_that_speaks_version_3_too_is_spoken_to_in_version_2() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let of_3 = |hello: String| hello.replace('\n', " and what 3 adds\n");
    let mut session = node.client();
    session.send(of_3(welsh.hello()).replace("HELLO 2", "HELLO 3"));
    expect_hello(&mut session, "Welsh");
    session.ping("PING 1\n", 1);
    let (mut flooder, _) = welsh.answer_call();
    flooder.send(of_3(welsh.hello()));
    node.expect_linked(&welsh);
}

#[test]
fn handshake_that_does_not_fit_is_refused_with_its_cure_and_closed() {
    let (welsh, check) = (FakePeer::new("Welsh"), check());
    let node = Setup::new().neighbour(&welsh).start();
    let (_flooder, call) = welsh.answer_call();
    let own = call.split(' ').nth(5).unwrap();
    for (hello, cure) in [
        (
            format!("HELLO 2 other Welsh Alford 00000000000000ff {check} - - -\n"),
            "mend the address or the herd's name",
        ),
        (format!("HELLO 2 test Welsh Ball 00000000000000ff {check} - - -\n"), "mend the address of Ball"),
        (format!("HELLO 2 test Ball Alford 00000000000000ff {check} - - -\n"), "Alford has no link to Ball"),
        (
            format!("HELLO 2 test Alford Alford 00000000000000ff {check} - - -\n"),
            "Alford has no link to Alford",
        ),
        (
            "HELLO 2 test Welsh Alford 00000000000000ff 0000000000000000 - - -\n".into(),
            "the same configuration",
        ),
        (format!("HELLO 2 test Alford Alford {own} {check} - - -\n"), "has dialled itself"),
        (format!("HELLO 1 test Welsh Alford 00000000000000ff {check}\n"), "run the same release"),
        ("HELLO 1 and whatever comes then\n".into(), "version 1 is not spoken here, only 2"),
        ("HELLO 3 and whatever comes then\n".into(), "does not have its ten fields"),
        (format!("HELLO 2 test Welsh Alford 00000000000000FF {check} - - -\n"), "16 hexadecimal digits"),
        (format!("HELLO 2 test Welsh Alford ff {check} - - -\n"), "16 hexadecimal digits"),
        (format!("HELLO 2 test Welsh Alford 00000000000000ff {check} - -\n"), "ten fields"),
        (welsh.hello().replace("- - -", "1h - -"), "neither a whole number of seconds nor -"),
        (welsh.hello().replace("- - -", "- more -"), "nonce is not 32 hexadecimal digits or -"),
        (
            welsh.hello().replace("- - -", "3600 - -"),
            "Alford keeps locations for ever and Welsh for 3600 s; give both the same forget_after",
        ),
    ] {
        expect_refused(&node, &hello, cure);
    }
    assert!(admits(&node, &welsh.hello()));
}

#[test]
fn lines_behind_a_refused_handshake_are_not_executed() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut session = node.client();
    session.send(format!(
        "HELLO 2 other Welsh Alford 00000000000000ff {} - - -\n{AT} a +1+1 1 Welsh\nIAMAT b +1+1 1\n",
        check()
    ));
    assert!(session.line().starts_with(b"REFUSED "));
    session.expect_closed();
    let mut client = node.client();
    for id in ["a", "b"] {
        assert_eq!(client.ask(&format!("WHATSAT {id} 1 1")), format!("? WHATSAT {id} 1 1"));
    }
}

#[test]
fn at_line_without_a_handshake_is_invalid_and_a_late_handshake_too() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut client = node.client();
    for line in [format!("{AT} a +1+1 1"), format!("{AT} a +1+1 1 Welsh"), "PING 1".into()] {
        assert_eq!(client.ask(&line), format!("? {line}"));
    }
    assert_eq!(client.ask("WHATSAT a 1 1"), "? WHATSAT a 1 1");
    let hello = welsh.hello();
    client.exchange(&hello, format!("? {hello}"));
}

#[test]
fn lines_sent_with_the_handshake_are_taken() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut session = node.client();
    session.send(format!("{}{AT} a +1+1 1 Welsh\nPING 7\n{AT} b +1+1 1 Welsh\n", welsh.hello()));
    expect_hello(&mut session, "Welsh");
    session.expect_pong(7);
    expect_stored(&node, "b");
    expect_stored(&node, "a");
}

#[test]
fn bad_lines_of_a_neighbour_are_skipped_unanswered_and_the_link_lives() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut session = welsh.dial(&node);
    for line in [
        &b"\n"[..],
        b"hello\n",
        b"IAMAT a +1+1 1\n",
        b"WHATSAT a 1 1\n",
        b"PING now\n",
        b"PING\n",
        b"SUM\n",
        b"SUM 1 1\n",
        b"LEAVES 256\n",
        b"LIST 0 0 0\n",
        b"PONG 1 1.5\n",
        b"PUSH Welsh +0.000000001 a +1+1 1 Welsh\n",
        b"PUSH Welsh +0.000000001 a +91+1 1\n",
        b"AT Welsh +0.000000001 a +1+1 1\n",
        b"AT Welsh +0.000000001 a +1+1 1 Welsh more\n",
        b"AT Welsh 0.000000001 a +1+1 1 Welsh\n",
        b"AT Welsh +0.1 a +1+1 1 Welsh\n",
        b"AT Welsh +0.000000001 a +91+1 1 Welsh\n",
        b"AT Welsh +0.000000001 a +1+1 nan Welsh\n",
        b"AT W\xe9lsh +0.000000001 a +1+1 1 Welsh\n",
        b"at Welsh +0.000000001 a +1+1 1 Welsh\n",
        b"\xff\xfe\0\n",
    ] {
        session.send(line);
    }
    // White space and line ends are as free as a client's.
    session.send("\tAT Welsh  +0.000000001\x0b b +1+1 1 Welsh \r\n");
    expect_stored(&node, "b");
    assert_eq!(node.client().ask("WHATSAT a 1 1"), "? WHATSAT a 1 1");
    session.half_close();
    session.expect_closed();
}

#[test]
fn neighbours_line_may_be_64_kib_long_with_any_name_and_no_longer() {
    let (welsh, ball) = (FakePeer::new("Welsh"), FakePeer::new("Ball"));
    let node = Setup::new().limit("line_bytes", 512).neighbour(&welsh).neighbour(&ball).start();
    let mut news = ball.link(&node);
    let mut session = welsh.dial(&node);
    let line = |length: usize, end: &str| {
        let bare = format!("{AT}  +1+1 1 Welsh").len();
        format!("{AT} {} +1+1 1 Welsh{end}", "x".repeat(length - bare))
    };
    // 64 KiB with a sender's name of 64 characters, of which Welsh has five.
    let longest = 65_536 - 59;
    session.send(line(longest + 1, "\n"));
    for end in ["\n", "\r\n"] {
        let longest = line(longest, "").replace("+1+1 1", if end == "\n" { "+1+1 1" } else { "+1+1 2" });
        session.send(format!("{longest}{end}"));
        assert!(news.news() == longest.replace("1 Welsh", "1 Alford").replace("2 Welsh", "2 Alford"));
    }
    session.send(line(longest + 1, "\r\n"));
    session.send(line(65_537, "\n"));
    session.send(line(300_000, "\n"));
    session.send(format!("{AT} after +1+1 1 Welsh\n"));
    assert_eq!(news.news(), format!("{AT} after +1+1 1 Alford"));
}

#[test]
fn half_a_line_at_the_end_of_a_neighbours_connection_is_discarded() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut session = welsh.dial(&node);
    session.send(format!("{AT} whole +1+1 1 Welsh\n{AT} half +1+1 1 Welsh"));
    session.half_close();
    session.expect_closed();
    expect_stored(&node, "whole");
    assert_eq!(node.client().ask("WHATSAT half 1 1"), "? WHATSAT half 1 1");
}

#[test]
fn second_connection_of_one_start_replaces_the_first() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().neighbour(&welsh).start();
    let mut first = welsh.dial(&node);
    let mut second = welsh.dial(&node);
    first.expect_closed();
    // The first's end has not taken the second's place away: another start is still refused.
    expect_refused(&node, &welsh.hello_of(u64::MAX), "another Welsh was heard from");
    second.send(format!("{AT} a +1+1 1 Welsh\n"));
    expect_stored(&node, "a");
}

#[test]
fn another_start_is_refused_while_the_first_lives_and_admitted_once_it_has_left() {
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().limit("liveness_seconds", 3600).neighbour(&welsh).start();
    let mut first = welsh.dial(&node);
    expect_refused(&node, &welsh.hello_of(u64::MAX), "end one of the two");
    first.send(format!("{AT} a +1+1 1 Welsh\n"));
    expect_stored(&node, "a");
    drop(first);
    wait_until("another start is admitted", || admits(&node, &welsh.hello_of(u64::MAX)));
}

fn admits(node: &TestNode, hello: &str) -> bool {
    let mut session: Client = node.client();
    session.send(hello);
    session.line().starts_with(b"HELLO ")
}

#[test]
fn silent_neighbour_is_dropped_after_its_liveness_time() {
    // On a machine held up by other tests, a neighbour that speaks would seem silent.
    let _heavy = heavy();
    let welsh = FakePeer::new("Welsh");
    let node = Setup::new().limit("liveness_seconds", 0.3).neighbour(&welsh).start();
    let mut session = welsh.dial(&node);
    session.expect_closed();
    assert!(admits(&node, &welsh.hello_of(u64::MAX)));
}
