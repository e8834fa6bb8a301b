//! Sources one after the other: the next is asked where those before have failed.

use super::{Failure, Form, Query, Source};

/// At least one source, in the order they are asked.
pub struct Chain(pub Vec<Box<dyn Source>>);

impl Source for Chain {
    /// The first one's: what may be asked does not depend on who is well.
    fn form(&self) -> Form {
        self.0.first().map_or(Form::PLACES, |first| first.form())
    }

    fn may_wait(&self) -> bool {
        self.0.iter().any(|source| source.may_wait())
    }

    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        let start = out.len();
        let mut failure =
            Failure { status: "UNKNOWN_ERROR", message: "There is no source of places.".to_owned() };
        for source in &self.0 {
            match source.nearby(query, out) {
                Ok(count) => return Ok(count),
                Err(next) => failure = next,
            }
            out.truncate(start);
        }
        Err(failure)
    }

    fn stop(&self) {
        self.0.iter().for_each(|source| source.stop());
    }
}
