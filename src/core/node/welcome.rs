//! Whether a connection's first lines make it a neighbour's: the handshake, on the side that is dialled. If the herd
//! has a secret, nobody is let in, and nothing changes, before it is proved.

use super::Node;
use crate::core::{
    access::{Refusal, Retention},
    model::Tick,
    wire::{Channel, Hello, Nonce, OwedProof, Prover, Transcript, parse_proof, write_welcome},
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
#[derive(Clone, Debug)]
pub enum Greeting {
    /// The neighbour is let in: the herd has no secret.
    Welcome(Welcome),
    /// It must prove the secret with its second line.
    Challenge(Challenge),
}

/// What a second line must prove.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// The position of the neighbour it claims to be.
    link: usize,
    owed: OwedProof,
}

impl Node {
    /// Judges a handshake's first line, given without its terminator, and appends the answer to a good one. `nonce`
    /// consists of random bytes that nobody can guess. `connection` is the number of the connection, and the time;
    /// `channel` carries it.
    pub fn greet(
        &self,
        line: &[u8],
        (nonce, channel): (Nonce, Channel),
        connection: (u64, Tick),
        out: &mut Vec<u8>,
    ) -> Result<Greeting, Refusal> {
        let hello = Hello::parse(line)?;
        let link = self.claimed_link(&hello)?;
        // Before anything is proved, or an old proof could be had over a connection that others can read.
        if channel == Channel::Plain && !self.peer_tls.takes_plain() {
            return Err(Refusal::NoTls { id: self.id.clone(), from: text(hello.from) });
        }
        self.check_nonce(&hello)?;
        self.check_terms(&hello)?;
        let answer = Hello {
            version: hello.common_version(),
            forget_after: self.forget_after,
            ..Hello::new(&self.herd, &self.id, &self.neighbours[link].id, self.check)
        };
        let Some(secret) = &self.secret else {
            let welcome = self.admit(link, hello.incarnation, connection)?;
            answer.write(out);
            return Ok(Greeting::Welcome(welcome));
        };
        let answer = Hello { nonce: Some(nonce), ..answer };
        let unproved = answer.to_line();
        let transcript = Transcript::new(channel, line, &unproved);
        let proof = transcript.prove(Prover::Acceptor, secret);
        Hello { proof: Some(proof), ..answer }.write(out);
        Ok(Greeting::Challenge(Challenge { link, owed: transcript.owed(secret) }))
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
        let Challenge { link, owed } = challenge;
        let proved = parse_proof(line).filter(|(proof, incarnation)| owed.is_met(proof, *incarnation));
        let (_, incarnation) = proved.ok_or(Refusal::WrongProof)?;
        let welcome = self.admit(*link, incarnation, connection)?;
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

    /// Checks that there is a nonce if this node has a secret, and none otherwise.
    fn check_nonce(&self, hello: &Hello<'_>) -> Result<(), Refusal> {
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
            (_, _, None) => Ok(()),
        }
    }

    /// Checks what all nodes of a herd must have alike.
    fn check_terms(&self, hello: &Hello<'_>) -> Result<(), Refusal> {
        let (id, from) = (self.id.clone(), text(hello.from));
        if hello.check != self.check {
            let cure = if self.secret.is_some() { "secret_file" } else { "configuration" };
            return Err(Refusal::OtherPlacement { id, from, cure });
        }
        if hello.forget_after != self.forget_after {
            let [ours, theirs] = [self.forget_after, hello.forget_after].map(Retention);
            return Err(Refusal::OtherRetention { id, from, ours, theirs });
        }
        Ok(())
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
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}
