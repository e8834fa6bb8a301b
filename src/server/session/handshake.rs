//! How a connection becomes a neighbour's: by a handshake as its first line, and the proof that follows; or, where
//! third-party nodes come in, by its address.

use std::{io, mem};

use super::{Ended, PlainDoor, Presence, Session, Shared, Stage};
use crate::{
    core::{
        access::Refusal,
        model::Now,
        node::{Challenge, Greeting, Origin, Welcome},
        wire::{Fields, Line, LineBuffer, Nonce, OtherProtocol, is_hello, write_refusal},
    },
    system::random,
};

impl Session<'_> {
    /// The first line decides whose connection this is, or the second, where the first wants a proof.
    pub(super) fn execute_early(&mut self, line: Line<'_>, now: Now) -> Result<(), Ended> {
        let stage = mem::replace(&mut self.stage, Stage::Lines);
        let (Line::Whole(text, _) | Line::TooLong(text, _)) = line;
        match stage {
            Stage::Proof(challenge, _) => return self.check_proof(&challenge, text, now),
            Stage::First if matches!(line, Line::Whole(..)) && is_hello(text) => {
                return self.shake_hands(text, now);
            }
            Stage::First | Stage::Empty | Stage::Lines => {}
        }
        if let Some(other) = OtherProtocol::of_line(line) {
            return self.end_other(other);
        }
        self.check_place()?;
        if matches!(line, Line::Whole(..)) && Fields::of(text).next().is_none() {
            self.stage = Stage::Empty;
        }
        self.execute_line(&self.shared.node.prepare(line, self.origin), now)
    }

    /// Looks at the beginning of a first line that is not whole yet: another protocol may never end it.
    pub(super) fn look_at_beginning(&mut self, buffer: &LineBuffer) -> Result<(), Ended> {
        let is_first = matches!(self.stage, Stage::First | Stage::Empty);
        let beginning = if is_first { buffer.beginning() } else { None };
        match beginning.and_then(OtherProtocol::of_beginning) {
            Some(other) => self.end_other(other),
            None => Ok(()),
        }
    }

    /// Ends the connection, once the empty lines before are answered: that must not depend on how the bytes arrive.
    fn end_other(&mut self, other: OtherProtocol) -> Result<(), Ended> {
        self.finish_batch()?;
        Err(Ended::OtherProtocol(other))
    }

    /// A place that is kept for neighbours is not for clients' lines.
    pub(super) fn check_place(&self) -> Result<(), Ended> {
        let is_kept = self.slot.is_reserved() && self.origin == Origin::Client;
        if is_kept { Err(Ended::NoHandshake) } else { Ok(()) }
    }

    /// Admits a neighbour or asks it for its proof, or refuses with a line that says why and what to do.
    fn shake_hands(&mut self, line: &[u8], now: Now) -> Result<(), Ended> {
        let Shared { node, peers, limits, .. } = self.shared;
        let admit = |link, incarnation| peers.lock().admit(link, incarnation, self.number, now.tick);
        let nonce = random::bytes().map(Nonce::of_bytes);
        let no_nonce = |error: io::Error| {
            let (id, error) = (node.id.clone(), error.to_string());
            Refusal::NoRandomNumbers { id, error }
        };
        let greeting =
            nonce.map_err(no_nonce).and_then(|nonce| node.greet(line, nonce, admit, &mut self.batch.replies));
        match greeting {
            Ok(Greeting::Welcome(welcome)) => self.become_peer(welcome),
            Ok(Greeting::Challenge(challenge)) => {
                self.stage = Stage::Proof(challenge, now.tick + limits.handshake_time);
                self.finish_batch()
            }
            Err(why) => self.refuse(why),
        }
    }

    fn check_proof(&mut self, challenge: &Challenge, line: &[u8], now: Now) -> Result<(), Ended> {
        let Shared { node, peers, .. } = self.shared;
        let admit = |link, incarnation| peers.lock().admit(link, incarnation, self.number, now.tick);
        match node.check_proof(challenge, line, admit, &mut self.batch.replies) {
            Ok(welcome) => self.become_peer(welcome),
            Err(why) => self.refuse(why),
        }
    }

    fn refuse(&mut self, why: Refusal) -> Result<(), Ended> {
        write_refusal(&why, &mut self.batch.replies);
        self.finish_batch()?;
        Err(Ended::Refused(why))
    }

    fn become_peer(&mut self, welcome: Welcome) -> Result<(), Ended> {
        let Shared { node, connections, peers, .. } = self.shared;
        let Welcome { link, replaces } = welcome;
        let neighbour = &node.neighbours()[link];
        self.presence = Some(Presence::admitted(&neighbour.health, peers, link, self.number));
        if let Some(connection) = replaces {
            connections.close(connection);
        }
        self.origin = Origin::Peer(link);
        if self.slot.is_reserved() {
            self.count_accepted();
        }
        self.slot.become_peer();
        self.shared.log.info(format_args!("{} is connected to this node as #{}", neighbour.id, self.number));
        self.finish_batch()?;
        // It lives, so the wait for dialling it is over. Where a word waits already, one is enough.
        let _ = neighbour.called.try_send(());
        Ok(())
    }

    /// Lets a third-party node in, by its address.
    pub(super) fn become_plain(&mut self, door: &PlainDoor) -> Result<(), Ended> {
        self.stage = Stage::Empty;
        self.candidates = door.links_at(self.stream, self.shared)?;
        self.origin = Origin::Plain(None);
        self.count_accepted();
        self.slot.become_peer();
        if let [link] = self.candidates[..] {
            self.is_plain(link);
        }
        Ok(())
    }

    /// The connection is that neighbour's.
    pub(super) fn is_plain(&mut self, link: usize) {
        let neighbour = &self.shared.node.neighbours()[link];
        self.origin = Origin::Plain(Some(link));
        self.presence = Some(Presence::plain(&neighbour.health));
        self.shared.log.info(format_args!("{} tells its news as #{}", neighbour.id, self.number));
        // It lives, as after a handshake.
        let _ = neighbour.called.try_send(());
    }
}
