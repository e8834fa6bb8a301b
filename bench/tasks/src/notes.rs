//! What the log is told of a connection's lines, where there is a log.

use proxyherd::{
    core::{
        dialogue::{Host, Looked, Party, Reply},
        model::Now,
        wire::{Line, Nonce},
    },
    log::{Log, Traffic},
    system::random,
};

/// What is still to be noted of one connection.
pub(crate) struct Notes {
    log: Option<&'static Log>,
    number: u64,
    traffic: Traffic,
}

impl Notes {
    pub(crate) fn new(log: Option<&'static Log>, number: u64) -> Self {
        Self { log, number, traffic: Traffic::default() }
    }

    /// The lines that follow came at `now`.
    pub(crate) fn begin(&mut self, now: Now) {
        if self.log.is_some() {
            self.traffic.begin(now.wall, self.number);
        }
    }

    /// Hands the lines so far to the log.
    pub(crate) fn log(&mut self) {
        if let Some(log) = self.log {
            self.traffic.finish(log);
        }
    }
}

impl Host for Notes {
    fn nonce(&mut self) -> Result<Nonce, String> {
        random::bytes().map(Nonce::of_bytes).map_err(|error| error.to_string())
    }

    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        if self.log.is_some() {
            self.traffic.said(line, party, reply);
        }
    }

    fn looked(&mut self, looked: &Looked, document: &[u8]) {
        if self.log.is_some() {
            self.traffic.looked(looked, document, false);
        }
    }

    fn is_grown(&self) -> bool {
        self.traffic.is_grown()
    }

    fn give_back(&mut self) {
        self.traffic = Traffic::default();
    }
}
