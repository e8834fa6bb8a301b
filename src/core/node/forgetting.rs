//! What becomes of a forgetting: the tombstone that hides what any node knows of a client, and when none is needed.

use std::time::Duration;

use super::{Changes, Node, changes::By};
use crate::core::{
    model::{ClientId, Generation, Now, Timestamp, TimestampText, Tombstone},
    store::KeyHash,
    wire::{ForgetFault, Invalid},
};

/// How far the generation of a client may be ahead of the clock of a node that is told to forget it again.
const GENERATION_AHEAD_MAX: Duration = Duration::from_secs(86_400);

impl Node {
    /// The same, forgetting clients for everyone who asks: only for a node that nobody else can reach than the users of
    /// its machine.
    #[must_use]
    pub fn forgetting_for_everyone(self) -> Self {
        Self { access: self.access.also_for_anyone(|anyone| anyone.forgets = true), ..self }
    }

    /// Forgets a client, known or not: its tombstone hides what any node knows of it, and goes to all of them. A report
    /// that is newer than what is hidden here begins afresh. Never refused for room, unless nothing is held of the client.
    pub fn forget(
        &self,
        client: ClientId<'_>,
        key: KeyHash,
        now: Now,
        changes: &mut Changes,
    ) -> Result<(), Invalid> {
        self.check_kept().map_err(|_| Invalid::NotForgotten(ForgetFault::NotKept))?;
        if self.is_forgotten(client, key, now, changes) {
            return Ok(());
        }
        let text = &mut TimestampText::default();
        let mut refusal = ForgetFault::GenerationAhead;
        let why = &mut refusal;
        let tombstone = self.store.forget(key, client, move |hidden| {
            // Of a client of whom nothing is held, a tombstone is one more thing to hold.
            if hidden.is_none() && client.as_bytes().len() > self.reports.client_bytes {
                *why = ForgetFault::LongClient;
                return None;
            }
            if hidden.is_none() && self.store.bytes() >= self.reports.max_bytes {
                *why = ForgetFault::TooManyBytes;
                return None;
            }
            let (generation, time) = self.forgetting(hidden, now)?;
            *text = time.text()?;
            let (timestamp, server) = (text.as_bytes(), self.id.as_bytes());
            Some(Tombstone { client, generation, timestamp, time, server })
        });
        let tombstone = tombstone.ok_or(Invalid::NotForgotten(refusal))?;
        changes.add(self, &tombstone.into(), key, By::News);
        Ok(())
    }

    /// Whether a tombstone stands that no clock outbids. Then nothing needs to be stored, and forgetting a
    /// client again and again drives no generation ahead of the clock. That tombstone may not have been offered yet, and
    /// the forgetting is acknowledged for its sake.
    fn is_forgotten(&self, client: ClientId<'_>, key: KeyHash, now: Now, changes: &mut Changes) -> bool {
        let outbid = self.outbid(now);
        let stands = self.store.record(key, client, |met| {
            let stands = met.location().is_none() && outbid.is_some_and(|least| met.rank().0 >= least);
            if stands && self.waits_for_durable(false) {
                changes.add_again(self, met);
            }
            stands
        });
        stands == Some(true)
    }

    /// Generation and time of the tombstone that hides what this node holds and, because it takes its generation from
    /// a clock, whatever other nodes may hold. Its time is that of what it hides, so that a client whose clock is slow
    /// is heard again; but not in the future, so that one whose clock was ahead is heard, too. `None` if the generation is
    /// too far ahead of the clock: reports and forgettings in turn must not use up all generations there are.
    fn forgetting(
        &self,
        hidden: Option<(Generation, Timestamp)>,
        now: Now,
    ) -> Option<(Generation, Timestamp)> {
        let (generation, time) = hidden.unwrap_or_default();
        let ahead = generation.as_nanoseconds() - now.wall.as_nanoseconds();
        if ahead > GENERATION_AHEAD_MAX.as_nanos() as i128 {
            return None;
        }
        let others = if self.rules.forgetting_outbids { self.outbid(now)? } else { Generation::FIRST };
        Some((generation.next()?.max(others), time.min(now.wall)))
    }

    /// What a forgetting outbids at least, whatever its node holds: what was forgotten earlier by any clock that need not be
    /// wrong, be this node's or a faster one. So it is not nearly too old either.
    fn outbid(&self, now: Now) -> Option<Generation> {
        Some(Generation::at(now.wall)?.max(self.herd_clock.generation(now.tick)))
    }
}
