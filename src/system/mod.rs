//! What a node gets from the system: the time, random numbers, memory, its place among other threads, signals.

pub mod clock;
#[expect(unsafe_code, reason = "a call of the allocator's, which no safe library makes")]
pub mod memory;
pub mod random;
#[expect(
    unsafe_code,
    reason = "a policy for the scheduler, which no safe library sets alone; its run folder shows what it saves"
)]
pub mod scheduling;
pub mod signals;
pub mod standard_error;
