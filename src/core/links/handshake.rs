//! The handshake, on the side that dials: what a link says first, whether the answer comes from the intended node, and
//! what proves this node to it in turn.

use std::sync::Arc;

use super::Broken;
use crate::core::{
    access::{Refusal, Secret},
    model::NodeId,
    wire::{End, Hello, Nonce, Proof, Prover, REFUSED, Transcript, is_welcome},
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
    /// What proves that a node belongs to the herd; `None` in a herd without a secret.
    pub secret: Option<Arc<Secret>>,
}

impl Ends {
    /// Appends this node's handshake. The nonce is used only if there is a secret.
    pub(super) fn write_hello(&self, nonce: Nonce, out: &mut Vec<u8>) {
        let hello = Hello::new(&self.herd, &self.id, &self.peer, self.incarnation, self.check);
        let hello = if self.secret.is_some() { hello.with_nonce(nonce, None) } else { hello };
        hello.write(out);
    }

    /// Checks the answer. If there is a secret, returns the proof that this node owes in turn, after finding the other
    /// end's proof good.
    pub(super) fn check_answer(&self, answer: &[u8], nonce: Nonce) -> Result<Option<Proof>, Broken> {
        check_not_refused(answer)?;
        let proof = Hello::parse(answer).and_then(|theirs| self.check_hello(&theirs, nonce));
        proof.map_err(Broken::Stranger)
    }

    fn check_hello(&self, theirs: &Hello<'_>, nonce: Nonce) -> Result<Option<Proof>, Refusal> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if theirs.incarnation == self.incarnation {
            Err(Refusal::LeadsBack)
        } else if theirs.from != self.peer.as_bytes() || theirs.herd != self.herd.as_bytes() {
            Err(Refusal::OtherPeer { from: text(theirs.from), herd: text(theirs.herd) })
        } else if theirs.to != self.id.as_bytes() {
            Err(Refusal::AnswersOther { to: text(theirs.to) })
        } else {
            self.check_proof(theirs, nonce)
        }
    }

    /// The proof that is owed for a good one, if there is a secret. A neighbour without one is refused before anything
    /// else it says is checked, or an impostor could go without.
    fn check_proof(&self, theirs: &Hello<'_>, nonce: Nonce) -> Result<Option<Proof>, Refusal> {
        let proved = match (&self.secret, theirs.nonce, theirs.proof) {
            (None, None, _) => None,
            (None, Some(_), _) => return Err(Refusal::OnlyItHasSecret),
            (Some(secret), Some(their_nonce), Some(proof)) => Some((secret, their_nonce, proof)),
            (Some(_), ..) => return Err(Refusal::ProvesNothing),
        };
        if theirs.check != self.check {
            return Err(Refusal::ItsPlacement);
        }
        let Some((secret, their_nonce, proof)) = proved else { return Ok(None) };
        let transcript = self.transcript(nonce, theirs.incarnation, their_nonce);
        if !transcript.is_proved(Prover::Acceptor, &proof, secret) {
            return Err(Refusal::ItsProof);
        }
        Ok(Some(transcript.prove(Prover::Dialler, secret)))
    }

    /// Checks the answer to this node's proof.
    pub(super) fn check_welcome(answer: &[u8]) -> Result<(), Broken> {
        check_not_refused(answer)?;
        if is_welcome(answer) { Ok(()) } else { Err(Broken::Nonsense) }
    }

    fn transcript(&self, nonce: Nonce, incarnation: u64, theirs: Nonce) -> Transcript<'_> {
        Transcript {
            herd: self.herd.as_bytes(),
            dialler: End { id: self.id.as_bytes(), incarnation: self.incarnation, nonce },
            acceptor: End { id: self.peer.as_bytes(), incarnation, nonce: theirs },
            check: self.check,
        }
    }
}

fn check_not_refused(answer: &[u8]) -> Result<(), Broken> {
    match answer.strip_prefix(REFUSED) {
        Some(why) => Err(Broken::Refused(String::from_utf8_lossy(why).into_owned())),
        None => Ok(()),
    }
}
