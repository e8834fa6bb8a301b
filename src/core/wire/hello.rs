//! The handshake's lines, and why one is refused.

use super::{Fields, Nonce, Proof, digest::hex, fields::decimal, first_line::version};
use crate::core::{access::Refusal, model::NodeId};

/// The highest version that this code speaks.
const VERSION: u64 = 2;

/// The lowest. From version 2 on, a release speaks its own version and the one before; 1 was never released.
const VERSION_MIN: u64 = 2;

/// What a refusal begins with; the rest of the line says why, and what to do.
pub const REFUSED: &[u8] = b"REFUSED ";

/// The first line of a peer's connection, and in the other direction its answer: `HELLO version herd from to
/// incarnation check forget_after nonce proof`, with `-` for what is absent. A later version may add fields, which are
/// ignored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello<'a> {
    /// The highest version of the protocol that the sender speaks; in an answer, the highest that both speak.
    pub version: u64,
    /// The name of the sender's herd.
    pub herd: &'a [u8],
    /// The sender's id.
    pub from: &'a [u8],
    /// The id of the node that the sender believes it is talking to.
    pub to: &'a [u8],
    /// A random number drawn at the start of a node that dials; 0 from one that has a secret, which tells it with its
    /// proof, and in an answer.
    pub incarnation: u64,
    /// Equal if both place clients alike in their stores.
    pub check: u64,
    /// After how many seconds locations are forgotten; `None` for never.
    pub forget_after: Option<u64>,
    /// From a node that has a secret.
    pub nonce: Option<Nonce>,
    /// From a node that has a secret and answers.
    pub proof: Option<Proof>,
}

impl<'a> Hello<'a> {
    /// The line of a node that never forgets, tells no incarnation and has no secret; its version is the highest.
    pub fn new(herd: &'a str, from: &'a NodeId, to: &'a NodeId, check: u64) -> Self {
        let (herd, from, to) = (herd.as_bytes(), from.as_bytes(), to.as_bytes());
        let (forget_after, nonce, proof) = (None, None, None);
        Self { version: VERSION, herd, from, to, incarnation: 0, check, forget_after, nonce, proof }
    }

    /// Parses the line. An `Err` says why it is refused.
    pub fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = Fields::of(line);
        let (Some(b"HELLO"), Some(version)) = (fields.next(), fields.next().and_then(version)) else {
            return Err(Refusal::NoHello);
        };
        if version < VERSION_MIN {
            return Err(Refusal::Version { theirs: version, ours: VERSION });
        }
        let [herd, from, to, incarnation, check, forget_after, nonce, proof] =
            fields.first().ok_or(Refusal::FieldCount)?;
        let (Some(incarnation), Some(check)) = (hex(incarnation), hex(check)) else {
            return Err(Refusal::BadNumbers);
        };
        let forget_after = optional(forget_after, decimal).ok_or(Refusal::BadForgetAfter)?;
        let (Some(nonce), Some(proof)) = (optional(nonce, Nonce::parse), optional(proof, Proof::parse))
        else {
            return Err(Refusal::BadNonce);
        };
        Ok(Self { version, herd, from, to, incarnation, check, forget_after, nonce, proof })
    }

    /// Parses an answer, whose version must be one that was offered.
    pub fn parse_answer(line: &'a [u8]) -> Result<Self, Refusal> {
        let hello = Self::parse(line)?;
        let is_offered = hello.version <= VERSION;
        is_offered.then_some(hello).ok_or(Refusal::Version { theirs: hello.version, ours: VERSION })
    }

    /// The highest version that its sender and this code speak.
    pub fn common_version(&self) -> u64 {
        self.version.min(VERSION)
    }

    /// The line, without a terminator.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = format!("HELLO {}", self.version).into_bytes();
        for field in [self.herd, self.from, self.to] {
            line.push(b' ');
            line.extend_from_slice(field);
        }
        let Self { incarnation, check, forget_after, nonce, proof, .. } = self;
        let [forget_after, nonce, proof] =
            [text(forget_after.as_ref()), text(nonce.as_ref()), text(proof.as_ref())];
        let numbers = format!(" {incarnation:016x} {check:016x} {forget_after} {nonce} {proof}");
        line.extend_from_slice(numbers.as_bytes());
        line
    }

    /// Appends the line, with its terminator.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_line());
        out.push(b'\n');
    }
}

/// What stands for a field that is absent.
const ABSENT: &str = "-";

/// A field that may be absent; the outer `None` for a bad one.
fn optional<'a, T>(field: &'a [u8], parse: impl FnOnce(&'a [u8]) -> Option<T>) -> Option<Option<T>> {
    if field == ABSENT.as_bytes() { Some(None) } else { parse(field).map(Some) }
}

fn text(field: Option<&impl ToString>) -> String {
    field.map_or_else(|| ABSENT.to_owned(), ToString::to_string)
}

/// Appends the second line of a node that dialled and has a secret, with its terminator: its proof, and its
/// incarnation, which the proof covers.
pub fn write_proof(proof: &Proof, incarnation: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("PROOF {proof} {incarnation:016x}\n").as_bytes());
}

/// Parses that line; `None` for any other.
pub fn parse_proof(line: &[u8]) -> Option<(Proof, u64)> {
    let [keyword, proof, incarnation] = Fields::of(line).exactly()?;
    (keyword == b"PROOF").then(|| Proof::parse(proof).zip(hex(incarnation)))?
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

    const PLAIN: &str = "HELLO 2 a b c 00000000000000ff 0000000000000001";

    #[test]
    fn hello_comes_back_as_it_was_written() {
        let (alford, welsh) = (NodeId::new("Alford").unwrap(), NodeId::new("Welsh").unwrap());
        let hello = Hello { incarnation: 0xfeed, ..Hello::new("fall-2016", &alford, &welsh, u64::MAX) };
        let mut line = Vec::new();
        hello.write(&mut line);
        assert_eq!(line, b"HELLO 2 fall-2016 Alford Welsh 000000000000feed ffffffffffffffff - - -\n");
        assert!(is_hello(&line));
        assert_eq!(Hello::parse(&line), Ok(hello));
        let forgetting = Hello { forget_after: Some(3600), ..hello };
        assert!(forgetting.to_line().ends_with(b" ffffffffffffffff 3600 - -"));
        assert_eq!(Hello::parse(&forgetting.to_line()), Ok(forgetting));
    }

    #[test]
    fn hello_with_nonce_and_proof_comes_back_and_fits_the_shortest_line_a_node_takes() {
        let longest = NodeId::new(&"n".repeat(NodeId::LENGTH_MAX)).unwrap();
        let (nonce, proof) = (Nonce::of_bytes([0xfe; 16]), Proof::parse("0a".repeat(32).as_bytes()).unwrap());
        let plain =
            Hello { forget_after: Some(u64::MAX), ..Hello::new(longest.as_str(), &longest, &longest, 0) };
        for proof in [None, Some(proof)] {
            let hello = Hello { nonce: Some(nonce), proof, ..plain };
            let line = hello.to_line();
            assert!(line.len() < 512 && Hello::parse(&line) == Ok(hello));
        }
        let mut line = Vec::new();
        write_proof(&proof, 0xfeed, &mut line);
        assert_eq!(line, format!("PROOF {} 000000000000feed\n", "0a".repeat(32)).as_bytes());
        assert_eq!(parse_proof(&line), Some((proof, 0xfeed)));
    }

    #[test]
    fn truncated_or_bent_proofs_are_not_understood() {
        let (nonce, proof) = ("0a".repeat(16), "0b".repeat(32));
        assert!(Hello::parse(format!("{PLAIN} - {nonce} {proof}").as_bytes()).is_ok());
        for tail in [
            format!("{nonce}0 -"),
            format!("{} -", &nonce[1..]),
            format!("{} -", nonce.replace('a', "A")),
            format!("{proof} -"),
            format!("{nonce} {}", &proof[2..]),
            format!("{nonce} {nonce}"),
            format!("{proof} {nonce}"),
            format!("-- {proof}"),
        ] {
            let refused = Hello::parse(format!("{PLAIN} - {tail}").as_bytes()).err();
            assert_eq!(refused, Some(Refusal::BadNonce), "{tail}");
        }
        let incarnation = "00000000000000ff";
        for line in [
            "PROOF".to_owned(),
            format!("PROOF {proof}"),
            format!("PROOF {} {incarnation}", &proof[1..]),
            format!("PROOF {proof}0 {incarnation}"),
            format!("PROOF {proof} {}", &incarnation[1..]),
            format!("PROOF {proof} -"),
            format!("PROOF {proof} {incarnation} {incarnation}"),
            format!("proof {proof} {incarnation}"),
            format!("WELCOME {proof} {incarnation}"),
        ] {
            assert_eq!(parse_proof(line.as_bytes()), None, "{line}");
        }
        assert!(is_welcome(b"WELCOME") && !is_welcome(b"WELCOME 1") && !is_welcome(b"welcome"));
    }

    #[test]
    fn earlier_version_is_a_handshake_that_is_refused_with_the_cure() {
        assert!(is_hello(b"HELLO 1 whatever"));
        let why = Hello::parse(b"HELLO 1 whatever").unwrap_err();
        assert_eq!(why, Refusal::Version { theirs: 1, ours: 2 });
        let mut line = Vec::new();
        write_refusal(&why, &mut line);
        let text = b"REFUSED version 1 is not spoken here, only 2; run the same release on all nodes\n";
        assert_eq!(line, text);
        for (line, why) in [
            ("HELLO 2 a b c".to_owned(), Refusal::FieldCount),
            (format!("{PLAIN} - -"), Refusal::FieldCount),
            (format!("{PLAIN} - - -").replace("01 ", "zz "), Refusal::BadNumbers),
            (format!("{PLAIN} - - -").replace("00ff", "ff"), Refusal::BadNumbers),
            (format!("{PLAIN} 1h - -"), Refusal::BadForgetAfter),
            (format!("{PLAIN} -1 - -"), Refusal::BadForgetAfter),
        ] {
            assert_eq!(Hello::parse(line.as_bytes()).err(), Some(why), "{line}");
        }
    }

    #[test]
    fn later_version_is_understood_as_far_as_this_one_goes_and_an_answer_must_name_one_that_was_offered() {
        let later = format!("{PLAIN} - - - and what 3 adds").replace("HELLO 2", "HELLO 3");
        let hello = Hello::parse(later.as_bytes()).unwrap();
        assert_eq!((hello.version, hello.common_version(), hello.from), (3, 2, &b"b"[..]));
        assert_eq!(Hello::parse_answer(later.as_bytes()), Err(Refusal::Version { theirs: 3, ours: 2 }));
        let common = Hello { version: hello.common_version(), ..hello };
        assert_eq!(Hello::parse_answer(&[&common.to_line()[..], b" and more"].concat()), Ok(common));
        assert_eq!(Hello::parse(b"HELLO 999999999").err(), Some(Refusal::FieldCount));
    }

    proptest! {
        #[test]
        fn hello_of_any_values_comes_back(
            names in prop::array::uniform3("[!-~]{1,64}"), numbers in any::<(u64, u64)>(),
            forget_after in any::<Option<u64>>(), nonce in any::<Option<[u8; 16]>>(),
            bent in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let [herd, from, to] = names.each_ref().map(String::as_bytes);
            let (incarnation, check) = numbers;
            let nonce = nonce.map(Nonce::of_bytes);
            let hello =
                Hello { version: VERSION, herd, from, to, incarnation, check, forget_after, nonce, proof: None };
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
