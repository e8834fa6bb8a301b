//! Sources of places whose answers are known beforehand.

use crossbeam_channel::{Receiver, Sender, bounded};
use proxyherd::{
    metrics::UpstreamReport,
    places::{Failure, Query, Source},
};

/// Answers with the question: a document of several lines that holds the circle's middle, radius and bound.
pub(crate) struct KnownPlaces;

impl KnownPlaces {
    /// Its answer to a WHATSAT near that place.
    pub(crate) fn document(near: &str, radius_m: f64, bound: usize) -> String {
        format!("{{\n   \"near\" : \"{near}\",\n   \"radius\" : {radius_m},\n   \"bound\" : {bound}\n}}")
    }
}

impl Source for KnownPlaces {
    fn may_wait(&self) -> bool {
        false
    }

    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        let near = format!("{},{}", query.center.latitude, query.center.longitude);
        out.extend_from_slice(Self::document(&near, query.radius_m, query.bound).as_bytes());
        Ok(0)
    }
}

/// An answer that takes until the test gives it.
pub(crate) struct BlockedPlaces {
    asked: Sender<()>,
    answer: Receiver<Vec<u8>>,
}

impl BlockedPlaces {
    /// The source; what tells the test that it was asked; and what gives its answers.
    pub(crate) fn new() -> (Self, Receiver<()>, Sender<Vec<u8>>) {
        let ((asked, was_asked), (give, answer)) = (bounded(100), bounded(100));
        (Self { asked, answer }, was_asked, give)
    }
}

impl Source for BlockedPlaces {
    fn may_wait(&self) -> bool {
        true
    }

    fn nearby(&self, _: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        // Where the test has ended, there is nobody to ask.
        let _ = self.asked.send(());
        out.extend_from_slice(&self.answer.recv().unwrap_or_default());
        Ok(0)
    }
}

/// A source that keeps whoever wants a report of the node waiting, until the test has dropped what it holds.
pub(crate) struct BlockedReports {
    asked: Sender<()>,
    held: Receiver<()>,
}

impl BlockedReports {
    /// The source; what tells the test that a report is wanted; and what is to be dropped.
    pub(crate) fn new() -> (Self, Receiver<()>, Sender<()>) {
        let ((asked, was_asked), (hold, held)) = (bounded(100), bounded(0));
        (Self { asked, held }, was_asked, hold)
    }
}

impl Source for BlockedReports {
    fn may_wait(&self) -> bool {
        false
    }

    fn nearby(&self, _: &Query, _: &mut Vec<u8>) -> Result<usize, Failure> {
        Ok(0)
    }

    fn upstreams(&self) -> Vec<UpstreamReport> {
        // Where the test has ended, there is nobody to tell.
        let _ = self.asked.send(());
        let _ = self.held.recv();
        Vec::new()
    }
}

/// Fails each time, after the beginning of an answer.
pub(crate) struct FailingPlaces(pub(crate) Failure);

impl Source for FailingPlaces {
    fn may_wait(&self) -> bool {
        true
    }

    fn nearby(&self, _: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        out.extend_from_slice(b"half of an answer");
        Err(self.0.clone())
    }
}

/// Panics each time.
pub(crate) struct FaultyPlaces;

impl Source for FaultyPlaces {
    fn may_wait(&self) -> bool {
        false
    }

    fn nearby(&self, _: &Query, _: &mut Vec<u8>) -> Result<usize, Failure> {
        panic!("a fault of the program")
    }

    fn upstreams(&self) -> Vec<UpstreamReport> {
        panic!("a fault of the program")
    }
}

/// Answers with a large document, another one for each radius.
pub(crate) struct LargePlaces;

impl LargePlaces {
    /// How long each answer is at least.
    pub(crate) const BYTES: usize = 256 * 1024;

    /// Its answer for that radius.
    pub(crate) fn document(radius_m: f64) -> String {
        let line = format!("{radius_m}\n");
        line.repeat(1 + Self::BYTES / line.len()).trim_end().to_owned()
    }
}

impl Source for LargePlaces {
    fn may_wait(&self) -> bool {
        false
    }

    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        out.extend_from_slice(Self::document(query.radius_m).as_bytes());
        Ok(0)
    }
}
