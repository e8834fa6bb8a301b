//! What is near a client: the question, the sources that answer it, and the form of an answer.

mod chain;
pub mod cut;
pub mod embedded;
pub mod file;
mod google;
mod google_new;
mod html;
mod index;
pub mod key;
pub mod legacy;
mod local;
mod open;
pub mod record;
pub mod tweets;
mod unfit;
mod upstream;

pub use chain::Chain;
pub use embedded::{ATTRIBUTION, Embedded};
pub use file::PlacesFile;
pub use index::km_between;
pub use legacy::write_failure;
pub use open::{OpenError, Opened, Stock, open};

pub use upstream::HttpError;

use crate::{
    core::model::{Coordinates, Tick},
    metrics::UpstreamReport,
};

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

/// What may be asked of a source, and how its answers end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form {
    /// The largest radius, in kilometres, included.
    pub radius_km_max: u64,
    /// The largest bound, included.
    pub bound_max: u64,
    /// How many newlines follow a document.
    pub newlines: usize,
}

impl Form {
    /// What Google's Nearby Search supports, and the assignment's editions since 2014 ask for.
    pub const PLACES: Self = Self { radius_km_max: 50, bound_max: 20, newlines: 2 };
    /// The editions before: any radius on Earth, and a document of one line.
    pub const TWEETS: Self = Self { radius_km_max: 20_016, bound_max: 100, newlines: 1 };
}

/// Somewhere to look places up. Blocks the caller until it has answered: that plainness is what a thread per connection buys.
pub trait Source: Send + Sync {
    /// What may be asked of it, and how its answers end.
    fn form(&self) -> Form {
        Form::PLACES
    }

    /// Whether a lookup may wait for something outside the process, so that replies already owed should leave first.
    fn may_wait(&self) -> bool;

    /// Appends one JSON document, in the format of Google's Nearby Search or of tweets, at most `query.bound` results
    /// long, without trailing newlines and without two newlines in a row. Returns the number of results in it.
    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure>;

    /// Like [`Source::nearby`], but gives up at `deadline`.
    fn nearby_until(&self, query: &Query, _deadline: Tick, out: &mut Vec<u8>) -> Result<usize, Failure> {
        self.nearby(query, out)
    }

    /// From now on no lookup shall wait: the node stops.
    fn stop(&self) {}

    /// How the upstreams are that it asks.
    fn upstreams(&self) -> Vec<UpstreamReport> {
        Vec::new()
    }

    /// What an operator should hear of it since the last time; each a sentence for the log.
    fn take_news(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why a source gave no answer; said to the client in the format of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Google's `status` for the case.
    pub status: &'static str,
    /// One sentence for the client; never holds a key.
    pub message: String,
}
