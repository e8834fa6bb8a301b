//! The part of a link that exists only while it has a connection: what is said on it, what is being written, and how
//! the neighbour accepts it.

use super::{LinkTimes, Lost, dialect::Dialect};
use crate::core::{
    model::Tick,
    wire::{ANSWER_BYTES_MAX, LineBuffer},
};

/// The capacity that the output buffer keeps. A piece of updates and a piece of repair fit; what one long batch took is
/// given back.
pub(super) const OUT_BYTES_KEPT: usize = 256 * 1024;

/// How many reads are done in a row if the neighbour may send what nobody asked for: at 16 KiB or more each, more than
/// a socket holds.
pub(super) const LOOKS_MAX: usize = 1024;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) dialect: Box<dyn Dialect>,
    pub(super) answers: LineBuffer,
    pub(super) out: Vec<u8>,
    /// How much of it is updates, and how many lines those are.
    pub(super) news: usize,
    pub(super) updates: usize,
    /// How much of it is written.
    pub(super) written: usize,
    /// When all of it must be written, and when some of it.
    write_by: Tick,
    stuck_at: Tick,
    /// Whether a write has left some of it over, so that room appears only as bytes are sent.
    has_waited: bool,
    /// Whether room has appeared since this was last checked.
    has_moved: bool,
    pub(super) doing: Doing,
    /// Whether something has arrived since the last look, and since the last wait.
    pub(super) has_come: bool,
    pub(super) has_heard: bool,
}

/// What it is doing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Doing {
    /// Reading what has arrived, at most so often; then comes what is next, or the rest of what is being written.
    Looking {
        left: usize,
        write_until: Option<Tick>,
    },
    Writing {
        until: Tick,
    },
    /// Waiting for something.
    Waiting,
}

impl Connection {
    /// A new connection, for which the dialect has put its first bytes, if any, into `out`.
    pub(super) fn new(dialect: Box<dyn Dialect>, out: Vec<u8>, now: Tick, times: &LinkTimes) -> Self {
        let mut connection = Self {
            dialect,
            answers: LineBuffer::new(ANSWER_BYTES_MAX),
            out,
            news: 0,
            updates: 0,
            written: 0,
            write_by: now,
            stuck_at: now,
            has_waited: false,
            has_moved: false,
            doing: Doing::Waiting,
            has_come: false,
            has_heard: false,
        };
        connection.begin_write(now, times);
        connection
    }

    /// Reads what has arrived before anything else is done.
    pub(super) fn look(&mut self, write_until: Option<Tick>) {
        let left = if self.dialect.says_unasked() { LOOKS_MAX } else { 1 };
        (self.has_come, self.has_heard) = (true, false);
        self.doing = Doing::Looking { left, write_until };
    }

    pub(super) fn clear_output(&mut self) {
        self.out.clear();
        if self.out.capacity() > OUT_BYTES_KEPT {
            self.out = Vec::new();
        }
        (self.news, self.updates, self.written) = (0, 0, 0);
    }

    /// Starts writing what is in `out`; returns when some of it must be written.
    pub(super) fn begin_write(&mut self, now: Tick, times: &LinkTimes) -> Tick {
        (self.write_by, self.has_waited) = (now + times.answer, false);
        let until = self.write_until(now, times);
        self.doing = Doing::Writing { until };
        until
    }

    /// So much more of it is written; returns whether that was all.
    pub(super) fn wrote(&mut self, count: usize) -> bool {
        self.written += count;
        self.has_moved |= self.has_waited && count > 0;
        self.has_waited = self.written < self.out.len();
        !self.has_waited
    }

    /// Bytes in front of what is being written have been sent: the neighbour lives, and its time starts over.
    pub(super) fn heed_progress(&mut self, now: Tick, times: &LinkTimes) {
        if !std::mem::take(&mut self.has_moved) {
            return;
        }
        self.dialect.moved(now);
        let again = self.write_until(now, times);
        if let Doing::Looking { write_until: Some(until), .. } | Doing::Writing { until } = &mut self.doing {
            *until = again;
        }
    }

    /// Why the neighbour is given up if it has not accepted the output by `now`.
    pub(super) fn not_taken(&mut self, now: Tick, times: &LinkTimes) -> Lost {
        if now >= self.write_by {
            return Lost::Slow(times.answer);
        }
        let why = self.dialect.check(now).err().filter(|_| now < self.stuck_at);
        why.map_or(Lost::Stuck(times.write), Lost::Broken)
    }

    /// A neighbour that accepts nothing sends nothing either, and gets no more time than one that is only silent.
    fn write_until(&mut self, now: Tick, times: &LinkTimes) -> Tick {
        self.stuck_at = now + times.write;
        let until = self.stuck_at.min(self.write_by);
        self.dialect.silent_at().map_or(until, |silent_at| silent_at.min(until))
    }
}
