//! One connection's thread: it does what the connection's [`Dialogue`] says, and nothing else. The dialogue decides
//! what a line means, whose the connection is and when it has waited too long.

mod notes;

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

pub(super) use self::notes::Arrival;
use self::notes::Notes;
use super::{Shared, ended::Ended, seats::LineSeat, threads::DrainTurn};
use crate::{
    core::{
        access::Quota,
        dialogue::{Closing, Dialogue, Joined, Looked, Next, Opening, Party, Times},
        links::Vigil,
        model::{Query, Tick},
        node::{Neighbour, Node},
        wire::OtherProtocol,
    },
    log::RateLimit,
    places,
    system::clock,
    transport::{Stream, TlsFault, TlsService},
};

/// Serves one connection until it ends.
pub(super) fn run(
    shared: &Shared<'_>,
    stream: &Arc<Stream>,
    number: u64,
    seat: LineSeat<'_>,
    (opening, arrival): (Opening, Arrival),
) {
    let notes = Notes::new(shared, number, arrival);
    let (is_accepted, is_bounded, vigil, timeout, batch) = (false, false, None, None, 0);
    let mut session =
        Session { shared, stream, number, seat, is_accepted, is_bounded, notes, vigil, timeout, batch };
    session.hold(opening);
}

struct Session<'a> {
    shared: &'a Shared<'a>,
    stream: &'a Stream,
    number: u64,
    seat: LineSeat<'a>,
    /// Whether it was counted as accepted. A connection that never was counts as refused in the end.
    is_accepted: bool,
    /// Whether the socket's limit on unread bytes is set; a peer's connection has none.
    is_bounded: bool,
    notes: Notes<'a>,
    /// Only for a peer's connection.
    vigil: Option<Vigil>,
    /// The socket's present read timeout.
    timeout: Option<Duration>,
    /// The last batch's number, where replies wait for the journal.
    batch: u64,
}

/// What a wait has brought.
enum Waited {
    Bytes(usize),
    End,
    /// The end, which TLS does not vouch for.
    Cut,
    Nothing,
}

// Code that a waiting connection does not need is not inlined: it would use stack in every connection.
impl<'a> Session<'a> {
    /// Owns the dialogue from beginning to end.
    fn hold(&mut self, opening: Opening) {
        let Shared { node, limits, .. } = self.shared;
        // A client's connection counts as accepted at once, unless its seat is kept for neighbours and must be earned
        // first.
        if !matches!(opening, Opening::Common { is_kept: true } | Opening::Secured { is_kept: true }) {
            self.count_accepted();
        }
        let is_plain = matches!(opening, Opening::Plain(_));
        let times = Times {
            idle: if is_plain { limits.plain_idle_time } else { limits.idle_time },
            line: limits.line_time,
            handshake: limits.handshake_time,
            liveness: limits.liveness_time,
        };
        if let Err(error) = self.prepare(&opening) {
            return self.close(&Ended::Reset(error), None);
        }
        if matches!(opening, Opening::Secured { .. })
            && let Err(ended) = self.secure_client()
        {
            return self.close(&ended, None);
        }
        let mut dialogue =
            Dialogue::new(*node, opening, (times, limits.line_bytes), self.number, clock::tick());
        if !is_plain {
            dialogue.set_allowance(self.shared.allowance_of(self.seat.origin(), dialogue.heard()));
        }
        let ended = self.drive(&mut dialogue);
        // Before the log says so.
        dialogue.leave();
        self.close(&ended, dialogue.party().link());
    }

    fn prepare(&self, opening: &Opening) -> io::Result<()> {
        self.stream.prepare()?;
        // Pings reveal a silent peer; a client has its idle time.
        match opening {
            Opening::Common { .. } | Opening::Secured { .. } => Ok(()),
            Opening::Plain(_) => self.stream.keep_alive(self.shared.limits.liveness_time),
        }
    }

    fn count_accepted(&mut self) {
        self.is_accepted = true;
        self.shared.counters.accepted.fetch_add(1, Ordering::Relaxed);
    }

    fn drive(&mut self, dialogue: &mut Dialogue<&'a Node>) -> Ended {
        // Approximate: the time since the last byte went into its lines. The clock is read again when a wait ends.
        let mut now = dialogue.heard();
        let mut is_served = false;
        loop {
            let done = match dialogue.next(now, &mut self.notes) {
                Next::Wait(_) if is_served && self.shared.is_stopping() => Err(Ended::Draining),
                Next::Wait(until) => self.wait(dialogue, until, now).map(|waited| match waited {
                    Waited::Nothing => now = clock::tick(),
                    _ => (now, is_served) = (dialogue.heard(), true),
                }),
                Next::Secure(until) => {
                    let secured = self.secure(dialogue, until);
                    now = clock::tick();
                    secured
                }
                Next::Rest(until, quota) => {
                    self.rest(until, quota, dialogue.party()).map(|()| now = clock::tick())
                }
                Next::Joined(joined) => {
                    self.join(joined, dialogue.party());
                    Ok(())
                }
                Next::Offer => {
                    self.offer(dialogue);
                    Ok(())
                }
                Next::Commit => self.commit(dialogue),
                Next::Write => self.write(dialogue),
                Next::Look(query) => {
                    let looked = self.look_up(&query, dialogue.document());
                    dialogue.looked(looked, &mut self.notes);
                    Ok(())
                }
                Next::Close(why) => Err(Ended::Said(why)),
            };
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    /// Waits for bytes until that time, and passes them on.
    fn wait(&mut self, dialogue: &mut Dialogue<&'a Node>, until: Tick, now: Tick) -> Result<Waited, Ended> {
        let is_client = dialogue.party().is_client();
        // Right after the last bytes arrived, and not again when memory has been given back.
        let vigil = self.vigil.filter(|_| now == dialogue.heard());
        let awake_until = vigil.and_then(|vigil| vigil.until(now));
        let waited = self.read(dialogue.space(), awake_until, until - now, is_client)?;
        match waited {
            Waited::Bytes(count) => {
                let now = clock::now();
                if let Some(vigil) = &mut self.vigil {
                    vigil.ended(dialogue.heard(), now.tick);
                }
                self.notes.begin(now, count);
                dialogue.received(count, now);
            }
            Waited::End | Waited::Cut if self.shared.is_stopping() => return Err(Ended::Draining),
            // The line that it had begun is incomplete.
            Waited::End | Waited::Cut if self.seat.is_cut() => return Err(Ended::Evicted),
            Waited::Cut => return Err(Ended::Cut),
            Waited::End => {
                let now = clock::now();
                self.notes.begin(now, 0);
                dialogue.ended(now);
            }
            Waited::Nothing => {}
        }
        Ok(waited)
    }

    fn read(
        &mut self,
        space: &mut [u8],
        awake_until: Option<Tick>,
        wait: Duration,
        is_client: bool,
    ) -> Result<Waited, Ended> {
        let waited = |count| if count == 0 { Waited::End } else { Waited::Bytes(count) };
        while awake_until.is_some_and(|awake_until| clock::tick() < awake_until) {
            match self.stream.receive_now(space) {
                Ok(Some(count)) => return Ok(waited(count)),
                Ok(None) => thread::yield_now(),
                Err(error) => return broken(error),
            }
        }
        self.set_timeout(wait, is_client)?;
        match self.stream.read(space) {
            Ok(read) => Ok(read.map_or(Waited::Nothing, waited)),
            Err(error) => broken(error),
        }
    }

    /// Goes through the TLS handshake of a connection that begins as a peer's does.
    #[inline(never)]
    fn secure(&mut self, dialogue: &mut Dialogue<&'a Node>, until: Tick) -> Result<(), Ended> {
        let Shared { peers_tls: Some(tls), handshakes, .. } = self.shared else { return Err(other_tls()) };
        let time = || until.saturating_sub(clock::tick());
        let secured = self.stream.accept_peer_tls(dialogue.unread(), (tls, handshakes), time);
        dialogue.secured(secured.map_err(|fault| self.not_secured(fault))?);
        Ok(())
    }

    /// Goes through the TLS handshake of a client's connection.
    #[inline(never)]
    fn secure_client(&self) -> Result<(), Ended> {
        let Shared { certificates, handshakes, limits, .. } = self.shared;
        let Some(certificates) = certificates else { return Err(other_tls()) };
        let until = clock::tick() + limits.handshake_time;
        let time = || until.saturating_sub(clock::tick());
        let service = (&certificates.service, TlsService::Lines);
        let secured = self.stream.accept_tls(service, handshakes, time);
        secured.map_err(|fault| self.not_secured(fault))
    }

    fn not_secured(&self, fault: TlsFault) -> Ended {
        match fault {
            _ if self.shared.is_stopping() => Ended::Draining,
            _ if self.seat.is_cut() => Ended::Evicted,
            TlsFault::OtherInside => other_tls(),
            fault => Ended::Tls(fault),
        }
    }

    /// Sets the timeout only if it changed. A client's may run up to 1/8 late, so that a busy connection rarely needs the
    /// call.
    fn set_timeout(&mut self, wait: Duration, is_client: bool) -> Result<(), Ended> {
        let late_max = if is_client { wait / 8 } else { Duration::ZERO };
        let is_good = self.timeout.is_some_and(|timeout| timeout >= wait && timeout - wait <= late_max);
        if !is_good {
            self.stream.set_read_timeout(wait).map_err(Ended::Reset)?;
            self.timeout = Some(wait);
        }
        Ok(())
    }

    /// Waits for the turn of what was read. Only the stop ends that before.
    #[inline(never)]
    fn rest(&self, until: Tick, quota: Quota, party: &Party) -> Result<(), Ended> {
        let Shared { counters, .. } = self.shared;
        counters.quota_waits[quota as usize].fetch_add(1, Ordering::Relaxed);
        self.notes.log_wait(quota, party);
        loop {
            if self.shared.is_stopping() {
                return Err(Ended::Draining);
            }
            let now = clock::tick();
            if now >= until {
                return Ok(());
            }
            self.shared.stop(DrainTurn::First).wait(until - now);
        }
    }

    /// The connection turns out to be a neighbour's.
    #[inline(never)]
    fn join(&mut self, joined: Joined, party: &Party) {
        let Shared { node, connections, log, .. } = self.shared;
        let id = &node.neighbours()[joined.link].id;
        if let Party::Plain(_) = party {
            // A third-party node may make a connection for each update.
            if let Some(untold) = self.shared.rate_limits.plain_connections.allow(clock::tick()) {
                log.info(format_args!("{id} sends its updates as #{}{untold}", self.number));
            }
            return;
        }
        if let Some(connection) = joined.replaces {
            connections.close(connection);
        }
        if !self.is_accepted {
            self.count_accepted();
        }
        self.seat.become_peer();
        self.vigil = Some(Vigil::default());
        let over = if self.stream.speaks_tls() { " over TLS" } else { "" };
        log.info(format_args!("{id} is connected to this node as #{}{over}", self.number));
    }

    #[inline(never)]
    fn offer(&mut self, dialogue: &mut Dialogue<&'a Node>) {
        let Shared { log, rate_limits, commits, .. } = self.shared;
        // Before the offer, so that the log shows what came in before what went out.
        self.notes.log();
        let acknowledges = dialogue.acknowledges();
        let mut offer = || {
            dialogue.offer(|neighbour| {
                if let Some(untold) = rate_limits.overflows.allow(clock::tick()) {
                    let id = &neighbour.id;
                    log.warn(format_args!(
                    "the outbox of {id} is full: a batch was dropped, which the next repair will send{untold}"
                ));
                }
            });
        };
        match commits.as_ref().filter(|_| acknowledges) {
            Some(commits) => self.batch = commits.offer(offer),
            None => offer(),
        }
    }

    #[inline(never)]
    fn commit(&mut self, dialogue: &mut Dialogue<&'a Node>) -> Result<(), Ended> {
        if let Some(commits) = &self.shared.commits {
            commits.wait(self.batch).map_err(Ended::NotKept)?;
        }
        dialogue.committed();
        Ok(())
    }

    #[inline(never)]
    fn write(&mut self, dialogue: &mut Dialogue<&'a Node>) -> Result<(), Ended> {
        // A peer, whose repairs may be large, gets the buffers that the system gives.
        if !self.is_bounded && !dialogue.has_greeted() {
            self.stream.bound_unread().map_err(Ended::Reset)?;
            self.is_bounded = true;
        }
        let written = self.write_replies(dialogue);
        if !self.notes.counts.is_empty() {
            let took = clock::tick().saturating_sub(dialogue.heard());
            self.shared.requests.take(&mut self.notes.counts, took, self.number);
        }
        written?;
        dialogue.wrote();
        Ok(())
    }

    fn write_replies(&mut self, dialogue: &mut Dialogue<&'a Node>) -> Result<(), Ended> {
        let Shared { limits, buffers, .. } = self.shared;
        let write_time = limits.write_time;
        // Only after a write has blocked, so that a reply that is accepted at once costs no clock reading.
        let (mut written, mut until) = (0, None);
        loop {
            let count = self.stream.write(&dialogue.replies()[written..]).map_err(Ended::Reset)?;
            written += count;
            self.notes.wrote(count);
            if written == dialogue.replies().len() {
                return Ok(());
            }
            let now = clock::tick();
            // The first bytes accepted found room; any later ones had to wait for it.
            if count > 0 && until.is_some() && dialogue.took_some(now) {
                until = None;
            }
            if dialogue.party().is_client() && buffers.is_exceeded() {
                return Err(Ended::Crowded);
            }
            if now >= *until.get_or_insert(now + write_time) {
                return Err(Ended::SlowReader(write_time));
            }
        }
    }

    #[inline(never)]
    fn look_up(&self, query: &Query, document: &mut Vec<u8>) -> Looked {
        let Some(source) = self.shared.places else { return Looked { results: 0, is_failed: true } };
        let looked = places::look_up(source, query, document);
        source.take_news().iter().for_each(|news| self.shared.log.warn(format_args!("{news}")));
        looked
    }

    /// Failed handshakes and browsers must not keep the log from saying why clients are closed.
    fn told_by(&self, ended: &Ended) -> &'a RateLimit {
        match ended {
            Ended::Said(
                Closing::Refused(_) | Closing::NoProof(_) | Closing::EndedUnproved | Closing::NoGreeting(_),
            )
            | Ended::Tls(_) => &self.shared.rate_limits.handshakes,
            Ended::Said(Closing::OtherProtocol(_)) => &self.shared.rate_limits.other_protocols,
            _ => &self.shared.rate_limits.closings,
        }
    }

    /// What the log adds for someone who uses the wrong port.
    fn cure(&self, ended: &Ended) -> String {
        let Ended::Said(Closing::OtherProtocol(other)) = ended else { return String::new() };
        let mut cure = match self.shared.http_address {
            Some(https) if self.shared.is_https => format!("; this node serves HTTPS at https://{https}"),
            Some(http) => format!("; this node serves HTTP, without TLS, at http://{http}"),
            None => "; give this node an `http` address for its status and metrics".to_owned(),
        };
        if *other == OtherProtocol::Tls {
            if let Some(tls) = self.shared.tls_address {
                cure += &format!(", and clients that speak TLS at {tls}");
            }
            cure += match self.shared.node.peer_tls.takes_tls() {
                true => "; it takes TLS from peers, but this is not a peer's",
                false => "; it takes no TLS from peers, since its `peer_tls` is off",
            };
        }
        cure
    }

    /// Logs why the connection ends, if anyone may wonder, and lets the client receive what was written to it.
    #[inline(never)]
    fn close(&mut self, ended: &Ended, link: Option<usize>) {
        if !self.is_accepted {
            self.shared.counters.refused.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(link) = link {
            let Neighbour { id, plain, .. } = &self.shared.node.neighbours()[link];
            let limit = &self.shared.rate_limits.plain_connections;
            let untold = match plain {
                None => Some(String::new()),
                Some(_) => limit.allow(clock::tick()).map(|untold| untold.to_string()),
            };
            if let Some(untold) = untold {
                let number = self.number;
                self.shared
                    .log
                    .info(format_args!("{id} is no longer connected as #{number}: {ended}{untold}"));
            }
        } else if !matches!(
            ended,
            Ended::Said(Closing::ByPeer) | Ended::Reset(_) | Ended::Cut | Ended::Draining
        ) && let Some(untold) = self.told_by(ended).allow(clock::tick())
        {
            let cure = self.cure(ended);
            self.shared.log.warn(format_args!("#{} is closed: {ended}{cure}{untold}", self.number));
        }
        self.notes.end(ended);
        self.stream.finish();
    }
}

/// What a read that failed says of the connection.
fn broken(error: io::Error) -> Result<Waited, Ended> {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Ok(Waited::Cut),
        _ => Err(Ended::Reset(error)),
    }
}

/// It speaks TLS, and is not a peer.
fn other_tls() -> Ended {
    Ended::Said(Closing::OtherProtocol(OtherProtocol::Tls))
}
