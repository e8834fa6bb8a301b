//! Randomness from the system, for what must differ between nodes and starts. Nothing here is secret.

use std::hash::{BuildHasher, Hasher, RandomState};

/// 64 random bits: the standard library's randomly keyed hasher, asked about nothing.
pub fn bits() -> u64 {
    RandomState::new().build_hasher().finish()
}
