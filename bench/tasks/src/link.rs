//! One neighbour's task: it carries the [`Link`] out. It waits, dials, reads and writes; what is done and when is decided
//! there.

use std::{future::pending, io, time::Duration};

use crossbeam_channel::Receiver;
use proxyherd::{
    core::{
        links::{Dialled, Ends, Event, Link, LinkTimes, Step},
        model::{NodeId, Tick},
        wire::Nonce,
    },
    log::Traffic,
    system::{clock, random},
};

use crate::{
    Herd, Mailbox, Stream,
    stream::{Alarm, at_once},
};

/// How long after the last session a neighbour has to take what it lacks.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// How long a socket is waited for before the end is looked at.
const SLICE: Duration = Duration::from_millis(100);

/// Keeps a link until the sessions have drained.
pub async fn run<S: Stream>(herd: &'static Herd, mailbox: Mailbox) {
    let Mailbox { number, address, queue, called, woken } = mailbox;
    let (node, peer) = (&herd.node, &herd.node.neighbours()[number].id);
    let ends = Ends {
        herd: node.herd.clone(),
        id: node.id.clone(),
        peer: peer.clone(),
        incarnation: node.incarnation,
        check: node.check,
        forget_after: node.forget_after,
        secret: node.secret.clone(),
    };
    let link = Link::new(ends, LinkTimes::default(), queue);
    let (stream, connection, traffic) = (None::<S>, 0, Traffic::default());
    let alarm = Alarm::new(S::sleep);
    Carrier { herd, peer, address, called, woken, link, stream, connection, traffic, alarm }.run().await;
}

struct Carrier<S, F, M> {
    herd: &'static Herd,
    peer: &'static NodeId,
    address: String,
    called: Receiver<()>,
    woken: flume::Receiver<()>,
    link: Link,
    stream: Option<S>,
    /// The number of the connection.
    connection: u64,
    traffic: Traffic,
    alarm: Alarm<F, M>,
}

impl<S: Stream, F: Future<Output = ()>, M: Fn(Duration) -> F> Carrier<S, F, M> {
    async fn run(mut self) {
        let store = self.herd.node.store();
        loop {
            if self.herd.has_drained() {
                self.link.stop(clock::tick() + FLUSH_TIME);
            }
            let done = match self.link.step(clock::tick(), store) {
                Step::Dial => self.dial().await,
                Step::Pause { until } => {
                    self.wait(until, |_, called| !called.is_empty()).await;
                    if self.called.try_recv().is_ok() {
                        self.link.called(clock::tick());
                    }
                    Ok(())
                }
                Step::Write { until } => self.write(until).await,
                Step::Look => self.look().await,
                // Links between peers last.
                Step::HalfClose => Ok(()),
                Step::Listen { until } => self.listen(until).await,
                Step::Rest { until } => {
                    self.wait(until, |link, _| link.has_news()).await;
                    Ok(())
                }
                Step::HangUp => {
                    self.stream = None;
                    self.link.hung_up(clock::tick(), random::bits());
                    Ok(())
                }
                Step::End => break,
            };
            if let Err(error) = done {
                self.link.failed(error.to_string());
            }
            while let Some(event) = self.link.event() {
                match event {
                    Event::Up => println!("linked {}", self.peer),
                    Event::Sent { .. } => self.log_sent(),
                    _ => {}
                }
            }
        }
    }

    /// Waits until that is there, the sessions have drained, or that moment. Whoever brings it about wakes this task afterwards.
    async fn wait(&mut self, until: Tick, is_there: impl Fn(&Link, &Receiver<()>) -> bool) {
        let Self { herd, link, called, woken, alarm, .. } = self;
        if herd.has_drained() {
            alarm.until(within_slice(until), pending::<()>()).await;
            return;
        }
        while !is_there(link, called) && !herd.has_drained() {
            if alarm.until(until, woken.recv_async()).await.is_none() {
                return;
            }
        }
    }

    async fn dial(&mut self) -> io::Result<()> {
        let until = clock::tick() + self.herd.limits.connect_time;
        let stream = self.alarm.until(until, S::connect(&self.address)).await;
        self.stream = Some(stream.ok_or(io::ErrorKind::TimedOut)??);
        self.connection = self.herd.next_connection();
        let nonce = Nonce::of_bytes(random::bytes()?);
        self.link.connected(clock::tick(), Dialled::plain(nonce), self.herd.node.store());
        Ok(())
    }

    async fn write(&mut self, until: Tick) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let wrote = stream.write(self.link.output());
        if let Some(count) = self.alarm.until(within_slice(until), wrote).await {
            self.link.wrote(count?);
        }
        Ok(())
    }

    async fn listen(&mut self, until: Tick) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let read = stream.read(self.link.space());
        if let Some(count) = self.alarm.until(within_slice(until), read).await {
            self.received(count?);
        }
        Ok(())
    }

    async fn look(&mut self) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if let Some(count) = at_once(stream.read(self.link.space())).await {
            self.received(count?);
        }
        Ok(())
    }

    fn received(&mut self, count: usize) {
        self.link.received(count, clock::tick(), random::bits(), self.herd.node.store());
    }

    fn log_sent(&mut self) {
        let Some(log) = &self.herd.log else { return };
        self.traffic.begin(clock::wall(), self.connection);
        for line in self.link.news().split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            self.traffic.line_out(line);
        }
        self.traffic.finish(log);
    }
}

/// Until then, or sooner, so that the end is looked at.
fn within_slice(until: Tick) -> Tick {
    until.min(clock::tick() + SLICE)
}
