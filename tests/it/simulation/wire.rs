//! An in-memory connection: two pipes with room for so many bytes, in each of which bytes travel for a while, perhaps only
//! so many a second, come in pieces cut anywhere, can be lost from any byte on, and may or may not be followed by an end.

use std::{collections::VecDeque, time::Duration};

use super::random::Random;

/// How many bytes travel together where so many a second do.
const PACKET_BYTES: usize = 1_400;

/// One direction of a connection.
#[derive(Debug)]
pub(super) struct Pipe {
    /// What was sent and not read.
    bytes: VecDeque<u8>,
    /// How many of them have arrived.
    readable: usize,
    /// What is under way: when it arrives, and how many bytes it is; none for the end.
    coming: VecDeque<(Duration, Option<usize>)>,
    room: usize,
    /// How many bytes a second travel, where that is bounded; when those sent so far have; and whether their arrival was
    /// asked for, so that it is not again with each piece.
    rate: Option<usize>,
    free_at: Duration,
    is_expected: bool,
    /// Whether the end has arrived.
    is_ended: bool,
    /// Whether what is sent from now on arrives nowhere.
    is_dead: bool,
}

impl Pipe {
    pub(super) fn new(room: usize, rate: Option<usize>) -> Self {
        Self {
            bytes: VecDeque::new(),
            readable: 0,
            coming: VecDeque::new(),
            room,
            rate,
            free_at: Duration::ZERO,
            is_expected: false,
            is_ended: false,
            is_dead: false,
        }
    }

    /// Takes as many of the bytes as there is room for, to arrive then.
    pub(super) fn send(&mut self, bytes: &[u8], arrives: Duration) -> usize {
        let taken = bytes.len().min(self.room - self.bytes.len().min(self.room));
        self.bytes.extend(&bytes[..taken]);
        self.is_expected = self.rate.is_some() && !self.coming.is_empty();
        if taken > 0 && !self.is_dead {
            match self.rate {
                Some(rate) => self.send_in_packets(taken, rate, arrives),
                None => self.coming.push_back((self.after_last(arrives), Some(taken))),
            }
        }
        taken
    }

    /// The first packet waits until those before have travelled.
    fn send_in_packets(&mut self, mut bytes: usize, rate: usize, arrives: Duration) {
        self.free_at = self.free_at.max(arrives);
        while bytes > 0 {
            let packet = bytes.min(PACKET_BYTES);
            self.free_at += Duration::from_secs(packet as u64) / rate as u32;
            self.coming.push_back((self.free_at, Some(packet)));
            bytes -= packet;
        }
    }

    /// The sender is gone; the reader learns it then, if at all.
    pub(super) fn end(&mut self, arrives: Duration) {
        if !self.is_dead {
            self.coming.push_back((self.after_last(arrives), None));
        }
        self.is_dead = true;
    }

    /// What is under way is lost from some byte on. Let it end or fall silent then: nothing comes after a gap.
    pub(super) fn lose(&mut self, random: &mut Random) {
        let under_way: usize = self.coming.iter().filter_map(|&(_, count)| count).sum();
        let left = random.between(0, under_way);
        let last = self.coming.back().map(|&(at, _)| at);
        self.coming.clear();
        self.coming.extend(last.filter(|_| left > 0).map(|at| (at, Some(left))));
    }

    /// What is sent from now on arrives nowhere, and nobody says so.
    pub(super) fn fall_silent(&mut self) {
        self.is_dead = true;
    }

    /// Lets arrive what is due. Gives when the next is.
    pub(super) fn arrive(&mut self, now: Duration) -> Option<Duration> {
        while let Some(&(at, what)) = self.coming.front() {
            if at > now {
                return Some(at);
            }
            self.coming.pop_front();
            match what {
                Some(count) => self.readable += count,
                None => self.is_ended = true,
            }
        }
        None
    }

    /// When the next is to arrive, unless its arrival is expected already.
    pub(super) fn next_arrival(&self) -> Option<Duration> {
        self.coming.front().filter(|_| !self.is_expected).map(|&(at, _)| at)
    }

    /// Reads what has arrived, or only some of it.
    pub(super) fn read(&mut self, into: &mut [u8], random: &mut Random) -> usize {
        let most = into.len().min(self.readable);
        let count = if most > 1 && random.one_in(4) { random.between(1, most) } else { most };
        let (front, back) = self.bytes.as_slices();
        let from_front = count.min(front.len());
        into[..from_front].copy_from_slice(&front[..from_front]);
        into[from_front..count].copy_from_slice(&back[..count - from_front]);
        self.bytes.drain(..count);
        self.readable -= count;
        count
    }

    /// Whether there is nothing more to read, ever.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_ended && self.readable == 0
    }

    /// Whether reading would give bytes or the end.
    pub(super) fn has_something(&self) -> bool {
        self.readable > 0 || self.is_ended
    }

    /// Whether the end has arrived, perhaps behind bytes.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// How many bytes were sent and not read.
    pub(super) fn outstanding(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes do not overtake each other.
    fn after_last(&self, arrives: Duration) -> Duration {
        self.coming.back().map_or(arrives, |&(last, _)| last.max(arrives))
    }
}
