//! Third-party nodes' connections: what counts as a line, what is answered, and for whom a refused line counts.

use super::*;

/// A node whose neighbours Welsh and Ball are third-party nodes, Ball one that waits for answers.
fn node_with_two() -> Arc<Node> {
    let answered = PlainForm { answer: Some("taken".into()), ending: Ending::CrLf, ..PlainForm::default() };
    let neighbours =
        vec![neighbour("Welsh", Some(PlainForm::default())).0, neighbour("Ball", Some(answered)).0];
    node_of(neighbours, false, None)
}

fn link(node: &Arc<Node>, link: usize) -> Driven {
    let mut driven = Driven::new(node, Opening::Plain(vec![link]), 1);
    driven.drive(at(0));
    driven
}

fn condition(node: &Node, link: usize) -> crate::core::links::Condition {
    node.neighbours()[link].health.condition(at(0))
}

#[test]
fn last_line_of_a_third_party_node_needs_no_terminator() {
    let node = node_with_two();
    for (number, line) in
        ["AT X 0.1 k1 +1+1 1", "AT X 0.1 k2 +1+1 1\r", "AT X 1 k1 +1+1 2\nAT X 1 k3 +1+1 1 Welsh"]
            .into_iter()
            .enumerate()
    {
        let mut welsh = Driven::new(&node, Opening::Plain(vec![0, 1]), 1 + number as u64);
        welsh.say(line.as_bytes(), at(1));
        welsh.dialogue.ended(now(at(2)));
        assert_eq!(welsh.drive(at(2)), Next::Close(Closing::ByPeer));
        assert_eq!(node.store().len(), number + 1, "{line}");
    }
    // The last line named its sender.
    assert_eq!((condition(&node, 0).received_updates, condition(&node, 1).received_updates), (1, 0));
    let mut long = link(&node, 0);
    long.say(format!("AT X 0.1 {} +1+1 1", "x".repeat(PEER_LINE_BYTES_MAX)).as_bytes(), at(1));
    long.dialogue.ended(now(at(2)));
    assert_eq!(long.drive(at(2)), Next::Close(Closing::ByPeer));
    assert_eq!(condition(&node, 0).last_bad, Some(Invalid::TooLong));
}

#[test]
fn at_lines_are_answered_where_the_neighbour_waits_for_it_and_nothing_else_ever_is() {
    let node = node_with_two();
    let lines = b"AT X 1 k +1+1 1\nAT X nan k +1+1 1\n? taken\n\nIAMAT k +1+1 1\nAT\nAT X 1 k +1+1 2";
    let mut ball = link(&node, 1);
    ball.say(lines, at(1));
    ball.dialogue.ended(now(at(2)));
    assert_eq!(ball.drive(at(2)), Next::Close(Closing::ByPeer));
    assert_eq!(ball.written(), "taken\r\n".repeat(4));
    let mut welsh = link(&node, 0);
    welsh.say(lines, at(1));
    assert_eq!(welsh.written(), "");
    // While their sender is unknown, a node that waits must not wait for ever; after that it is known.
    let mut either = Driven::new(&node, Opening::Plain(vec![0, 1]), 1);
    either.say(b"AT X 1 k +1+1 3\n", at(1));
    assert_eq!(either.written(), "taken\r\n");
    either.say(b"AT X 1 k +1+1 4 Welsh\nAT X 1 k +1+1 5\n", at(1));
    assert_eq!(either.written(), "");
}

#[test]
fn refused_line_counts_on_its_link_or_on_all_at_the_address() {
    let node = node_with_two();
    link(&node, 0).say(b"AT X nan k +1+1 1\n", at(1));
    let bad = Some(Invalid::NotPlain(PlainFault::Skew));
    let welsh = condition(&node, 0);
    assert_eq!((welsh.bad_lines, welsh.last_bad, welsh.is_refused), (1, bad, true));
    assert_eq!((condition(&node, 1).bad_lines, condition(&node, 1).is_refused), (0, false));
    let mut either = Driven::new(&node, Opening::Plain(vec![0, 1]), 2);
    either.say(b"AT X 1 k 1+1 1\nAT X 1 k 1+1 1\n", at(1));
    for link in 0..2 {
        let now = condition(&node, link);
        assert_eq!(
            (now.bad_lines_at_address, now.last_bad),
            (2, Some(Invalid::NotPlain(PlainFault::Position)))
        );
        assert!(now.is_refused);
    }
    either.say(b"AT X 1 k +1+1 1\n", at(1));
    assert!((0..2).all(|link| !condition(&node, link).is_refused), "it may have been either");
}

#[test]
fn form_of_whoever_may_be_there_is_tried_until_the_sender_is_known() {
    let chatty = PlainForm { keyword: Some("FLOOD".into()), takes_more: true, ..PlainForm::default() };
    let neighbours =
        vec![neighbour("Welsh", Some(PlainForm::default())).0, neighbour("Ball", Some(chatty)).0];
    let node = node_of(neighbours, false, None);
    let mut either = Driven::new(&node, Opening::Plain(vec![0, 1]), 1);
    either.say(b"FLOOD AT X 1 k1 +1+1 1\nAT X 1 k2 +1+1 1\nFLOOD AT X 1 HTTP/1.1 +1+1 1 Ball more\n", at(1));
    assert_eq!((either.dialogue.party(), node.store().len()), (&Party::Plain(Some(1)), 3));
    let mut welsh = link(&node, 0);
    welsh.say(b"FLOOD AT X 1 k4 +1+1 1\n", at(1));
    assert_eq!(condition(&node, 0).last_bad, Some(Invalid::NotPlain(PlainFault::Keyword)));
}
