//! The signals that end what runs until it is told to, as something a thread can wait for.

use std::{
    io::{self, Read},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Duration,
};

use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level,
};

/// SIGINT, SIGTERM and SIGHUP come here instead of ending the process, until this is dropped.
pub(super) struct Signals {
    arrivals: UnixStream,
    registered: Vec<SigId>,
}

impl Signals {
    /// From here on, no such signal is lost.
    pub(super) fn listen() -> io::Result<Self> {
        let (arrivals, handler) = UnixStream::pair()?;
        let mut signals = Self { arrivals, registered: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let id = low_level::pipe::register(signal, handler.try_clone()?)?;
            signals.registered.push(id);
        }
        Ok(signals)
    }

    /// Waits for a signal; false after [`Signals::stop`].
    pub(super) fn wait(&self) -> bool {
        let mut byte = [0];
        (&self.arrivals).read_exact(&mut byte).is_ok()
    }

    /// Whether a signal comes within this time.
    pub(super) fn wait_at_most(&self, time: Duration) -> io::Result<bool> {
        // No time at all would mean no bound.
        self.arrivals.set_read_timeout(Some(time.max(Duration::from_millis(1))))?;
        match (&self.arrivals).read_exact(&mut [0]) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Ends the wait of the thread that is in it.
    pub(super) fn stop(&self) {
        let _ = self.arrivals.shutdown(Shutdown::Both);
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}
