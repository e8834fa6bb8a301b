//! The herd on an event loop: the node's own core and log, with a tokio task where the node has a thread. What differs is
//! the model, not the program. `bench/README.md` says how it is started and what it speaks.
#![allow(clippy::print_stdout, reason = "whoever starts it waits for its first line")]

mod link;
mod notes;
mod session;
mod upstream;

use std::{
    error::Error,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use clap::Parser;
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
    system::random,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::Builder,
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

use self::upstream::Upstream;

/// The name of every herd of these. Nodes that are to be linked must agree on it.
const HERD: &str = "bench";

#[derive(Parser)]
struct Args {
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
    /// All tasks on one thread, instead of one thread per core
    #[arg(long)]
    current_thread: bool,
}

/// What all tasks share.
struct Herd {
    node: Node,
    /// The node's, as they are where nothing is configured.
    limits: Limits,
    upstream: Option<Upstream>,
    log: Option<Log>,
    /// What wakes the task of each link. The core hands news over by crossbeam's channels, on which a thread can sleep and a
    /// task cannot: there is nothing to await. So whoever has put something into one says so here.
    wakes: Vec<Notify>,
    /// Connections so far, in both directions.
    numbered: AtomicU64,
    is_stopping: AtomicBool,
}

impl Herd {
    /// Wakes the links for which a session has just offered something. A batch that held no news wakes nobody.
    fn wake_for_news(&self) {
        for (neighbour, wake) in self.node.neighbours().iter().zip(&self.wakes) {
            if neighbour.outbox.bytes() > 0 || neighbour.outbox.is_behind() {
                wake.notify_one();
            }
        }
    }

    fn next_connection(&self) -> u64 {
        self.numbered.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.wakes.iter().for_each(Notify::notify_one);
    }
}

/// What the task of one link begins with.
struct Mailbox {
    address: String,
    queue: Queue,
    called: Receiver<()>,
}

fn neighbour(peer: &str, limits: &Limits) -> Result<(Neighbour, Mailbox), &'static str> {
    let (id, address) = peer.split_once('=').ok_or("--peer is ID=HOST:PORT")?;
    let id = NodeId::new(id).ok_or("--peer has no name")?;
    let (outbox, queue) = outbox(limits.outbox_bytes);
    let (call, called) = crossbeam_channel::bounded(1);
    let neighbour = Neighbour { id, outbox, called: call, plain: None, health: Health::default() };
    Ok((neighbour, Mailbox { address: address.to_owned(), queue, called }))
}

fn open_log(path: PathBuf) -> Result<Log, Box<dyn Error>> {
    Ok(Log::open(LogOptions {
        path,
        events_path: None,
        content: LogContent { traffic: true, bodies: false, connections: false },
        buffer_bytes: 64 << 20,
        file_bytes: 256 << 20,
        files_kept: 4,
    })?)
}

fn herd(args: Args) -> Result<(Herd, Vec<Mailbox>), Box<dyn Error>> {
    let id = NodeId::new(&args.id).ok_or("--id is no name")?;
    let limits = Limits::default();
    let joined = args.peers.iter().map(|peer| neighbour(peer, &limits));
    let (neighbours, mailboxes): (Vec<_>, Vec<_>) =
        joined.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    let wakes = neighbours.iter().map(|_| Notify::new()).collect();
    let upstream = args.upstream.as_deref().map(Upstream::new);
    let node = Node::new(Options {
        herd: HERD.to_owned(),
        placement: Placement::of_herd(HERD),
        secret: None,
        id,
        incarnation: random::bits(),
        // As in the other models, a report may be of any time.
        reports: ReportLimits { max_clients: limits.max_clients, ..ReportLimits::NONE },
        liveness: limits.liveness_time,
        neighbours,
        subscribers: Subscribers::default(),
        lookups: upstream.as_ref().map(|_| LookupRules { form: Form::PLACES, may_wait: true }),
    });
    let log = args.log.map(open_log).transpose()?;
    let (numbered, is_stopping) = (AtomicU64::new(0), AtomicBool::new(false));
    Ok((Herd { node, limits, upstream, log, wakes, numbered, is_stopping }, mailboxes))
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4096)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut builder =
        if args.current_thread { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().build()?.block_on(serve(args))
}

async fn serve(args: Args) -> Result<(), Box<dyn Error>> {
    let address = args.listen;
    let (herd, mailboxes) = herd(args)?;
    let herd: &'static Herd = Box::leak(Box::new(herd));
    let (stop, stopped) = crossbeam_channel::bounded(0);
    let writer = herd.log.as_ref().map(|log| std::thread::spawn(move || log.write_until(&stopped)));
    let listener = listen(address)?;
    println!("listening {}", listener.local_addr()?);
    let links = mailboxes.into_iter().enumerate();
    let links: Vec<_> = links.map(|(link, mailbox)| tokio::spawn(link::run(herd, link, mailbox))).collect();
    let mut terminated = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                tokio::spawn(session::run(herd, stream));
            }
            _ = terminated.recv() => break,
        }
    }
    herd.stop();
    for link in links {
        link.await?;
    }
    drop::<crossbeam_channel::Sender<()>>(stop);
    writer.map(std::thread::JoinHandle::join);
    Ok(())
}
