//! The handshake, on the side that dials: what a link says first, whether the answer comes from the intended node, and
//! what proves this node to it in turn.

use std::sync::Arc;

use super::Broken;
use crate::core::{
    access::{Refusal, Retention, Secret},
    model::NodeId,
    wire::{Channel, Hello, Nonce, Proof, Prover, REFUSED, Transcript, is_welcome, write_proof},
};

/// The two ends of a link.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The herd's name.
    pub herd: String,
    /// This node.
    pub id: NodeId,
    /// The neighbour.
    pub peer: NodeId,
    /// The random number of this node's start.
    pub incarnation: u64,
    /// The placement key's check value.
    pub check: u64,
    /// After how many seconds nodes of the herd forget locations; `None` for never.
    pub forget_after: Option<u64>,
    /// What proves that a node belongs to the herd; `None` in a herd without a secret.
    pub secret: Option<Arc<Secret>>,
}

/// What is new with each connection.
#[derive(Clone, Copy, Debug)]
pub struct Dialled {
    /// Random bytes that nobody can guess.
    pub nonce: Nonce,
    /// What carries it.
    pub channel: Channel,
}

impl Dialled {
    /// A connection without TLS.
    pub const fn plain(nonce: Nonce) -> Self {
        Self { nonce, channel: Channel::Plain }
    }
}

impl Ends {
    /// This node's handshake, without a terminator. The nonce is used only if there is a secret; then the incarnation
    /// is told later, to nobody who has not proved the secret.
    pub(super) fn hello(&self, nonce: Nonce) -> Vec<u8> {
        let hello = Hello::new(&self.herd, &self.id, &self.peer, self.check);
        let hello = Hello { forget_after: self.forget_after, ..hello };
        let hello = match &self.secret {
            Some(_) => Hello { nonce: Some(nonce), ..hello },
            None => Hello { incarnation: self.incarnation, ..hello },
        };
        hello.to_line()
    }

    /// Checks the answer to that handshake. If there is a secret, returns the proof that this node owes in turn, after
    /// finding the other end's proof good.
    pub(super) fn check_answer(
        &self,
        channel: Channel,
        hello: &[u8],
        answer: &[u8],
    ) -> Result<Option<Proof>, Broken> {
        check_not_refused(answer)?;
        self.check_hello(channel, hello, answer).map_err(Broken::Stranger)
    }

    fn check_hello(&self, channel: Channel, hello: &[u8], answer: &[u8]) -> Result<Option<Proof>, Refusal> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let theirs = Hello::parse_answer(answer)?;
        if theirs.from != self.peer.as_bytes() || theirs.herd != self.herd.as_bytes() {
            return Err(Refusal::OtherPeer { from: text(theirs.from), herd: text(theirs.herd) });
        }
        if theirs.to != self.id.as_bytes() {
            return Err(Refusal::AnswersOther { to: text(theirs.to) });
        }
        // A neighbour without a secret is refused before anything else it says is checked, or an impostor could go
        // without.
        let proved = match (&self.secret, theirs.nonce, theirs.proof) {
            (None, None, _) => None,
            (None, Some(_), _) => return Err(Refusal::OnlyItHasSecret),
            (Some(secret), Some(_), Some(proof)) => Some((secret, proof)),
            (Some(_), ..) => return Err(Refusal::ProvesNothing),
        };
        if theirs.check != self.check {
            return Err(Refusal::ItsPlacement);
        }
        if theirs.forget_after != self.forget_after {
            let [ours, theirs] = [self.forget_after, theirs.forget_after].map(Retention);
            return Err(Refusal::ItsRetention { ours, theirs });
        }
        let Some((secret, proof)) = proved else { return Ok(None) };
        let transcript = Transcript::new(channel, hello, answer);
        if !transcript.is_proved(&proof, secret) {
            return Err(Refusal::ItsProof);
        }
        Ok(Some(transcript.prove(Prover::Dialler { incarnation: self.incarnation }, secret)))
    }

    /// Appends the line that proves the secret.
    pub(super) fn write_proof(&self, proof: &Proof, out: &mut Vec<u8>) {
        write_proof(proof, self.incarnation, out);
    }

    /// Checks the answer to this node's proof.
    pub(super) fn check_welcome(answer: &[u8]) -> Result<(), Broken> {
        check_not_refused(answer)?;
        if is_welcome(answer) { Ok(()) } else { Err(Broken::Nonsense) }
    }
}

fn check_not_refused(answer: &[u8]) -> Result<(), Broken> {
    match answer.strip_prefix(REFUSED) {
        Some(why) => Err(Broken::Refused(String::from_utf8_lossy(why).into_owned())),
        None => Ok(()),
    }
}
