//! Signals as something a thread can wait for, or ask about while it works. One that was ignored at the start stays ignored, so that `nohup herd up`
//! outlives its terminal.

use std::{
    io::{self, Read},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag, low_level,
};

use crate::system::{clock, signals::is_ignored};

/// The signals that end what runs until it is told to end.
pub(super) const ENDING: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// Some signals, which come here instead of doing what they do by default, until this is dropped.
pub(super) struct SignalPipe {
    arrivals: UnixStream,
    /// Kept open: where every signal is ignored, no handler has a copy of it.
    _handler: UnixStream,
    registered: Vec<SigId>,
}

impl SignalPipe {
    /// From here on, none of these signals is lost.
    pub(super) fn listen(wanted: &[i32]) -> io::Result<Self> {
        let (arrivals, handler) = UnixStream::pair()?;
        let mut registered = Vec::new();
        for &signal in wanted.iter().filter(|&&signal| !is_ignored(signal)) {
            registered.push(low_level::pipe::register(signal, handler.try_clone()?)?);
        }
        Ok(Self { arrivals, _handler: handler, registered })
    }

    /// Waits for a signal; false after [`SignalPipe::stop`].
    pub(super) fn wait(&self) -> bool {
        let mut byte = [0];
        (&self.arrivals).read_exact(&mut byte).is_ok()
    }

    /// Forgets the signals that have come; several that came together are one.
    pub(super) fn clear(&self) -> io::Result<()> {
        (&self.arrivals).read(&mut [0; 64]).map(drop)
    }

    /// Ends the wait of the thread that is in it.
    pub(super) fn stop(&self) {
        let _ = self.arrivals.shutdown(Shutdown::Both);
    }
}

/// Can be read once a signal has come.
impl AsFd for SignalPipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrivals.as_fd()
    }
}

impl Drop for SignalPipe {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// Waits until one of these can be read, at most for this time; the number of the first that can.
pub(super) fn wait_any(all: &[BorrowedFd<'_>], time: Duration) -> io::Result<Option<usize>> {
    let mut waits: Vec<_> = all.iter().map(|&one| PollFd::from_borrowed_fd(one, PollFlags::IN)).collect();
    let deadline = clock::tick() + time;
    loop {
        let left = deadline.saturating_sub(clock::tick());
        // Durations here are at most a day.
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut waits, Some(&timeout)) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(waits.iter().position(|wait| !wait.revents().is_empty())),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// While this is there, the signals that end a process are noted and end nothing, so that there is time to clean up. One that was ignored when the process started
/// stays ignored.
pub(super) struct Interrupts {
    /// The last signal that has come, or 0.
    came: Arc<AtomicUsize>,
    registered: Vec<SigId>,
}

impl Interrupts {
    pub(super) fn watch() -> io::Result<Self> {
        let mut interrupts = Self { came: Arc::default(), registered: Vec::new() };
        for signal in ENDING.into_iter().filter(|&signal| !is_ignored(signal)) {
            let came = Arc::clone(&interrupts.came);
            interrupts.registered.push(flag::register_usize(signal, came, signal as usize)?);
        }
        Ok(interrupts)
    }

    /// An error once a signal has come.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.came.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(io::Error::other("a signal came")),
        }
    }

    /// Ends the process as the signal that has come would have ended it: a shell sees 130 for SIGINT, 143 for SIGTERM.
    pub(super) fn end_if_any(&self) {
        let signal = self.came.load(Ordering::Relaxed);
        if signal != 0 {
            // It returns only where the system refuses; then the error that follows is reported.
            let _ = low_level::emulate_default_handler(signal as i32);
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for id in self.registered.drain(..) {
            low_level::unregister(id);
        }
    }
}
