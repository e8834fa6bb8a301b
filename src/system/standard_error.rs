//! Standard error for a node, which nobody may hold up: where the log goes to standard output, both often lead into one
//! pipe, and whoever reads that may have stopped.

use std::{fmt, io, time::Duration};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::text;

/// How long a line may wait for room before it is left out.
const ROOM_TIME: Duration = Duration::from_secs(1);

/// Says one escaped line of `herd`, if there is room for it.
pub fn say(what: impl fmt::Display) {
    let mut stderr = io::stderr().lock();
    let wait = Timespec { tv_sec: ROOM_TIME.as_secs() as i64, tv_nsec: 0 };
    // A pipe that takes anything takes 4096 bytes, which no line here has.
    if poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&wait)) == Ok(0) {
        return;
    }
    text::say(&mut stderr, "herd", what);
}
