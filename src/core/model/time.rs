//! Times as values. Reading a clock is the caller's.

use std::time::Duration;

use super::Timestamp;

/// Monotonic time since the process began to ask for it. For deadlines and intervals; never goes back.
pub type Tick = Duration;

/// Both clocks, read together once per read of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// What the machine believes the time to be; may jump.
    pub wall: Timestamp,
    /// How long this process has run.
    pub tick: Tick,
}
