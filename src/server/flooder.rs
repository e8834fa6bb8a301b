//! One neighbour's flooder: the thread that carries its link out. It waits, dials, reads and writes; what is done and when is
//! for `link`, and what is told of it for `link_log`.

use std::{io, thread, time::Duration};

use crossbeam_channel::{Receiver, Select, TryRecvError, select};

use super::{
    link_log::LinkLog,
    resolver::{Resolve, Resolver},
};
use crate::{
    config::{Address, Limits},
    core::{
        links::{Event, Health, Link, Step, Vigil},
        model::{NodeId, Tick},
        store::Store,
        wire::Nonce,
    },
    log::Log,
    system::clock,
    transport::Stream,
};

/// How long after stop a neighbour has to take what its outbox holds, at most; never more than a quarter of the drain.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);

/// How long one read blocks before stop is looked at.
const LISTEN_SLICE: Duration = Duration::from_millis(100);

/// What a flooder needs of its node. Everything is shared; nothing is waited for.
pub(super) struct Wiring<'a> {
    /// What it knows.
    pub store: &'a Store,
    /// The node's limits.
    pub limits: &'a Limits,
    /// The node's log.
    pub log: &'a Log,
    /// How names are resolved.
    pub resolve: Resolve,
    /// Disconnected when the node stops.
    pub stop: Receiver<()>,
    /// What else the flooder asks of its node.
    pub host: &'a dyn Host,
}

/// What a flooder asks of its node.
pub(super) trait Host: Sync {
    /// A handshake has succeeded.
    fn linked(&self, peer: &NodeId);

    /// A number for a connection, not used before.
    fn next_connection(&self) -> u64;

    /// 64 random bits.
    fn random(&self) -> u64;

    /// A number that nobody can guess; an error where the system has none.
    fn nonce(&self) -> io::Result<Nonce>;
}

/// The thread's state.
pub(super) struct Flooder<'a> {
    wiring: Wiring<'a>,
    peer: &'a NodeId,
    /// Gets a word when the neighbour has connected to this node.
    called: Receiver<()>,
    link: Link,
    link_log: LinkLog<'a>,
    resolver: Resolver,
    vigil: Vigil,
    stream: Option<Stream>,
    /// The number of the connection.
    connection: u64,
}

impl<'a> Flooder<'a> {
    /// A flooder that will dial `peer` at `address`.
    pub(super) fn new(
        wiring: Wiring<'a>,
        peer: &'a NodeId,
        address: &'a Address,
        link: Link,
        health: &'a Health,
        called: Receiver<()>,
    ) -> Self {
        let resolver = Resolver::new(wiring.resolve.clone(), &address.host, address.port);
        let link_log = LinkLog::new(wiring.log, health, peer, address);
        let (vigil, stream, connection) = (Vigil::default(), None, 0);
        Self { wiring, peer, called, link, link_log, resolver, vigil, stream, connection }
    }

    /// Keeps the link until stop.
    pub(super) fn run(mut self) {
        loop {
            if self.is_stopped() {
                let flush_time = FLUSH_TIME_MAX.min(self.wiring.limits.drain_time / 4);
                self.link.stop(clock::tick() + flush_time);
            }
            let step = self.link.step(clock::tick(), self.wiring.store);
            if step == Step::End {
                break;
            }
            if let Err(why) = self.carry_out(step) {
                self.link.failed(why);
            }
            while let Some(event) = self.link.event() {
                let is_up = event == Event::Up;
                self.link_log.tell(event, self.connection, self.link.news());
                if is_up {
                    self.wiring.host.linked(self.peer);
                }
            }
        }
        self.link_log.end();
    }

    fn carry_out(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Dial => self.dial()?,
            Step::Pause { until } => self.pause(until),
            Step::Write { .. } => self.write()?,
            Step::Look => self.read(Stream::receive_now)?,
            Step::Listen { until } => self.listen(until)?,
            Step::Rest { until } => self.rest(until),
            Step::HangUp => {
                self.stream = None;
                self.link.hung_up(clock::tick(), self.wiring.host.random());
            }
            Step::End => {}
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        matches!(self.wiring.stop.try_recv(), Err(TryRecvError::Disconnected))
    }

    /// Waits until the neighbour connects to this node, the node stops, or that moment.
    fn pause(&mut self, until: Tick) {
        select! {
            recv(self.wiring.stop) -> _ => {}
            recv(self.called) -> _ => self.link.called(clock::tick()),
            default(until.saturating_sub(clock::tick())) => {}
        }
    }

    /// Dials the neighbour's addresses in turn, until one answers or the node stops.
    fn dial(&mut self) -> Result<(), String> {
        let limit = self.wiring.limits.connect_time;
        let addresses = self.resolver.addresses(limit, &self.wiring.stop);
        let addresses = addresses.map_err(|error| format!("its name is not resolved: {error}"))?;
        let mut failure = "its name has no address".to_owned();
        for address in addresses {
            if self.is_stopped() {
                return Ok(());
            }
            match Stream::connect(&address, limit) {
                Ok(stream) => return self.begin(stream),
                Err(error) => failure = format!("it cannot be reached: {error}"),
            }
        }
        Err(failure)
    }

    fn begin(&mut self, stream: Stream) -> Result<(), String> {
        stream.prepare().map_err(|error| writing_failed(&error))?;
        self.connection = self.wiring.host.next_connection();
        let nonce = self.wiring.host.nonce();
        let nonce =
            nonce.map_err(|error| format!("the system has no random numbers for a handshake: {error}"))?;
        self.stream = Some(stream);
        self.link.connected(clock::tick(), nonce, self.wiring.store);
        Ok(())
    }

    fn write(&mut self) -> Result<(), String> {
        let Some(stream) = &self.stream else { return Ok(()) };
        let count = stream.write(self.link.output()).map_err(|error| writing_failed(&error))?;
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
        let count = read(stream, self.link.space()).map_err(|error| format!("reading failed: {error}"))?;
        if let Some(count) = count {
            self.link.received(count, clock::tick(), self.wiring.host.random(), self.wiring.store);
        }
        Ok(())
    }

    /// Waits until something is queued, the node stops, or that moment.
    fn rest(&mut self, until: Tick) {
        let began = clock::tick();
        let awake_until = self.vigil.until(began).map_or(began, |awake_until| awake_until.min(until));
        while !self.link.has_news() && clock::tick() < awake_until {
            thread::yield_now();
        }
        if !self.link.has_news() {
            let mut select = Select::new();
            select.recv(self.link.queue().receiver());
            select.recv(&self.wiring.stop);
            // What woke it is seen by the link; a wait that ends too early, too.
            let _ = select.ready_timeout(until.saturating_sub(clock::tick()));
        }
        self.vigil.ended(began, clock::tick());
    }
}

fn writing_failed(error: &io::Error) -> String {
    format!("writing failed: {error}")
}
