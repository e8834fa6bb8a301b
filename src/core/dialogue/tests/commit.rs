//! What waits for a commit before it is acknowledged.

use super::*;
use crate::core::model::ClientId;

#[test]
fn reports_are_acknowledged_after_the_commit_and_nothing_else_waits_for_it() {
    let node = Arc::into_inner(node_of(Vec::new(), true, None)).unwrap();
    let node = Arc::new(node.acknowledging_what_is_durable());
    let mut client = Driven::client(&node);
    // A stale one is acknowledged for the sake of what it met.
    for report in [&b"IAMAT kiwi +1+1 1479413884\n"[..], b"IAMAT kiwi +2+2 1479413883\n"] {
        client.say(report, at(5));
        assert_eq!(mem::take(&mut client.did), ["offer", "commit", "write"]);
    }
    client.written();
    client.say(b"? ?\nWHATSAT kiwi 1 1\n", at(5));
    assert_eq!(mem::take(&mut client.did), ["offer", "write", "look", "offer", "write"]);
    client.say(b"IAMAT kiwi +1+1 1479413885\nWHATSAT kiwi 1 1\n", at(5));
    assert_eq!(mem::take(&mut client.did), ["offer", "commit", "write", "look", "offer", "write"]);
    client.written();
    node.refuse_reports(true);
    client.say(b"IAMAT kiwi +1+1 1479413886\n", at(5));
    assert_eq!(
        (client.did, client.written.as_slice()),
        (vec!["offer", "write"], &b"? IAMAT kiwi +1+1 1479413886\n"[..])
    );
    let kiwi = ClientId::new(b"kiwi").unwrap();
    let stored = node.store().get(node.key(kiwi), kiwi, |location| location.time);
    assert_eq!(stored, Some(Timestamp::new(1_479_413_885, 0)), "what is refused is not stored");
}
