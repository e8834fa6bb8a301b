//! Sources in a chain: the next is asked if those before it have failed, all within one time limit.

use std::time::Duration;

use super::{Failure, Form, Query, Source};
use crate::{core::model::Tick, metrics::UpstreamReport, system::clock};

/// At least one source.
pub struct Chain {
    /// In the order they are asked.
    pub sources: Vec<Box<dyn Source>>,
    /// How long a lookup may take, whichever source is asked.
    pub total_time: Duration,
}

impl Source for Chain {
    /// The first one's: what may be asked does not depend on which source works.
    fn form(&self) -> Form {
        self.sources.first().map_or(Form::PLACES, |first| first.form())
    }

    fn may_wait(&self) -> bool {
        self.sources.iter().any(|source| source.may_wait())
    }

    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        let deadline = if self.may_wait() { clock::tick() + self.total_time } else { Tick::MAX };
        self.nearby_until(query, deadline, out)
    }

    /// If all have failed, the last failure is reported.
    fn nearby_until(&self, query: &Query, deadline: Tick, out: &mut Vec<u8>) -> Result<usize, Failure> {
        let start = out.len();
        let mut failure =
            Failure { status: "UNKNOWN_ERROR", message: "There is no source of places.".to_owned() };
        for source in &self.sources {
            match source.nearby_until(query, deadline, out) {
                Ok(count) => return Ok(count),
                Err(next) => failure = next,
            }
            out.truncate(start);
        }
        Err(failure)
    }

    fn stop(&self) {
        self.sources.iter().for_each(|source| source.stop());
    }

    fn upstreams(&self) -> Vec<UpstreamReport> {
        self.sources.iter().flat_map(|source| source.upstreams()).collect()
    }

    fn sockets_max(&self) -> usize {
        self.sources.iter().map(|source| source.sockets_max()).sum()
    }

    fn take_news(&self) -> Vec<String> {
        self.sources.iter().flat_map(|source| source.take_news()).collect()
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use crate::core::model::Coordinates;

    /// Answers with its name, or fails with it after half an answer; keeps the deadlines it was given.
    struct Named(&'static str, bool, Mutex<Vec<Tick>>);

    impl Source for Named {
        fn may_wait(&self) -> bool {
            true
        }

        fn nearby(&self, _: &Query, _: &mut Vec<u8>) -> Result<usize, Failure> {
            unreachable!("a chain has a deadline")
        }

        fn nearby_until(&self, _: &Query, deadline: Tick, out: &mut Vec<u8>) -> Result<usize, Failure> {
            self.2.lock().push(deadline);
            out.extend_from_slice(self.0.as_bytes());
            let failure = Failure { status: "UNKNOWN_ERROR", message: self.0.to_owned() };
            if self.1 { Ok(1) } else { Err(failure) }
        }
    }

    fn asked(sources: &[(&'static str, bool)]) -> (Result<usize, Failure>, String) {
        let named = |&(name, is_well)| Box::new(Named(name, is_well, Mutex::default())) as Box<dyn Source>;
        let chain =
            Chain { sources: sources.iter().map(named).collect(), total_time: Duration::from_secs(6) };
        let mut out = b"before ".to_vec();
        let query = Query { center: Coordinates { latitude: 0.0, longitude: 0.0 }, radius_m: 1.0, bound: 1 };
        let answer = chain.nearby(&query, &mut out);
        (answer, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_first_that_is_well_answers_and_the_last_failure_is_told() {
        assert_eq!(asked(&[("a", true), ("b", true)]), (Ok(1), "before a".to_owned()));
        assert_eq!(asked(&[("a", false), ("b", false), ("c", true)]), (Ok(1), "before c".to_owned()));
        let (answer, out) = asked(&[("a", false), ("b", false)]);
        assert_eq!((answer.unwrap_err().message.as_str(), out.as_str()), ("b", "before "));
    }
}
