//! A neighbour made of test code that has a secret, the herd's or another, and goes through the handshake step by step,
//! so that a test can go wrong at any of them.

use proxyherd::core::{
    access::{Secret, SecretKey},
    store::Placement,
    wire::{End, Hello, Nonce, Proof, Prover, Transcript},
};

use super::{Client, FakePeer, HERD, Setup, TestNode};

/// A secret file's contents; all have one placement key.
pub(crate) fn secret_of(key: u8) -> Secret {
    Secret::new(SecretKey::of_bytes([key; 32]), [0x91; 16])
}

/// A neighbour that listens.
pub(crate) struct SecretPeer {
    pub(crate) peer: FakePeer,
    pub(crate) secret: Secret,
    pub(crate) incarnation: u64,
}

/// What the node has said of itself.
pub(crate) struct Said {
    incarnation: u64,
    pub(crate) nonce: Nonce,
    pub(crate) proof: Option<Proof>,
}

impl Said {
    fn of(hello: &str) -> Self {
        let hello = Hello::parse(hello.as_bytes()).unwrap();
        Self { incarnation: hello.incarnation, nonce: hello.nonce.unwrap(), proof: hello.proof }
    }
}

impl SecretPeer {
    pub(crate) fn new(id: &'static str, secret: Secret) -> Self {
        Self { peer: FakePeer::new(id), secret, incarnation: 0xfeed }
    }

    fn check(&self) -> u64 {
        Placement::of_key(self.secret.placement()).check()
    }

    fn end(&self, nonce: Nonce) -> End<'_> {
        End { id: self.peer.id().as_bytes(), incarnation: self.incarnation, nonce }
    }

    /// Its HELLO line.
    pub(crate) fn hello(&self, nonce: Nonce, proof: Option<Proof>) -> String {
        let plain = self.plain_hello();
        let proof = proof.map_or(String::new(), |proof| format!(" {proof}"));
        plain.replace('\n', &format!(" {nonce}{proof}\n"))
    }

    /// The same as a node without a secret says it.
    pub(crate) fn plain_hello(&self) -> String {
        let (id, incarnation, check) = (self.peer.id(), self.incarnation, self.check());
        format!("HELLO 1 {HERD} {id} {} {incarnation:016x} {check:016x}\n", Setup::ID)
    }

    /// What it proves to a node that it has dialled.
    pub(crate) fn proof(&self, role: Prover, ours: Nonce, node: &Said) -> Proof {
        let acceptor = End { id: Setup::ID.as_bytes(), incarnation: node.incarnation, nonce: node.nonce };
        let (herd, dialler) = (HERD.as_bytes(), self.end(ours));
        Transcript { herd, dialler, acceptor, check: self.check() }.prove(role, &self.secret)
    }

    /// What it proves to a node that has dialled it.
    pub(crate) fn proof_of_answer(&self, role: Prover, ours: Nonce, node: &Said) -> Proof {
        let dialler = End { id: Setup::ID.as_bytes(), incarnation: node.incarnation, nonce: node.nonce };
        let (herd, acceptor) = (HERD.as_bytes(), self.end(ours));
        Transcript { herd, dialler, acceptor, check: self.check() }.prove(role, &self.secret)
    }

    /// Dials the node and has its HELLO answered with a proof.
    #[track_caller]
    pub(crate) fn begin(&self, node: &TestNode, nonce: Nonce) -> (Client, Said) {
        let mut session = node.client();
        session.send(self.hello(nonce, None));
        let answer = String::from_utf8(session.line()).unwrap();
        assert!(answer.starts_with("HELLO 1 "), "{answer}");
        (session, Said::of(&answer))
    }

    /// Dials the node and goes through the whole handshake; its second line too.
    #[track_caller]
    pub(crate) fn dial(&self, node: &TestNode, nonce: Nonce) -> (Client, String) {
        let (mut session, said) = self.begin(node, nonce);
        let proof = format!("PROOF {}\n", self.proof(Prover::Dialler, nonce, &said));
        session.exchange(&proof, "WELCOME\n");
        (session, proof)
    }

    /// Takes the node's call, and does not answer.
    #[track_caller]
    pub(crate) fn answer_call(&self) -> (Client, Said) {
        let (flooder, hello) = self.peer.answer_call();
        (flooder, Said::of(&hello))
    }

    /// Takes the node's call, proves itself, and has the node prove itself.
    #[track_caller]
    pub(crate) fn take_proof(&self, nonce: Nonce) -> Client {
        let (mut flooder, said) = self.answer_call();
        let proof = self.proof_of_answer(Prover::Acceptor, nonce, &said);
        flooder.send(self.hello(nonce, Some(proof)));
        let owed = self.proof_of_answer(Prover::Dialler, nonce, &said);
        flooder.expect(format!("PROOF {owed}\n"), "the node's proof");
        flooder
    }
}
