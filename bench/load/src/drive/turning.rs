//! The loop itself: deal what is due, wait, serve what is ready, until the part of the run is over.

use std::{io, sync::atomic::Ordering, time::Duration};

use mio::{Events, Token};

use super::{
    Drive, TICK, TIMER, Tick, Until, arm,
    connection::{Ended, RETRY, Socket},
    owed::{Kind, Sent},
};
use crate::{clock::nanoseconds, load::LoadError, outcome::End, words::counted};

/// Sockets handled between two waits.
const EVENTS: usize = 1024;
/// A planned time that is nearer is not slept for.
const NEAR_NS: u64 = 2_000;

impl Drive {
    /// Turns the loop until this part of the run is over.
    pub(super) fn run(&mut self, until: Until) -> Result<(), LoadError> {
        let mut events = Events::with_capacity(EVENTS);
        let mut now_ns = self.send_all();
        while self.so_far.end == End::Complete && now_ns < until.end_ns && !self.is_done(until) {
            self.deal(now_ns);
            self.reopen(now_ns);
            if now_ns - self.ticked_ns >= nanoseconds(TICK) {
                self.tell(now_ns);
            }
            if self.interrupt.as_ref().is_some_and(|interrupt| interrupt.load(Ordering::Relaxed)) {
                self.abandon(now_ns, End::Interrupted);
                break;
            }
            if self.is_stalled(now_ns) {
                let patience = self.load.patience.as_secs_f64();
                let outstanding = counted(self.outstanding, "request");
                self.so_far.gave_up = Some(format!(
                    "no reply for {patience} s with {outstanding} unanswered; the server's log should say why"
                ));
                self.abandon(now_ns, End::GaveUp);
                break;
            }
            self.wait(&mut events, now_ns, until)?;
            for event in &events {
                if event.token() != TIMER {
                    self.serve(event.token().0);
                }
            }
            now_ns = self.clock.elapsed_ns();
        }
        Ok(())
    }

    /// Makes every connection send what it may; returns when that was done.
    pub(super) fn send_all(&mut self) -> u64 {
        let mut now_ns = self.clock.elapsed_ns();
        for index in 0..self.asking() {
            self.send(index, now_ns);
            now_ns = self.clock.elapsed_ns();
        }
        now_ns
    }

    /// Connections that ask; those beyond are idle.
    fn asking(&self) -> usize {
        self.load.connections as usize
    }

    pub(super) fn is_done(&self, until: Until) -> bool {
        if self.outstanding > 0 {
            return false;
        }
        let asking = || self.connections.iter().take(self.asking());
        match self.schedule {
            Some(schedule) => {
                until.drains
                    && schedule.planned_ns(self.dealt) >= self.planned_end_ns
                    && asking().all(|connection| connection.left == connection.due)
            }
            None => until.drains || asking().all(|connection| connection.quota == 0),
        }
    }

    /// Deals the requests whose time has come to their connections.
    fn deal(&mut self, now_ns: u64) {
        let Some(schedule) = self.schedule else { return };
        let due = schedule.due(now_ns, self.planned_end_ns);
        for number in self.dealt..due {
            let index = schedule.connection(number);
            let connection = &mut self.connections[index];
            connection.due += 1;
            let has_room = connection.owed.requests() < self.load.pipeline;
            if has_room
                && connection.left + 1 == connection.due
                && matches!(connection.socket, Socket::Open(_))
            {
                self.tally.counts.late.saturating_record(now_ns - schedule.planned_ns(number));
            }
            if has_room {
                self.send(index, now_ns);
            }
        }
        self.dealt = self.dealt.max(due);
    }

    /// Makes a connection send what it may, if it has a socket or can request one.
    fn send(&mut self, index: usize, now_ns: u64) {
        let connection = &mut self.connections[index];
        let room = self.load.pipeline - connection.owed.requests();
        let wanted = match self.schedule {
            Some(_) => connection.due - connection.left,
            None => connection.quota,
        };
        let requests = wanted.min(u64::from(room)) as u32;
        if requests > 0 {
            if matches!(connection.socket, Socket::Closed { .. }) && !self.connect(index, now_ns) {
                return;
            }
            if self.outstanding == 0 {
                self.last_reply_ns = now_ns;
            }
            self.compose(index, requests, now_ns);
            self.sent += u64::from(requests);
            self.outstanding += u64::from(requests);
        }
        match self.connections[index].flush() {
            Ok(()) if self.load.half_close => self.connections[index].half_close(),
            Ok(()) => {}
            Err(ended) => self.end(index, ended, now_ns),
        }
    }

    fn compose(&mut self, index: usize, requests: u32, now_ns: u64) {
        let connection = &mut self.connections[index];
        let posix_ns = self.clock.posix_ns(now_ns);
        let Some(schedule) = self.schedule else {
            connection.quota -= u64::from(requests);
            self.questioner.ask(connection, requests, (now_ns, now_ns), posix_ns);
            return;
        };
        for _ in 0..requests {
            let planned_ns = schedule.planned_on(index, connection.left);
            connection.left += 1;
            self.questioner.ask(connection, 1, (planned_ns, now_ns), posix_ns);
        }
    }

    /// Requests a socket, now or when its pause is over; returns whether it did.
    fn connect(&mut self, index: usize, now_ns: u64) -> bool {
        let connection = &mut self.connections[index];
        if matches!(connection.socket, Socket::Closed { until_ns } if until_ns > now_ns) {
            if !self.closed.contains(&index) {
                self.closed.push(index);
            }
            return false;
        }
        let address = self.load.targets[connection.target];
        if connection.begin(address, self.poll.registry(), Token(index)).is_err() {
            self.end(index, Ended::Unmade, now_ns);
            return false;
        }
        true
    }

    /// Makes the connections send whose pause is over.
    fn reopen(&mut self, now_ns: u64) {
        if self.closed.is_empty() {
            return;
        }
        for index in std::mem::take(&mut self.closed) {
            self.send(index, now_ns);
        }
    }

    /// One connection's turn: take the replies in, send as many requests.
    pub(super) fn serve(&mut self, index: usize) {
        let Self { connections, buffer, judge, tally, clock, .. } = self;
        let connection = &mut connections[index];
        let before = tally.replies;
        let mut result = connection.finish_connecting();
        if result.is_ok() {
            result = connection.receive(buffer, judge, tally, || clock.elapsed_ns());
        }
        let replies = tally.replies - before;
        let now_ns = clock.elapsed_ns();
        self.outstanding -= replies;
        if replies > 0 {
            self.last_reply_ns = now_ns;
        }
        let is_whole = replies > 0 && connection.owed.requests() == 0;
        if self.load.reconnect && is_whole {
            connection.hang_up();
        } else if let Err(ended) = result {
            self.end(index, ended, now_ns);
        }
        if index < self.asking() {
            self.send(index, now_ns);
        }
    }

    /// A connection is gone, and with it all it was owed.
    fn end(&mut self, index: usize, ended: Ended, now_ns: u64) {
        let asking = self.asking();
        let Self { connections, tally, .. } = self;
        let connection = &mut connections[index];
        let mut lost = 0;
        for sent in connection.owed.forget() {
            lost += u64::from(sent.requests);
            tally.give_up(sent, now_ns);
        }
        self.outstanding -= lost;
        match ended {
            Ended::Unmade => {
                // They never left.
                self.sent -= lost;
                tally.errors.connect += lost.max(1);
            }
            Ended::Closed if lost > 0 => tally.errors.unanswered += lost,
            Ended::Closed => tally.errors.closed += 1,
        }
        self.questioner.forget(&connection.keys);
        connection.close(now_ns);
        if index < asking && !self.closed.contains(&index) {
            self.closed.push(index);
        }
    }

    fn is_stalled(&self, now_ns: u64) -> bool {
        let is_owed = self.outstanding > 0 || !self.closed.is_empty();
        is_owed && now_ns.saturating_sub(self.last_reply_ns) >= nanoseconds(self.load.patience)
    }

    /// Ends the run with requests unanswered. What was planned by now and never left has waited, too.
    pub(super) fn abandon(&mut self, now_ns: u64, end: End) {
        self.so_far.end = end;
        let mut unsent = 0;
        for index in 0..self.connections.len() {
            for lost in self.connections[index].owed.forget() {
                self.tally.give_up(lost, now_ns);
            }
        }
        if let Some(schedule) = self.schedule {
            let due = schedule.due(now_ns, self.planned_end_ns);
            for number in self.dealt..due {
                self.connections[schedule.connection(number)].due += 1;
            }
            self.dealt = self.dealt.max(due);
            for (index, connection) in self.connections.iter_mut().enumerate() {
                for turn in connection.left..connection.due {
                    let planned_ns = schedule.planned_on(index, turn);
                    let late = Sent { kind: Kind::Report, planned_ns, sent_ns: now_ns, requests: 1 };
                    self.tally.give_up(late, now_ns);
                    unsent += 1;
                }
            }
        }
        let unanswered = std::mem::take(&mut self.outstanding);
        if end == End::Interrupted {
            self.so_far.in_flight = unanswered;
        } else {
            self.tally.errors.unanswered += unanswered;
            self.tally.errors.unsent += unsent;
        }
    }

    /// Lets the observer hear of what is fresh.
    pub(super) fn tell(&mut self, now_ns: u64) {
        let since_ns = std::mem::replace(&mut self.ticked_ns, now_ns);
        if let Some(observer) = &mut self.observer {
            observer(&Tick {
                measuring: self.measuring_since_ns.map(|began| Duration::from_nanos(now_ns - began)),
                since: Duration::from_nanos(since_ns),
                lasted: Duration::from_nanos(now_ns - since_ns),
                replies: self.tally.fresh_replies,
                latencies: &self.tally.fresh,
                errors: self.tally.errors,
            });
        }
        self.tally.take_in();
    }

    /// Waits for sockets, but not beyond the next moment at which something is due.
    fn wait(&mut self, events: &mut Events, now_ns: u64, until: Until) -> Result<(), LoadError> {
        let mut wake_ns = until.end_ns.min(self.ticked_ns + nanoseconds(TICK));
        if self.outstanding > 0 {
            wake_ns = wake_ns.min(self.last_reply_ns + nanoseconds(self.load.patience));
        }
        if !self.closed.is_empty() {
            wake_ns = wake_ns.min(now_ns + nanoseconds(RETRY));
        }
        let mut wait = Duration::from_nanos(wake_ns.saturating_sub(now_ns));
        if let Some(schedule) = self.schedule {
            let next_ns = schedule.planned_ns(self.dealt);
            if next_ns < self.planned_end_ns && next_ns < now_ns + NEAR_NS {
                wait = Duration::ZERO;
            } else if next_ns < self.planned_end_ns {
                arm(&self.timer, next_ns - now_ns)?;
            }
        }
        match self.poll.poll(events, Some(wait)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        self.waited_ns += self.clock.elapsed_ns() - now_ns;
        Ok(())
    }
}
