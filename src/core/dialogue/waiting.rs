//! What a dialogue waits for while nothing is to be done, and until when.

use std::ops::Deref;

use super::{Closing, Dialogue, Host, Next, Party, Phase, Stage, Tick, Times};
use crate::core::node::Node;

/// When something must arrive, and why the connection ends if nothing does.
type Deadline = (Tick, Closing);

impl<N: Deref<Target = Node>> Dialogue<N> {
    /// How long to wait for bytes.
    pub(super) fn wait(&mut self, now: Tick, host: &mut impl Host) -> Next {
        let lingers_until = match self.give_back(now, host) {
            Ok(until) => until,
            Err(closing) => {
                self.doing = Phase::Over(closing.clone());
                return Next::Close(closing);
            }
        };
        let (deadline, too_late) = self.deadline();
        if now >= deadline {
            self.doing = Phase::Over(too_late.clone());
            return Next::Close(too_late);
        }
        Next::Wait(lingers_until.map_or(deadline, |until| deadline.min(until)))
    }

    /// When something must arrive, and what it means if nothing does.
    fn deadline(&self) -> Deadline {
        let Times { idle, line, handshake, liveness } = self.times;
        if let Some((by, closing)) = self.greet_by.zip(self.no_peer()) {
            return (by, closing);
        }
        if let Stage::Proof(_, until) = self.stage {
            return (until, Closing::NoProof(handshake));
        }
        let heard = self.heard.tick;
        let quiet = match self.party {
            Party::Peer(_) => (heard + liveness, Closing::SilentPeer(liveness)),
            Party::Stranger | Party::Client(_) | Party::Plain(_) => (heard + idle, Closing::Idle(idle)),
        };
        match self.line_began.map(|began| (began + line, Closing::SlowLine(line))) {
            Some(slow_line) if slow_line.0 < quiet.0 => slow_line,
            _ => quiet,
        }
    }
}
