//! What a client can have forgotten, what comes of it, and who cannot.

use super::*;
use crate::core::{
    model::{ClientId, ClientRecord},
    node::Changes,
    wire::ForgetFault,
};

fn forgetting(neighbours: Vec<Neighbour>) -> Arc<Node> {
    let node = Arc::into_inner(node_of(neighbours, false, None)).unwrap();
    Arc::new(node.forgetting_for_everyone())
}

fn held(node: &Node, client: &str) -> Option<String> {
    let client = ClientId::new(client.as_bytes()).unwrap();
    let written = |record: &ClientRecord<'_>| {
        let mut line = Vec::new();
        record.write(&mut line);
        String::from_utf8(line).unwrap()
    };
    node.store().record(node.key(client), client, written)
}

#[test]
fn forgotten_client_is_unknown_until_it_reports_something_newer() {
    let (welsh, queue) = neighbour("Welsh", None);
    queue.open();
    let node = forgetting(vec![welsh]);
    let mut client = Driven::client(&node);
    let lines = "IAMAT kiwi +1+1 1479413880\nFORGET kiwi\r\nWHATSAT kiwi 1 1\nFORGET  weka \n\
                 IAMAT kiwi +1+1 1479413880\nWHATSAT kiwi 1 1\nIAMAT kiwi +2+2 1479413880.5\n";
    client.say(lines.as_bytes(), at(5));
    assert_eq!(
        client.written(),
        "AT Alford +4.000000000 kiwi +1+1 1479413880\nFORGOT kiwi\r\n? WHATSAT kiwi 1 1\nFORGOT weka\n\
         AT Alford +4.000000000 kiwi +1+1 1479413880\n? WHATSAT kiwi 1 1\n\
         AT Alford +3.500000000 kiwi +2+2 1479413880.5\n"
    );
    let mut flooded = Vec::new();
    while let Ok(news) = queue.take() {
        flooded.extend_from_slice(&news);
    }
    assert_eq!(
        String::from_utf8(flooded).unwrap(),
        "AT Alford +4.000000000 kiwi +1+1 1479413880 Alford\n\
         FORGOT kiwi 1479413884000 1479413880 Alford Alford\nFORGOT weka 1479413884000 0 Alford Alford\n\
         AT Alford +3.500000000 kiwi +2+2 1479413880.5 1479413884000 Alford\n"
    );
    assert_eq!((node.store().len(), node.store().tombstones()), (1, 1));
}

#[test]
fn tombstone_outbids_by_the_clock_and_is_of_what_it_hides_but_not_of_the_future() {
    let node = forgetting(Vec::new());
    let mut client = Driven::client(&node);
    client.say(b"IAMAT slow +1+1 1479413000.25\nIAMAT ahead +1+1 4070908800\n", at(5));
    for (id, tombstone) in [
        ("slow", "FORGOT slow 1479413884000 1479413000.250000000 Alford"),
        ("ahead", "FORGOT ahead 1479413884000 1479413884 Alford"),
        ("nobody", "FORGOT nobody 1479413884000 0 Alford"),
        // In the same millisecond, a report between the two.
        ("ahead", "FORGOT ahead 1479413884001 1479413884 Alford"),
        ("slow", "FORGOT slow 1479413884001 1479413001 Alford"),
    ] {
        client.say(format!("FORGET {id}\n").as_bytes(), at(5));
        assert_eq!(held(&node, id).as_deref(), Some(tombstone));
        client.say(b"IAMAT slow +1+1 1479413001\nIAMAT ahead +1+1 4070908800\n", at(5));
    }
}

#[test]
fn forgetting_what_is_forgotten_stores_and_floods_nothing_and_drives_no_generation_ahead() {
    let (welsh, queue) = neighbour("Welsh", None);
    queue.open();
    let node = forgetting(vec![welsh]);
    let mut client = Driven::client(&node);
    let (mut peer, _) = Driven::peer(&node, 7, 1, at(0));
    // One millisecond short of this node's clock, at it, and beyond.
    for (id, generation, stays) in
        [("a", 1479413883999_u64, false), ("b", 1479413884000, true), ("c", 9007199254740991, true)]
    {
        peer.say(format!("FORGOT {id} {generation} 5 Welsh Welsh\n").as_bytes(), at(1));
        for _ in 0..3 {
            client.say(format!("FORGET {id}\n").as_bytes(), at(5));
            assert_eq!(mem::take(&mut client.written), format!("FORGOT {id}\n").as_bytes());
        }
        let stands = match stays {
            true => format!("FORGOT {id} {generation} 5 Welsh"),
            false => format!("FORGOT {id} 1479413884000 5 Alford"),
        };
        assert_eq!(held(&node, id), Some(stands));
    }
    assert_eq!(&*queue.take().unwrap(), b"FORGOT a 1479413884000 5 Alford Alford\n");
    assert!(queue.take().is_err());
}

#[test]
fn forgetting_again_waits_for_the_tombstone_that_stands() {
    let (outbox, queue) = outbox(1 << 20);
    queue.open();
    let options =
        Options { subscribers: Subscribers { all: vec![outbox], ..Subscribers::default() }, ..options() };
    let node = Node::new(options).forgetting_for_everyone().acknowledging_what_is_durable();
    let node = Arc::new(node);
    let mut client = Driven::client(&node);
    for _ in 0..2 {
        client.say(b"FORGET kiwi\n", at(5));
        assert_eq!(mem::take(&mut client.did), ["offer", "commit", "write"]);
        assert_eq!(&*queue.take().unwrap(), b"FORGOT kiwi 1479413884000 0 Alford\n");
    }
}

#[test]
fn node_that_others_can_reach_forgets_nobody() {
    let node = node_of(Vec::new(), false, None);
    let mut client = Driven::client(&node);
    client.say(b"IAMAT kiwi +1+1 1479413880\nFORGET kiwi\nFORGET weka\n", at(5));
    let at_line = "AT Alford +4.000000000 kiwi +1+1 1479413880";
    assert_eq!(client.written(), format!("{at_line}\n? FORGET kiwi\n? FORGET weka\n"));
    assert_eq!((held(&node, "kiwi").as_deref(), held(&node, "weka")), (Some(at_line), None));
}

#[test]
fn client_whose_generation_is_more_than_a_day_ahead_is_not_forgotten_again() {
    let (welsh, _queue) = neighbour("Welsh", None);
    let node = forgetting(vec![welsh]);
    let (mut peer, _) = Driven::peer(&node, 7, 1, at(0));
    let mut client = Driven::client(&node);
    for (id, generation, reply) in [
        ("a", 1479500284000_u64, "FORGOT a\n"),
        ("b", 1479500284001, "? FORGET b\n"),
        ("c", 9007199254740991, "? FORGET c\n"),
    ] {
        let stands = format!("AT Welsh +1.000000000 {id} +1+1 5 {generation}");
        peer.say(format!("{stands} Welsh\n").as_bytes(), at(1));
        client.say(format!("FORGET {id}\n").as_bytes(), at(5));
        assert_eq!(String::from_utf8(mem::take(&mut client.written)).unwrap(), reply);
        let next = format!("FORGOT {id} {} 5 Alford", generation + 1);
        assert_eq!(held(&node, id), Some(if reply.starts_with('?') { stands } else { next }));
    }
    let b = ClientId::new(b"b").unwrap();
    let refused = node.forget(b, node.key(b), now(at(5)), &mut Changes::default());
    assert_eq!(refused, Err(Invalid::NotForgotten(ForgetFault::GenerationAhead)));
}

#[test]
fn tombstones_of_peers_are_taken_as_news_and_as_repair() {
    let ((welsh, _), (ball, queue)) = (neighbour("Welsh", None), neighbour("Ball", None));
    queue.open();
    let node = forgetting(vec![welsh, ball]);
    Driven::client(&node).say(b"IAMAT kiwi +1+1 1479413880\nIAMAT weka +1+1 1479413880\n", at(0));
    assert!(queue.take().is_ok());
    let (mut peer, _) = Driven::peer(&node, 7, 1, at(0));
    peer.say(b"FORGOT kiwi 7 1479413880 Welsh Welsh\n", at(1));
    assert_eq!(&*queue.take().unwrap(), b"FORGOT kiwi 7 1479413880 Welsh Alford\n");
    peer.say(b"FORGOT weka 7 1479413880 Welsh\n", at(1));
    assert!(queue.is_behind(), "what repair brought is carried on by rounds");
    assert_eq!((node.store().len(), node.store().tombstones()), (0, 2));
    // A report of before, which was under way.
    peer.say(b"AT Welsh +4.000000000 kiwi +3+3 1479413883 Welsh\n", at(1));
    assert_eq!(node.store().len(), 0);
}

#[test]
fn forgetting_is_acknowledged_after_the_commit() {
    let node = Arc::into_inner(forgetting(Vec::new())).unwrap();
    let node = Arc::new(node.acknowledging_what_is_durable());
    let mut client = Driven::client(&node);
    client.say(b"FORGET kiwi\n", at(5));
    assert_eq!(mem::take(&mut client.did), ["offer", "commit", "write"]);
    assert_eq!(client.written(), "FORGOT kiwi\n");
    node.refuse_reports(true);
    client.say(b"FORGET weka\n", at(5));
    assert_eq!((client.written().as_str(), held(&node, "weka")), ("? FORGET weka\n", None));
    let weka = ClientId::new(b"weka").unwrap();
    let refused = node.forget(weka, node.key(weka), now(at(5)), &mut Changes::default());
    assert_eq!(refused, Err(Invalid::NotForgotten(ForgetFault::NotKept)));
}
