//! The herd with a task for each connection: the node's own core and log, with a task where the node has a thread. What
//! carries the tasks, a runtime, is behind [`Stream`]; `bench/tokio` and `bench/uring` bring one each, and nothing else. What
//! differs from the node is the model, not the program. `bench/README.md` says how one is started and what it speaks.
#![allow(clippy::print_stdout, reason = "whoever starts it waits for its lines")]

pub mod link;
mod notes;
pub mod session;
mod sessions;
mod stream;
mod upstream;

use std::{
    error::Error,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use clap::Args;
use crossbeam_channel::Receiver;
use proxyherd::{
    config::Limits,
    core::{
        links::{Health, Queue, outbox},
        model::NodeId,
        node::{LookupRules, Neighbour, Node, Options, ReportLimits, Subscribers},
        store::Placement,
        wire::Form,
    },
    log::{Log, LogContent, LogOptions},
    system::{clock, random},
};

pub use self::stream::Stream;
use self::{sessions::Sessions, stream::Alarm};

/// The name of every herd of these. Nodes that are to be linked must agree on it.
const HERD: &str = "bench";
/// Connections that the kernel may hold, as for a node.
const BACKLOG: i32 = 4096;

/// How long to wait after an accept that failed. Descriptors may have run out, and then the next fails at once.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The command line that all models have.
#[derive(Args)]
pub struct Common {
    #[arg(long)]
    id: String,
    #[arg(long)]
    listen: SocketAddr,
    /// ID=HOST:PORT, for each neighbour
    #[arg(long = "peer")]
    peers: Vec<String>,
    /// http://HOST:PORT of a Nearby Search
    #[arg(long)]
    upstream: Option<String>,
    #[arg(long)]
    log: Option<PathBuf>,
}

/// What all tasks share.
pub struct Herd {
    node: Node,
    /// The node's, as they are where nothing is configured.
    limits: Limits,
    /// Who is asked for places, as `HOST:PORT`.
    upstream: Option<String>,
    log: Option<Log>,
    /// What wakes the task of each link. The core hands news over by crossbeam's channels, on which a thread can sleep and a
    /// task cannot: there is nothing to await. So whoever has put something into one says so here.
    wakes: Vec<flume::Sender<()>>,
    /// Connections so far, in both directions.
    numbered: AtomicU64,
    sessions: Sessions,
    /// Whether the sessions are over, so that the links will get no more news.
    has_drained: AtomicBool,
}

impl Herd {
    /// Wakes the links for which a session has just offered something. A batch that held no news wakes nobody.
    fn wake_for_news(&self) {
        for (neighbour, wake) in self.node.neighbours().iter().zip(&self.wakes) {
            if neighbour.outbox.bytes() > 0 || neighbour.outbox.is_behind() {
                ring(wake);
            }
        }
    }

    fn next_connection(&self) -> u64 {
        self.numbered.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether [`Self::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.sessions.is_stopping()
    }

    /// Has each session finish what it has read, and end. None begins from now on.
    pub fn stop(&self) {
        self.sessions.stop();
    }

    /// After [`Self::stop`]: waits until the sessions have ended, though not for ever, then has the links hand over what
    /// their neighbours lack, and end. Every runtime that carries some of them must wait for this.
    pub async fn drain<S: Stream>(&self) {
        let until = clock::tick() + self.limits.drain_time;
        Alarm::new(S::sleep).until(until, self.sessions.ended()).await;
        self.has_drained.store(true, Ordering::Release);
        self.wakes.iter().for_each(ring);
    }

    pub(crate) fn has_drained(&self) -> bool {
        self.has_drained.load(Ordering::Acquire)
    }

    /// Writes the log until the sender is dropped.
    pub fn start_log(&'static self) -> (crossbeam_channel::Sender<()>, Option<JoinHandle<()>>) {
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let writer = self.log.as_ref().map(|log| thread::spawn(move || log.write_until(&stopped)));
        (stop, writer)
    }
}

/// A second ring before the first was heard changes nothing.
fn ring(wake: &flume::Sender<()>) {
    let _ = wake.try_send(());
}

/// What the task of one link begins with.
pub struct Mailbox {
    /// Which of the node's neighbours it is of.
    number: usize,
    address: String,
    queue: Queue,
    /// Has a word when the neighbour has connected to this node.
    called: Receiver<()>,
    woken: flume::Receiver<()>,
}

fn neighbour(
    (number, peer): (usize, &String),
    limits: &Limits,
) -> Result<(Neighbour, (Mailbox, flume::Sender<()>)), &'static str> {
    let (id, address) = peer.split_once('=').ok_or("--peer is ID=HOST:PORT")?;
    let id = NodeId::new(id).ok_or("--peer has no name")?;
    let (outbox, queue) = outbox(limits.outbox_bytes);
    let (call, called) = crossbeam_channel::bounded(1);
    let neighbour = Neighbour { id, outbox, called: call, plain: None, health: Health::default() };
    let (wake, woken) = flume::bounded(1);
    Ok((neighbour, (Mailbox { number, address: address.to_owned(), queue, called, woken }, wake)))
}

fn open_log(path: PathBuf) -> Result<Log, Box<dyn Error>> {
    Ok(Log::open(LogOptions {
        path,
        events_path: None,
        audit: None,
        content: LogContent { traffic: true, bodies: false, connections: false },
        buffer_bytes: 64 << 20,
        file_bytes: 256 << 20,
        files_kept: 4,
    })?)
}

/// A herd of one node, its links, and where it listens.
pub struct Made {
    /// Kept until the process ends.
    pub herd: &'static Herd,
    /// One for each link, to be carried by [`link::run`].
    pub links: Vec<Mailbox>,
    /// It accepts already.
    pub listener: TcpListener,
}

/// Makes what a command line asks for, and says where it listens. It must do so before anything else is said.
pub fn make(args: Common) -> Result<Made, Box<dyn Error>> {
    let listener = TcpListener::bind(args.listen)?;
    rustix::net::listen(&listener, BACKLOG)?;
    let (herd, links) = herd(args)?;
    println!("listening {}", listener.local_addr()?);
    Ok(Made { herd: Box::leak(Box::new(herd)), links, listener })
}

fn herd(args: Common) -> Result<(Herd, Vec<Mailbox>), Box<dyn Error>> {
    let id = NodeId::new(&args.id).ok_or("--id is no name")?;
    let limits = Limits::default();
    let joined = args.peers.iter().enumerate().map(|peer| neighbour(peer, &limits));
    let (neighbours, links): (Vec<_>, Vec<_>) = joined.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let (links, wakes) = links.into_iter().unzip();
    let upstream =
        args.upstream.map(|url| url.trim_start_matches("http://").trim_end_matches('/').to_owned());
    let node = Node::new(Options {
        herd: HERD.to_owned(),
        placement: Placement::of_herd(HERD),
        secret: None,
        id,
        incarnation: random::bits(),
        forget_after: None,
        // As in the other models, a report may be of any time.
        reports: ReportLimits { max_clients: limits.max_clients, ..ReportLimits::NONE },
        liveness: limits.liveness_time,
        neighbours,
        subscribers: Subscribers::default(),
        lookups: upstream.as_ref().map(|_| LookupRules { form: Form::PLACES, may_wait: true }),
    });
    let log = args.log.map(open_log).transpose()?;
    let (numbered, sessions, has_drained) = (AtomicU64::new(0), Sessions::new(), AtomicBool::new(false));
    Ok((Herd { node, limits, upstream, log, wakes, numbered, sessions, has_drained }, links))
}
