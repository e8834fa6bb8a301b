//! The accept thread: takes connections, gives each a thread, and goes on where the system has no descriptor or thread
//! left. Every listener of the node, the web face's too, is accepted from through an [`Acceptor`].

use std::{
    fs::File,
    io,
    net::TcpListener,
    sync::{Arc, atomic::Ordering},
    thread::Scope,
    time::Duration,
};

use super::{Shared, admission::Unadmitted, plain::PlainDoor, session};
use crate::{
    system::clock,
    transport::{self, Stream},
};

/// How long an accept thread waits before it tries again, where the system can do nothing for it.
pub(super) const RETRY_TIME: Duration = Duration::from_millis(50);

/// A listener, and what it takes to accept from it when no descriptor is left. Every accept thread has one of its own.
pub(super) struct Acceptor<'a> {
    listener: &'a TcpListener,
    /// A descriptor kept for the time when none is left. Given up for a moment, it lets a waiting connection be accepted and
    /// closed, which is an answer; in the backlog it would get none.
    spare: Option<File>,
}

impl<'a> Acceptor<'a> {
    pub(super) fn new(listener: &'a TcpListener) -> io::Result<Self> {
        Ok(Self { listener, spare: Some(File::open("/dev/null")?) })
    }

    /// Accepts a connection. Where no descriptor is left, waits for a connection before it tries again: the system takes
    /// a descriptor before it looks for one, and when one comes, some may be free again.
    pub(super) fn accept(&self) -> io::Result<Stream> {
        let mut accepted = Stream::accept(self.listener);
        if accepted.as_ref().is_err_and(is_out_of_descriptors) {
            transport::wait_for_connection(self.listener);
            accepted = Stream::accept(self.listener);
        }
        accepted
    }

    /// Deals with an error of [`Acceptor::accept`]. `false` where that is not possible: then the caller waits for
    /// [`RETRY_TIME`], or until it stops.
    pub(super) fn recover(&mut self, error: &io::Error) -> bool {
        has_client_left(error) || is_out_of_descriptors(error) && self.refuse_one()
    }

    /// Accepts one connection with the spare's descriptor and drops it. `false` if even that is not possible.
    fn refuse_one(&mut self) -> bool {
        let had_spare = self.spare.take().is_some();
        let is_refused = had_spare && Stream::accept(self.listener).is_ok();
        self.spare = File::open("/dev/null").ok();
        is_refused
    }
}

/// Takes connections until stop. `plain` is the door they come in by, where that is the one for third-party nodes.
pub(super) fn run<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared<'scope>,
    mut acceptor: Acceptor<'_>,
    plain: Option<&'scope PlainDoor>,
) {
    loop {
        let accepted = acceptor.accept();
        if shared.is_stopping() {
            return;
        }
        let error = match accepted {
            Ok(stream) => {
                start_session(scope, shared, stream, plain);
                continue;
            }
            Err(error) => error,
        };
        if is_out_of_descriptors(&error) {
            refused(shared, format_args!("no descriptor is left ({error})"));
        } else if !has_client_left(&error) {
            refused(shared, format_args!("accept failed: {error}"));
        }
        if !acceptor.recover(&error) {
            // Nothing is ever sent; the wait ends with the time or with the channel, at stop.
            let _ = shared.stop.recv_timeout(RETRY_TIME);
        }
    }
}

/// Whether the client gave up while it waited, or a signal came: then there is nothing to mend.
fn has_client_left(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(error);
    matches!(errno, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

fn start_session<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared<'scope>,
    stream: Stream,
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

/// Counts a refused connection and logs it: a line a second at most, with the number of those not logged.
fn refused(shared: &Shared<'_>, why: std::fmt::Arguments<'_>) {
    shared.refused.fetch_add(1, Ordering::Relaxed);
    if let Some(untold) = shared.rate_limits.refusals.allow(clock::tick()) {
        let connections = shared.connections.count();
        shared.log.warn(format_args!("a connection is refused: {why}; {connections} connections{untold}"));
    }
}
