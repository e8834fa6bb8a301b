//! What is near a client: the question, the sources that answer it, and the form of an answer.

pub mod embedded;
mod index;
pub mod legacy;
pub mod record;

pub use embedded::{ATTRIBUTION, Embedded};
pub use legacy::write_failure;

use crate::model::Coordinates;

/// One lookup: what is within `radius_m` of `center`, at most `bound` of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Query {
    /// The middle of the circle.
    pub center: Coordinates,
    /// The circle's radius in metres.
    pub radius_m: f64,
    /// The most results wanted; 0 asks only whether there is anything.
    pub bound: usize,
}

/// Somewhere to look places up. Blocks the caller until it has answered: that plainness is what a thread per connection buys.
pub trait Source: Send + Sync {
    /// Whether a lookup may wait for something outside the process, so that replies already owed should leave first.
    fn may_wait(&self) -> bool;

    /// Appends one JSON document in the format of Google's Nearby Search, at most `query.bound` results long, without
    /// trailing newlines and without two newlines in a row. Returns the number of results in it.
    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure>;
}

/// Why a source gave no answer; said to the client in the format of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Google's `status` for the case.
    pub status: &'static str,
    /// One sentence for the client; never holds a key.
    pub message: String,
}
