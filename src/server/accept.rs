//! How every door accepts connections: each connection gets a seat and a thread. When the system has no descriptor or
//! thread left, the door is told and carries on.

use std::{
    fmt,
    fs::File,
    io,
    net::{IpAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use super::{
    Shared, StartError,
    seats::Unadmitted,
    threads::{DoorKind, Role, ScopeRef},
};
use crate::transport::{self, Stream};

/// How long a door waits before it tries again when the system can do nothing for it.
const RETRY_TIME: Duration = Duration::from_millis(50);

/// Where connections come in: what gives them seats, what serves them, and what happens to those that are not served.
pub(super) trait Door: Sync {
    /// A connection's seat among a limited number; freed when dropped.
    type Seat: Send;

    fn kind(&self) -> DoorKind;

    fn listener(&self) -> &TcpListener;

    /// Wakes the thread that accepts, so that it sees the stop.
    fn wake(&self) {
        transport::wake_accept(self.listener());
    }

    /// The number of the next connection.
    fn number(&self) -> u64;

    /// Gives a connection its seat. May take a moment to find one.
    fn seat(&self, number: u64, stream: &Arc<Stream>) -> Result<Self::Seat, Unadmitted>;

    /// Serves a connection until it ends.
    fn serve(&self, stream: &Arc<Stream>, number: u64, seat: Self::Seat);

    /// Hears of each connection that is not served, before it is dropped.
    fn refuse(&self, why: &Unserved<'_>);
}

/// Why a connection is not served.
pub(super) enum Unserved<'a> {
    /// All seats are taken.
    Full(&'a Stream),
    /// Its address is none of those that may come in by this door.
    Stranger(IpAddr),
    /// The same, as far as is known: some names are not resolved yet.
    Unresolved(IpAddr),
    NoThread(io::Error),
    NoDescriptor(io::Error),
    NotAccepted(io::Error),
}

impl fmt::Display for Unserved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => write!(f, "this node has as many connections as it accepts"),
            Self::Stranger(ip) => write!(f, "{ip} is not the address of a third-party node"),
            Self::Unresolved(ip) => {
                write!(f, "{ip} is not a known address of a third-party node, and a name is not resolved yet")
            }
            Self::NoThread(error) => write!(f, "the system has no thread left ({error})"),
            Self::NoDescriptor(error) => write!(f, "no file descriptor is left ({error})"),
            Self::NotAccepted(error) => write!(f, "accept failed: {error}"),
        }
    }
}

impl Shared<'_> {
    /// Opens a door: a thread accepts connections until it is its turn to stop.
    pub(super) fn open<'scope, D: Door>(
        &'scope self,
        scope: ScopeRef<'scope, '_>,
        door: &'scope D,
    ) -> Result<(), StartError> {
        let mut spare = Spare::new()?;
        let role = Role::Accept(door.kind());
        let stop = self.stop(role.turn());
        self.spawn(scope, role, move || {
            loop {
                let accepted = accept(door.listener());
                if stop.is_set() {
                    return;
                }
                let error = match accepted {
                    Ok(stream) => {
                        self.let_in(scope, door, stream);
                        continue;
                    }
                    Err(error) => error,
                };
                let is_mended = if has_client_left(&error) {
                    true
                } else if is_out_of_descriptors(&error) {
                    door.refuse(&Unserved::NoDescriptor(error));
                    spare.refuse_one(door.listener())
                } else {
                    door.refuse(&Unserved::NotAccepted(error));
                    false
                };
                if !is_mended {
                    stop.wait(RETRY_TIME);
                }
            }
        })
    }

    fn let_in<'scope, D: Door>(&'scope self, scope: ScopeRef<'scope, '_>, door: &'scope D, stream: Stream) {
        let (stream, number) = (Arc::new(stream), door.number());
        let seat = match door.seat(number, &stream) {
            Ok(seat) => seat,
            Err(Unadmitted::Full) => return door.refuse(&Unserved::Full(&stream)),
            Err(Unadmitted::Stranger(ip)) => return door.refuse(&Unserved::Stranger(ip)),
            Err(Unadmitted::Unresolved(ip)) => return door.refuse(&Unserved::Unresolved(ip)),
            Err(Unadmitted::Stopped) => return,
        };
        // If no thread can be started, the connection and its seat are dropped.
        let serve = move || door.serve(&stream, number, seat);
        if let Err(error) = self.try_spawn(scope, door.kind().serving(number), serve) {
            door.refuse(&Unserved::NoThread(error));
        }
    }
}

/// Accepts a connection. If no descriptor is left, waits for a connection before it tries again: the system takes a
/// descriptor before it looks for a connection, and by the time one arrives, some may be free again.
fn accept(listener: &TcpListener) -> io::Result<Stream> {
    let mut accepted = Stream::accept(listener);
    if accepted.as_ref().is_err_and(is_out_of_descriptors) {
        transport::wait_for_connection(listener);
        accepted = Stream::accept(listener);
    }
    accepted
}

/// Whether the client gave up while it waited, or a signal arrived: then nothing needs to be done.
fn has_client_left(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// A spare descriptor for when none is left; each door has its own. Releasing it for a moment lets a waiting connection
/// be accepted and closed, which is an answer; in the backlog it would get none.
struct Spare(Option<File>);

impl Spare {
    fn new() -> io::Result<Self> {
        Ok(Self(Some(File::open("/dev/null")?)))
    }

    /// Accepts one connection with the spare's descriptor and drops it. `false` if even that fails.
    fn refuse_one(&mut self, listener: &TcpListener) -> bool {
        let had_spare = self.0.take().is_some();
        let is_refused = had_spare && Stream::accept(listener).is_ok();
        self.0 = File::open("/dev/null").ok();
        is_refused
    }
}
