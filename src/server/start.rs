//! How a node starts: which threads it begins with, and why it did not.

use std::{io, net::SocketAddr, thread};

use super::{
    Mailbox, Shared,
    accept::Door,
    flooder::Flooder,
    journal::{Journal, JournalError},
    line_door::LineDoor,
    links, retention,
    threads::{DrainTurn, Role, ScopeRef},
    tokens::TokenKeeper,
    web::WebDoor,
};
use crate::{
    config::Address,
    core::{model::NodeId, node::Retainer},
    keys::{CertificateError, SecretError, TokensError},
    log::LogError,
    places,
};

/// A node has at most so many threads for TLS handshakes.
const HANDSHAKE_THREADS_MAX: usize = 64;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No node of that name is configured.
    #[error("there is no node {0} in the herd {1}; see `herd check-config`")]
    NoSuchNode(NodeId, String),
    /// The address is taken, is not this machine's, or is not allowed.
    #[error("{id} cannot listen on {address}: {error}; {}", bind_cure(error))]
    Listen {
        /// Who.
        id: NodeId,
        /// Where.
        address: Address,
        /// Why not.
        error: io::Error,
    },
    /// The name means an address beyond loopback.
    #[error(
        "{id} would listen on {address}, which others can reach, and a herd without a secret is open to all; \
         make one with `herd secret FILE` and name it as secret_file in [herd], or use a loopback address"
    )]
    BeyondLoopback {
        /// Who.
        id: NodeId,
        /// Where.
        address: SocketAddr,
    },
    /// The same, and nothing says who clients are.
    #[error(
        "{id} would listen on {address}, which others can reach, and nothing says who clients are; write in [access] either \
         clients = \"tokens\", with a tokens_file that `herd token add` makes, or clients = \"open\", for anyone who can connect"
    )]
    ClientsUnsaid {
        /// Who.
        id: NodeId,
        /// Where.
        address: SocketAddr,
    },
    /// The tokens' file is missing, or not as it must be.
    #[error(transparent)]
    Tokens(#[from] TokensError),
    /// The secret file is missing, or not as it must be.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The certificate for clients, or its key, is missing or not as it must be.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The log file cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A source of places lacks its file, or its key.
    #[error(transparent)]
    Places(#[from] places::OpenError),
    /// A thread that the node needs cannot be started.
    #[error(
        "the thread {role} cannot be started: {error}; \
         raise the limit on threads (ulimit -u, kernel.threads-max, kernel.pid_max, pids.max) and start again"
    )]
    Thread {
        /// Which.
        role: Role,
        /// Why not.
        error: io::Error,
    },
    /// Signals, standard input or descriptors are not available.
    #[error("the system refused what a node needs: {0}; raise its limits and start again")]
    System(#[from] io::Error),
}

fn bind_cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop what is running there (another herd?) or configure another port",
        io::ErrorKind::AddrNotAvailable => "configure one of this machine's addresses",
        _ => "configure another address",
    }
}

impl Shared<'_> {
    pub(super) fn start_log<'scope>(&'scope self, scope: ScopeRef<'scope, '_>) -> Result<(), StartError> {
        let stop = self.stop(DrainTurn::Last).receiver();
        self.spawn(scope, Role::Log, move || self.log.write_until(stop))
    }

    /// Has changes kept, if there is a journal.
    pub(super) fn start_journal<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        journal: Option<Journal>,
    ) -> Result<(), StartError> {
        let Some((journal, condition)) = journal.zip(self.journal.as_ref()) else { return Ok(()) };
        let stop = self.stop(DrainTurn::Third);
        self.spawn(scope, Role::Journal, move || journal.run(self, stop, condition))
    }

    /// Has the tokens kept up to date, if there are any.
    pub(super) fn start_tokens<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        tokens: Option<TokenKeeper>,
    ) -> Result<(), StartError> {
        let Some(keeper) = tokens else { return Ok(()) };
        let stop = self.stop(DrainTurn::First).receiver();
        self.spawn(scope, Role::Tokens, move || keeper.run(self, stop))
    }

    /// Has what is old forgotten, in a herd that does so.
    pub(super) fn start_retention<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        retainer: Option<Retainer>,
    ) -> Result<(), StartError> {
        let Some(retainer) = retainer else { return Ok(()) };
        // It stands still while links hand over what they have, and compare it.
        let stop = self.stop(DrainTurn::First);
        self.spawn(scope, Role::Retention, move || retention::run(retainer, self, stop))
    }

    pub(super) fn start_flooders<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        mailboxes: Vec<Mailbox>,
    ) -> Result<(), StartError> {
        for (neighbour, mailbox) in self.node.neighbours().iter().zip(mailboxes) {
            let Mailbox { queue, called, address, resolver } = mailbox;
            self.spawn(scope, Role::Flooder(neighbour.id.clone()), move || {
                let link = links::link(self.node, neighbour, self.limits, queue);
                Flooder::new(self, neighbour, &address, (link, called, resolver)).run();
            })?;
        }
        Ok(())
    }

    /// Has the steps of TLS handshakes taken, if anyone may speak TLS: by as many threads as there are processors.
    pub(super) fn start_handshakes<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
    ) -> Result<(), StartError> {
        if self.peers_tls.is_none() && self.certificates.is_none() {
            return Ok(());
        }
        let stop = self.stop(DrainTurn::Third).receiver();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        for number in 1..=processors.min(HANDSHAKE_THREADS_MAX) {
            self.spawn(scope, Role::Handshake(number), move || self.handshakes.serve(stop))?;
        }
        Ok(())
    }

    /// Looks after the certificate, if there is one.
    pub(super) fn start_certificates<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
    ) -> Result<(), StartError> {
        let Some(certificates) = self.certificates else { return Ok(()) };
        let stop = self.stop(DrainTurn::Second);
        self.spawn(scope, Role::Certificates, move || certificates.run(self, stop))
    }

    /// Opens the door for clients that speak TLS, if there is one.
    pub(super) fn open_tls<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        door: Option<&'scope LineDoor<'scope>>,
    ) -> Result<(), StartError> {
        let Some(door) = door else { return Ok(()) };
        self.log.info(format_args!("clients that speak TLS are served at {}", door.listener().local_addr()?));
        self.open(scope, door)
    }

    /// Opens the web face's door, if there is one.
    pub(super) fn open_web<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        door: Option<&'scope WebDoor<'scope>>,
    ) -> Result<(), StartError> {
        if let Some(door) = door {
            self.open(scope, door)?;
            let scheme = if self.is_https { "https" } else { "http" };
            self.log
                .info(format_args!("status and metrics are at {scheme}://{}", door.listener().local_addr()?));
        }
        Ok(())
    }

    /// Opens the door for third-party nodes, if there is one.
    pub(super) fn open_plain<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        door: Option<&'scope LineDoor<'scope>>,
    ) -> Result<(), StartError> {
        let Some(door) = door else { return Ok(()) };
        self.log.warn(format_args!(
            "anyone who connects to {} from a third-party node's address can write to this herd; nothing proves who they are",
            door.listener().local_addr()?
        ));
        self.open(scope, door)
    }
}
