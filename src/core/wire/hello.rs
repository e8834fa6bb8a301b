//! The handshake's lines, and why one is refused.

use super::{Fields, Nonce, Proof, digest::hex, first_line::version};
use crate::core::{access::Refusal, model::NodeId};

/// The version this code speaks.
pub(super) const VERSION: u64 = 1;

/// What a refusal begins with; the rest of the line says why, and what to do.
pub const REFUSED: &[u8] = b"REFUSED ";

/// The first line of a peer's connection, and in the other direction the same line as its answer: `HELLO 1 herd from to
/// incarnation check`. In a herd with a secret, a nonce follows it, and in the answer a nonce and a proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello<'a> {
    /// The protocol's version, 1.
    pub version: u64,
    /// The name of the sender's herd.
    pub herd: &'a [u8],
    /// The sender's id.
    pub from: &'a [u8],
    /// The id of the node that the sender believes it is talking to.
    pub to: &'a [u8],
    /// A random number drawn at the sender's start.
    pub incarnation: u64,
    /// Equal if both place clients alike in their stores.
    pub check: u64,
    /// From a node that has a secret.
    pub nonce: Option<Nonce>,
    /// From a node that has a secret and answers; never without a nonce.
    pub proof: Option<Proof>,
}

impl<'a> Hello<'a> {
    /// This version's line with its own values.
    pub fn new(herd: &'a str, from: &'a NodeId, to: &'a NodeId, incarnation: u64, check: u64) -> Self {
        let (from, to) = (from.as_bytes(), to.as_bytes());
        let (nonce, proof) = (None, None);
        Self { version: VERSION, herd: herd.as_bytes(), from, to, incarnation, check, nonce, proof }
    }

    /// The line of a node that has a secret: with the nonce that must be proved over, and, in an answer, the proof
    /// itself.
    pub fn with_nonce(self, nonce: Nonce, proof: Option<Proof>) -> Self {
        Self { nonce: Some(nonce), proof, ..self }
    }

    /// Parses the line. An `Err` says why it is refused.
    pub fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::of(line);
        let (Some(b"HELLO"), Some(version)) = (fields.next(), fields.next().and_then(version)) else {
            return Err(Refusal::NoHello);
        };
        if version != VERSION {
            return Err(Refusal::Version { theirs: version, ours: VERSION });
        }
        let count = fields.clone().count();
        let mut field = || fields.next().unwrap_or_default();
        let [herd, from, to, incarnation, check, nonce, proof] = std::array::from_fn(|_| field());
        if !(5..=7).contains(&count) {
            return Err(Refusal::FieldCount);
        }
        let (Some(incarnation), Some(check)) = (hex(incarnation), hex(check)) else {
            return Err(Refusal::BadNumbers);
        };
        let (has_nonce, has_proof) = (count > 5, count > 6);
        let (nonce, proof) = (Nonce::parse(nonce), Proof::parse(proof));
        if nonce.is_some() != has_nonce || proof.is_some() != has_proof {
            return Err(Refusal::BadNonce);
        }
        Ok(Self { version, herd, from, to, incarnation, check, nonce, proof })
    }

    /// Appends the line, with its terminator.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HELLO ");
        out.extend_from_slice(self.version.to_string().as_bytes());
        for field in [self.herd, self.from, self.to] {
            out.push(b' ');
            out.extend_from_slice(field);
        }
        out.extend_from_slice(format!(" {:016x} {:016x}", self.incarnation, self.check).as_bytes());
        if let Some(nonce) = self.nonce {
            out.extend_from_slice(format!(" {nonce}").as_bytes());
        }
        if let Some(proof) = self.proof {
            out.extend_from_slice(format!(" {proof}").as_bytes());
        }
        out.push(b'\n');
    }
}

/// Appends the second line of a node that dialled and has a secret, with its terminator.
pub fn write_proof(proof: &Proof, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("PROOF {proof}\n").as_bytes());
}

/// Parses that line; `None` for any other.
pub fn parse_proof(line: &[u8]) -> Option<Proof> {
    let [keyword, proof] = Fields::of(line).exactly()?;
    (keyword == b"PROOF").then(|| Proof::parse(proof))?
}

/// Appends the answer to a good proof, with its terminator.
pub fn write_welcome(out: &mut Vec<u8>) {
    out.extend_from_slice(b"WELCOME\n");
}

/// Whether a line is the answer to a good proof.
pub fn is_welcome(line: &[u8]) -> bool {
    Fields::of(line).exactly() == Some([b"WELCOME"])
}

/// Appends the line that refuses a handshake, with its terminator.
pub fn write_refusal(why: &Refusal, out: &mut Vec<u8>) {
    out.extend_from_slice(REFUSED);
    out.extend_from_slice(format!("{why}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::wire::is_hello;

    #[test]
    fn hello_comes_back_as_it_was_written() {
        let (alford, welsh) = (NodeId::new("Alford").unwrap(), NodeId::new("Welsh").unwrap());
        let hello = Hello::new("fall-2016", &alford, &welsh, 0xfeed, u64::MAX);
        let mut line = Vec::new();
        hello.write(&mut line);
        assert_eq!(line, b"HELLO 1 fall-2016 Alford Welsh 000000000000feed ffffffffffffffff\n");
        assert!(is_hello(&line));
        assert_eq!(Hello::parse(&line), Ok(hello));
    }

    #[test]
    fn hello_with_nonce_and_proof_comes_back_and_fits_the_shortest_line_a_node_takes() {
        let longest = NodeId::new(&"n".repeat(NodeId::LENGTH_MAX)).unwrap();
        let (nonce, proof) = (Nonce::of_bytes([0xfe; 16]), Proof::parse("0a".repeat(32).as_bytes()).unwrap());
        let plain = Hello::new(longest.as_str(), &longest, &longest, u64::MAX, 0);
        for hello in [plain.with_nonce(nonce, None), plain.with_nonce(nonce, Some(proof))] {
            let mut line = Vec::new();
            hello.write(&mut line);
            assert!(line.len() <= 512 && Hello::parse(&line) == Ok(hello));
        }
        let mut line = Vec::new();
        write_proof(&proof, &mut line);
        assert_eq!(line, format!("PROOF {}\n", "0a".repeat(32)).as_bytes());
        assert_eq!(parse_proof(&line), Some(proof));
    }

    #[test]
    fn truncated_or_bent_proofs_are_not_understood() {
        let (head, nonce, proof) =
            ("HELLO 1 a b c 0000000000000000 0000000000000000", "0a".repeat(16), "0b".repeat(32));
        assert!(Hello::parse(format!("{head} {nonce} {proof}").as_bytes()).is_ok());
        for tail in [
            format!("{nonce}0"),
            nonce[1..].to_owned(),
            nonce.replace('a', "A"),
            proof.clone(),
            format!("{nonce} {}", &proof[2..]),
            format!("{nonce} {nonce}"),
            format!("{proof} {nonce}"),
            format!("{nonce} {proof} {proof}"),
        ] {
            assert!(Hello::parse(format!("{head} {tail}").as_bytes()).is_err(), "{tail}");
        }
        for line in [
            "PROOF".to_owned(),
            format!("PROOF {}", &proof[1..]),
            format!("PROOF {proof}0"),
            format!("PROOF {proof} {proof}"),
            format!("proof {proof}"),
            format!("WELCOME {proof}"),
        ] {
            assert_eq!(parse_proof(line.as_bytes()), None, "{line}");
        }
        assert!(is_welcome(b"WELCOME") && !is_welcome(b"WELCOME 1") && !is_welcome(b"welcome"));
    }

    #[test]
    fn another_version_is_a_handshake_that_is_refused_with_the_cure() {
        assert!(is_hello(b"HELLO 2 whatever"));
        let why = Hello::parse(b"HELLO 2 whatever").unwrap_err();
        assert_eq!(why, Refusal::Version { theirs: 2, ours: 1 });
        let mut line = Vec::new();
        write_refusal(&why, &mut line);
        let text = b"REFUSED version 2 is not spoken here, only 1; run the same release on all nodes\n";
        assert_eq!(line, text);
        for line in ["HELLO 1 a b c", "HELLO 1 a b c d e", "HELLO 1 a b c 0000000000000000 00000000000000zz"]
        {
            assert!(Hello::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn hello_of_any_values_comes_back(
            names in prop::array::uniform3("[!-~]{1,64}"), numbers in any::<(u64, u64)>(),
            nonce in any::<[u8; 16]>(), bent in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let [herd, from, to] = names.each_ref().map(String::as_bytes);
            let (incarnation, check) = numbers;
            let hello = Hello { version: VERSION, herd, from, to, incarnation, check, nonce: Some(Nonce::of_bytes(nonce)), proof: None };
            let mut line = Vec::new();
            hello.write(&mut line);
            prop_assert_eq!(Hello::parse(&line), Ok(hello));
            // With one byte changed it is refused, or is another line that parses to the same text.
            let at = bent.index(line.len());
            line[at] = byte;
            if let Ok(other) = Hello::parse(&line) {
                let mut again = Vec::new();
                other.write(&mut again);
                prop_assert_eq!(Hello::parse(&again), Ok(other));
            }
        }
    }
}
