//! Lines that a neighbour sends: each client's first location, then newer ones, made before anything is timed.

use std::io::Write;

use super::bed::TESTER;
use crate::{
    clock::Clock,
    keys::scattered,
    requests::{LOCATION, client_id},
    stamp::Stamp,
};

/// How a neighbour sends a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// As an update, to be passed on.
    At,
    /// As something the node was found to lack.
    Push,
}

/// Makes lines, each newer than all before.
#[derive(Debug)]
pub(super) struct Updates {
    keyword: Keyword,
    stamp: Stamp,
}

impl Updates {
    pub(super) fn new(keyword: Keyword) -> Self {
        Self { keyword, stamp: Stamp::new(Clock::start().posix_ns(0)) }
    }

    /// One location for each of `clients`, in their order.
    pub(super) fn of_all(&mut self, clients: u32) -> Vec<u8> {
        self.lines(0..clients)
    }

    /// So many locations of clients in scattered order.
    pub(super) fn of_some(&mut self, clients: u32, count: u32) -> Vec<u8> {
        self.lines(scattered(clients).take(count as usize))
    }

    fn lines(&mut self, numbers: impl Iterator<Item = u32>) -> Vec<u8> {
        let mut out = Vec::new();
        for number in numbers {
            self.stamp.advance();
            self.append(&mut out, number);
        }
        out
    }

    fn append(&self, out: &mut Vec<u8>, number: u32) {
        let (keyword, sender) = match self.keyword {
            Keyword::At => ("AT", format!(" {TESTER}")),
            Keyword::Push => ("PUSH", String::new()),
        };
        let (client, time) = (client_id(number), String::from_utf8_lossy(self.stamp.text()));
        // Writing to memory cannot fail.
        let _infallible = writeln!(out, "{keyword} Far +0.263873386 {client} {LOCATION} {time}{sender}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_has_a_sender_and_what_is_pushed_has_none() {
        let text = |keyword| String::from_utf8(Updates::new(keyword).of_all(2)).unwrap();
        let (news, pushed) = (text(Keyword::At), text(Keyword::Push));
        assert_eq!(news.lines().count(), 2);
        assert!(news.lines().all(|line| line.starts_with("AT Far ") && line.ends_with(" Bench")));
        assert!(pushed.lines().all(|line| line.starts_with("PUSH Far ") && line.split(' ').count() == 6));
    }

    #[test]
    fn every_line_is_newer_than_those_before() {
        let mut updates = Updates::new(Keyword::Push);
        let text = [updates.of_all(10), updates.of_some(10, 25)].concat();
        let text = String::from_utf8(text).unwrap();
        let times: Vec<_> = text.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(times.len(), 35);
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
