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

    fn said(&mut self, line: Line<'_>, party: Party, reply: &Reply<'_>) {
        let (Line::Whole(text, _) | Line::TooLong(text, _)) = line;
        if self.log.is_none() {
            return;
        }
        if party.is_client() || text.trim_ascii_start().starts_with(b"AT") {
            self.traffic.line_in(text);
        }
        match reply {
            Reply::At { location, .. } | Reply::Near { location } => {
                self.traffic.words_out(&location.at_words());
            }
            Reply::Invalid(_) if party.is_client() => self.traffic.words_out(&[b"?", text]),
            Reply::Invalid(_) | Reply::None => {}
        }
    }

    fn looked(&mut self, looked: &Looked, document: &[u8]) {
        if self.log.is_some() {
            let (results, length) = (looked.results, document.trim_ascii_end().len());
            self.traffic.line_out(format!("[{results} results, {length} bytes]").as_bytes());
        }
    }

    fn is_grown(&self) -> bool {
        self.traffic.is_grown()
    }

    fn give_back(&mut self) {
        self.traffic = Traffic::default();
    }
}
