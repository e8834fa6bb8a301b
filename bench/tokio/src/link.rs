//! One neighbour's task: it carries the [`Link`] out. It waits, dials, reads and writes; what is done and when is decided
//! there.

use std::{future::Future, io, time::Duration};

use crossbeam_channel::Receiver;
use proxyherd::{
    core::{
        links::{Ends, Event, Link, LinkTimes, Step},
        model::{NodeId, Tick},
        wire::Nonce,
    },
    log::Traffic,
    system::{clock, random},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{Herd, Mailbox};

/// How long after stop a neighbour has to take what it lacks.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// How long a socket is waited for before stop is looked at.
const SLICE: Duration = Duration::from_millis(100);

/// Keeps the link of that number until stop.
pub(crate) async fn run(herd: &'static Herd, number: usize, mailbox: Mailbox) {
    let Mailbox { address, queue, called } = mailbox;
    let (node, peer) = (&herd.node, &herd.node.neighbours()[number].id);
    let ends = Ends {
        herd: node.herd.clone(),
        id: node.id.clone(),
        peer: peer.clone(),
        incarnation: node.incarnation,
        check: node.check,
        secret: node.secret.clone(),
    };
    let link = Link::new(ends, LinkTimes::default(), queue);
    let (stream, connection, traffic) = (None, 0, Traffic::default());
    Carrier { herd, number, peer, address, called, link, stream, connection, traffic }.run().await;
}

struct Carrier {
    herd: &'static Herd,
    number: usize,
    peer: &'static NodeId,
    address: String,
    /// Has a word when the neighbour has connected to this node.
    called: Receiver<()>,
    link: Link,
    stream: Option<TcpStream>,
    /// The number of the connection.
    connection: u64,
    traffic: Traffic,
}

impl Carrier {
    async fn run(mut self) {
        let store = self.herd.node.store();
        loop {
            if self.herd.is_stopping() {
                self.link.stop(clock::tick() + FLUSH_TIME);
            }
            let done = match self.link.step(clock::tick(), store) {
                Step::Dial => self.dial().await,
                Step::Pause { until } => {
                    self.wait(until, |own| !own.called.is_empty()).await;
                    if self.called.try_recv().is_ok() {
                        self.link.called(clock::tick());
                    }
                    Ok(())
                }
                Step::Write { until } => self.write(until).await,
                Step::Look => self.look(),
                // Links between peers last.
                Step::HalfClose => Ok(()),
                Step::Listen { until } => self.listen(until).await,
                Step::Rest { until } => {
                    self.wait(until, |own| own.link.has_news()).await;
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

    /// Waits until that is there, the process stops, or that moment. Whoever brings it about wakes this task afterwards.
    async fn wait(&mut self, until: Tick, is_there: impl Fn(&Self) -> bool) {
        if self.herd.is_stopping() {
            return tokio::time::sleep(until.saturating_sub(clock::tick()).min(SLICE)).await;
        }
        while !is_there(self) && !self.herd.is_stopping() {
            let left = until.saturating_sub(clock::tick());
            if timeout(left, self.herd.wakes[self.number].notified()).await.is_err() {
                return;
            }
        }
    }

    async fn dial(&mut self) -> io::Result<()> {
        let stream = timeout(self.herd.limits.connect_time, TcpStream::connect(&self.address)).await??;
        stream.set_nodelay(true)?;
        self.connection = self.herd.next_connection();
        let nonce = Nonce::of_bytes(random::bytes()?);
        self.stream = Some(stream);
        self.link.connected(clock::tick(), nonce, self.herd.node.store());
        Ok(())
    }

    async fn write(&mut self, until: Tick) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if let Some(count) = within(until, stream.write(self.link.output())).await? {
            self.link.wrote(count);
        }
        Ok(())
    }

    async fn listen(&mut self, until: Tick) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if let Some(count) = within(until, stream.read(self.link.space())).await? {
            self.received(count);
        }
        Ok(())
    }

    fn look(&mut self) -> io::Result<()> {
        let Some(stream) = &self.stream else { return Ok(()) };
        match stream.try_read(self.link.space()) {
            Ok(count) => self.received(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
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

/// What a socket has done until then, if anything. It may give up sooner, so that stop is looked at.
async fn within(until: Tick, done: impl Future<Output = io::Result<usize>>) -> io::Result<Option<usize>> {
    let wait = until.saturating_sub(clock::tick()).min(SLICE);
    timeout(wait, done).await.ok().transpose()
}
