//! One connection: its thread reads, has `node` execute every line of the read, and does each side effect once for all
//! of them. A connection whose first line is a peer's handshake becomes that neighbour's.

mod handshake;
mod presence;

use std::{
    io::ErrorKind,
    mem,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use arrayvec::ArrayVec;

use self::presence::Presence;
use super::{Shared, connections::Slot, ended::Ended, plain::PlainDoor};
use crate::{
    core::{
        links::Vigil,
        model::{Now, Tick},
        node::{Batch, Challenge, Origin, Prepared, Said},
        wire::{Invalid, Line, LineBuffer, PEER_LINE_BYTES_MAX, READ_BYTES_MAX},
    },
    log::{RateLimit, Traffic},
    metrics::{Counts, RequestOutcome},
    system::clock,
    transport::Stream,
};

/// How long a connection that has used large buffers keeps them after its last line.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Serves one connection until it ends. `plain` is the door it came in by, where that is the one for third-party nodes.
pub(super) fn run(
    shared: &Shared<'_>,
    stream: &Arc<Stream>,
    number: u64,
    slot: Slot<'_>,
    plain: Option<&PlainDoor>,
) {
    shared.contain(format_args!("#{number}"), || {
        let mut session = Session::new(shared, stream, number, slot);
        let ended = match plain {
            None => {
                session.count_accepted_unless_kept();
                session.serve(LineBuffer::new(shared.limits.line_bytes))
            }
            Some(door) => match session.become_plain(door) {
                Ok(()) => session.serve(LineBuffer::new(PEER_LINE_BYTES_MAX)),
                Err(ended) => ended,
            },
        };
        session.close(&ended);
    });
}

struct Session<'a> {
    shared: &'a Shared<'a>,
    stream: &'a Stream,
    number: u64,
    slot: Slot<'a>,
    origin: Origin,
    /// Whether it was counted as accepted. A connection that was not by its end counts as refused.
    is_accepted: bool,
    /// Where the connection is a neighbour's.
    presence: Option<Presence<'a>>,
    /// The third-party nodes whose it may be, by its address.
    candidates: Vec<usize>,
    batch: Batch,
    traffic: Traffic,
    counts: Counts,
    /// What a neighbour has written since the last batch ended.
    heard_bytes: usize,
    bad_lines: u32,
    stage: Stage,
    began: Tick,
    /// When the last byte came.
    heard: Tick,
    vigil: Vigil,
    /// When the first byte of the line came that is not whole yet.
    line_began: Option<Tick>,
    /// What the socket's read timeout is set to.
    timeout: Option<Duration>,
}

/// What the next line may be.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The first one: a handshake, or a client's.
    First,
    /// The proof of the herd's secret and nothing else, until then.
    Proof(Challenge, Tick),
    /// No part of a handshake; but only empty lines have come, so the next may still be another protocol's first.
    Empty,
    /// No part of a handshake.
    Lines,
}

impl<'a> Session<'a> {
    fn new(shared: &'a Shared<'a>, stream: &'a Stream, number: u64, slot: Slot<'a>) -> Self {
        let began = clock::tick();
        Self {
            shared,
            stream,
            number,
            slot,
            origin: Origin::Client,
            is_accepted: false,
            presence: None,
            candidates: Vec::new(),
            batch: Batch::default(),
            traffic: Traffic::default(),
            counts: Counts::default(),
            heard_bytes: 0,
            bad_lines: 0,
            stage: Stage::First,
            began,
            heard: began,
            vigil: Vigil::default(),
            line_began: None,
            timeout: None,
        }
    }

    /// A client's connection is accepted at once, unless its seat is kept for neighbours: that must be earned first.
    fn count_accepted_unless_kept(&mut self) {
        if !self.slot.is_reserved() {
            self.count_accepted();
        }
    }

    fn count_accepted(&mut self) {
        self.is_accepted = true;
        self.shared.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn serve(&mut self, mut buffer: LineBuffer) -> Ended {
        if let Err(error) = self.stream.prepare() {
            return Ended::Reset(error);
        }
        loop {
            let ended = match self.read(&mut buffer) {
                Ok(0) if self.shared.is_stopping() => Ended::Draining,
                Ok(0) => match self.execute_last(&mut buffer) {
                    Ok(()) => Ended::ByClient,
                    Err(ended) => ended,
                },
                Ok(count) => match self.execute(&mut buffer, count) {
                    Ok(()) if self.shared.is_stopping() => Ended::Draining,
                    Ok(()) => continue,
                    Err(ended) => ended,
                },
                Err(ended) => ended,
            };
            return ended;
        }
    }

    /// Waits for bytes, and gives memory back when none come for a while. 0 is the end of the input.
    fn read(&mut self, buffer: &mut LineBuffer) -> Result<usize, Ended> {
        // Nearly so: what has passed since the last byte came was spent on its lines. A wait that ends is looked at exactly.
        let mut now = self.heard;
        if let (Origin::Peer(_), Some(awake_until)) = (self.origin, self.vigil.until(now)) {
            while clock::tick() < awake_until {
                match self.stream.receive_now(buffer.space()) {
                    Ok(Some(count)) => return Ok(count),
                    Ok(None) => thread::yield_now(),
                    Err(error) => return Err(Ended::Reset(error)),
                }
            }
        }
        loop {
            let linger_until = self.heard + LINGER_TIME;
            let mut is_lingering = buffer.is_grown() || self.batch.is_grown() || self.traffic.is_grown();
            if is_lingering && now >= linger_until {
                buffer.shrink();
                self.batch = Batch::default();
                self.traffic = Traffic::default();
                is_lingering = false;
            }
            let (deadline, too_late) = self.deadline();
            if now >= deadline {
                return Err(too_late);
            }
            let wait = if is_lingering { deadline.min(linger_until) } else { deadline } - now;
            self.set_timeout(wait)?;
            match self.stream.read(buffer.space()) {
                Ok(Some(count)) => return Ok(count),
                Ok(None) => now = clock::tick(),
                Err(error) => return Err(Ended::Reset(error)),
            }
        }
    }

    /// Until when something must come, and what it means if nothing does.
    fn deadline(&self) -> (Tick, Ended) {
        let limits = self.shared.limits;
        if self.slot.is_reserved() && self.origin == Origin::Client {
            return (self.began + limits.handshake_time, Ended::NoHandshake);
        }
        if let Stage::Proof(_, until) = self.stage {
            return (until, Ended::NoProof(limits.handshake_time));
        }
        let quiet = match self.origin {
            Origin::Client | Origin::Plain(_) => {
                (self.heard + limits.idle_time, Ended::Idle(limits.idle_time))
            }
            Origin::Peer(_) => (self.heard + limits.liveness_time, Ended::SilentPeer(limits.liveness_time)),
        };
        let slow_line = |began| (began + limits.line_time, Ended::SlowLine(limits.line_time));
        match self.line_began.map(slow_line) {
            Some(slow_line) if slow_line.0 < quiet.0 => slow_line,
            _ => quiet,
        }
    }

    /// A system call only where the timeout is another than last time, which on a busy connection it is not: the wait is
    /// rounded up to a tenth of itself or so, but for a neighbour, and what wakes too early waits again.
    fn set_timeout(&mut self, wait: Duration) -> Result<(), Ended> {
        let late_max = if self.origin == Origin::Client { wait / 8 } else { Duration::ZERO };
        let is_good = self.timeout.is_some_and(|timeout| timeout >= wait && timeout - wait <= late_max);
        if !is_good {
            self.stream.set_read_timeout(wait).map_err(Ended::Reset)?;
            self.timeout = Some(wait);
        }
        Ok(())
    }

    /// Executes every complete line of what has just been read, a few at a time, so that what the store must fetch from
    /// memory for one is under way while another is executed.
    ///
    /// Not inlined: what it needs of the stack, a connection that says nothing must not hold.
    #[inline(never)]
    fn execute(&mut self, buffer: &mut LineBuffer, count: usize) -> Result<(), Ended> {
        let now = clock::now();
        self.vigil.ended(self.heard, now.tick);
        self.heard = now.tick;
        self.heard_bytes += count;
        buffer.filled(count);
        self.begin(now);
        let mut lines = buffer.take_lines().peekable();
        let had_line = lines.peek().is_some();
        while !matches!(self.stage, Stage::Lines)
            && let Some(line) = lines.next()
        {
            self.execute_early(line, now)?;
        }
        let node = self.shared.node;
        while lines.peek().is_some() {
            // Filled in its place: collected, it would be on the stack twice, and each connection's memory a page more.
            let mut group: ArrayVec<_, GROUP_LINES> = ArrayVec::new();
            group.extend(lines.by_ref().take(GROUP_LINES).map(|line| node.prepare(line, self.origin)));
            if group.len() > 1 {
                node.prefetch(&group);
            }
            for prepared in &group {
                self.execute_line(prepared, now)?;
            }
        }
        if let Origin::Peer(_) = self.origin {
            buffer.set_limit(PEER_LINE_BYTES_MAX);
        }
        self.look_at_beginning(buffer)?;
        self.line_began = match self.line_began {
            _ if !buffer.is_mid_line() => None,
            Some(began) if !had_line => Some(began),
            _ => Some(now.tick),
        };
        self.finish_batch()
    }

    /// At the end of a client's input: executes the line that has no terminator. On a peer's connection, half a line can
    /// be a valid, wrong one.
    #[inline(never)]
    fn execute_last(&mut self, buffer: &mut LineBuffer) -> Result<(), Ended> {
        if self.origin != Origin::Client || matches!(self.stage, Stage::Proof(..)) {
            return Ok(());
        }
        let now = clock::now();
        self.begin(now);
        match buffer.last_line() {
            // Half a handshake is none, and so a client's line.
            Some(line) if matches!(self.stage, Stage::First | Stage::Empty) => {
                self.stage = Stage::Empty;
                self.execute_early(line, now)?;
            }
            Some(line) => self.execute_line(&self.shared.node.prepare(line, self.origin), now)?,
            None => {}
        }
        self.finish_batch()
    }

    fn begin(&mut self, now: Now) {
        if self.shared.log.takes_traffic() {
            self.traffic.begin(now.wall, self.number);
        }
        if let Origin::Peer(link) = self.origin {
            self.shared.peers.lock().heard(link, self.number, now.tick);
        }
    }

    fn execute_line(&mut self, prepared: &Prepared<'_>, now: Now) -> Result<(), Ended> {
        let node = self.shared.node;
        if self.origin == Origin::Plain(None)
            && let Some(link) = node.plain_sender(prepared, &self.candidates)
        {
            self.is_plain(link);
        }
        if self.batch.replies.len() >= READ_BYTES_MAX || node.may_wait(prepared) {
            self.finish_batch()?;
        }
        let replied_before = self.batch.replies.len();
        let said = node.execute(prepared, now, &mut self.batch);
        if matches!(said, Said::Places { .. }) {
            node.lookup_news().iter().for_each(|news| self.shared.log.warn(format_args!("{news}")));
        }
        match self.origin {
            Origin::Client => outcome(said).into_iter().for_each(|outcome| self.counts.add(outcome)),
            Origin::Peer(_) | Origin::Plain(_) => {
                self.bad_lines += u32::from(matches!(said, Said::Invalid(_)));
            }
        }
        self.log_line(prepared.line, said, replied_before);
        Ok(())
    }

    fn log_line(&mut self, line: Line<'_>, said: Said, replied_before: usize) {
        let log = self.shared.log;
        if let Said::Invalid(why) = said
            && let Some(untold) = self.shared.rate_limits.bad_lines.allow(clock::tick())
        {
            let (Line::Whole(text, _) | Line::TooLong(text, _)) = line;
            let shown = String::from_utf8_lossy(&text[..text.len().min(SHOWN_BYTES_MAX)]);
            log.warn(format_args!("bad line on #{}: {why}: {shown}{untold}", self.number));
        }
        if !log.takes_traffic() {
            return;
        }
        let (Line::Whole(text, _) | Line::TooLong(text, _)) = line;
        let is_traffic = self.origin == Origin::Client || text.trim_ascii_start().starts_with(b"AT");
        if is_traffic {
            self.traffic.line_in(text);
        }
        let reply = &self.batch.replies[replied_before..];
        match said {
            Said::Nothing => {}
            Said::At { .. } => self.traffic.line_out(reply.trim_ascii_end()),
            Said::Invalid(_) => {
                if self.origin == Origin::Client {
                    self.traffic.line_out(without_terminator(reply));
                }
            }
            Said::Places { results, json, .. } => {
                let (at, body) = reply.split_at(json - replied_before);
                self.traffic.line_out(at.trim_ascii_end());
                let body = body.trim_ascii_end();
                if log.takes_bodies() {
                    body.split(|&byte| byte == b'\n').for_each(|line| self.traffic.line_out(line));
                } else {
                    self.traffic.line_out(format!("[{results} results, {} bytes]", body.len()).as_bytes());
                }
            }
        }
    }

    /// Does the side effects of the lines so far: traffic to the log, news to the outboxes, replies to the client.
    fn finish_batch(&mut self) -> Result<(), Ended> {
        let Shared { node, log, limits, requests, rate_limits, .. } = self.shared;
        // Before the news, so that the log tells what came before it tells what went on.
        if log.takes_traffic() {
            self.traffic.finish(log);
        }
        node.flood(&mut self.batch, self.origin, |neighbour| {
            if let Some(untold) = rate_limits.overflows.allow(clock::tick()) {
                log.warn(format_args!("the outbox of {} is full: it misses a batch{untold}", neighbour.id));
            }
        });
        let (bytes, bad_lines) = (mem::take(&mut self.heard_bytes), mem::take(&mut self.bad_lines));
        if let Origin::Peer(link) | Origin::Plain(Some(link)) = self.origin {
            let Batch { updates, rounds, .. } = &mut self.batch;
            node.neighbours()[link].health.received(bytes, mem::take(updates), bad_lines, mem::take(rounds));
        }
        if self.batch.replies.is_empty() {
            return Ok(());
        }
        // Asked only once a write has blocked, so that a reply that is taken at once costs no look at the clock.
        let mut deadline = None;
        let is_over = || {
            let now = clock::tick();
            now >= *deadline.get_or_insert(now + limits.write_time)
        };
        let written = self.stream.write_all(&self.batch.replies, is_over);
        self.batch.replies.clear();
        if !self.counts.is_empty() {
            let took = clock::tick().saturating_sub(self.heard);
            requests.take(&mut self.counts, took, self.number);
        }
        written.map_err(|error| match error.kind() {
            ErrorKind::TimedOut => Ended::SlowReader(limits.write_time),
            _ => Ended::Reset(error),
        })
    }

    /// Failed handshakes and browsers must not hide why clients are closed.
    fn told_by(&self, ended: &Ended) -> &'a RateLimit {
        match ended {
            Ended::Refused(_) | Ended::NoProof(_) => &self.shared.rate_limits.handshakes,
            Ended::OtherProtocol(_) => &self.shared.rate_limits.other_protocols,
            _ => &self.shared.rate_limits.closings,
        }
    }

    /// What the log adds for whoever uses the wrong port.
    fn cure(&self, ended: &Ended) -> String {
        match (ended, self.shared.http_address) {
            (Ended::OtherProtocol(_), Some(http)) => {
                format!("; this node serves HTTP, without TLS, at http://{http}")
            }
            (Ended::OtherProtocol(_), None) => {
                "; give this node an `http` address for its status and metrics".to_owned()
            }
            _ => String::new(),
        }
    }

    /// Says why the connection ends, where anyone may wonder, and lets the client have what was written to it.
    fn close(&mut self, ended: &Ended) {
        // Before the log says so.
        self.presence = None;
        if !self.is_accepted {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        if let Origin::Peer(link) | Origin::Plain(Some(link)) = self.origin {
            let id = &self.shared.node.neighbours()[link].id;
            self.shared.log.info(format_args!("{id} is no longer connected as #{}: {ended}", self.number));
        } else if !matches!(ended, Ended::ByClient | Ended::Reset(_) | Ended::Draining)
            && let Some(untold) = self.told_by(ended).allow(clock::tick())
        {
            let cure = self.cure(ended);
            self.shared.log.warn(format_args!("#{} is closed: {ended}{cure}{untold}", self.number));
        }
        self.stream.finish();
    }
}

/// What became of a client's line.
fn outcome(said: Said) -> Option<RequestOutcome> {
    Some(match said {
        Said::Nothing => return None,
        Said::At { is_news: true } => RequestOutcome::Stored,
        Said::At { is_news: false } => RequestOutcome::Stale,
        Said::Places { is_failed: false, .. } => RequestOutcome::Answered,
        Said::Places { is_failed: true, .. } => RequestOutcome::SourceFailed,
        Said::Invalid(Invalid::TooFarAhead) => RequestOutcome::Ahead,
        Said::Invalid(Invalid::TooManyClients) => RequestOutcome::Full,
        Said::Invalid(Invalid::UnknownClient) => RequestOutcome::UnknownClient,
        Said::Invalid(Invalid::NoPlaces) => RequestOutcome::NoPlaces,
        Said::Invalid(_) => RequestOutcome::Invalid,
    })
}

/// How many lines are prepared before the first of them is executed.
const GROUP_LINES: usize = 16;

/// How much of a bad line its event shows.
const SHOWN_BYTES_MAX: usize = 80;

fn without_terminator(reply: &[u8]) -> &[u8] {
    let reply = reply.strip_suffix(b"\n").unwrap_or(reply);
    reply.strip_suffix(b"\r").unwrap_or(reply)
}
