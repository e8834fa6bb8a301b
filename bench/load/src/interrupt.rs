//! Signals that end a process, as something that a run looks at: the first has it end with what it has, the second kills.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
};

use proxyherd::system::signals::is_ignored;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

/// The exit code of what was interrupted, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// What is set once a signal has come. Signals that were ignored at the start, as `nohup` does, stay ignored.
pub fn watch() -> io::Result<Arc<AtomicBool>> {
    let came = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal)) {
        // Handlers run in this order, so the first signal passes this one.
        flag::register_conditional_default(signal, Arc::clone(&came))?;
        flag::register(signal, Arc::clone(&came))?;
    }
    Ok(came)
}
