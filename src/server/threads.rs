//! The node's threads: what each is for, its name, and its turn to end in a drain; how it is started, and what its
//! panic ends; and which threads are alive, so that a drain can wait for them with a deadline and name those that are
//! left.

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
    /// Writes the journal.
    Journal,
    /// Looks after the certificate that clients are shown.
    Certificates,
    /// Takes the steps of TLS handshakes, one of several.
    Handshake(usize),
    /// Takes the tokens' file anew.
    Tokens,
    /// Forgets by age.
    Retention,
    /// Keeps the link to that neighbour up.
    Flooder(NodeId),
    /// Accepts connections at that door.
    Accept(DoorKind),
    /// Serves the connection of that number: a client's or a neighbour's.
    Session(u64),
    /// Serves HTTP connection of that number.
    Http(u64),
}

/// Where connections come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DoorKind {
    /// For clients and peers.
    Clients,
    /// For clients that speak TLS.
    Tls,
    /// For third-party nodes.
    Plain,
    /// The web face's.
    Web,
}

/// When a thread ends in a drain: each turn begins once the threads of the one before have ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum DrainTurn {
    /// Those that take in what clients and neighbours send, and that which forgets.
    First,
    /// Those that pass it on, and those that report on the drain.
    Second,
    /// The journal's, which keeps what all of these have changed; and those that all of these may have waited for.
    Third,
    /// The log's, which records what all others do.
    Last,
}

impl Role {
    pub(super) fn turn(&self) -> DrainTurn {
        match self {
            Self::Tokens
            | Self::Session(_)
            | Self::Retention
            | Self::Accept(DoorKind::Clients | DoorKind::Tls | DoorKind::Plain) => DrainTurn::First,
            Self::Flooder(_) | Self::Certificates | Self::Http(_) | Self::Accept(DoorKind::Web) => {
                DrainTurn::Second
            }
            Self::Journal | Self::Handshake(_) => DrainTurn::Third,
            Self::Log => DrainTurn::Last,
        }
    }
}

impl DoorKind {
    /// The thread that serves the connection of that number.
    pub(super) fn serving(self, number: u64) -> Role {
        match self {
            Self::Clients | Self::Tls | Self::Plain => Role::Session(number),
            Self::Web => Role::Http(number),
        }
    }
}

/// The thread's name.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => write!(f, "log"),
            Self::Journal => write!(f, "journal"),
            Self::Certificates => write!(f, "certificates"),
            Self::Handshake(number) => write!(f, "handshake-{number}"),
            Self::Tokens => write!(f, "tokens"),
            Self::Retention => write!(f, "retention"),
            Self::Flooder(peer) => write!(f, "flood-{peer}"),
            Self::Accept(DoorKind::Clients) => write!(f, "accept"),
            Self::Accept(DoorKind::Tls) => write!(f, "accept-tls"),
            Self::Accept(DoorKind::Plain) => write!(f, "accept-plain"),
            Self::Accept(DoorKind::Web) => write!(f, "accept-http"),
            Self::Session(number) => write!(f, "session-{number}"),
            Self::Http(number) => write!(f, "http-{number}"),
        }
    }
}

/// The threads that are alive.
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

/// Keeps a thread in the list until dropped.
#[derive(Debug)]
struct Alive<'a> {
    threads: &'a Threads,
    number: u64,
}

impl Threads {
    /// Adds a thread. Called before the thread starts, so that none is overlooked meanwhile.
    fn enter(&self, role: Role) -> Alive<'_> {
        let mut living = self.living.lock();
        living.entered += 1;
        let number = living.entered;
        living.roles.insert(number, role);
        Alive { threads: self, number }
    }

    /// Waits until no thread is alive whose turn is `turn` or an earlier one. Returns the names of those that still are
    /// at the deadline.
    pub(super) fn wait_for(&self, turn: DrainTurn, deadline: Tick) -> Vec<String> {
        self.wait_until_none(|role| role.turn() <= turn, deadline)
    }

    /// The same for the log's thread.
    pub(super) fn wait_for_log(&self, deadline: Tick) -> Vec<String> {
        self.wait_until_none(|role| *role == Role::Log, deadline)
    }

    fn wait_until_none(&self, is_one: impl Fn(&Role) -> bool, deadline: Tick) -> Vec<String> {
        let mut living = self.living.lock();
        loop {
            let mut left = living.roles.values().filter(|role| is_one(role)).peekable();
            let time = deadline.saturating_sub(clock::tick());
            if left.peek().is_none() || time.is_zero() {
                return left.map(Role::to_string).collect();
            }
            drop(left);
            self.one_left.wait_for(&mut living, time);
        }
    }
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.threads.living.lock().roles.remove(&self.number);
        self.threads.one_left.notify_all();
    }
}

impl Shared<'_> {
    /// Starts a thread that the node needs.
    pub(super) fn spawn<'scope>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        role: Role,
        body: impl FnOnce() + Send + 'scope,
    ) -> Result<(), StartError> {
        self.try_spawn(scope, role.clone(), body).map_err(|error| StartError::Thread { role, error })
    }

    /// Starts a thread if the system has one left; otherwise what the body holds is dropped.
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

    /// A panic ends what its thread served, and nothing else. If that is the node itself, the scope passes the panic to
    /// main. That of the journal has told of its panic itself: the node serves on, and neither its health nor its end is
    /// well from then on.
    fn outlive(&self, role: &Role, panic: Box<dyn Any + Send>) {
        match role {
            Role::Session(number) => self.tell_closed(format_args!("#{number}")),
            Role::Http(number) => self.tell_closed(format_args!("HTTP connection {number}")),
            Role::Flooder(peer) => self.log.error(format_args!(
                "no link to {peer} until this node restarts: its flooder panicked, which is a bug"
            )),
            Role::Tokens => self.log.error(format_args!(
                "the tokens are not taken anew until this node restarts: their thread panicked, which is a bug"
            )),
            Role::Journal => {}
            Role::Certificates => self.log.error(format_args!(
                "no new certificate is shown until this node restarts: its thread panicked, which is a bug"
            )),
            Role::Retention => {
                self.retention.iter().for_each(|report| report.lock().has_died = true);
                self.log.error(format_args!(
                    "nothing is forgotten by its age until this node restarts: its thread panicked, which is a bug"
                ));
            }
            Role::Accept(_) | Role::Log | Role::Handshake(_) => resume_unwind(panic),
        }
    }

    fn tell_closed(&self, connection: fmt::Arguments<'_>) {
        if let Some(untold) = self.rate_limits.panics.allow(clock::tick()) {
            self.log
                .error(format_args!("{connection} is closed: its thread panicked, which is a bug{untold}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Longer than any test takes.
    const LONG: Duration = Duration::from_secs(3_600);

    fn roles() -> [Role; 11] {
        let peer = NodeId::new("Welsh").unwrap();
        let [clients, plain, web] = [DoorKind::Clients, DoorKind::Plain, DoorKind::Web].map(Role::Accept);
        let (session, http) = (Role::Session(1), Role::Http(1));
        [
            Role::Log,
            Role::Journal,
            Role::Handshake(1),
            web,
            http,
            Role::Flooder(peer),
            Role::Tokens,
            Role::Retention,
            session,
            plain,
            clients,
        ]
    }

    #[test]
    fn those_who_take_in_end_before_those_who_pass_on_and_the_log_ends_last() {
        let threads = Threads::default();
        let mut alive: Vec<_> = roles().into_iter().map(|role| threads.enter(role)).collect();
        let left = |turn| threads.wait_for(turn, Tick::ZERO);
        assert_eq!(left(DrainTurn::First), ["tokens", "retention", "session-1", "accept-plain", "accept"]);
        alive.truncate(6);
        assert_eq!(left(DrainTurn::First), [""; 0]);
        assert_eq!(left(DrainTurn::Second), ["accept-http", "http-1", "flood-Welsh"]);
        alive.truncate(3);
        assert_eq!(left(DrainTurn::Second), [""; 0]);
        assert_eq!(left(DrainTurn::Third), ["journal", "handshake-1"]);
        alive.truncate(1);
        assert_eq!(left(DrainTurn::Third), [""; 0]);
        assert_eq!(
            (left(DrainTurn::Last), threads.wait_for_log(Tick::ZERO)),
            (vec!["log".into()], vec!["log".into()])
        );
        alive.clear();
        assert_eq!(left(DrainTurn::Last), [""; 0]);
    }

    #[test]
    fn one_that_has_left_an_earlier_turn_late_is_waited_for_in_a_later_one() {
        let threads = Threads::default();
        let _alive = threads.enter(Role::Session(7));
        assert_eq!(threads.wait_for(DrainTurn::Last, Tick::ZERO), ["session-7"]);
        assert_eq!(threads.wait_for_log(Tick::ZERO), [""; 0]);
    }

    #[test]
    fn wait_ends_with_the_last_thread_it_is_for() {
        let threads = Threads::default();
        let alive: Vec<_> = (0..3).map(|number| threads.enter(Role::Session(number))).collect();
        let _log = threads.enter(Role::Log);
        let by = clock::tick() + LONG;
        thread::scope(|scope| {
            let waits = scope.spawn(|| threads.wait_for(DrainTurn::First, by));
            alive.into_iter().for_each(|alive| drop(scope.spawn(move || drop(alive))));
            assert_eq!(waits.join().unwrap(), [""; 0]);
        });
        assert!(clock::tick() < by);
    }
}
