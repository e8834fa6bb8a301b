//! How a node starts: its listeners, its threads, and why it did not.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    panic::{AssertUnwindSafe, catch_unwind},
    thread::Scope,
};

use crossbeam_channel::Receiver;

use super::{
    Flooder, Mailbox, PLAIN_ACCEPT, Shared,
    accept::{self, Acceptor},
    links,
    plain::PlainDoor,
    web::Web,
};
use crate::{config::Address, core::model::NodeId, keys::SecretError, log::LogError, places, transport};

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
    /// The secret file is not there, or not as it must be.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The log file cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A source of places lacks its file, or its key.
    #[error(transparent)]
    Places(#[from] places::OpenError),
    /// A thread that the node needs is not to be had.
    #[error(
        "the thread {name} cannot be made: {error}; \
         raise the limit on threads (ulimit -u, kernel.threads-max, kernel.pid_max, pids.max) and start again"
    )]
    Thread {
        /// Which.
        name: String,
        /// Why not.
        error: io::Error,
    },
    /// Signals, standard input or descriptors are not to be had.
    #[error("the system refuses what a node needs: {0}; raise its limits and start again")]
    System(#[from] io::Error),
}

fn bind_cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "end what runs there (another herd?) or configure another port",
        io::ErrorKind::AddrNotAvailable => "configure one of this machine's addresses",
        _ => "configure another address",
    }
}

/// Binds, within what a herd without a secret may.
pub(super) fn listen(id: &NodeId, address: &Address, has_secret: bool) -> Result<TcpListener, StartError> {
    let refused = |error| StartError::Listen { id: id.clone(), address: address.clone(), error };
    let listener = transport::listen(&address.host, address.port).map_err(refused)?;
    let bound = listener.local_addr()?;
    if !has_secret && !bound.ip().is_loopback() {
        return Err(StartError::BeyondLoopback { id: id.clone(), address: bound });
    }
    Ok(listener)
}

/// Where connections come in, and what takes them.
struct Door<'a> {
    name: &'static str,
    acceptor: Acceptor<'a>,
    /// Where it is for third-party nodes.
    plain: Option<&'a PlainDoor>,
}

/// All of them but the web face's.
pub(super) struct Doors<'a>(Vec<Door<'a>>);

impl<'a> Doors<'a> {
    pub(super) fn new(listener: &'a TcpListener, plain: Option<&'a PlainDoor>) -> io::Result<Self> {
        let own = [("accept", listener, None)].into_iter();
        let all = own.chain(plain.map(|door| (PLAIN_ACCEPT, door.listener(), Some(door))));
        let all =
            all.map(|(name, listener, plain)| Ok(Door { name, acceptor: Acceptor::new(listener)?, plain }));
        Ok(Self(all.collect::<io::Result<_>>()?))
    }
}

impl<'a> Shared<'a> {
    pub(super) fn start_flooders<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        addresses: &'scope [Address],
        mailboxes: Vec<Mailbox>,
        stop: &Receiver<()>,
    ) -> Result<(), StartError> {
        let Shared { node, limits, log, .. } = *self;
        for ((neighbour, address), (queue, called)) in node.neighbours().iter().zip(addresses).zip(mailboxes)
        {
            let link = links::link(node, neighbour, limits, queue);
            let wiring = self.wiring(stop.clone());
            let flooder = Flooder::new(wiring, &neighbour.id, address, link, &neighbour.health, called);
            let name = format!("flood-{}", neighbour.id);
            let alive = self.threads.enter(&name);
            self.spawn(scope, &name, move || {
                let _alive = alive;
                // The others go on, and the node with them; its scope would hand the panic to main.
                if catch_unwind(AssertUnwindSafe(|| flooder.run())).is_err() {
                    let peer = &neighbour.id;
                    log.error(format_args!("no link to {peer} until this node restarts: its flooder panicked, a fault of the program"));
                }
            })?;
        }
        Ok(())
    }

    pub(super) fn start_web<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        web: &'scope Web,
    ) -> Result<(), StartError> {
        let acceptor = web.acceptor()?;
        let alive = self.threads.enter("accept-http");
        self.spawn(scope, "accept-http", move || {
            let _alive = alive;
            web.run(scope, self, acceptor);
        })?;
        if let Some(address) = self.http_address {
            self.log.info(format_args!("status and metrics are at http://{address}"));
        }
        Ok(())
    }

    pub(super) fn start_accepting<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        doors: Doors<'scope>,
    ) -> Result<(), StartError> {
        for Door { name, acceptor, plain } in doors.0 {
            if let Some(door) = plain {
                self.log.warn(format_args!(
                    "whoever connects to {} from a plain neighbour's address can write to this herd; nothing proves who it is",
                    door.listener().local_addr()?
                ));
            }
            let alive = self.threads.enter(name);
            self.spawn(scope, name, move || {
                let _alive = alive;
                accept::run(scope, self, acceptor, plain);
            })?;
        }
        Ok(())
    }
}
