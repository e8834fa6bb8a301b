//! A neighbour made of test code that has a secret, the herd's or another, and goes through the handshake step by step,
//! so that a test can go wrong at any of them.

use proxyherd::core::{
    access::{Secret, SecretKey},
    store::Placement,
    wire::{Channel, Hello, Nonce, Proof, Prover, Transcript},
};

use super::{Client, FakePeer, HERD, Setup, TestNode, peers_tls};

/// A secret file's contents; all have one placement key.
pub(crate) fn secret_of(key: u8) -> Secret {
    Secret::new(SecretKey::of_bytes([key; 32]), [0x91; 16])
}

/// A neighbour that listens.
pub(crate) struct SecretPeer {
    pub(crate) peer: FakePeer,
    pub(crate) secret: Secret,
    pub(crate) incarnation: u64,
    /// The highest version that it speaks. The tests have made up a version 3, whose HELLO says more.
    pub(crate) version: u64,
    /// Whether it speaks TLS.
    pub(crate) is_over_tls: bool,
}

/// What the node has said of itself.
pub(crate) struct Said {
    line: String,
    pub(crate) channel: Channel,
    pub(crate) nonce: Nonce,
    pub(crate) proof: Option<Proof>,
}

impl Said {
    #[track_caller]
    fn of(channel: Channel, line: &str) -> Self {
        let line = line.trim_end().to_owned();
        let hello = Hello::parse(line.as_bytes()).unwrap();
        assert_eq!((hello.version, hello.incarnation), (2, 0), "{line}");
        let (nonce, proof) = (hello.nonce.unwrap(), hello.proof);
        Self { line, channel, nonce, proof }
    }
}

impl Said {
    /// The same as if it had been said over another connection.
    pub(crate) fn over(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }
}

impl SecretPeer {
    pub(crate) fn new(id: &'static str, secret: Secret) -> Self {
        Self { peer: FakePeer::new(id), secret, incarnation: 0xfeed, version: 2, is_over_tls: false }
    }

    fn check(&self) -> u64 {
        Placement::of_key(self.secret.placement()).check()
    }

    /// Its HELLO line: without a proof as one that dials; an answer names the highest version that both speak.
    pub(crate) fn hello(&self, nonce: Nonce, proof: Option<Proof>) -> String {
        match proof {
            Some(proof) => self.hello_of(2, nonce, &proof.to_string()),
            None => self.hello_of(self.version, nonce, "-"),
        }
    }

    fn hello_of(&self, version: u64, nonce: Nonce, proof: &str) -> String {
        let (id, check) = (self.peer.id(), self.check());
        let more = if version > 2 { " and what 3 adds" } else { "" };
        format!("HELLO {version} {HERD} {id} {} {:016x} {check:016x} - {nonce} {proof}{more}\n", Setup::ID, 0)
    }

    /// The same as a node without a secret says it.
    pub(crate) fn plain_hello(&self) -> String {
        let (id, incarnation, check) = (self.peer.id(), self.incarnation, self.check());
        format!("HELLO 2 {HERD} {id} {} {incarnation:016x} {check:016x} - - -\n", Setup::ID)
    }

    /// Its end of a handshake, once it is the turn of the node that dialled to prove itself.
    pub(crate) fn dialler(&self) -> Prover {
        Prover::Dialler { incarnation: self.incarnation }
    }

    /// What it proves to a node that it has dialled.
    pub(crate) fn proof(&self, prover: Prover, ours: Nonce, node: &Said) -> Proof {
        let hello = self.hello(ours, None);
        Transcript::new(node.channel, hello.trim_end().as_bytes(), node.line.as_bytes())
            .prove(prover, &self.secret)
    }

    /// The line by which it proves itself to that node.
    pub(crate) fn proof_line(&self, prover: Prover, ours: Nonce, node: &Said) -> String {
        format!("PROOF {} {:016x}\n", self.proof(prover, ours, node), self.incarnation)
    }

    /// What it proves to a node that has dialled it.
    pub(crate) fn proof_of_answer(&self, prover: Prover, ours: Nonce, node: &Said) -> Proof {
        // Its own proof in the answer does not matter.
        let answer = self.hello_of(2, ours, "-");
        Transcript::new(node.channel, node.line.as_bytes(), answer.trim_end().as_bytes())
            .prove(prover, &self.secret)
    }

    /// Dials the node and has its HELLO answered with a proof.
    #[track_caller]
    pub(crate) fn begin(&self, node: &TestNode, nonce: Nonce) -> (Client, Said) {
        self.begin_with(node, &self.hello(nonce, None))
    }

    /// The same with a line that may not be its own.
    #[track_caller]
    pub(crate) fn begin_with(&self, node: &TestNode, hello: &str) -> (Client, Said) {
        let (mut session, mut channel) = (node.client(), Channel::Plain);
        if self.is_over_tls {
            session = session.secured(peers_tls::dialler(&[peers_tls::ALPN])).unwrap();
            channel = peers_tls::channel(session.tls());
        }
        session.send(hello);
        let answer = String::from_utf8(session.line()).unwrap();
        assert!(answer.starts_with("HELLO 2 "), "{answer}");
        (session, Said::of(channel, &answer))
    }

    /// Dials the node and goes through the whole handshake; its second line too.
    #[track_caller]
    pub(crate) fn dial(&self, node: &TestNode, nonce: Nonce) -> (Client, String) {
        let (mut session, said) = self.begin(node, nonce);
        let proof = self.proof_line(self.dialler(), nonce, &said);
        session.exchange(&proof, "WELCOME\n");
        (session, proof)
    }

    /// Takes the node's call, and does not answer.
    #[track_caller]
    pub(crate) fn answer_call(&self) -> (Client, Said) {
        let (mut flooder, mut channel) = (self.peer.take_call(), Channel::Plain);
        if self.is_over_tls {
            flooder = flooder.secured(peers_tls::acceptor(&[peers_tls::ALPN])).unwrap();
            channel = peers_tls::channel(flooder.tls());
        }
        let (flooder, hello) = self.peer.hear_hello(flooder);
        (flooder, Said::of(channel, &hello))
    }

    /// Takes the node's call, proves itself, and has the node prove itself.
    #[track_caller]
    pub(crate) fn take_proof(&self, nonce: Nonce) -> Client {
        let (mut flooder, said) = self.answer_call();
        let proof = self.proof_of_answer(Prover::Acceptor, nonce, &said);
        flooder.send(self.hello(nonce, Some(proof)));
        let owed = String::from_utf8(flooder.line()).unwrap();
        let fields: Vec<&str> = owed.trim_end().split(' ').collect();
        let ["PROOF", proof, incarnation] = fields[..] else { panic!("{owed}") };
        // The node's own incarnation, which it has told nobody before.
        let incarnation = u64::from_str_radix(incarnation, 16).unwrap();
        let expected = self.proof_of_answer(Prover::Dialler { incarnation }, nonce, &said);
        assert_eq!(proof, expected.to_string());
        assert_ne!(incarnation, 0);
        flooder
    }
}
