//! A neighbour's flooder, on the connection it made: two bytes say the lengths of the reads, the rest is what it sends.
//! Its first line may be a handshake, good or bad; what follows is taken as a neighbour's in any case. Answered is what
//! was asked and nothing else, the store's sums are its entries', and another order of the lines makes the same store.
//! A node that has a secret takes the same lines for a stranger's.

use std::sync::Arc;

use proxyherd::core::{
    dialogue::{Closing, Party, Reply},
    links::Queue,
    model::ClientRecord,
    node::{Greeting, Node},
    store::KeyHash,
    wire::{
        ANSWER_BYTES_MAX, Answer, Channel, Hello, Invalid, Line, PEER_LINE_BYTES_MAX, PeerLine, Prover,
        Question, REFUSED, Transcript, is_hello, write_proof,
    },
};

use super::{
    scene::{self, now},
    session::{Ear, Session},
};

/// One input.
pub fn peer_session(data: &[u8]) {
    let Some(([first, step], stream)) = data.split_first_chunk() else { return };
    let (node, queues) = scene::node("Alford", &["Welsh", "Bolden"]);
    queues.iter().for_each(Queue::open);
    let mut listener = Listener { node: &node, expected: Vec::new() };
    let (mut session, rest) = introduced(stream, &node);
    let &Party::Peer(link) = session.party() else { panic!("it is a neighbour's") };
    scene::reads(rest, (*first, *step), |read| session.say(read, now(), &mut listener));
    assert!(session.closing.is_none() && listener.expected.is_empty());
    drop(session);

    check_stranger(stream);
    scene::check_sums(node.store());
    assert!(queues[link].take().is_err() && !queues[link].is_behind(), "flooded back");
    while let Ok(news) = queues[1 - link].take() {
        for line in news.split_inclusive(|&byte| byte == b'\n').filter(|line| line != b"\n") {
            let line = line.strip_suffix(b"\n").expect("whole lines");
            assert!(matches!(PeerLine::parse(line), Some(PeerLine::Update(_))) && line.ends_with(b" Alford"));
        }
    }
    check_backwards(stream, &node);
}

/// The connection after its handshake, and what comes then: the stream's own, if that is good, or one that is.
fn introduced<'a>(stream: &'a [u8], node: &Arc<Node>) -> (Session, &'a [u8]) {
    let end = stream.iter().position(|&byte| byte == b'\n').map(|newline| newline + 1);
    if let Some(end) = end
        && is_hello(stream[..end - 1].strip_suffix(b"\r").unwrap_or(&stream[..end - 1]))
    {
        let (hello, rest) = stream.split_at(end);
        let (mut session, mut answer) = (Session::new(node, PEER_LINE_BYTES_MAX), Answers(Vec::new()));
        session.say(hello, now(), &mut answer);
        let line = answer.0.strip_suffix(b"\n").expect("a whole line");
        assert!(!line.contains(&b'\n'));
        let theirs = hello.trim_ascii_end();
        match session.party() {
            &Party::Peer(link) => {
                let (theirs, ours) = (Hello::parse(theirs).expect("good"), Hello::parse(line).expect("good"));
                assert_eq!((ours.from, ours.to, ours.herd), (theirs.to, theirs.from, theirs.herd));
                assert_eq!((ours.version, ours.incarnation), (theirs.common_version(), 0));
                assert_eq!(ours.to, node.neighbours()[link].id.as_bytes());
                return (session, rest);
            }
            party => {
                assert_eq!(party, &Party::Stranger);
                assert!(line.starts_with(REFUSED) && matches!(session.closing, Some(Closing::Refused(_))));
                return (Session::peer(node, "Welsh"), rest);
            }
        }
    }
    (Session::peer(node, "Welsh"), stream)
}

/// Keeps what is written.
struct Answers(Vec<u8>);

impl Ear for Answers {
    fn said(&mut self, _line: Line<'_>, _party: &Party, _reply: &Reply<'_>) {}

    fn replied(&mut self, replies: &[u8]) {
        self.0.extend_from_slice(replies);
    }
}

/// Nobody is let in who does not know the secret, whatever the lines.
fn check_stranger(stream: &[u8]) {
    let (node, queues) = scene::node_with(Some(scene::secret()), "Alford", &["Welsh", "Bolden"]);
    queues.iter().for_each(Queue::open);
    let mut answers = Answers(Vec::new());
    let mut session = Session::new(&node, PEER_LINE_BYTES_MAX);
    scene::reads(stream, (u8::MAX, 0), |read| session.say(read, now(), &mut answers));
    session.end(now(), &mut answers);
    assert!(session.party().is_client(), "let in without a proof");
    let first = answers.0.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if let Ok(ours) = Hello::parse(first) {
        assert_eq!((ours.nonce, ours.proof.is_some()), (Some(scene::NONCE), true));
    }
    for (link, queue) in queues.iter().enumerate() {
        check_name_is_free(&node, link);
        assert!(!queue.is_behind());
    }
}

/// Who knows the secret is let in by that neighbour's name, and takes nobody's place.
fn check_name_is_free(node: &Node, link: usize) {
    let (ours, theirs, connection) = (&node.id, &node.neighbours()[link].id, (2, now().tick));
    let incarnation = scene::incarnation(theirs.as_str());
    let (mut line, mut answer) = (Vec::new(), Vec::new());
    let hello = Hello::new(&node.herd, theirs, ours, node.check);
    let hello = Hello { nonce: Some(scene::NONCE), ..hello }.to_line();
    let Ok(Greeting::Challenge(challenge)) =
        node.greet(&hello, (scene::NONCE, Channel::Plain), connection, &mut answer)
    else {
        panic!("a good handshake is refused");
    };
    let transcript = Transcript::new(Channel::Plain, &hello, answer.trim_ascii_end());
    let proof = transcript.prove(Prover::Dialler { incarnation }, &scene::secret());
    write_proof(&proof, incarnation, &mut line);
    let welcome = node.check_proof(&challenge, &line, connection, &mut answer).expect("a good proof");
    assert_eq!((welcome.link, welcome.replaces), (link, None));
}

/// Hears what each line got, and works out by itself what it must be.
struct Listener<'a> {
    node: &'a Node,
    /// What must be written next.
    expected: Vec<u8>,
}

impl Listener<'_> {
    /// The answer that a line must get from what is stored now; `None` for a line that is not good.
    fn expect(&self, line: Line<'_>) -> Option<String> {
        let Line::Whole(text, _) = line else { return None };
        let (store, shape) = (self.node.store(), self.node.store().shape());
        let hex = |numbers: &[u64]| numbers.iter().map(|number| format!("{number:016x}")).collect::<String>();
        Some(match PeerLine::parse(text)? {
            PeerLine::Update(record) | PeerLine::Push(record) => {
                let stored = |stored: &ClientRecord<'_>| stored.cmp_age(&record).is_ge();
                assert_eq!(
                    store.record(store.key_hash(record.client()), record.client(), stored),
                    Some(true)
                );
                String::new()
            }
            PeerLine::Ping(number) => format!("PONG {number} {}\n", now().wall),
            PeerLine::Done(number) => format!("DONE {number}\n"),
            PeerLine::Ask(Question::Sum { watermark: 0 }) => format!("SUM {} 0\n", hex(&[store.sum()])),
            PeerLine::Ask(Question::Sum { .. }) => "SUM - 0\n".to_owned(),
            PeerLine::Ask(Question::Shards) => format!("SHARDS {}\n", hex(&store.shard_sums())),
            PeerLine::Ask(Question::Leaves { shard }) => {
                let sums = (shard < shape.shards()).then(|| store.leaf_sums(shard))?;
                format!("LEAVES {shard} {}\n", hex(&sums))
            }
            PeerLine::Ask(Question::List { shard, leaf, from, most }) => {
                if shard >= shape.shards() || leaf >= shape.leaves() {
                    return None;
                }
                let mut all = store.entries(shard, leaf, KeyHash::of_bits(0));
                all.retain(|entry| entry.key.bits() >= from);
                let end = if all.len() <= most { "end" } else { "more" };
                all.truncate(most);
                let pairs: Vec<u64> = all.iter().flat_map(|entry| [entry.key.bits(), entry.hash]).collect();
                let space = if pairs.is_empty() { "" } else { " " };
                format!("LIST {shard} {leaf} {end}{space}{}\n", hex(&pairs))
            }
        })
    }
}

impl Ear for Listener<'_> {
    fn said(&mut self, line: Line<'_>, _party: &Party, reply: &Reply<'_>) {
        match self.expect(line) {
            Some(answer) => {
                assert_eq!(*reply, Reply::None);
                assert!(answer.len() <= ANSWER_BYTES_MAX + 1);
                let is_understood = Answer::parse(answer.trim_end().as_bytes()).is_some();
                assert!(answer.is_empty() || is_understood, "{answer}");
                self.expected.extend_from_slice(answer.as_bytes());
            }
            None if matches!(line, Line::TooLong(..)) => assert_eq!(*reply, Reply::Invalid(Invalid::TooLong)),
            None => assert_eq!(*reply, Reply::Invalid(Invalid::NotFromPeer)),
        }
    }

    fn replied(&mut self, replies: &[u8]) {
        assert_eq!(replies.escape_ascii().to_string(), self.expected.escape_ascii().to_string());
        self.expected.clear();
    }
}

/// Another node that is told all locations last to first holds the same.
fn check_backwards(stream: &[u8], node: &Node) {
    let (other, _) = scene::node("Alford", &[]);
    // The last piece has no terminator.
    for text in stream.split(|&byte| byte == b'\n').rev().skip(1) {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() <= PEER_LINE_BYTES_MAX
            && let Some(PeerLine::Update(record) | PeerLine::Push(record)) = PeerLine::parse(text)
        {
            other.store().merge(other.store().key_hash(record.client()), &record);
        }
    }
    assert_eq!(other.store().shard_sums(), node.store().shard_sums());
}
