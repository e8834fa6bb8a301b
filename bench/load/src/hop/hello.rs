//! The handshake's one line: `HELLO 1 <herd> <from> <to> <incarnation> <check>`, and the answer to it. No secret is
//! known here; a herd that has one refuses the tester.

use std::{fmt, str::FromStr};

use thiserror::Error;

const VERSION: &str = "1";
const HEX_DIGITS: usize = 16;

/// Which node calls which, in which herd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The herd's name.
    pub herd: String,
    /// Who speaks.
    pub from: String,
    /// Who is spoken to.
    pub to: String,
    /// The speaker's start, a random number.
    pub incarnation: u64,
    /// What both must agree on: the check value of the herd's placement key.
    pub check: u64,
}

/// What is wrong with a handshake.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum HelloError {
    /// Some other line.
    #[error("{0:?} is not `HELLO 1 herd from to incarnation check`")]
    Malformed(String),
    /// Somebody else's.
    #[error("it is meant for {to} of herd {herd}; give these as --as and --herd")]
    ForAnother {
        /// Its herd.
        herd: String,
        /// Whom it calls.
        to: String,
    },
}

impl Hello {
    /// The answer of `id` in `herd`, if the call was for it; the check value is taken over.
    pub fn answer(&self, herd: &str, id: &str, incarnation: u64) -> Result<Self, HelloError> {
        if self.herd != herd || self.to != id {
            return Err(HelloError::ForAnother { herd: self.herd.clone(), to: self.to.clone() });
        }
        Ok(Self {
            herd: self.herd.clone(),
            from: self.to.clone(),
            to: self.from.clone(),
            incarnation,
            check: self.check,
        })
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { herd, from, to, incarnation, check } = self;
        write!(f, "HELLO {VERSION} {herd} {from} {to} {incarnation:016x} {check:016x}")
    }
}

impl FromStr for Hello {
    type Err = HelloError;

    fn from_str(line: &str) -> Result<Self, HelloError> {
        let malformed = || HelloError::Malformed(line.to_owned());
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let ["HELLO", VERSION, herd, from, to, incarnation, check] = fields[..] else {
            return Err(malformed());
        };
        Ok(Self {
            herd: herd.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            incarnation: hex(incarnation).ok_or_else(malformed)?,
            check: hex(check).ok_or_else(malformed)?,
        })
    }
}

fn hex(field: &str) -> Option<u64> {
    let digits = field.len() == HEX_DIGITS && field.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits { u64::from_str_radix(field, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "HELLO 1 bench Solo Bench 00000000000000ff 0123456789abcdef";

    #[test]
    fn a_handshake_survives_its_wire_form() {
        let hello: Hello = LINE.parse().unwrap();
        assert_eq!(hello.to_string(), LINE);
    }

    #[test]
    fn the_answer_goes_back_with_the_same_check_value() {
        let hello: Hello = LINE.parse().unwrap();
        let answer = hello.answer("bench", "Bench", 1).unwrap();
        assert_eq!(answer.to_string(), "HELLO 1 bench Bench Solo 0000000000000001 0123456789abcdef");
    }

    #[test]
    fn a_call_for_somebody_else_is_refused() {
        let hello: Hello = LINE.parse().unwrap();
        assert!(hello.answer("bench", "Solo", 1).is_err());
        assert!(hello.answer("other", "Bench", 1).is_err());
    }

    #[test]
    fn other_lines_are_not_handshakes() {
        for line in [
            "",
            "HELLO",
            "HELLO 2 bench Solo Bench 00000000000000ff 0123456789abcdef",
            "HELLO 1 bench Solo Bench ff 0123456789abcdef",
            "HELLO 1 bench Solo Bench +0000000000000ff 0123456789abcdef",
            "HELLO 1 bench Solo Bench 00000000000000ff 0123456789abcdef x",
        ] {
            assert!(line.parse::<Hello>().is_err(), "{line}");
        }
    }
}
