//! Shows a node the token before anything else is sent. Its answer is not for whoever reads the replies.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::SendError;
use crate::core::access::Token;

/// No answer to AUTH is longer.
const ANSWER_BYTES_MAX: usize = 128;

/// Shows it, and waits for the answer. The stream's timeouts bound both.
pub(super) fn show(mut stream: impl Read + Write, token: &Token) -> Result<(), SendError> {
    let line = Zeroizing::new(format!("AUTH {}\n", token.text()));
    stream.write_all(line.as_bytes()).map_err(SendError::Cut)?;
    // Nothing else was sent, so nothing else comes.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") && answer.len() < ANSWER_BYTES_MAX {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return Err(SendError::NoReply),
            Ok(_) => answer.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SendError::Cut(error)),
        }
    }
    if answer.starts_with(b"WELCOME ") { Ok(()) } else { Err(SendError::TokenRefused) }
}
