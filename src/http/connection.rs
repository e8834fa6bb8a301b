//! One connection to the web face: reads a request's head within bounds, answers it, closes. The report is gathered only
//! for those who have asked for something.

use std::{
    io::{ErrorKind, Read},
    net::TcpStream,
};

use super::{
    report::Report,
    request::{self, Asked, Refused},
    response::Response,
};
use crate::{clock, config::HttpConfig, socket};

/// What one read takes at most.
const READ_BYTES: usize = 2048;

/// Serves one connection: one request, and no more. `hosts` are the names the node answers to, beside addresses. `false`
/// where there was nothing to answer: the input ended before the request did.
pub fn serve(
    stream: &TcpStream,
    config: &HttpConfig,
    hosts: &[String],
    report: impl FnOnce() -> Report,
) -> bool {
    let answer = match ask(stream, config, hosts) {
        Some(Ok(asked)) => Response::to(asked, &report()),
        Some(Err(why)) => Response::refusing(why),
        None => return false,
    };
    send(stream, config, &answer);
    true
}

/// Answers a connection for which there is no place, or none any longer. The socket's buffer takes it, so that nothing is
/// waited for.
pub fn refuse(stream: &TcpStream, config: &HttpConfig) {
    if stream.set_nonblocking(true).is_ok() {
        send(stream, config, &Response::full());
    }
}

/// Reads until the head is whole, too large or too late; `None` where the client has gone.
fn ask(mut stream: &TcpStream, config: &HttpConfig, hosts: &[String]) -> Option<Result<Asked, Refused>> {
    let deadline = clock::tick() + config.request_time;
    let mut head = Vec::new();
    let mut bytes = [0; READ_BYTES];
    loop {
        let wait = deadline.saturating_sub(clock::tick());
        if wait.is_zero() {
            return Some(Err(Refused::TooSlow));
        }
        stream.set_read_timeout(Some(wait)).ok()?;
        let room = (config.head_bytes - head.len()).min(READ_BYTES);
        match stream.read(&mut bytes[..room]) {
            Ok(0) => return None,
            Ok(count) => head.extend_from_slice(&bytes[..count]),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                continue;
            }
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

fn send(stream: &TcpStream, config: &HttpConfig, response: &Response) {
    let date = clock::http_date(clock::wall());
    let deadline = clock::tick() + config.write_time;
    let written = socket::prepare(stream)
        .and_then(|()| socket::write_all(stream, &response.to_bytes(&date), || clock::tick() >= deadline));
    if written.is_ok() {
        socket::finish(stream);
    }
}
