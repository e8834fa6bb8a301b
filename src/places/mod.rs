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
    core::{dialogue::Looked, model::Tick},
    metrics::UpstreamReport,
};

pub use crate::core::{model::Query, wire::Form};

/// A source of places. Blocks the caller until it has answered: a thread per connection buys this simplicity.
pub trait Source: Send + Sync {
    /// What may be asked of it, and how its answers end.
    fn form(&self) -> Form {
        Form::PLACES
    }

    /// Whether a lookup may wait for something outside the process, so that replies already owed should leave first.
    fn may_wait(&self) -> bool;

    /// Appends one JSON document, in the format of Google's Nearby Search or of tweets, with at most `query.bound`
    /// results, without trailing newlines and without two newlines in a row. Returns the number of results in it.
    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure>;

    /// Like [`Source::nearby`], but gives up at `deadline`.
    fn nearby_until(&self, query: &Query, _deadline: Tick, out: &mut Vec<u8>) -> Result<usize, Failure> {
        self.nearby(query, out)
    }

    /// From now on no lookup may wait: the node stops.
    fn stop(&self) {}

    /// The state of the upstreams that it asks.
    fn upstreams(&self) -> Vec<UpstreamReport> {
        Vec::new()
    }

    /// How many connections of its own it may have at once: at most one for each lookup in progress.
    fn sockets_max(&self) -> usize {
        0
    }

    /// What an operator should know about it since the last call; each is a sentence for the log.
    fn take_news(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Why a source gave no answer; the client is told in the format of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Google's `status` for the case.
    pub status: &'static str,
    /// One sentence for the client; never holds a key.
    pub message: String,
}

/// Looks up places, and appends the document: the source's answer, or one that says that it failed.
pub fn look_up(source: &dyn Source, query: &Query, out: &mut Vec<u8>) -> Looked {
    let begin = out.len();
    match source.nearby(query, out) {
        Ok(results) => Looked { results, is_failed: false },
        Err(failure) => {
            out.truncate(begin);
            write_failure(&failure, out);
            Looked { results: 0, is_failed: true }
        }
    }
}
