//! What is said on all links together, counted by what it is for, and when each node learned something. Bytes are those of
//! lines; what TCP and IP add is not in them.

use std::{iter::Sum, ops::Add, time::Duration};

/// Some lines.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Amount {
    pub(super) lines: usize,
    pub(super) bytes: usize,
}

/// All that was said, by what it is for.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Said {
    /// AT: what is flooded.
    pub(super) news: Amount,
    /// HELLO and the rest of the handshake.
    pub(super) greetings: Amount,
    /// PING and PONG.
    pub(super) pings: Amount,
    /// SUM, SHARDS, LEAVES, LIST and DONE, and their answers.
    pub(super) sums: Amount,
    /// PUSH: what is found to be missing.
    pub(super) pushes: Amount,
}

/// Counts from when it was last reset.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) said: Said,
    /// Lines of news each node has written.
    pub(super) news_of: Vec<usize>,
    /// When each node last learned something.
    pub(super) learned: Vec<Option<Duration>>,
    /// When any node last did, and all that was said until then.
    pub(super) last: Option<(Duration, Said)>,
}

impl Amount {
    fn of(line: &[u8]) -> Self {
        Self { lines: 1, bytes: line.len() }
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { lines: self.lines + other.lines, bytes: self.bytes + other.bytes }
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), Self::add)
    }
}

impl Said {
    /// What it takes to find out what is missing, and to make good for it.
    pub(super) fn repair(&self) -> Amount {
        [self.greetings, self.sums, self.pushes].into_iter().sum()
    }

    fn count(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let word = line.split(|byte| *byte == b' ' || *byte == b'\n').next().unwrap_or_default();
            let amount = match word {
                b"AT" => &mut self.news,
                b"PING" | b"PONG" => &mut self.pings,
                b"SUM" | b"SHARDS" | b"LEAVES" | b"LIST" | b"DONE" => &mut self.sums,
                b"PUSH" => &mut self.pushes,
                b"HELLO" | b"PROOF" | b"WELCOME" | b"REFUSED" => &mut self.greetings,
                word => panic!("nobody counts {}", word.escape_ascii()),
            };
            *amount = *amount + Amount::of(line);
        }
    }
}

impl Meter {
    pub(super) fn new(nodes: usize) -> Self {
        let (said, last) = (Said::default(), None);
        Self { said, news_of: vec![0; nodes], learned: vec![None; nodes], last }
    }

    /// A link of that node is about to write these lines.
    pub(super) fn said(&mut self, node: usize, lines: &[u8]) {
        let before = self.said.news.lines;
        self.said.count(lines);
        self.news_of[node] += self.said.news.lines - before;
    }

    /// A session has written these lines, whole ones: there is always room for answers.
    pub(super) fn answered(&mut self, lines: &[u8]) {
        self.said.count(lines);
    }

    /// A node has learned something.
    pub(super) fn learned(&mut self, node: usize, now: Duration) {
        self.learned[node] = Some(now);
        self.last = Some((now, self.said));
    }
}
