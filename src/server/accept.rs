//! The accept thread: takes connections, gives each a thread, and survives a system that has neither left.

use std::{
    fs::File,
    io,
    net::{TcpListener, TcpStream},
    sync::{Arc, atomic::Ordering},
    thread::Scope,
    time::Duration,
};

use super::{Shared, connections::Unadmitted, plain::PlainDoor, session};
use crate::{clock, socket};

/// How long accept waits when the system can do nothing for it.
const RETRY_TIME: Duration = Duration::from_millis(50);

/// A descriptor kept for the time when there is none left: given up for a moment, it lets a waiting connection be
/// accepted and closed, which is an answer, rather than left to wait.
pub(super) struct Spare(Option<File>);

impl Spare {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Some(File::open("/dev/null")?)))
    }

    /// Accepts one connection with the spare's descriptor and drops it. `false` if even that is not possible.
    fn refuse_one(&mut self, listener: &TcpListener) -> bool {
        let Some(spare) = self.0.take() else {
            self.0 = File::open("/dev/null").ok();
            return false;
        };
        drop(spare);
        let is_refused = listener.accept().is_ok();
        self.0 = File::open("/dev/null").ok();
        is_refused
    }
}

/// Takes connections until stop. `plain` is the door they come in by, where that is the one for neighbours written by others.
pub(super) fn run<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared<'scope>,
    listener: &TcpListener,
    plain: Option<&'scope PlainDoor>,
    mut spare: Spare,
) {
    loop {
        let mut accepted = listener.accept();
        if accepted.as_ref().is_err_and(is_out_of_descriptors) {
            // The system takes a descriptor before it looks for a connection. When one comes, some may be free again.
            socket::wait_for_connection(listener);
            accepted = listener.accept();
        }
        if shared.is_stopping() {
            return;
        }
        match accepted {
            Ok((stream, _)) => start_session(scope, shared, stream, plain),
            Err(error) if is_out_of_descriptors(&error) => {
                refused(shared, format_args!("no descriptor is left ({error})"));
                if !spare.refuse_one(listener) {
                    wait(shared);
                }
            }
            // The client gave up while it waited.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(error) => {
                refused(shared, format_args!("accept failed: {error}"));
                wait(shared);
            }
        }
    }
}

/// Waits a while, but not beyond stop.
fn wait(shared: &Shared<'_>) {
    // Nothing is ever sent; the wait ends with the time or the channel.
    let _ = shared.stop.recv_timeout(RETRY_TIME);
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

fn start_session<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared<'scope>,
    stream: TcpStream,
    plain: Option<&'scope PlainDoor>,
) {
    let stream = Arc::new(stream);
    let number = shared.next_connection();
    let slot = match shared.connections.admit(number, &stream) {
        Ok(slot) => slot,
        Err(Unadmitted::Full) => {
            return refused(shared, format_args!("there are as many connections as this node takes"));
        }
        Err(Unadmitted::Stopped) => return,
    };
    let name = format!("session-{number}");
    let alive = shared.threads.enter(&name);
    // Where no thread is to be had, the closure is dropped, and the connection and its slot with it.
    let spawned = shared.try_spawn(scope, &name, move || {
        let _alive = alive;
        session::run(shared, &stream, number, slot, plain);
    });
    if let Err(error) = spawned {
        refused(shared, format_args!("no thread is left ({error})"));
    }
}

/// Says that a connection was refused: a line a second at most, with how many went untold.
fn refused(shared: &Shared<'_>, why: std::fmt::Arguments<'_>) {
    shared.refused.fetch_add(1, Ordering::Relaxed);
    if let Some(untold) = shared.rate_limits.refusals.allow(clock::tick()) {
        let connections = shared.connections.count();
        shared.log.warn(format_args!("a connection is refused: {why}; {connections} connections{untold}"));
    }
}
