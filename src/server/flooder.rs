//! One neighbour's flooder: the thread that carries its link out. It waits, dials, reads and writes; what is done and when is
//! for `link`, and what is told of it for `link_log`.

use std::{io, sync::Arc, thread, time::Duration};

use crossbeam_channel::{Receiver, Select, select};

use super::{Announcement, Shared, link_log::LinkLog, resolver::Resolver, threads::DrainTurn};
use crate::{
    config::Address,
    core::{
        links::{Event, Link, Step, Vigil},
        model::{NodeId, Tick},
        node::Neighbour,
        wire::Nonce,
    },
    system::{clock, random},
    transport::Stream,
};

/// How long after stop a neighbour has to take what its outbox holds, at most; never more than a quarter of the drain.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);

/// How long one read blocks before stop is looked at.
const LISTEN_SLICE: Duration = Duration::from_millis(100);

/// The thread's state.
pub(super) struct Flooder<'a> {
    shared: &'a Shared<'a>,
    peer: &'a NodeId,
    /// Gets a word when the neighbour has connected to this node.
    called: Receiver<()>,
    link: Link,
    link_log: LinkLog<'a>,
    resolver: Arc<Resolver>,
    vigil: Vigil,
    stream: Option<Stream>,
    /// The number of the connection.
    connection: u64,
}

impl<'a> Flooder<'a> {
    /// A flooder that will dial `neighbour` at `address`.
    pub(super) fn new(
        shared: &'a Shared<'a>,
        neighbour: &'a Neighbour,
        address: &'a Address,
        (link, called, resolver): (Link, Receiver<()>, Arc<Resolver>),
    ) -> Self {
        let link_log = LinkLog::new(shared.log, &neighbour.health, &neighbour.id, address);
        let (peer, vigil, stream, connection) = (&neighbour.id, Vigil::default(), None, 0);
        Self { shared, peer, called, link, link_log, resolver, vigil, stream, connection }
    }

    /// Keeps the link until stop.
    pub(super) fn run(mut self) {
        loop {
            if self.is_stopped() {
                let flush_time = FLUSH_TIME_MAX.min(self.shared.limits.drain_time / 4);
                self.link.stop(clock::tick() + flush_time);
            }
            let step = self.link.step(clock::tick(), self.shared.node.store());
            if step == Step::End {
                break;
            }
            if let Err(why) = self.carry_out(step) {
                self.link.failed(why);
            }
            while let Some(event) = self.link.event() {
                let is_up = matches!(event, Event::Up);
                self.link_log.tell(event, self.connection, self.link.news());
                if is_up {
                    (self.shared.surroundings.announce)(Announcement::Linked(self.peer.clone()));
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
                self.link.hung_up(clock::tick(), random::bits());
            }
            Step::End => {}
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.shared.stop(DrainTurn::Second).is_set()
    }

    /// Waits until the neighbour connects to this node, the node stops, or that moment.
    fn pause(&mut self, until: Tick) {
        select! {
            recv(self.shared.stop(DrainTurn::Second).receiver()) -> _ => {}
            recv(self.called) -> _ => self.link.called(clock::tick()),
            default(until.saturating_sub(clock::tick())) => {}
        }
    }

    /// Dials the neighbour's addresses in turn, until one answers or the node stops.
    fn dial(&mut self) -> Result<(), String> {
        let limit = self.shared.limits.connect_time;
        let addresses = self.resolver.addresses(limit, self.shared.stop(DrainTurn::Second).receiver());
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
        self.connection = self.shared.next_connection();
        let nonce = random::bytes().map(Nonce::of_bytes);
        let nonce =
            nonce.map_err(|error| format!("the system has no random numbers for a handshake: {error}"))?;
        self.stream = Some(stream);
        self.link.connected(clock::tick(), nonce, self.shared.node.store());
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
            self.link.received(count, clock::tick(), random::bits(), self.shared.node.store());
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
            select.recv(self.shared.stop(DrainTurn::Second).receiver());
            // What woke it is seen by the link; a wait that ends too early, too.
            let _ = select.ready_timeout(until.saturating_sub(clock::tick()));
        }
        self.vigil.ended(began, clock::tick());
    }
}

fn writing_failed(error: &io::Error) -> String {
    format!("writing failed: {error}")
}
