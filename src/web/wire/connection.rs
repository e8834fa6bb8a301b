//! A connection to the web face as a machine: bytes and the time go in, the next thing to do comes out. Requests that arrive
//! together are answered in their order and written together.

use std::{mem, time::Duration};

use super::{
    HttpReply, HttpRequest, Method, PageOrigin, Refused, Site,
    chunks::Chunks,
    framing::Framing,
    head::{self, Head},
    input::WebInput,
    scan::{HeadScan, Scanned},
};
use crate::core::model::Tick;

/// Replies that wait to be written together. One more may come on top.
const OUTPUT_BYTES: usize = 64 * 1024;

/// What of a body may wait undecoded.
const BODY_INPUT_BYTES: usize = 16 * 1024;

/// A buffer for replies that a connection may keep while it says nothing.
const QUIET_OUTPUT_BYTES: usize = 512;

/// How long a connection keeps large buffers after it needed them.
const LINGER_TIME: Duration = Duration::from_secs(1);

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What one connection may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WireRules {
    /// The longest head, and the longest trailer.
    pub head_bytes: usize,
    /// The longest body of any request.
    pub body_bytes: usize,
    /// From the connection's start, or a later request's first byte, to the end of the head.
    pub request_time: Duration,
    /// From there to the end of the body.
    pub body_time: Duration,
    /// From one request's answer to the first byte of the next.
    pub idle_time: Duration,
}

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WebNext {
    /// Read into [`WebConnection::space`], at most until then; then [`WebConnection::received`] or
    /// [`WebConnection::ended`].
    Wait(Tick),
    /// Decide from the head of [`WebConnection::request`] whether it may go on; then [`WebConnection::admitted`] or
    /// [`WebConnection::answered`].
    Admit,
    /// Answer [`WebConnection::request`]; then [`WebConnection::answered`].
    Answer,
    /// What has arrived is refused; then [`WebConnection::refuse`].
    Refuse(Refused),
    /// Write [`WebConnection::output`]; then [`WebConnection::wrote`].
    Write,
    /// It is over. If it is to linger, the other end may still be sending what will not be read: a close now would take the
    /// reply from it.
    Close {
        /// Whether it is to linger.
        lingers: bool,
    },
}

/// How much of a body is still to come.
enum PendingBody {
    Bytes(usize),
    Chunks(Chunks),
}

enum State {
    /// Between requests, or in the head of one.
    Head,
    /// A head has come.
    Admit(Box<Head>),
    /// Its body comes; it may have so many bytes.
    Body {
        head: Box<Head>,
        pending: PendingBody,
        most: usize,
        until: Tick,
    },
    Answer(Box<Head>),
    /// What has come is refused.
    Refuse(Refused),
    /// Once all is written, it is over.
    Closing {
        lingers: bool,
    },
}

/// One connection.
pub struct WebConnection<'s> {
    site: &'s Site,
    rules: &'s WireRules,
    state: State,
    input: WebInput,
    scan: HeadScan,
    output: Vec<u8>,
    /// Whether nothing more will come.
    has_ended: bool,
    /// Whether no request was answered yet.
    is_first: bool,
    /// When the present head began to arrive.
    begun: Option<Tick>,
    /// When it was opened, or the last reply was written.
    since: Tick,
}

impl<'s> WebConnection<'s> {
    /// One that was opened at `now`.
    pub fn new(site: &'s Site, rules: &'s WireRules, now: Tick) -> Self {
        Self {
            site,
            rules,
            state: State::Head,
            input: WebInput::new(),
            scan: HeadScan::default(),
            output: Vec::new(),
            has_ended: false,
            is_first: true,
            begun: None,
            since: now,
        }
    }

    /// What is to be done at `now`.
    pub fn next(&mut self, now: Tick) -> WebNext {
        loop {
            let next = match &mut self.state {
                State::Head => self.next_of_head(now),
                State::Admit(_) => Some(WebNext::Admit),
                State::Body { .. } => self.next_of_body(now),
                State::Answer(_) => Some(WebNext::Answer),
                State::Refuse(why) => Some(WebNext::Refuse(*why)),
                State::Closing { .. } if !self.output.is_empty() => Some(WebNext::Write),
                State::Closing { lingers } => Some(WebNext::Close { lingers: *lingers && !self.has_ended }),
            };
            if let Some(next) = next {
                return next;
            }
        }
    }

    fn next_of_head(&mut self, now: Tick) -> Option<WebNext> {
        if self.output.len() >= OUTPUT_BYTES {
            return Some(WebNext::Write);
        }
        let head_bytes = self.rules.head_bytes;
        let unused = self.input.unused();
        if !unused.is_empty() && self.begun.is_none() {
            self.begun = Some(now);
        }
        let had_first_line = self.scan.has_first_line();
        let seen = &unused[..unused.len().min(head_bytes)];
        match self.scan.go_on(seen) {
            Scanned::Head { from, to } => {
                self.state = match head::parse(&seen[from..to], self.site, self.rules.body_bytes) {
                    Ok(head) => State::Admit(Box::new(head)),
                    Err(why) => State::Refuse(why),
                };
                self.input.consume(to);
                (self.scan, self.begun) = (HeadScan::default(), None);
            }
            Scanned::Bad => self.state = State::Refuse(Refused::Garbage),
            Scanned::Part if seen.len() == head_bytes => {
                let why =
                    if self.scan.has_first_line() { Refused::HeadTooLarge } else { Refused::TargetTooLong };
                self.state = State::Refuse(why);
            }
            Scanned::Part => {
                // What begins as something else is not waited for to its end. It is looked at while the first line comes, and once
                // when that is there.
                let why = if had_first_line { None } else { head::refuse_early(seen) };
                match why {
                    Some(why) => self.state = State::Refuse(why),
                    None => return self.wait_for_head(now),
                }
            }
        }
        None
    }

    fn wait_for_head(&mut self, now: Tick) -> Option<WebNext> {
        if !self.output.is_empty() {
            return Some(WebNext::Write);
        }
        if self.has_ended {
            self.state = State::Closing { lingers: false };
            return None;
        }
        let WireRules { request_time, idle_time, .. } = *self.rules;
        let (until, is_told) = match self.begun {
            _ if self.is_first => (self.since + request_time, true),
            Some(begun) => (begun + request_time, true),
            None => (self.since + idle_time, false),
        };
        if now >= until {
            self.state = match is_told {
                true => State::Refuse(Refused::TooSlow),
                // One that says nothing between requests might take a reply for that to its next one.
                false => State::Closing { lingers: false },
            };
            return None;
        }
        let is_grown =
            self.input.capacity() > super::input::QUIET_BYTES || self.output.capacity() > QUIET_OUTPUT_BYTES;
        let lingers_until = self.since + LINGER_TIME;
        if !is_grown || self.begun.is_some() {
            return Some(WebNext::Wait(until));
        }
        if now < lingers_until {
            return Some(WebNext::Wait(until.min(lingers_until)));
        }
        self.shrink();
        Some(WebNext::Wait(until))
    }

    fn next_of_body(&mut self, now: Tick) -> Option<WebNext> {
        let State::Body { head, pending, most, until } = &mut self.state else { return None };
        let (unused, body) = (self.input.unused(), &mut head.request.body);
        let taken = match pending {
            PendingBody::Bytes(left) => {
                let count = (*left).min(unused.len());
                body.extend_from_slice(&unused[..count]);
                *left -= count;
                Ok((count, *left == 0))
            }
            PendingBody::Chunks(chunks) => {
                chunks.take(unused, body, *most).map(|count| (count, chunks.is_done()))
            }
        };
        let (count, is_done) = match taken {
            Ok(taken) => taken,
            Err(why) => {
                self.state = State::Refuse(why);
                return None;
            }
        };
        self.input.consume(count);
        if is_done {
            if let State::Body { head, .. } = mem::replace(&mut self.state, State::Head) {
                self.state = State::Answer(head);
            }
            return None;
        }
        if mem::take(&mut head.expects_continue) && count == 0 {
            self.output.extend_from_slice(CONTINUE);
        }
        if !self.output.is_empty() {
            return Some(WebNext::Write);
        }
        if self.has_ended {
            self.state = State::Closing { lingers: false };
            return None;
        }
        if now >= *until {
            self.state = State::Refuse(Refused::TooSlow);
            return None;
        }
        Some(WebNext::Wait(*until))
    }

    /// Where to read into.
    pub fn space(&mut self) -> &mut [u8] {
        let most = match self.state {
            State::Body { .. } => BODY_INPUT_BYTES,
            _ => self.rules.head_bytes,
        };
        self.input.space(most)
    }

    /// So many bytes were read.
    pub fn received(&mut self, count: usize) {
        self.input.fill(count);
    }

    /// Nothing more will come. What has come is answered all the same.
    pub fn ended(&mut self) {
        self.has_ended = true;
    }

    /// The request that is to be admitted or answered.
    pub fn request(&self) -> Option<&HttpRequest> {
        match &self.state {
            State::Admit(head) | State::Answer(head) => Some(&head.request),
            _ => None,
        }
    }

    /// The request may go on, with a body of so many bytes at most.
    pub fn admitted(&mut self, body_most: usize, now: Tick) {
        let State::Admit(head) = mem::replace(&mut self.state, State::Head) else { return };
        let most = body_most.min(self.rules.body_bytes);
        let pending = match head.framing {
            Framing::None => {
                self.state = State::Answer(head);
                return;
            }
            Framing::Length(length) if length > most => {
                self.state = State::Refuse(Refused::BodyTooLarge);
                return;
            }
            Framing::Length(length) => PendingBody::Bytes(length),
            Framing::Chunked => PendingBody::Chunks(Chunks::new(self.rules.head_bytes)),
        };
        self.state = State::Body { head, pending, most, until: now + self.rules.body_time };
    }

    /// The reply to the request. `date` is in HTTP's format. If the connection is to end, it does so when the reply is
    /// written.
    pub fn answered(&mut self, reply: &HttpReply, date: &str, is_ending: bool) {
        let (head, has_unread) = match mem::replace(&mut self.state, State::Head) {
            State::Answer(head) => (head, false),
            State::Admit(head) => {
                let has_unread = head.framing != Framing::None;
                (head, has_unread)
            }
            other => {
                self.state = other;
                return;
            }
        };
        let goes_on = head.is_persistent && !is_ending && !has_unread;
        let connection = match goes_on {
            true if head.is_1_1 => "",
            true => "Connection: keep-alive\r\n",
            false => "Connection: close\r\n",
        };
        let is_head = head.request.method == Method::Head;
        match &head.request.page_origin {
            PageOrigin::Allowed(origin) => {
                let lines = format!(
                    "Access-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n\
                     Access-Control-Expose-Headers: ETag, Retry-After\r\n{connection}"
                );
                reply.write(&mut self.output, date, (is_head, &lines));
            }
            PageOrigin::Own | PageOrigin::Foreign => {
                reply.write(&mut self.output, date, (is_head, connection));
            }
        }
        self.is_first = false;
        if !goes_on {
            self.state = State::Closing { lingers: has_unread };
        }
    }

    /// Refuses whatever has come, and what may still come.
    pub fn refuse(&mut self, why: Refused, date: &str) {
        why.reply().write(&mut self.output, date, (false, "Connection: close\r\n"));
        self.state = State::Closing { lingers: true };
    }

    /// What is to be written.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// All of it was written.
    pub fn wrote(&mut self, now: Tick) {
        self.output.clear();
        self.since = if self.is_first { self.since } else { now };
    }

    /// Whether it waits for a request of which nothing has come, after it has answered another.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Head) && !self.is_first && self.input.unused().is_empty()
    }

    /// Bytes of memory that it holds for what comes and goes; nothing if that is little.
    pub fn held(&self) -> usize {
        let body = match &self.state {
            State::Body { head, .. } | State::Answer(head) => head.request.body.capacity(),
            _ => 0,
        };
        let held = self.input.capacity() + self.output.capacity() + body;
        if held > super::input::QUIET_BYTES + QUIET_OUTPUT_BYTES { held } else { 0 }
    }

    /// All connections together hold too much: gives back what it can, and refuses what takes more.
    pub fn crowd(&mut self) {
        self.shrink();
        if self.held() > 0 && matches!(self.state, State::Head | State::Body { .. }) {
            self.state = State::Refuse(Refused::Crowded);
        }
    }

    fn shrink(&mut self) {
        self.input.shrink();
        if self.output.is_empty() {
            self.output = Vec::new();
        }
    }
}
