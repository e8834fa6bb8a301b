//! Whether a connection's first lines make it a neighbour's: the handshake, on the side that is dialled. If the herd
//! has a secret, nobody is let in, and nothing changes, before it is proved.

use super::Node;
use crate::core::{
    access::Refusal,
    model::Tick,
    wire::{End, Hello, Nonce, Prover, Transcript, parse_proof, write_welcome},
};

/// A neighbour that is let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// Its position among the neighbours.
    pub link: usize,
    /// Its earlier connection, which must be closed.
    pub replaces: Option<u64>,
}

/// The result of a good first line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Greeting {
    /// The neighbour is let in: the herd has no secret.
    Welcome(Welcome),
    /// It must prove the secret with its second line.
    Challenge(Challenge),
}

/// What a proof must cover.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// The position of the neighbour it claims to be.
    link: usize,
    incarnation: u64,
    theirs: Nonce,
    ours: Nonce,
}

impl Node {
    /// Judges a handshake's first line, and appends the answer to a good one. `nonce` consists of random bytes that
    /// nobody can guess. `connection` is the number of the connection, and the time.
    pub fn greet(
        &self,
        line: &[u8],
        nonce: Nonce,
        connection: (u64, Tick),
        out: &mut Vec<u8>,
    ) -> Result<Greeting, Refusal> {
        let hello = Hello::parse(line)?;
        let link = self.claimed_link(&hello)?;
        let theirs = self.their_nonce(&hello)?;
        if hello.check != self.check {
            let from = text(hello.from);
            let cure = if theirs.is_some() { "secret_file" } else { "configuration" };
            return Err(Refusal::OtherPlacement { id: self.id.clone(), from, cure });
        }
        let answer =
            Hello::new(&self.herd, &self.id, &self.neighbours[link].id, self.incarnation, self.check);
        let (Some(secret), Some(theirs)) = (&self.secret, theirs) else {
            let welcome = self.admit(link, hello.incarnation, connection)?;
            answer.write(out);
            return Ok(Greeting::Welcome(welcome));
        };
        let challenge = Challenge { link, incarnation: hello.incarnation, theirs, ours: nonce };
        let proof = self.transcript(&challenge).prove(Prover::Acceptor, secret);
        answer.with_nonce(nonce, Some(proof)).write(out);
        Ok(Greeting::Challenge(challenge))
    }

    /// Judges the line that must prove the secret, and appends the answer to one that does. Otherwise as
    /// [`Node::greet`].
    pub fn check_proof(
        &self,
        challenge: &Challenge,
        line: &[u8],
        connection: (u64, Tick),
        out: &mut Vec<u8>,
    ) -> Result<Welcome, Refusal> {
        let is_proved = self.secret.as_ref().zip(parse_proof(line)).is_some_and(|(secret, proof)| {
            self.transcript(challenge).is_proved(Prover::Dialler, &proof, secret)
        });
        if !is_proved {
            return Err(Refusal::WrongProof);
        }
        let welcome = self.admit(challenge.link, challenge.incarnation, connection)?;
        write_welcome(out);
        Ok(welcome)
    }

    /// The position of the neighbour that a line claims to be from.
    fn claimed_link(&self, hello: &Hello<'_>) -> Result<usize, Refusal> {
        let id = || self.id.clone();
        if hello.herd != self.herd.as_bytes() {
            return Err(Refusal::OtherHerd { ours: self.herd.clone(), theirs: text(hello.herd) });
        }
        if hello.incarnation == self.incarnation {
            return Err(Refusal::Itself { id: id() });
        }
        if hello.to != self.id.as_bytes() {
            return Err(Refusal::OtherNode { id: id(), meant: text(hello.to) });
        }
        let position = self
            .neighbours
            .iter()
            .position(|neighbour| neighbour.plain.is_none() && neighbour.id.as_bytes() == hello.from);
        position.ok_or_else(|| Refusal::NoLink { id: id(), from: text(hello.from) })
    }

    /// The nonce, which must be there if this node has a secret, and must not if it has none.
    fn their_nonce(&self, hello: &Hello<'_>) -> Result<Option<Nonce>, Refusal> {
        let names = || (self.id.clone(), text(hello.from));
        match (&self.secret, hello.nonce, hello.proof) {
            (_, _, Some(_)) => Err(Refusal::EarlyProof),
            (Some(_), None, _) => {
                let (id, from) = names();
                Err(Refusal::PeerHasNoSecret { id, from })
            }
            (None, Some(_), _) => {
                let (id, from) = names();
                Err(Refusal::OnlyPeerHasSecret { id, from })
            }
            (_, nonce, None) => Ok(nonce),
        }
    }

    fn admit(
        &self,
        link: usize,
        incarnation: u64,
        (connection, now): (u64, Tick),
    ) -> Result<Welcome, Refusal> {
        let admitted = self.peers.lock().admit(link, incarnation, connection, now);
        let name_in_use = |silence| Refusal::NameInUse { id: self.neighbours[link].id.clone(), silence };
        Ok(Welcome { link, replaces: admitted.map_err(name_in_use)? })
    }

    fn transcript(&self, challenge: &Challenge) -> Transcript<'_> {
        let &Challenge { link, incarnation, theirs, ours } = challenge;
        Transcript {
            herd: self.herd.as_bytes(),
            dialler: End { id: self.neighbours[link].id.as_bytes(), incarnation, nonce: theirs },
            acceptor: End { id: self.id.as_bytes(), incarnation: self.incarnation, nonce: ours },
            check: self.check,
        }
    }
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}
