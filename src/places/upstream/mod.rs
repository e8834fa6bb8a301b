//! A source over the network, kept within bounds: the desk decides whether it is asked, a [`Service`] how it is asked
//! and what its answers mean, and `http` carries the bytes. Here a lookup waits.

mod breaker;
mod cache;
mod desk;
mod fault;
mod flight;
mod http;
mod rate;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::Mutex;

pub use self::http::HttpError;
use self::{
    breaker::Change,
    desk::{Desk, Turn},
    flight::{Flight, Landed},
    http::Http,
};
pub(super) use self::{fault::CallFault, http::UpstreamRequest};
use super::{Failure, Query, Source, cut::Document};
use crate::{
    config::UpstreamLimits,
    core::model::Tick,
    metrics::{CallOutcome, LookupOutcome, Lookups, NotAsked, UpstreamReport},
    system::{clock, random},
};

/// What is specific to one upstream. Pure.
pub(super) trait Service: Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;

    /// The request for a question.
    fn request(&self, query: &Query) -> UpstreamRequest;

    /// What a response means: a document in the format of Google's legacy Nearby Search, with all its results.
    fn read(&self, status: u16, body: Vec<u8>) -> Result<Document, CallFault>;

    /// A text without the key, in case it contains it.
    fn scrub(&self, text: &str) -> String;
}

/// Identifies a question: two with the same key have the same answer, whatever their bounds. The bits of latitude,
/// longitude and radius.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct LookupKey([u64; 3]);

impl LookupKey {
    fn of(query: &Query) -> Self {
        Self([query.center.latitude, query.center.longitude, query.radius_m].map(f64::to_bits))
    }
}

/// One upstream.
pub(super) struct Upstream {
    service: Box<dyn Service>,
    http: Http,
    total_time: Duration,
    lookups_max: usize,
    desk: Mutex<Desk>,
    counts: Lookups,
    is_stopping: AtomicBool,
    news: News,
}

/// The wait before a call is retried: this long, plus a random part of the jitter.
const RETRY_WAIT: Duration = Duration::from_millis(50);
const RETRY_JITTER_MS: u64 = 200;

impl Upstream {
    /// Connects to nothing yet.
    pub(super) fn new(
        service: Box<dyn Service>,
        limits: &UpstreamLimits,
        ca_file: Option<&Path>,
    ) -> Result<Self, HttpError> {
        let name = service.name();
        Ok(Self {
            service,
            http: Http::new(name, limits, ca_file)?,
            total_time: limits.total_time,
            lookups_max: limits.lookups,
            desk: Mutex::new(Desk::new(name, limits, clock::tick())),
            counts: Lookups::default(),
            is_stopping: AtomicBool::new(false),
            news: News::default(),
        })
    }

    fn find(&self, query: &Query, deadline: Tick) -> Landed {
        let (key, now) = (LookupKey::of(query), clock::tick());
        if self.is_stopping.load(Ordering::Acquire) {
            return Err(self.failure("This server is stopping.".to_owned()));
        }
        if now >= deadline {
            return Err(self.late());
        }
        let turn = self.desk.lock().ask(key, now);
        match turn {
            Turn::Kept(document) => {
                self.counts.cached();
                Ok(document)
            }
            Turn::Refused(why, failure) => {
                self.counts.refused(why);
                // Other lookups go on; one line for each would fill the log.
                if why == NotAsked::Day && self.desk.lock().take_end_of_day() {
                    self.news.tell(format!("{}: {}", self.service.name(), failure.message));
                }
                Err(failure)
            }
            Turn::Follow(flight) => {
                let _seat = DeskSeat(&self.desk);
                self.counts.shared();
                flight.wait(deadline - now).unwrap_or_else(|| Err(self.late()))
            }
            Turn::Lead(flight) => {
                let _seat = DeskSeat(&self.desk);
                let lead = Lead { upstream: self, key, flight, answer: None };
                lead.land(self.call(query, deadline).map(Arc::new))
            }
        }
    }

    /// Calls, and calls once more after a moment if the failure suggests it.
    fn call(&self, query: &Query, deadline: Tick) -> Result<Document, CallFault> {
        let request = self.service.request(query);
        let first = self.call_once(&request, deadline);
        let Err(fault) = &first else { return first };
        let wait = RETRY_WAIT + Duration::from_millis(random::bits() % RETRY_JITTER_MS);
        let now = clock::tick();
        let is_vain =
            !fault.may_retry() || now + wait >= deadline || self.is_stopping.load(Ordering::Acquire);
        if is_vain || !self.desk.lock().may_retry(now) {
            return first;
        }
        self.counts.retried();
        thread::sleep(wait);
        self.call_once(&request, deadline)
    }

    fn call_once(&self, request: &UpstreamRequest, deadline: Tick) -> Result<Document, CallFault> {
        let patience = deadline.saturating_sub(clock::tick()).max(Duration::from_millis(1));
        let response = self.http.send(request, patience);
        let answer = response.and_then(|(status, body)| self.service.read(status, body));
        self.counts.called(match &answer {
            Ok(_) => CallOutcome::Ok,
            Err(fault) => fault.outcome,
        });
        answer
    }

    fn late(&self) -> Failure {
        self.failure(format!("{} did not answer in time.", self.service.name()))
    }

    fn failure(&self, message: String) -> Failure {
        Failure { status: "UNKNOWN_ERROR", message }
    }
}

impl Source for Upstream {
    fn may_wait(&self) -> bool {
        true
    }

    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        self.nearby_until(query, clock::tick() + self.total_time, out)
    }

    fn nearby_until(&self, query: &Query, deadline: Tick, out: &mut Vec<u8>) -> Result<usize, Failure> {
        let answer = self.find(query, deadline);
        self.counts.ended(match &answer {
            Ok(document) if document.count() == 0 => LookupOutcome::ZeroResults,
            Ok(_) => LookupOutcome::Ok,
            Err(_) => LookupOutcome::Failed,
        });
        Ok(answer?.write(query.bound, out))
    }

    fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.http.stop();
    }

    fn upstreams(&self) -> Vec<UpstreamReport> {
        let desk = self.desk.lock();
        vec![UpstreamReport {
            in_flight: desk.lookups(),
            is_breaker_open: desk.is_breaker_open(),
            cache_bytes: desk.cache_bytes(),
            ..self.counts.report(self.service.name())
        }]
    }

    fn sockets_max(&self) -> usize {
        self.lookups_max
    }

    fn take_news(&self) -> Vec<String> {
        self.news.take()
    }
}

/// A lookup's place among those that wait, given back however it ends.
struct DeskSeat<'a>(&'a Mutex<Desk>);

impl Drop for DeskSeat<'_> {
    fn drop(&mut self) {
        self.0.lock().leave();
    }
}

/// The duty to land a flight, fulfilled however the call ends: otherwise those who follow would wait for nothing.
struct Lead<'a> {
    upstream: &'a Upstream,
    key: LookupKey,
    flight: Arc<Flight>,
    answer: Option<Result<Arc<Document>, CallFault>>,
}

impl Lead<'_> {
    fn land(mut self, answer: Result<Arc<Document>, CallFault>) -> Landed {
        self.answer = Some(answer.clone());
        answer.map_err(|fault| fault.failure)
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let name = self.upstream.service.name();
        let panicked =
            || Err(CallFault::new(CallOutcome::Malformed, format!("The lookup at {name} failed.")));
        let answer = self.answer.take().unwrap_or_else(panicked);
        let change = self.upstream.desk.lock().land(self.key, &answer, clock::tick());
        match (change, &answer) {
            (Some(Change::Opened(wait)), Err(fault)) => {
                let CallFault { failure, cause, .. } = fault;
                let cause = if cause.is_empty() { String::new() } else { format!(" ({cause})") };
                let (status, message) = (failure.status, &failure.message);
                let line = format!(
                    "{name} is left alone for {} s, after {status}: {message}{cause}",
                    wait.as_secs_f64()
                );
                // The cause may quote what the upstream said, which may be long and may hold the key.
                let line = self.upstream.service.scrub(&line);
                self.upstream.news.tell(line.chars().take(NEWS_CHARS_MAX).collect());
            }
            (Some(Change::Closed), _) => self.upstream.news.tell(format!("{name} answers again")),
            (Some(Change::Opened(_)), Ok(_)) | (None, _) => {}
        }
        self.flight.land(answer.map_err(|fault| fault.failure));
    }
}

/// What an operator should hear, kept until a caller with a log collects it. Checking whether there is any costs almost
/// nothing.
#[derive(Default, Debug)]
struct News {
    is_any: AtomicBool,
    lines: Mutex<Vec<String>>,
}

/// More than a breaker can report between two lookups.
const NEWS_MAX: usize = 16;
/// Long enough for what an upstream says about itself.
const NEWS_CHARS_MAX: usize = 1000;

impl News {
    fn tell(&self, line: String) {
        let mut lines = self.lines.lock();
        if lines.len() < NEWS_MAX && lines.last() != Some(&line) {
            lines.push(line);
        }
        self.is_any.store(true, Ordering::Release);
    }

    fn take(&self) -> Vec<String> {
        if !self.is_any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut lines = self.lines.lock();
        self.is_any.store(false, Ordering::Release);
        std::mem::take(&mut lines)
    }
}
