//! A neighbour's flooder, on the connection it made: two bytes say the lengths of the reads, the rest is what it sends.
//! Its first line may be a handshake, good or bad; what follows is taken as a neighbour's in any case. Answered is what
//! was asked and nothing else, the store's sums are its entries', and another order of the lines makes the same store.
//! A node that has a secret takes the same lines for a stranger's.

use std::time::Duration;

use proxyherd::core::{
    access::Peers,
    links::Queue,
    model::Location,
    node::{Batch, Greeting, Node, Origin, Said},
    store::KeyHash,
    wire::{
        ANSWER_BYTES_MAX, Answer, Hello, Invalid, Line, LineBuffer, PEER_LINE_BYTES_MAX, PeerLine, Question,
        REFUSED, is_hello, write_refusal,
    },
};

use super::scene::{self, now};

/// One input.
pub fn peer_session(data: &[u8]) {
    let Some(([first, step], stream)) = data.split_first_chunk() else { return };
    let (node, queues) = scene::node("Alford", &["Welsh", "Bolden"]);
    queues.iter().for_each(Queue::open);
    let mut peers = Peers::new(2, Duration::from_secs(5));
    let mut buffer = LineBuffer::new(PEER_LINE_BYTES_MAX);
    let (mut batch, mut is_first, mut link) = (Batch::default(), true, 0);
    scene::feed(stream, (*first, *step), &mut buffer, |lines| {
        for line in lines {
            if std::mem::take(&mut is_first)
                && let Line::Whole(text, _) = line
                && is_hello(text)
            {
                link = shake_hands(text, &node, &mut peers);
                continue;
            }
            let prepared = node.prepare(line, Origin::Peer(link));
            node.prefetch(std::slice::from_ref(&prepared));
            let said = node.execute(&prepared, now(), &mut batch);
            check_answer(line, said, &batch.replies, &node);
            batch.replies.clear();
        }
        node.flood(&mut batch, Origin::Peer(link), |_| panic!("the outbox is large enough"));
    });

    check_stranger(stream);
    scene::check_sums(node.store());
    assert!(queues[link].take().is_err() && !queues[link].is_behind(), "flooded back");
    while let Ok(news) = queues[1 - link].take() {
        for line in news.split_inclusive(|&byte| byte == b'\n').filter(|line| line != b"\n") {
            let line = line.strip_suffix(b"\n").expect("whole lines");
            assert!(matches!(PeerLine::parse(line), Some(PeerLine::At(_))) && line.ends_with(b" Alford"));
        }
    }
    check_backwards(stream, &node);
}

/// The link whose the connection is.
fn shake_hands(text: &[u8], node: &Node, peers: &mut Peers) -> usize {
    let mut out = Vec::new();
    let admit = |link, number| peers.admit(link, number, 1, now().tick);
    match node.greet(text, scene::NONCE, admit, &mut out) {
        Ok(Greeting::Challenge(_)) => panic!("there is no secret"),
        Ok(Greeting::Welcome(welcome)) => {
            assert_eq!(welcome.replaces, None);
            let line = out.strip_suffix(b"\n").expect("a whole line");
            let (theirs, ours) = (Hello::parse(text).expect("good"), Hello::parse(line).expect("good"));
            assert_eq!((ours.from, ours.to, ours.herd), (theirs.to, theirs.from, theirs.herd));
            assert_eq!(ours.to, node.neighbours()[welcome.link].id.as_bytes());
            welcome.link
        }
        Err(why) => {
            assert!(out.is_empty());
            write_refusal(&why, &mut out);
            assert!(
                out.starts_with(REFUSED) && out.iter().position(|&byte| byte == b'\n') == Some(out.len() - 1)
            );
            0
        }
    }
}

/// Nobody is let in who does not know the secret, whatever the lines.
fn check_stranger(stream: &[u8]) {
    let (node, _) = scene::node_with(Some(scene::secret()), "Alford", &["Welsh", "Bolden"]);
    let mut lines = stream.split(|&byte| byte == b'\n');
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return };
    let mut out = Vec::new();
    let challenge = match node.greet(first, scene::NONCE, |_, _| panic!("admitted"), &mut out) {
        Ok(Greeting::Challenge(challenge)) => challenge,
        Ok(Greeting::Welcome(_)) => panic!("welcome without a proof"),
        Err(_) => return assert!(out.is_empty()),
    };
    let ours = Hello::parse(out.trim_ascii_end()).expect("good");
    assert_eq!((ours.nonce, ours.proof.is_some()), (Some(scene::NONCE), true));
    out.clear();
    let proved = node.check_proof(&challenge, second, |_, _| panic!("admitted"), &mut out);
    assert!(proved.is_err() && out.is_empty());
}

fn check_answer(line: Line<'_>, said: Said, answer: &[u8], node: &Node) {
    let Line::Whole(text, _) = line else {
        assert_eq!((said, answer), (Said::Invalid(Invalid::TooLong), &b""[..]));
        return;
    };
    let (store, shape) = (node.store(), node.store().shape());
    let parsed = PeerLine::parse(text);
    let is_asked_of_nothing = match parsed {
        Some(PeerLine::Ask(Question::Leaves { shard })) => shard >= shape.shards(),
        Some(PeerLine::Ask(Question::List { shard, leaf, .. })) => {
            shard >= shape.shards() || leaf >= shape.leaves()
        }
        _ => false,
    };
    let Some(parsed) = parsed.filter(|_| !is_asked_of_nothing) else {
        assert_eq!((said, answer), (Said::Invalid(Invalid::NotFromPeer), &b""[..]));
        return;
    };
    assert_eq!(said, Said::Nothing);
    if let PeerLine::At(location) | PeerLine::Push(location) = parsed {
        assert!(answer.is_empty());
        let stored = |stored: &Location<'_>| stored.cmp_age(&location).is_ge();
        assert_eq!(store.get(store.key_hash(location.client), location.client, stored), Some(true));
        return;
    }
    let answer = answer.strip_suffix(b"\n").expect("a whole line");
    assert!(answer.len() <= ANSWER_BYTES_MAX);
    match (parsed, Answer::parse(answer).expect("well formed")) {
        (PeerLine::Ping(asked), Answer::Pong(number)) | (PeerLine::Done(asked), Answer::Done(number)) => {
            assert_eq!(asked, number);
        }
        (PeerLine::Ask(Question::Sum), Answer::Sum(sum)) => assert_eq!(sum, store.sum()),
        (PeerLine::Ask(Question::Shards), Answer::Shards(sums)) => {
            assert!(sums.iter().eq(store.shard_sums()));
        }
        (PeerLine::Ask(Question::Leaves { shard }), Answer::Leaves { shard: of, sums }) => {
            assert!(shard == of && sums.iter().eq(store.leaf_sums(shard)));
        }
        (
            PeerLine::Ask(Question::List { shard, leaf, from, most }),
            Answer::List { shard: of, leaf: and_of, is_end, pairs },
        ) => {
            assert_eq!((shard, leaf), (of, and_of));
            let mut all = store.entries(shard, leaf, KeyHash::of_bits(0));
            all.retain(|entry| entry.key.bits() >= from);
            assert_eq!(is_end, all.len() <= most);
            all.truncate(most);
            assert!(pairs.iter().eq(all.iter().map(|entry| (entry.key.bits(), entry.hash))));
        }
        (asked, answer) => panic!("{asked:?}: {answer:?}"),
    }
}

/// Another node that is told all locations last to first holds the same.
fn check_backwards(stream: &[u8], node: &Node) {
    let (other, _) = scene::node("Alford", &[]);
    // The last piece has no terminator.
    for text in stream.split(|&byte| byte == b'\n').rev().skip(1) {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() <= PEER_LINE_BYTES_MAX
            && let Some(PeerLine::At(location) | PeerLine::Push(location)) = PeerLine::parse(text)
        {
            other.store().merge(other.store().key_hash(location.client), &location);
        }
    }
    assert_eq!(other.store().shard_sums(), node.store().shard_sums());
}
