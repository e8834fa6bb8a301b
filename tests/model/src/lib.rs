//! The outbox of proxyherd under a model checker: `outbox` is `src/core/links/outbox.rs` itself, put here by `build.rs`, with
//! the checker's atomics instead of std's. The node knows nothing of this.
//!
//! The checker is loom and not shuttle. It tries every interleaving up to a bound of preemptions instead of sampling
//! them; it knows Acquire, Release and Relaxed, which shuttle takes for SeqCst; and its tree's licences are among those
//! that `deny.toml` allows, which shuttle's own, Apache-2.0 alone, is not.

pub mod channel;

/// What the outbox has of `std::sync`.
pub mod sync {
    // Reference counts order nothing that the outbox relies on, and loom's cannot hold slices.
    pub use std::sync::Arc;

    pub use loom::sync::atomic;
}

/// The outbox as it is.
pub mod outbox {
    include!(concat!(env!("OUT_DIR"), "/outbox.rs"));
}
