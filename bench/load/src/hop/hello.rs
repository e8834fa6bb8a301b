//! The handshake, in the node's own form of it. No secret is known here; a herd that has one refuses the tester.

use proxyherd::core::{access::Refusal, wire::Hello};
use thiserror::Error;

/// The version of the protocol that the tester speaks.
const VERSION: u64 = 2;

/// What is wrong with a handshake.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum HelloError {
    /// Some other line.
    #[error(transparent)]
    Malformed(#[from] Refusal),
    /// Somebody else's.
    #[error("it is meant for {to} of herd {herd}; give these as --as and --herd")]
    ForAnother {
        /// Its herd.
        herd: String,
        /// Whom it calls.
        to: String,
    },
}

/// The line by which one node calls another, without its newline.
pub fn hello(herd: &str, from: &str, to: &str, incarnation: u64, check: u64) -> String {
    let (herd, from, to) = (herd.as_bytes(), from.as_bytes(), to.as_bytes());
    let hello = Hello {
        version: VERSION,
        herd,
        from,
        to,
        incarnation,
        check,
        forget_after: None,
        nonce: None,
        proof: None,
    };
    String::from_utf8_lossy(&hello.to_line()).into_owned()
}

/// The answer of `id` in `herd`, if the call was for it, and the call's check value, which is taken over.
pub fn answer(call: &[u8], herd: &str, id: &str) -> Result<(String, u64), HelloError> {
    let called = Hello::parse(call)?;
    let [theirs, from, to] =
        [called.herd, called.from, called.to].map(|name| String::from_utf8_lossy(name).into_owned());
    if theirs != herd || to != id {
        return Err(HelloError::ForAnother { herd: theirs, to });
    }
    // Only who calls tells an incarnation.
    Ok((hello(herd, id, &from, 0, called.check), called.check))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_answered_with_the_same_check_value_by_whom_it_is_for() {
        let call = hello("bench", "Solo", "Bench", 0xff, 0x0123_4567_89ab_cdef);
        assert_eq!(call, "HELLO 2 bench Solo Bench 00000000000000ff 0123456789abcdef - - -");
        let answered = |herd, id| answer(call.as_bytes(), herd, id);
        let line = "HELLO 2 bench Bench Solo 0000000000000000 0123456789abcdef - - -";
        assert_eq!(answered("bench", "Bench"), Ok((line.to_owned(), 0x0123_4567_89ab_cdef)));
        assert!(answered("bench", "Solo").is_err() && answered("other", "Bench").is_err());
        assert!(matches!(answer(b"HELLO 1", "bench", "Bench"), Err(HelloError::Malformed(_))));
    }
}
