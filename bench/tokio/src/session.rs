//! One connection's task: it does what the connection's [`Dialogue`] says, and nothing else.

use std::{io, pin::Pin};

use proxyherd::{
    core::{
        dialogue::{Dialogue, Looked, Next, Opening, Times},
        model::{Query, Tick},
        node::Node,
    },
    places::{Failure, write_failure},
    system::clock,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, Sleep, sleep, timeout},
};

use crate::{Herd, notes::Notes};

/// Serves one connection until it ends.
pub(crate) async fn run(herd: &'static Herd, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (limits, number) = (&herd.limits, herd.next_connection());
    let times = Times {
        idle: limits.idle_time,
        line: limits.line_time,
        handshake: limits.handshake_time,
        liveness: limits.liveness_time,
    };
    let opening = Opening::Common { is_kept: false };
    let mut notes = Notes::new(herd.log.as_ref(), number);
    let mut dialogue = Dialogue::new(&herd.node, opening, (times, limits.line_bytes), number, clock::tick());
    let mut alarm = Alarm::new();
    // Approximate: the time since the last byte went into its lines. The clock is read again when a wait ends.
    let mut now = dialogue.heard();
    let mut joined = None;
    loop {
        match dialogue.next(now, &mut notes) {
            Next::Wait(until) => {
                now = wait(&mut stream, &mut dialogue, &mut notes, (&mut alarm, until)).await?;
            }
            // An earlier connection of the peer's ends by itself: at its end, or once it has been silent for too long.
            Next::Joined(peer) => joined = Some(peer.link),
            Next::Offer => {
                notes.log();
                // A link whose outbox is full makes good for it by a round.
                dialogue.offer(|_| {});
                herd.wake_for_news();
            }
            // It has no journal.
            Next::Commit => dialogue.committed(),
            Next::Write => {
                timeout(limits.write_time, stream.write_all(dialogue.replies())).await??;
                dialogue.wrote();
                // The answer to the peer's handshake is written, so a wait for dialling it is over.
                if let Some(link) = joined.take() {
                    herd.wakes[link].notify_one();
                }
            }
            Next::Look(query) => {
                let looked = look_up(herd, &query, dialogue.document()).await;
                dialogue.looked(looked, &mut notes);
            }
            Next::Close(_) => return Ok(()),
        }
    }
}

/// Waits for bytes, and hands them over. Gives the time to go on with.
async fn wait(
    stream: &mut TcpStream,
    dialogue: &mut Dialogue<&'static Node>,
    notes: &mut Notes,
    (alarm, until): (&mut Alarm, Tick),
) -> io::Result<Tick> {
    alarm.set(until);
    let count = tokio::select! {
        biased;
        read = stream.read(dialogue.space()) => read?,
        () = &mut alarm.sleep => return Ok(clock::tick()),
    };
    let now = clock::now();
    notes.begin(now);
    if count == 0 {
        dialogue.ended(now);
    } else {
        dialogue.received(count, now);
    }
    Ok(dialogue.heard())
}

async fn look_up(herd: &Herd, query: &Query, out: &mut Vec<u8>) -> Looked {
    let Some(upstream) = &herd.upstream else { return Looked { results: 0, is_failed: true } };
    match upstream.nearby(query).await {
        Ok(document) => Looked { results: document.write(query.bound, out), is_failed: false },
        Err(error) => {
            write_failure(&Failure { status: "UNKNOWN_ERROR", message: error.to_string() }, out);
            Looked { results: 0, is_failed: true }
        }
    }
}

/// Ends a wait. Where it rings too early, the dialogue says how long to wait on; so it is left as it is where it would only
/// be put off, and a busy connection seldom touches the loop's timers.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    at: Tick,
}

impl Alarm {
    fn new() -> Self {
        Self { sleep: Box::pin(sleep(Tick::ZERO)), at: Tick::MAX }
    }

    fn set(&mut self, until: Tick) {
        if until < self.at || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(Instant::now() + until.saturating_sub(clock::tick()));
            self.at = until;
        }
    }
}
