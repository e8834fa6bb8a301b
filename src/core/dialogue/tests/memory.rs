//! What a dialogue holds in memory: what it needs, for how long, and what it gives back when all hold too much.

use super::*;
use crate::core::dialogue::buffers::QUIET_BYTES;

#[test]
fn memory_is_given_back_when_nothing_comes_for_a_while() {
    let mut client = Driven::client(&node_of(Vec::new(), false, None));
    let next = client.say(&b"\n".repeat(5_000), at(500));
    assert_eq!(next, Next::Wait(at(1_500)));
    assert!(client.dialogue.buffer.is_grown() && client.dialogue.batch.capacity() > QUIET_BYTES);
    assert_eq!(client.drive(at(1_499)), Next::Wait(at(1_500)));
    assert_eq!(client.ear.given_back, 0);
    assert_eq!(client.drive(at(1_500)), Next::Wait(at(100_500)));
    assert!(!client.dialogue.buffer.is_grown() && client.dialogue.batch.capacity() == 0);
    assert_eq!(client.ear.given_back, 1);
    assert_eq!(client.drive(at(1_600)), Next::Wait(at(100_500)));
    assert_eq!(client.ear.given_back, 1);
}

/// A client whose buffers have grown by a batch of this many milliseconds.
fn grown(tick: u64) -> Driven {
    let mut client = Driven::client(&node_of(Vec::new(), false, None));
    client.say(&b"\n".repeat(50_000), at(tick));
    assert!(client.ear.held > 90_000, "{}", client.ear.held);
    client
}

#[test]
fn what_comes_and_needs_no_large_buffers_does_not_keep_them() {
    // A byte of a line that does not end, a line, and one of some length.
    for drip in [&b"x"[..], b"\n", &[&b"x".repeat(400)[..], b"\n"].concat()] {
        let mut client = grown(500);
        for tick in [700, 900, 1_100, 1_300] {
            client.say(drip, at(tick));
            assert_eq!(client.ear.given_back, 0);
        }
        client.say(drip, at(1_500));
        assert_eq!((client.ear.given_back, client.ear.held), (1, 0));
        assert!(client.dialogue.buffer.capacity() + client.dialogue.batch.capacity() <= QUIET_BYTES);
    }
}

#[test]
fn buffers_that_a_batch_needs_again_are_kept() {
    let mut client = grown(500);
    let next = client.say(&b"\n".repeat(50_000), at(1_400));
    assert_eq!((next, client.ear.given_back), (Next::Wait(at(2_400)), 0));
    assert_eq!(client.drive(at(2_399)), Next::Wait(at(2_400)));
    client.drive(at(2_400));
    assert_eq!(client.ear.given_back, 1);
}

#[test]
fn replies_that_are_not_taken_count_before_they_are_written() {
    let mut client = Driven::client(&node_of(Vec::new(), false, None));
    client.say(&b"\n".repeat(3_000), at(1));
    let count = client.dialogue.space().len();
    client.dialogue.space().fill(b'\n');
    client.dialogue.received(count, now(at(2)));
    client.ear.held = 0;
    client.dialogue.next(at(2), &mut client.ear);
    client.dialogue.offer(|_| {});
    assert_eq!(client.dialogue.next(at(2), &mut client.ear), Next::Write);
    assert!(client.ear.held > client.dialogue.replies().len() + count);
}

#[test]
fn where_all_hold_too_much_a_client_gives_back_at_once_and_ends_if_it_cannot() {
    let mut client = grown(500);
    client.ear.is_crowded = true;
    assert_eq!(client.say(b"\n", at(501)), Next::Wait(at(100_501)));
    assert_eq!((client.ear.given_back, client.ear.held), (1, 0));
    // A quiet client is still served, and so is one whose line is not long.
    client.say(&b"x".repeat(400), at(502));
    client.say(b"\n", at(503));
    assert!(matches!(client.drive(at(503)), Next::Wait(_)));

    let long = b"x".repeat(QUIET_BYTES + 1);
    for (line, is_closed) in [(&long[..QUIET_BYTES], false), (&long[..], true)] {
        let mut client = grown(500);
        client.ear.is_crowded = true;
        let space = client.dialogue.space();
        space[..line.len()].copy_from_slice(line);
        client.dialogue.received(line.len(), now(at(600)));
        let closing = Next::Close(Closing::Crowded(line.len()));
        assert_eq!(client.drive(at(600)) == closing, is_closed, "{}", line.len());
    }
}

#[test]
fn peer_is_neither_closed_nor_hurried_where_all_hold_too_much() {
    let (mut peer, _) = Driven::peer(&node_of(vec![neighbour("Welsh", None).0], false, None), 7, 1, at(0));
    peer.ear.is_crowded = true;
    peer.say(&[b"AT ", &b"x".repeat(2 * QUIET_BYTES)[..]].concat(), at(1));
    assert!(matches!(peer.drive(at(1)), Next::Wait(_)));
}
