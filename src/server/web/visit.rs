//! One web connection's thread: it does what the [`WebConnection`] says, and nothing else. What a request means, and when one
//! has taken too long, is decided there and by the faces.

use std::time::Duration;

use super::{WebDoor, gate::LetIn};
use crate::{
    core::model::Tick,
    server::{Shared, seats::WebSeat},
    system::{clock, memory},
    transport::Stream,
    web::{
        Router,
        wire::{Refused, WebConnection, WebNext},
    },
};

/// How long a refused client may still send what is not read, so that it reads why.
const LINGER_TIME: Duration = Duration::from_secs(1);

/// How much it may send meanwhile.
const LINGER_BYTES: usize = 1024 * 1024;

pub(super) struct Visit<'a> {
    door: &'a WebDoor<'a>,
    stream: &'a Stream,
    seat: &'a WebSeat<'a>,
    /// The socket's present read timeout.
    timeout: Option<Duration>,
    /// What it counts for among what all connections hold.
    held: usize,
    /// The second of the last reply, since 1970, and its text.
    date: (i128, String),
}

impl<'a> Visit<'a> {
    pub(super) fn new(door: &'a WebDoor<'a>, stream: &'a Stream, seat: &'a WebSeat<'a>) -> Self {
        Self { door, stream, seat, timeout: None, held: 0, date: (0, String::new()) }
    }

    /// Serves the connection until it ends.
    pub(super) fn serve(&mut self, router: &Router<'_>, opened: Tick) {
        if self.stream.prepare().is_err() {
            return;
        }
        let mut connection = WebConnection::new(&self.door.web.site, &self.door.web.rules, opened);
        let mut let_in = None;
        loop {
            self.count_held(&mut connection);
            let now = clock::tick();
            match connection.next(now) {
                WebNext::Wait(until) => {
                    // It may just have given something back.
                    self.note_held(connection.held());
                    if !self.wait(&mut connection, until.saturating_sub(now)) {
                        return;
                    }
                }
                WebNext::Admit => let_in = self.admit(&mut connection, router, now),
                WebNext::Answer => self.answer(&mut connection, let_in.take()),
                WebNext::Refuse(why) => self.refuse(&mut connection, why),
                WebNext::Write => {
                    let deadline = now + self.door.web.config.write_time;
                    if self.stream.write_all(connection.output(), || clock::tick() >= deadline).is_err() {
                        return;
                    }
                    connection.wrote(clock::tick());
                    self.seat.waits();
                }
                WebNext::Close { lingers } => {
                    if lingers {
                        self.linger();
                    }
                    return self.stream.finish();
                }
            }
        }
    }

    /// Waits for bytes; `false` if the connection is broken.
    fn wait(&mut self, connection: &mut WebConnection<'_>, wait: Duration) -> bool {
        // It may run up to 1/8 late, so that a busy connection rarely needs the call.
        let is_good = self.timeout.is_some_and(|timeout| timeout >= wait && timeout - wait <= wait / 8);
        if !is_good {
            if self.stream.set_read_timeout(wait).is_err() {
                return false;
            }
            self.timeout = Some(wait);
        }
        match self.stream.read(connection.space()) {
            Ok(Some(0)) => {
                if self.seat.is_evicted() && !connection.is_idle() {
                    self.refuse(connection, Refused::Full);
                }
                connection.ended();
            }
            Ok(Some(count)) => connection.received(count),
            Ok(None) => {}
            Err(_broken) => return false,
        }
        true
    }

    /// Lets a request go on, or answers it from its head.
    #[inline(never)]
    fn admit<'f>(
        &mut self,
        connection: &mut WebConnection<'_>,
        router: &Router<'f>,
        now: Tick,
    ) -> Option<LetIn<'f>> {
        let let_in = self.door.let_in(self.stream, self.seat, router, connection.request()?);
        match let_in {
            Ok(let_in) => {
                connection.admitted(let_in.body_bytes, now);
                Some(let_in)
            }
            Err(reply) => {
                let is_ending = self.is_ending();
                connection.answered(&reply, self.date(), is_ending);
                None
            }
        }
    }

    #[inline(never)]
    fn answer(&mut self, connection: &mut WebConnection<'_>, let_in: Option<LetIn<'_>>) {
        let (Some(request), Some(LetIn { face, caller, .. })) = (connection.request(), let_in) else {
            return self.refuse(connection, Refused::NotFound);
        };
        self.seat.has_asked();
        let reply = face.answer(request, &caller);
        let is_ending = self.is_ending();
        connection.answered(&reply, self.date(), is_ending);
    }

    #[inline(never)]
    fn refuse(&mut self, connection: &mut WebConnection<'_>, why: Refused) {
        // What came to a reserved seat and did not ask for the node's health has come in vain.
        let why = if self.seat.is_reserved() { Refused::Full } else { why };
        connection.refuse(why, self.date());
    }

    /// Whether the connection is to end after this reply.
    fn is_ending(&self) -> bool {
        self.door.shared.is_stopping() || self.seat.is_reserved() || self.seat.is_evicted()
    }

    /// The present time in HTTP's format, made once a second.
    fn date(&mut self) -> &str {
        let now = clock::wall();
        let second = now.as_nanoseconds() / 1_000_000_000;
        if self.date.0 != second {
            self.date = (second, clock::http_date(now));
        }
        &self.date.1
    }

    /// Reads over what a refused client still sends: closing on unread bytes would be a reset, which can overtake the reply.
    #[inline(never)]
    fn linger(&self) {
        self.seat.waits();
        self.stream.end_output();
        let (deadline, mut left, mut bytes) = (clock::tick() + LINGER_TIME, LINGER_BYTES, vec![0; 4096]);
        loop {
            let wait = deadline.saturating_sub(clock::tick());
            if wait.is_zero() || left == 0 || self.stream.set_read_timeout(wait).is_err() {
                return;
            }
            match self.stream.read(&mut bytes) {
                Ok(Some(1..)) => left = left.saturating_sub(bytes.len()),
                Ok(None) => {}
                _ => return,
            }
        }
    }

    /// Counts what it holds among what all connections hold, and has it give way where that is too much.
    fn count_held(&mut self, connection: &mut WebConnection<'_>) {
        self.note_held(connection.held());
        if self.held > 0 && self.door.shared.buffers.is_exceeded() {
            connection.crowd();
            self.note_held(connection.held());
        }
    }

    fn note_held(&mut self, held: usize) {
        if held != self.held {
            let Shared { buffers, .. } = self.door.shared;
            if buffers.replace(self.held, held) {
                memory::trim();
            }
            self.held = held;
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.note_held(0);
    }
}
