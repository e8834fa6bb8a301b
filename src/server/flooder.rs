//! A neighbour's flooder: the thread that runs its link. It waits, dials, reads and writes; `link` decides what is done
//! and when, and `link_log` what is reported of it.

use std::{
    io,
    net::{Shutdown, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

use crossbeam_channel::{Receiver, Select, never, select};

use super::{Announcement, Shared, link_log::LinkLog, resolver::Resolver, shared::Stop, threads::DrainTurn};
use crate::{
    config::Address,
    core::{
        links::{AnyLink, Dialled, Event, Step, Vigil},
        model::{NodeId, Tick},
        node::Neighbour,
        wire::{Channel, Nonce},
    },
    system::{clock, random},
    transport::{Stream, TlsFault},
};

/// How long one read blocks before stop is looked at.
const LISTEN_SLICE: Duration = Duration::from_millis(100);

/// How long a third-party node may be silent after it was sent everything before its connection is closed.
const LAST_ANSWER_TIME: Duration = Duration::from_secs(1);

/// The thread's state.
pub(super) struct Flooder<'a> {
    shared: &'a Shared<'a>,
    peer: &'a NodeId,
    /// Receives a message when the neighbour has connected to this node.
    called: Receiver<()>,
    /// Dropped before `log`: however the flooder ends, nothing more is queued once the link is reported down.
    link: AnyLink,
    /// Whether the neighbour is a third-party node, which cannot be asked whether it is there.
    is_plain: bool,
    link_log: LinkLog<'a>,
    resolver: Arc<Resolver>,
    vigil: Vigil,
    stream: Option<Stream>,
    /// Whether its last line has been written only in part.
    is_mid_line: bool,
    /// The number of its connection.
    connection: u64,
}

impl<'a> Flooder<'a> {
    /// A flooder that will dial `neighbour` at `address`.
    pub(super) fn new(
        shared: &'a Shared<'a>,
        neighbour: &'a Neighbour,
        address: &'a Address,
        (link, called, resolver): (AnyLink, Receiver<()>, Arc<Resolver>),
    ) -> Self {
        let link_log = LinkLog::new(shared.log, &neighbour.health, &neighbour.id, address);
        let (peer, is_plain) = (&neighbour.id, neighbour.plain.is_some());
        let (vigil, stream, is_mid_line, connection) = (Vigil::default(), None, false, 0);
        Self {
            shared,
            peer,
            called,
            link,
            is_plain,
            link_log,
            resolver,
            vigil,
            stream,
            is_mid_line,
            connection,
        }
    }

    /// Keeps the link up until stop.
    pub(super) fn run(mut self) {
        loop {
            if let Some(by) = self.stop().by() {
                self.link.stop(by);
            }
            let step = self.link.step(clock::tick(), self.shared.node.store());
            if let Err(why) = self.carry_out(step) {
                self.link.failed(why);
            }
            while let Some(event) = self.link.event() {
                let is_up = matches!(event, Event::Up);
                self.link_log.tell(event, self.connection, self.link.news());
                if is_up {
                    self.shared.announce(Announcement::Linked(self.peer.clone()));
                }
            }
            if step == Step::End {
                break;
            }
        }
        self.close();
        if let Some(lack) = self.link.lack(self.shared.node.store()) {
            self.link_log.tell_lack(lack);
            if lack.is_stuck {
                self.shared.lacking.lock().push(self.peer.clone());
            }
        }
        self.link_log.end();
    }

    /// Lets the neighbour receive what was written. A third-party node may answer what it is sent, and if its answer
    /// reached a closed connection, whatever is still in flight would be discarded. So the flooder reads until the node
    /// closes, too, or falls silent.
    fn close(&mut self) {
        self.take_half_lines_back();
        let Some(stream) = self.stream.take() else { return };
        if self.is_plain {
            stream.shutdown(Shutdown::Write);
            let mut unwanted = [0; 4096];
            let mut hear = |wait: Duration| {
                stream.set_read_timeout(wait).is_ok()
                    && matches!(stream.read(&mut unwanted), Ok(Some(count)) if count > 0)
            };
            loop {
                let wait = self.time_until(clock::tick() + LAST_ANSWER_TIME);
                if wait.is_zero() || !hear(wait) {
                    break;
                }
            }
        }
        stream.finish();
    }

    /// Resets a third-party node's connection that would end within a line. Half a line can be a valid, wrong one, and the
    /// end of a connection ends a line for many such nodes; an error does not.
    fn take_half_lines_back(&mut self) {
        if self.is_plain
            && self.is_mid_line
            && let Some(stream) = self.stream.take()
        {
            stream.reset();
        }
    }

    fn carry_out(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Dial => self.dial()?,
            Step::Pause { until } => self.pause(until),
            Step::Write { .. } => self.write()?,
            Step::HalfClose => {
                if let Some(stream) = &self.stream {
                    stream.shutdown(Shutdown::Write);
                }
                self.link.half_closed();
            }
            Step::Look => self.read(Stream::receive_now)?,
            Step::Listen { until } => self.listen(until)?,
            Step::Rest { until } => self.rest(until),
            Step::HangUp => {
                self.take_half_lines_back();
                // With TLS's goodbye, so that the other end tells this from a broken connection.
                if let Some(stream) = self.stream.take() {
                    stream.finish();
                }
                self.link.hung_up(clock::tick(), random::bits());
            }
            Step::End => {}
        }
        Ok(())
    }

    fn stop(&self) -> &'a Stop {
        self.shared.stop(DrainTurn::Second)
    }

    /// The time until then, or until a link whose node stops must have ended.
    fn time_until(&self, until: Tick) -> Duration {
        self.stop().by().map_or(until, |by| by.min(until)).saturating_sub(clock::tick())
    }

    /// Waits until the neighbour connects to this node, the node stops, or that time comes.
    fn pause(&mut self, until: Tick) {
        let none = never();
        let stop = if self.stop().is_set() { &none } else { self.stop().receiver() };
        select! {
            recv(stop) -> _ => {}
            recv(self.called) -> _ => self.link.called(clock::tick()),
            default(until.saturating_sub(clock::tick())) => {}
        }
    }

    /// Dials the neighbour's addresses in turn, until one answers.
    fn dial(&mut self) -> Result<(), String> {
        let limit = self.shared.limits.connect_time;
        let addresses = self.resolve(clock::tick() + limit);
        let addresses = addresses.map_err(|error| format!("its name is not resolved: {error}"))?;
        let mut failure = "its name has no address".to_owned();
        for address in addresses {
            let until = clock::tick() + limit;
            match Stream::connect(&address, || self.time_until(until)) {
                Ok(stream) => return self.begin(stream),
                Err(error) => failure = format!("it cannot be reached: {error}"),
            }
        }
        Err(failure)
    }

    fn resolve(&mut self, until: Tick) -> io::Result<Vec<SocketAddr>> {
        let resolved = self.resolver.addresses(self.time_until(until), self.stop().receiver());
        match resolved {
            // From here on there may be less time.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.resolver.addresses(self.time_until(until), &never())
            }
            resolved => resolved,
        }
    }

    fn begin(&mut self, stream: Stream) -> Result<(), String> {
        self.prepare(&stream).map_err(|error| writing_failed(&error))?;
        self.connection = self.shared.next_connection();
        let channel = self.secure(&stream)?;
        self.link_log.dialled(channel);
        let nonce = random::bytes().map(Nonce::of_bytes);
        let nonce =
            nonce.map_err(|error| format!("the system has no random numbers for a handshake: {error}"))?;
        (self.stream, self.is_mid_line) = (Some(stream), false);
        self.link.connected(clock::tick(), Dialled { nonce, channel }, self.shared.node.store());
        Ok(())
    }

    /// Speaks TLS with the peer, if that is how peers are dialled. It is never dialled again without.
    fn secure(&self, stream: &Stream) -> Result<Channel, String> {
        let Shared { peers_tls, node, limits, .. } = self.shared;
        let Some(tls) = peers_tls.as_ref().filter(|_| !self.is_plain && node.peer_tls.dials_tls()) else {
            return Ok(Channel::Plain);
        };
        let until = clock::tick() + limits.connect_time;
        let cure = |fault: &TlsFault| match fault {
            TlsFault::Ended => "; unless it is stopping, set its `peer_tls` to accept, on or required",
            TlsFault::NotTls => "; set its `peer_tls` to accept, on or required",
            TlsFault::OtherInside => "; correct the address",
            _ => "",
        };
        let secured = stream.dial_peer_tls(tls, || self.time_until(until));
        secured.map_err(|fault| format!("{fault}{}", cure(&fault)))
    }

    fn prepare(&self, stream: &Stream) -> io::Result<()> {
        stream.prepare()?;
        stream.hold_little_unsent()?;
        if self.is_plain { stream.keep_alive(self.shared.limits.liveness_time) } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), String> {
        let Some(stream) = &self.stream else { return Ok(()) };
        let output = self.link.output();
        let count = stream.write(output).map_err(|error| writing_failed(&error))?;
        if let Some(last) = output[..count].last() {
            self.is_mid_line = *last != b'\n';
        }
        self.link.wrote(count);
        Ok(())
    }

    fn listen(&mut self, until: Tick) -> Result<(), String> {
        let wait = until.saturating_sub(clock::tick()).min(LISTEN_SLICE);
        if wait.is_zero() {
            return Ok(());
        }
        self.read(|stream, space| {
            stream.set_read_timeout(wait)?;
            stream.read(space)
        })
    }

    fn read(
        &mut self,
        read: impl FnOnce(&Stream, &mut [u8]) -> io::Result<Option<usize>>,
    ) -> Result<(), String> {
        let Some(stream) = &self.stream else { return Ok(()) };
        let count = match read(stream, self.link.space()) {
            // It may have been killed. What it sends has no meaning before its newline.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some(0),
            read => read.map_err(|error| format!("reading failed: {error}"))?,
        };
        if let Some(count) = count {
            self.link.received(count, clock::tick(), random::bits(), self.shared.node.store());
        }
        Ok(())
    }

    /// Waits until something is queued, the node stops, or that time comes.
    fn rest(&mut self, until: Tick) {
        let began = clock::tick();
        let awake_until = self.vigil.until(began).map_or(began, |awake_until| awake_until.min(until));
        while !self.link.has_news() && clock::tick() < awake_until {
            thread::yield_now();
        }
        if !self.link.has_news() {
            let mut select = Select::new();
            select.recv(self.link.queue().receiver());
            select.recv(self.stop().receiver());
            // The link finds out what woke it; it also copes with a wait that ends too early.
            let _ = select.ready_timeout(until.saturating_sub(clock::tick()));
        }
        self.vigil.ended(began, clock::tick());
    }
}

fn writing_failed(error: &io::Error) -> String {
    format!("writing failed: {error}")
}
