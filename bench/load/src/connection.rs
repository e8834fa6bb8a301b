//! One connection of the closed loop: what it may still send, what it has sent and when, and what it is owed.
//! It never waits; the loop in `drive` tells it when its socket may have become ready.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
};

use hdrhistogram::Histogram;
use mio::net::TcpStream;

use crate::{
    iamat::Composer,
    keys::Walk,
    reply::{self, Expected, Lines},
};

/// Reports that left in one write.
#[derive(Debug)]
struct Batch {
    sent_ns: u64,
    reports: u32,
}

/// Replies that were not what they had to be.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    pub(crate) count: u64,
    pub(crate) first: Option<Vec<u8>>,
}

impl Wrong {
    fn note(&mut self, line: &[u8]) {
        self.count += 1;
        self.first.get_or_insert_with(|| line.to_vec());
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    walk: Walk,
    /// Reports it may still send.
    quota: u64,
    lines: Lines,
    outstanding: u32,
    batches: VecDeque<Batch>,
    /// Filled only when every field is to be checked.
    expected: Option<VecDeque<Expected>>,
    out: Vec<u8>,
    /// How much of `out` the socket has taken.
    taken: usize,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr, walk: Walk, verify: bool) -> io::Result<Self> {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            walk,
            quota: 0,
            lines: Lines::default(),
            outstanding: 0,
            batches: VecDeque::new(),
            expected: verify.then(VecDeque::new),
            out: Vec::new(),
            taken: 0,
        })
    }

    pub(crate) fn set_quota(&mut self, quota: u64) {
        self.quota = quota;
    }

    pub(crate) fn outstanding(&self) -> u32 {
        self.outstanding
    }

    /// Reads until the socket is empty; gives how many replies that completed.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], wrong: &mut Wrong) -> io::Result<u32> {
        let mut replies = 0;
        loop {
            let count = match self.stream.read(buffer) {
                Ok(0) => {
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(replies),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            replies += self.judge(&buffer[..count], wrong);
            // A short read has emptied the socket; the next arrival is a new event.
            if count < buffer.len() {
                return Ok(replies);
            }
        }
    }

    fn judge(&mut self, data: &[u8], wrong: &mut Wrong) -> u32 {
        let expected = &mut self.expected;
        self.lines.feed(data, |line| {
            let right = match expected {
                None => reply::is_at_line(line),
                Some(queue) => queue.pop_front().is_some_and(|expected| reply::answers(line, &expected)),
            };
            if !right {
                wrong.note(line);
            }
        })
    }

    /// Counts `replies` off what is owed and notes how long each took, at `now_ns`.
    pub(crate) fn settle(
        &mut self,
        mut replies: u32,
        now_ns: u64,
        latency: &mut Histogram<u64>,
    ) -> io::Result<()> {
        self.outstanding = self.outstanding.checked_sub(replies).ok_or_else(|| {
            io::Error::new(ErrorKind::InvalidData, "the server sent more lines than it was asked for")
        })?;
        while replies > 0 {
            let Some(batch) = self.batches.front_mut() else { break };
            let settled = batch.reports.min(replies);
            latency.saturating_record_n(now_ns.saturating_sub(batch.sent_ns), u64::from(settled));
            batch.reports -= settled;
            replies -= settled;
            if batch.reports == 0 {
                self.batches.pop_front();
            }
        }
        Ok(())
    }

    /// Sends up to `wanted` reports, fewer when the quota ends; gives how many.
    pub(crate) fn send(&mut self, wanted: u32, now_ns: u64, composer: &mut Composer) -> io::Result<u32> {
        let reports = u64::from(wanted).min(self.quota) as u32;
        if reports > 0 {
            self.compose(reports, composer);
            self.quota -= u64::from(reports);
            self.outstanding += reports;
            self.batches.push_back(Batch { sent_ns: now_ns, reports });
        }
        self.flush()?;
        Ok(reports)
    }

    fn compose(&mut self, reports: u32, composer: &mut Composer) {
        for _ in 0..reports {
            let number = self.walk.step();
            let stamp = composer.append(&mut self.out, number);
            if let Some(queue) = &mut self.expected {
                queue.push_back(Expected { number, stamp });
            }
        }
    }

    /// Writes what the socket takes; the rest waits for the next event.
    fn flush(&mut self) -> io::Result<()> {
        while self.taken < self.out.len() {
            match self.stream.write(&self.out[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.taken = 0;
        Ok(())
    }
}
