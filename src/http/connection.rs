//! One connection to the web face: reads a request's head within bounds, answers it, closes. The report is gathered
//! only once a request has arrived.

use zeroize::Zeroizing;

use super::{
    report::NodeReport,
    request::{self, Asked, Refused},
    response::Response,
};
use crate::{
    config::HttpConfig,
    core::{access::TokenHash, model::Tick},
    system::clock,
    transport::Stream,
};

/// The most bytes that one read takes.
const READ_BYTES: usize = 2048;

/// Serves one connection: a single request, whose head must be complete by the deadline. `hosts` are the names that the
/// node answers to, besides addresses; `may` says whether the holder of a token may read a page that shows more than
/// health, now. `false` if there was nothing to answer: the input ended before the request did.
pub(crate) fn serve(
    stream: &Stream,
    (config, deadline): (&HttpConfig, Tick),
    hosts: &[String],
    may: impl FnOnce(Option<&TokenHash>) -> Result<(), Refused>,
    report: impl FnOnce() -> NodeReport,
) -> bool {
    let answer = match ask(stream, (config, deadline), hosts).map(|asked| permitted(asked?, may)) {
        Some(Ok(asked)) => Response::to(asked, &report()),
        Some(Err(why)) => Response::refusing(why),
        None => return false,
    };
    send(stream, config, &answer);
    true
}

fn permitted(
    asked: Asked,
    may: impl FnOnce(Option<&TokenHash>) -> Result<(), Refused>,
) -> Result<Asked, Refused> {
    if asked.page.shows_more_than_health() {
        may(asked.token.as_ref())?;
    }
    Ok(asked)
}

/// Answers a connection for which there is no seat, or no longer one. The answer fits the socket's buffer, so nothing
/// waits.
pub(crate) fn refuse(stream: &Stream, config: &HttpConfig) {
    if stream.set_hasty().is_ok() {
        send(stream, config, &Response::full());
    }
}

/// Reads until the head is complete, too large or too late; `None` if the client has gone.
fn ask(
    stream: &Stream,
    (config, deadline): (&HttpConfig, Tick),
    hosts: &[String],
) -> Option<Result<Asked, Refused>> {
    // They may hold a token. The head never moves, which would leave a copy.
    let mut head = Zeroizing::new(Vec::with_capacity(config.head_bytes));
    let mut bytes = Zeroizing::new([0; READ_BYTES]);
    loop {
        let wait = deadline.saturating_sub(clock::tick());
        if wait.is_zero() {
            return Some(Err(Refused::TooSlow));
        }
        stream.set_read_timeout(wait).ok()?;
        let room = (config.head_bytes - head.len()).min(READ_BYTES);
        match stream.read(&mut bytes[..room]) {
            Ok(Some(0)) => return None,
            Ok(Some(count)) => head.extend_from_slice(&bytes[..count]),
            Ok(None) => continue,
            Err(_gone) => return None,
        }
        if let Some(asked) = request::parse(&head, hosts) {
            return Some(asked);
        }
        if head.len() == config.head_bytes {
            return Some(Err(Refused::TooLarge));
        }
    }
}

fn send(stream: &Stream, config: &HttpConfig, response: &Response) {
    let date = clock::http_date(clock::wall());
    let deadline = clock::tick() + config.write_time;
    let written = stream
        .prepare()
        .and_then(|()| stream.write_all(&response.to_bytes(&date), || clock::tick() >= deadline));
    if written.is_ok() {
        stream.finish();
    }
}
