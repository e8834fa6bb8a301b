//! Shows a node the token before anything else is sent. Its answer is not for whoever reads the replies.

use std::io;

use zeroize::Zeroizing;

use super::{
    SendError, TIMEOUT_MIN,
    dial::{CONNECT_TIME, CallLimit},
};
use crate::{core::access::Token, system::clock, transport::ClientStream};

/// No answer to AUTH is longer.
const ANSWER_BYTES_MAX: usize = 128;

/// Shows it, and waits for the answer until the deadline; where there is none, as long as for a connection.
pub(super) fn show(stream: &ClientStream, token: &Token, deadline: CallLimit) -> Result<(), SendError> {
    let line = Zeroizing::new(format!("AUTH {}\n", token.text()));
    stream.write_all(line.as_bytes()).map_err(SendError::Cut)?;
    let until = clock::tick() + deadline.left().unwrap_or(CONNECT_TIME);
    // Nothing else was sent, so nothing else comes.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") && answer.len() < ANSWER_BYTES_MAX {
        let left = until.saturating_sub(clock::tick());
        let mut byte = [0];
        match stream.read(&mut byte, Some(left.max(TIMEOUT_MIN))) {
            Ok(0) => return Err(SendError::NoReply),
            Ok(_) => answer.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !left.is_zero() => {}
            Err(error) => return Err(SendError::Cut(error)),
        }
    }
    if answer.starts_with(b"WELCOME ") { Ok(()) } else { Err(SendError::TokenRefused) }
}
