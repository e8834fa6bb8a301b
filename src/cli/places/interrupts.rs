//! Signals that end a process, while it has something to clean up before it ends.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag, low_level,
};

use crate::signals;

/// While this is there, SIGINT, SIGTERM and SIGHUP are noted and end nothing. One that was ignored when the process started
/// stays ignored.
pub(super) struct Interrupts {
    /// The last signal that has come, or 0.
    came: Arc<AtomicUsize>,
    registered: Vec<SigId>,
}

impl Interrupts {
    pub(super) fn watch() -> io::Result<Self> {
        let mut interrupts = Self { came: Arc::default(), registered: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !signals::is_ignored(signal)) {
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
            // It returns only where the system refuses; then the error that follows is told.
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
