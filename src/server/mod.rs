//! The threads: a scope that owns every one of them, the doors where connections come in, a session per connection, and
//! the order in which all of it starts and ends. `node` decides what a line means; here it is only carried.

mod accept;
mod bind;
mod capacity;
mod certificates;
mod commits;
mod death_notice;
mod ended;
mod flooder;
mod journal;
mod line_door;
mod link_log;
mod links;
mod process;
mod recover;
mod resolver;
mod retention;
mod seats;
mod session;
mod shared;
mod shown_address;
mod start;
mod stop;
mod threads;
mod tokens;
mod usage;
mod web;

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
    thread,
};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use self::{
    bind::Mailbox,
    certificates::Certificates,
    journal::Journal,
    line_door::{LineDoor, PlainDoor},
    shared::Shared,
    stop::Drain,
    tokens::TokenKeeper,
    web::Web,
    web::WebDoor,
};
pub use self::{
    journal::JournalError,
    process::run_node,
    recover::RecoveryProgress,
    resolver::{Resolve, system_resolve},
    start::StartError,
    stop::Lacking,
    threads::{DoorKind, Role},
};
use crate::{
    config::Limits,
    core::{
        model::NodeId,
        node::{Node, Retainer},
    },
    log::Log,
    places,
    system::clock,
    transport::PeersTls,
    web::RetentionReport,
};

/// What a node announces to the program that started it. Displays as the line that says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Announcement {
    /// It reads its journal, so far.
    Reading(RecoveryProgress),
    /// It accepts connections.
    Listening(SocketAddr),
    /// Its link to that neighbour is up.
    Linked(NodeId),
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reading(progress) => write!(f, "{progress}"),
            Self::Listening(address) => write!(f, "listening {address}"),
            Self::Linked(peer) => write!(f, "linked {peer}"),
        }
    }
}

/// Whether a thread of that role may be made.
pub type BeforeSpawn = Box<dyn Fn(&Role) -> io::Result<()> + Send + Sync>;

/// The node's environment; tests can substitute any part.
pub struct Surroundings {
    /// Receives the events that programs wait for when they start nodes.
    pub announce: Box<dyn Fn(Announcement) + Send + Sync>,
    /// How neighbours' names are resolved.
    pub resolve: Resolve,
    /// Asked before a thread of that role is started; an error stands for a system that has none left.
    pub before_spawn: BeforeSpawn,
    /// Where WHATSAT looks up places, instead of the configured source.
    pub places: Option<Box<dyn places::Source>>,
}

impl Default for Surroundings {
    /// The system's resolver and threads, and no announcements.
    fn default() -> Self {
        Self {
            announce: Box::new(|_| {}),
            resolve: system_resolve(),
            before_spawn: Box::new(|_| Ok(())),
            places: None,
        }
    }
}

/// A node that listens but does not serve yet.
pub struct Server {
    node: Node,
    /// What peers speak TLS with, if they may.
    peers_tls: Option<PeersTls>,
    places: Option<Box<dyn places::Source>>,
    limits: Limits,
    mailboxes: Vec<Mailbox>,
    journal: Option<Journal>,
    tokens: Option<TokenKeeper>,
    retainer: Option<Retainer>,
    listener: TcpListener,
    /// Where clients come in that speak TLS.
    tls: Option<TcpListener>,
    certificates: Option<Certificates>,
    plain: Option<PlainDoor>,
    web: Option<Web>,
    log: Log,
    surroundings: Surroundings,
}

/// What the thread that runs a node can ask of it.
pub struct Controls<'a> {
    log: &'a Log,
    certificates: Option<&'a Certificates>,
    /// Where its tokens are asked to be taken anew, if it has any.
    tokens: Option<Sender<()>>,
}

impl Controls<'_> {
    /// Closes the log file and reopens it by name, for when it has been moved.
    pub fn reopen_log(&self) {
        self.log.reopen();
    }

    /// Reads the certificate's files again, if there are any.
    pub fn reload_certificate(&self) {
        if let Some(certificates) = self.certificates {
            certificates.ask();
        }
    }

    /// Takes the tokens' file anew, whether it has changed or not.
    pub fn reread_tokens(&self) {
        // One message waiting is enough.
        if let Some(asks) = &self.tokens {
            let _ = asks.try_send(());
        }
    }
}

impl Server {
    /// Where it listens; with the port that the system picked if the configured one is 0.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where it takes clients that speak TLS, if it does.
    pub fn tls_address(&self) -> io::Result<Option<SocketAddr>> {
        self.tls.as_ref().map(TcpListener::local_addr).transpose()
    }

    /// Where its web face listens, if it has one.
    pub fn http_address(&self) -> io::Result<Option<SocketAddr>> {
        self.web.as_ref().map(Web::address).transpose()
    }

    /// Where it accepts updates from third-party nodes, if any of its neighbours is one.
    pub fn plain_address(&self) -> io::Result<Option<SocketAddr>> {
        self.plain.as_ref().map(|door| door.listener().local_addr()).transpose()
    }

    /// Serves until `until` returns, then drains: stops accepting, finishes the batches in hand, and gives each
    /// neighbour what it lacks. Returns what it could not finish of that. Ends the process with status 1 if a thread takes
    /// longer than the configured time.
    ///
    /// If a thread that the node needs cannot be started, everything begun is ended in the same way, and `until` is not
    /// called.
    pub fn run(self, until: impl FnOnce(&Controls<'_>)) -> Result<Lacking, StartError> {
        let Self { node, peers_tls, places, limits, mailboxes, journal, tokens, retainer, .. } = self;
        let Self { listener, tls, certificates, .. } = self;
        let Self { plain, web, log, surroundings, .. } = self;
        let address = listener.local_addr()?;
        let mut shared = Shared::new((&node, places.as_deref()), &limits, &log, &surroundings, web.as_ref())?;
        shared.peers_tls = peers_tls;
        shared.certificates = certificates.as_ref();
        shared.tls_address = tls.as_ref().map(TcpListener::local_addr).transpose()?;
        shared.journal = journal.as_ref().map(|journal| Mutex::new(journal.condition()));
        shared.commits = journal.as_ref().and_then(Journal::commits);
        shared.tokens = tokens.as_ref().map(|_| Mutex::default());
        let asks = tokens.as_ref().map(TokenKeeper::asks);
        shared.retention = retainer.as_ref().map(|_| Mutex::new(RetentionReport::default()));
        let clients = LineDoor::new(&shared, &listener, None);
        let tls = tls.as_ref().map(|listener| LineDoor::over_tls(&shared, listener));
        let plain = plain.as_ref().map(|plain| LineDoor::new(&shared, plain.listener(), Some(plain)));
        let web = web.as_ref().map(|web| WebDoor::new(&shared, web));
        thread::scope(|scope| {
            shared.start_log(scope)?;
            log.info(format_args!("{} of the herd {} starts at {address}", node.id, node.herd));
            let started = shared
                .start_journal(scope, journal)
                .and_then(|()| shared.start_tokens(scope, tokens))
                .and_then(|()| shared.start_retention(scope, retainer))
                .and_then(|()| shared.start_handshakes(scope))
                .and_then(|()| shared.start_flooders(scope, mailboxes))
                .and_then(|()| shared.open_web(scope, web.as_ref()))
                .and_then(|()| shared.start_certificates(scope))
                .and_then(|()| shared.open(scope, &clients))
                .and_then(|()| shared.open_tls(scope, tls.as_ref()))
                .and_then(|()| shared.open_plain(scope, plain.as_ref()));
            match &started {
                Ok(()) => {
                    shared.announce(Announcement::Listening(address));
                    until(&Controls { log: &log, certificates: certificates.as_ref(), tokens: asks });
                }
                Err(error) => log.error(format_args!("{} does not start: {error}", node.id)),
            }
            let drain = Drain::new(clock::tick(), limits.drain_time);
            shared.stop_intake([&clients].into_iter().chain(&tls).chain(&plain), drain);
            shared.stop_links(web.as_ref(), drain);
            shared.stop_journal(drain);
            let lacking = shared.stop_log(started.is_ok(), drain);
            started.map(|()| lacking)
        })
    }
}
