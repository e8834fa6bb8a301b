//! One connection's task: it does what the connection's [`Dialogue`] says, and nothing else.

use std::io;

use proxyherd::{
    core::{
        dialogue::{Dialogue, Looked, Next, Opening, Times},
        model::{Query, Tick},
        node::Node,
    },
    places::{Failure, write_failure},
    system::clock,
};

use crate::{Herd, Stream, notes::Notes, ring, stream::Alarm, upstream};

/// Serves one connection until it ends, or this node stops and what was read is answered.
pub async fn run<S: Stream>(herd: &'static Herd, mut stream: S) -> io::Result<()> {
    let (limits, number) = (&herd.limits, herd.next_connection());
    let Some(open) = herd.sessions.begin(number) else { return Ok(()) };
    let times = Times {
        idle: limits.idle_time,
        line: limits.line_time,
        handshake: limits.handshake_time,
        liveness: limits.liveness_time,
    };
    let opening = Opening::Common { is_kept: false };
    let mut notes = Notes::new(herd.log.as_ref(), number);
    let mut dialogue = Dialogue::new(&herd.node, opening, (times, limits.line_bytes), number, clock::tick());
    let mut alarm = Alarm::new(S::sleep);
    // Approximate: the time since the last byte went into its lines. The clock is read again when a wait ends.
    let mut now = dialogue.heard();
    let mut joined = None;
    loop {
        match dialogue.next(now, &mut notes) {
            Next::Wait(until) => {
                now = match alarm.until(until, open.unless_stopped(stream.read(dialogue.space()))).await {
                    Some(Some(read)) => received(read?, &mut dialogue, &mut notes),
                    Some(None) => return Ok(()),
                    None => clock::tick(),
                };
            }
            // An earlier connection of the peer's ends by itself: at its end, or once it has been silent for too long.
            Next::Joined(peer) => joined = Some(peer.link),
            Next::Rest(until, _) => {
                alarm.until(until, std::future::pending::<()>()).await;
                now = clock::tick();
            }
            Next::Offer => {
                notes.log();
                // A link whose outbox is full makes good for it by a round.
                dialogue.offer(|_| {});
                herd.wake_for_news();
            }
            // It has no journal.
            Next::Commit => dialogue.committed(),
            Next::Write => {
                let deadline = now + limits.write_time;
                let mut replies = dialogue.replies();
                while !replies.is_empty() {
                    let wrote = alarm.until(deadline, stream.write(replies)).await;
                    replies = &replies[wrote.ok_or(io::ErrorKind::TimedOut)??..];
                }
                dialogue.wrote();
                // The answer to the peer's handshake is written, so a wait for dialling it is over.
                if let Some(link) = joined.take() {
                    ring(&herd.wakes[link]);
                }
            }
            Next::Look(query) => {
                let looked = look_up::<S>(herd, &query, dialogue.document()).await;
                dialogue.looked(looked, &mut notes);
            }
            // Its nodes speak no TLS.
            Next::Secure(_) | Next::Close(_) => return Ok(()),
        }
    }
}

/// Hands over what was read. Gives the time to go on with.
fn received(count: usize, dialogue: &mut Dialogue<&'static Node>, notes: &mut Notes) -> Tick {
    let now = clock::now();
    notes.begin(now);
    if count == 0 {
        dialogue.ended(now);
    } else {
        dialogue.received(count, now);
    }
    dialogue.heard()
}

async fn look_up<S: Stream>(herd: &Herd, query: &Query, out: &mut Vec<u8>) -> Looked {
    let Some(upstream) = &herd.upstream else { return Looked { results: 0, is_failed: true } };
    match upstream::nearby::<S>(upstream, query).await {
        Ok(document) => Looked { results: document.write(query.bound, out), is_failed: false },
        Err(error) => {
            write_failure(&Failure { status: "UNKNOWN_ERROR", message: error.to_string() }, out);
            Looked { results: 0, is_failed: true }
        }
    }
}
