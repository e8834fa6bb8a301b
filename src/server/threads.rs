//! The node's threads: what each is for, with its name and when in a drain it is its turn to end; how each is made, what
//! its panic ends, and which of them live, so that a drain can be waited for with a deadline, and what is left be named.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt, io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread::{self, Scope},
};

use parking_lot::{Condvar, Mutex};

use super::{Shared, StartError};
use crate::{
    core::model::{NodeId, Tick},
    system::clock,
};

/// A thread's stack. The deepest call is a session's places lookup; threads are many, and only touched pages count.
const STACK_BYTES: usize = 256 * 1024;

/// What owns all of them.
pub(super) type ScopeRef<'scope, 'env> = &'scope Scope<'scope, 'env>;

/// What a thread is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Role {
    /// Writes the log.
    Log,
    /// Keeps the link to that neighbour.
    Flooder(NodeId),
    /// Takes connections at that door.
    Accept(DoorKind),
    /// Serves the connection of that number: a client's or a neighbour's.
    Session(u64),
    /// Serves the web face's connection of that number.
    Http(u64),
}

/// Where connections come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DoorKind {
    /// For clients and peers.
    Clients,
    /// For third-party nodes.
    Plain,
    /// The web face's.
    Web,
}

/// When in a drain a thread ends: each turn begins once the threads of the one before have ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum DrainTurn {
    /// Those who take in what clients and neighbours say.
    First,
    /// Those who pass it on, and those who tell of the drain.
    Second,
    /// The log's, which tells of all others.
    Last,
}

impl Role {
    pub(super) fn turn(&self) -> DrainTurn {
        match self {
            Self::Session(_) | Self::Accept(DoorKind::Clients | DoorKind::Plain) => DrainTurn::First,
            Self::Flooder(_) | Self::Http(_) | Self::Accept(DoorKind::Web) => DrainTurn::Second,
            Self::Log => DrainTurn::Last,
        }
    }
}

impl DoorKind {
    /// What serves the connection of that number.
    pub(super) fn serving(self, number: u64) -> Role {
        match self {
            Self::Clients | Self::Plain => Role::Session(number),
            Self::Web => Role::Http(number),
        }
    }
}

/// The thread's name.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => write!(f, "log"),
            Self::Flooder(peer) => write!(f, "flood-{peer}"),
            Self::Accept(DoorKind::Clients) => write!(f, "accept"),
            Self::Accept(DoorKind::Plain) => write!(f, "accept-plain"),
            Self::Accept(DoorKind::Web) => write!(f, "accept-http"),
            Self::Session(number) => write!(f, "session-{number}"),
            Self::Http(number) => write!(f, "http-{number}"),
        }
    }
}

/// The living threads.
#[derive(Debug, Default)]
pub(super) struct Threads {
    living: Mutex<Living>,
    one_left: Condvar,
}

#[derive(Debug, Default)]
struct Living {
    roles: BTreeMap<u64, Role>,
    entered: u64,
}

/// A living thread, until it is dropped.
#[derive(Debug)]
struct Alive<'a> {
    threads: &'a Threads,
    number: u64,
}

impl Threads {
    /// Counts a thread in. Called before the thread is made, so that none is overlooked while it starts.
    fn enter(&self, role: Role) -> Alive<'_> {
        let mut living = self.living.lock();
        living.entered += 1;
        let number = living.entered;
        living.roles.insert(number, role);
        Alive { threads: self, number }
    }

    /// Waits until no thread lives whose turn to end has come with `turn`; `false` if some still do at the deadline.
    pub(super) fn wait_for(&self, turn: DrainTurn, deadline: Tick) -> bool {
        let mut living = self.living.lock();
        while living.roles.values().any(|role| role.turn() <= turn) {
            let left = deadline.saturating_sub(clock::tick());
            if left.is_zero() {
                return false;
            }
            self.one_left.wait_for(&mut living, left);
        }
        true
    }

    /// The names of those who hold a drain up.
    pub(super) fn names_left(&self) -> Vec<String> {
        let living = self.living.lock();
        living.roles.values().filter(|role| role.turn() < DrainTurn::Last).map(Role::to_string).collect()
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.threads.living.lock().roles.remove(&self.number);
        self.threads.one_left.notify_all();
    }
}

impl Shared<'_> {
    /// Makes a thread that the node needs.
    pub(super) fn spawn<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        role: Role,
        body: impl FnOnce() + Send + 'scope,
    ) -> Result<(), StartError> {
        self.try_spawn(scope, role.clone(), body).map_err(|error| StartError::Thread { role, error })
    }

    /// Makes a thread, where the system has one left; else what the body holds is dropped.
    pub(super) fn try_spawn<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        role: Role,
        body: impl FnOnce() + Send + 'scope,
    ) -> io::Result<()> {
        (self.surroundings.before_spawn)(&role)?;
        let alive = self.threads.enter(role.clone());
        let thread = thread::Builder::new().name(role.to_string()).stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, move || {
            let _alive = alive;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
                self.outlive(&role, panic);
            }
        })?;
        Ok(())
    }

    /// A panic ends what its thread served, and nothing else. Where that is the node itself, the scope hands the panic to
    /// main.
    fn outlive(&self, role: &Role, panic: Box<dyn Any + Send>) {
        match role {
            Role::Session(number) => self.tell_closed(format_args!("#{number}")),
            Role::Http(number) => self.tell_closed(format_args!("the web face's connection {number}")),
            Role::Flooder(peer) => self.log.error(format_args!(
                "no link to {peer} until this node restarts: its flooder panicked, a fault of the program"
            )),
            Role::Accept(_) | Role::Log => resume_unwind(panic),
        }
    }

    fn tell_closed(&self, connection: fmt::Arguments<'_>) {
        if let Some(untold) = self.rate_limits.panics.allow(clock::tick()) {
            self.log.error(format_args!(
                "{connection} is closed: its thread panicked; this is a fault of the program{untold}"
            ));
        }
    }
}
