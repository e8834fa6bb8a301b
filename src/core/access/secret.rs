//! The herd's secret: what proves that a node belongs to the herd, temporarily a second secret that proves it too, and
//! the key by which clients are placed. Here it is a value and a text; `keys` reads and writes the file. Its text never
//! reaches a log.

use std::fmt::{self, Write};

use zeroize::Zeroize;

use crate::core::hex::{Hex, from_hex};

/// Bytes of a [`SecretKey`].
const KEY_BYTES: usize = 32;

/// Bytes of the placement key.
const PLACEMENT_BYTES: usize = 16;

/// What both ends of a link know and nobody else does. Its `Debug` form shows none of it. Wiped from memory when it is
/// dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; KEY_BYTES]);

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl SecretKey {
    /// Of random bytes.
    pub fn of_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// For the code that makes and checks proofs.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// What a herd's secret file holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    proving: SecretKey,
    also: Option<SecretKey>,
    placement: [u8; PLACEMENT_BYTES],
}

/// What is wrong with a secret file's text. Names the line, and never shows its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum SecretFault {
    #[error("line {line} is neither a comment, `placement` nor `secret`")]
    UnknownLine { line: usize },
    #[error("line {line} does not have `placement` and 32 lower-case hexadecimal digits")]
    BadPlacement { line: usize },
    #[error("line {line} does not have `secret` and 64 lower-case hexadecimal digits")]
    BadSecret { line: usize },
    #[error("line {line} is a second placement key")]
    SecondPlacement { line: usize },
    #[error("line {line} is a third secret, where two are accepted")]
    ThirdSecret { line: usize },
    #[error("line {line} is the same secret again")]
    SameSecret { line: usize },
    #[error("it has no placement key")]
    NoPlacement,
    #[error("it has no secret")]
    NoSecret,
}

/// Why a step of the rotation cannot be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RotationFault {
    /// There are two already.
    #[error("has a second secret already; switch to it with --switch, or remove it with --drop")]
    HasSecond,
    /// There is only one.
    #[error("has no second secret; add one first, with --add")]
    HasNoSecond,
}

impl Secret {
    /// A new herd's.
    pub fn new(proving: SecretKey, placement: [u8; PLACEMENT_BYTES]) -> Self {
        Self { proving, also: None, placement }
    }

    /// The secret that this node proves itself with.
    pub fn proving(&self) -> &SecretKey {
        &self.proving
    }

    /// The secrets that others may prove themselves with.
    pub fn accepted(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.proving).chain(&self.also)
    }

    /// The key that clients are placed by. The same for as long as the herd lives.
    pub fn placement(&self) -> [u8; PLACEMENT_BYTES] {
        self.placement
    }

    /// The first step of a rotation: `new` is accepted too.
    pub fn add_second(self, new: SecretKey) -> Result<Self, RotationFault> {
        match self.also {
            Some(_) => Err(RotationFault::HasSecond),
            None => Ok(Self { also: Some(new), ..self }),
        }
    }

    /// The second step: the other one proves.
    pub fn switch(self) -> Result<Self, RotationFault> {
        let new = self.also.ok_or(RotationFault::HasNoSecond)?;
        Ok(Self { proving: new, also: Some(self.proving), placement: self.placement })
    }

    /// The last step: only the secret that this node proves itself with is accepted.
    pub fn drop_second(self) -> Result<Self, RotationFault> {
        match self.also {
            Some(_) => Ok(Self { also: None, ..self }),
            None => Err(RotationFault::HasNoSecond),
        }
    }

    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, SecretFault> {
        let (mut placement, mut keys) = (None, Vec::new());
        for (line, content) in (1..).zip(text.lines()) {
            let mut fields = content.split_ascii_whitespace();
            let (keyword, value, more) = (fields.next(), fields.next().unwrap_or_default(), fields.next());
            let value = if more.is_none() { value } else { "" };
            match keyword {
                None => {}
                Some(comment) if comment.starts_with('#') => {}
                Some("placement") if placement.is_some() => {
                    return Err(SecretFault::SecondPlacement { line });
                }
                Some("placement") => {
                    placement = Some(from_hex(value.as_bytes()).ok_or(SecretFault::BadPlacement { line })?);
                }
                Some("secret") => {
                    let key = SecretKey(from_hex(value.as_bytes()).ok_or(SecretFault::BadSecret { line })?);
                    if keys.contains(&key) {
                        return Err(SecretFault::SameSecret { line });
                    }
                    if keys.len() == 2 {
                        return Err(SecretFault::ThirdSecret { line });
                    }
                    keys.push(key);
                }
                Some(_) => return Err(SecretFault::UnknownLine { line }),
            }
        }
        let placement = placement.ok_or(SecretFault::NoPlacement)?;
        let mut keys = keys.into_iter();
        let proving = keys.next().ok_or(SecretFault::NoSecret)?;
        Ok(Self { proving, also: keys.next(), placement })
    }

    /// The file's text, with comments on its lines.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::from(ABOUT);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "placement {}", Hex(&self.placement));
        for key in self.accepted() {
            let _ = writeln!(text, "secret {}", Hex(&key.0));
        }
        text
    }
}

/// What a secret file begins with.
const ABOUT: &str = "\
# The secret of a herd of proxyherd nodes. Every node needs the same file; anyone who has it can pose as a node.
# placement: decides where the nodes' stores keep each client. It never changes.
# secret: proves that a node belongs to the herd. Nodes prove with the first; they accept a second one too.
# Changed with herd secret FILE --add, --switch and --drop.
";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret of {}", self.accepted().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretKey {
        SecretKey([byte; KEY_BYTES])
    }

    fn secret() -> Secret {
        Secret::new(key(1), [9; PLACEMENT_BYTES])
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let two = secret().add_second(key(0xfe)).unwrap();
        assert!(two.to_text().contains(&format!(
            "\nplacement {}\nsecret {}\n",
            "09".repeat(16),
            "01".repeat(32)
        )));
        for secret in [secret(), two] {
            assert_eq!(Secret::parse(&secret.to_text()), Ok(secret));
        }
    }

    #[test]
    fn rotation_changes_what_proves_and_what_is_accepted_and_never_the_placement() {
        let accepted = |secret: &Secret| secret.accepted().cloned().collect::<Vec<_>>();
        let added = secret().add_second(key(2)).unwrap();
        assert_eq!((added.proving(), accepted(&added)), (&key(1), vec![key(1), key(2)]));
        let switched = added.clone().switch().unwrap();
        assert_eq!((switched.proving(), accepted(&switched)), (&key(2), vec![key(2), key(1)]));
        let dropped = switched.clone().drop_second().unwrap();
        assert_eq!((dropped.proving(), accepted(&dropped)), (&key(2), vec![key(2)]));
        assert_eq!(dropped.placement(), secret().placement());
        assert_eq!(added.add_second(key(3)), Err(RotationFault::HasSecond));
        assert_eq!(secret().switch(), Err(RotationFault::HasNoSecond));
        assert_eq!(secret().drop_second(), Err(RotationFault::HasNoSecond));
    }

    #[test]
    fn every_fault_names_its_line_and_nothing_that_stands_there() {
        let (placement, one, two) = (
            format!("placement {}", "0a".repeat(16)),
            format!("secret {}", "0b".repeat(32)),
            "0c".repeat(32),
        );
        for (text, fault) in [
            (String::new(), SecretFault::NoPlacement),
            (one.clone(), SecretFault::NoPlacement),
            (format!("# alone\n\n{placement}\n"), SecretFault::NoSecret),
            (format!("{placement}\n{one}\nsecret\n"), SecretFault::BadSecret { line: 3 }),
            (format!("{placement}\n{}", &one[..one.len() - 1]), SecretFault::BadSecret { line: 2 }),
            (format!("{placement}\n{}", one.replace('b', "B")), SecretFault::BadSecret { line: 2 }),
            (format!("{placement}\n{one} more"), SecretFault::BadSecret { line: 2 }),
            (format!("{placement}0\n{one}"), SecretFault::BadPlacement { line: 1 }),
            (format!("{placement}\n{placement}\n{one}"), SecretFault::SecondPlacement { line: 2 }),
            (format!("{placement}\n{one}\n{one}"), SecretFault::SameSecret { line: 3 }),
            (
                format!("{placement}\n{one}\nsecret {two}\nsecret {}", "0d".repeat(32)),
                SecretFault::ThirdSecret { line: 4 },
            ),
            (format!("{placement}\npassword {two}"), SecretFault::UnknownLine { line: 2 }),
        ] {
            assert_eq!(Secret::parse(&text), Err(fault), "{text}");
            assert!(!fault.to_string().contains("0a0a") && !fault.to_string().contains("0c0c"));
        }
    }

    #[test]
    fn nothing_shows_a_secret() {
        let shown = format!("{:?} {:?}", secret().add_second(key(0xee)).unwrap(), key(0xee));
        assert_eq!(shown, "Secret of 2 Key");
    }
}
