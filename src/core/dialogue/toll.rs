//! What a client's lines cost its principal's allowance. Lines that it has used up wait for their turn, unread bytes behind
//! them; those whose turn would come too late are refused.

use std::{mem, ops::Deref, sync::Arc};

use super::{
    Dialogue, Host, Party, Phase, Then,
    beginning::Stage,
    buffers::QUIET_BYTES,
    closing::Closing,
    execute::{Batch, GROUP_LINES},
};
use crate::core::{
    access::{Allowance, Charge, Principal, Quota},
    model::Tick,
    node::Node,
    wire::READ_BYTES_MAX,
};

/// What one connection has paid for, and what it waits for. Boxed, so that a connection that is not held to anything keeps
/// nothing for it.
#[derive(Debug, Default)]
pub(super) struct Meter(Option<Box<Metered>>);

#[derive(Debug, Default)]
struct Metered {
    /// Its address's, for as long as it has shown no token; `None` if nothing is limited.
    of_address: Option<Arc<Allowance>>,
    /// Its principal's.
    allowance: Option<Arc<Allowance>>,
    /// Bytes that have arrived and are not paid for.
    bytes: usize,
    /// Lines that are paid for and not executed.
    lines: usize,
    turn: Option<Waiting>,
    /// When it last had its turn.
    rested: Tick,
}

/// When lines that wait will be executed.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    at: Tick,
    /// What they wait for.
    quota: Quota,
    /// How many have been paid for. `None` if there was no turn for any: then they are tried once more.
    lines: Option<usize>,
}

/// What may be done with the next lines.
pub(super) enum Toll {
    /// So many may be executed.
    Execute(usize),
    /// So many must be refused.
    Refuse(usize),
    /// Nothing, until that time.
    Rest(Tick, Quota),
}

impl Meter {
    /// What its principal has left.
    pub(super) fn allowance(&self) -> Option<&Allowance> {
        self.0.as_ref()?.allowance.as_deref()
    }

    /// So many bytes have arrived.
    pub(super) fn arrived(&mut self, bytes: usize) {
        if let Some(metered) = &mut self.0
            && metered.allowance.is_some()
        {
            metered.bytes += bytes;
        }
    }

    /// So many lines have been executed.
    pub(super) fn executed(&mut self, lines: usize) {
        if let Some(metered) = &mut self.0 {
            metered.lines = metered.lines.saturating_sub(lines);
        }
    }

    /// When it last had its turn.
    pub(super) fn rested(&self) -> Tick {
        self.0.as_ref().map_or(Tick::ZERO, |metered| metered.rested)
    }

    /// From now on, lines are paid for from that allowance.
    fn set(&mut self, allowance: Option<Arc<Allowance>>) {
        match &mut self.0 {
            Some(metered) => metered.set(allowance),
            None if allowance.is_some() => {
                self.0 = Some(Box::new(Metered { allowance, ..Metered::default() }));
            }
            None => {}
        }
    }

    /// Pays for some of the `waiting` lines, and for all bytes.
    #[inline(never)]
    fn pay(&mut self, waiting: usize, now: Tick) -> Toll {
        self.0.as_mut().map_or(Toll::Execute(usize::MAX), |metered| metered.pay(waiting, now))
    }
}

impl Metered {
    /// What was paid and not used is put back to the allowance of before.
    fn set(&mut self, allowance: Option<Arc<Allowance>>) {
        let is_same = match (&self.allowance, &allowance) {
            (Some(before), Some(after)) => Arc::ptr_eq(before, after),
            (before, after) => before.is_none() && after.is_none(),
        };
        if !is_same {
            let lines = mem::take(&mut self.lines);
            self.allowance.iter().for_each(|before| before.refund(lines));
            self.allowance = allowance;
        }
    }

    fn pay(&mut self, waiting: usize, now: Tick) -> Toll {
        let Some(allowance) = &self.allowance else { return Toll::Execute(usize::MAX) };
        if self.lines > 0 {
            return Toll::Execute(self.lines);
        }
        let mut is_last_try = false;
        if let Some(Waiting { at, quota, lines }) = self.turn {
            if now < at {
                return Toll::Rest(at, quota);
            }
            (self.turn, self.rested) = (None, now);
            match lines {
                Some(lines) => {
                    self.lines = lines;
                    return Toll::Execute(lines);
                }
                None => is_last_try = true,
            }
        }
        match allowance.charge(waiting, self.bytes, now) {
            Ok(Charge { lines, at, quota }) => {
                self.bytes = 0;
                if at > now {
                    self.turn = Some(Waiting { at, quota, lines: Some(lines) });
                    return Toll::Rest(at, quota);
                }
                self.lines = lines;
                Toll::Execute(lines)
            }
            Err(_) if is_last_try => {
                // What is refused is not paid for.
                self.bytes = 0;
                Toll::Refuse(GROUP_LINES)
            }
            Err(quota) => {
                let at = now + allowance.wait();
                self.turn = Some(Waiting { at, quota, lines: None });
                Toll::Rest(at, quota)
            }
        }
    }
}

impl<N: Deref<Target = Node>> Dialogue<N> {
    /// The connection comes from an address that has this left, which pays for its lines if they are a client's without a
    /// token; `None` if nothing is limited.
    pub fn set_allowance(&mut self, allowance: Option<Arc<Allowance>>) {
        self.meter.set(allowance);
        if let Some(metered) = &mut self.meter.0 {
            metered.of_address.clone_from(&metered.allowance);
        }
    }

    /// The client's lines are that principal's from now on, and paid for from its allowance: nobody's, and its address's,
    /// without a valid token.
    pub(super) fn set_principal(&mut self, principal: Option<Principal>) {
        let allowance = match &principal {
            Some(principal) => principal.account().allowance(self.node.quotas()),
            None => self.meter.0.as_ref().and_then(|metered| metered.of_address.clone()),
        };
        self.meter.set(allowance);
        self.party = Party::Client(principal);
    }

    /// Nothing is paid for any more: it is a neighbour's.
    pub(super) fn stop_metering(&mut self) {
        self.meter = Meter::default();
    }

    /// What may be done with the complete lines. A neighbour's are never paid for, nor what may be its first.
    ///
    /// Only the first look is inlined: where nothing is limited, it is all that a batch costs.
    #[inline]
    pub(super) fn toll(&mut self, now: Tick) -> Toll {
        if self.is_metered() { self.pay_for_lines(now) } else { Toll::Execute(usize::MAX) }
    }

    #[inline(never)]
    fn pay_for_lines(&mut self, now: Tick) -> Toll {
        match self.buffer.lines().count() {
            0 => Toll::Execute(usize::MAX),
            waiting => self.meter.pay(waiting, now),
        }
    }

    /// What may be done after all complete lines: bytes that did not complete one are paid for, too.
    pub(super) fn toll_for_bytes(&mut self, now: Tick) -> Toll {
        let is_owed =
            self.meter.0.as_ref().is_some_and(|metered| metered.bytes > 0 || metered.turn.is_some());
        if is_owed && self.is_metered() { self.meter.pay(0, now) } else { Toll::Execute(0) }
    }

    /// What may be done with the last line, which has no terminator: it is a client's, even if it is the first.
    pub(super) fn toll_for_last(&mut self, now: Tick) -> Toll {
        let is_clients = self.party.is_client() && !matches!(self.stage, Stage::Proof(..));
        let is_there = is_clients && self.buffer.is_mid_line();
        if is_there { self.meter.pay(1, now) } else { Toll::Execute(1) }
    }

    fn is_metered(&self) -> bool {
        let Some(metered) = self.meter.0.as_ref().filter(|metered| metered.allowance.is_some()) else {
            return false;
        };
        match self.party {
            Party::Client(_) => true,
            // No neighbour's first line is as long as this.
            Party::Stranger => {
                !matches!(self.stage, Stage::First | Stage::Proof(..)) || metered.bytes > READ_BYTES_MAX
            }
            Party::Peer(_) | Party::Plain(_) => false,
        }
    }

    /// Waits until then, once everything owed is written. Memory that is not needed for that is given back.
    #[inline(never)]
    pub(super) fn rest(&mut self, until: Tick, quota: Quota) {
        if !self.batch.is_empty() {
            return self.settle(Then::Execute);
        }
        if self.batch.capacity() > QUIET_BYTES {
            self.batch = Batch::default();
        }
        self.doing = Phase::Resting(until, quota);
    }

    /// Why a connection that rests must end, if it must: it keeps lines in memory, of which all connections together may
    /// hold too much. It keeps nothing else.
    #[inline(never)]
    pub(super) fn cannot_rest(&self, quota: Quota, host: &mut impl Host) -> Option<Closing> {
        if host.is_grown() {
            host.give_back();
        }
        host.holds(self.counted(host)).then_some(Closing::CrowdedAtRest(quota))
    }
}
