//! A token: what a client, a viewer, a monitor or an operator shows to say who it is. Its text is known to its holder only;
//! nodes know its hash.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use crate::core::hex::{Hex, from_hex};

/// What every token begins with, so that people and programs that search for leaked secrets recognise one.
const PREFIX: &str = "herd_";

/// Random bytes of a token.
const RANDOM_BYTES: usize = 20;

/// The text of a token: `herd_` and 40 lower-case hexadecimal digits. Wiped from memory when it is dropped; its `Debug` form
/// shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Token {
    /// Random bytes of one.
    pub const RANDOM_BYTES: usize = RANDOM_BYTES;

    /// Bytes of its text.
    pub const TEXT_BYTES: usize = PREFIX.len() + 2 * RANDOM_BYTES;

    /// Of random bytes.
    pub fn of_bytes(mut bytes: [u8; RANDOM_BYTES]) -> Self {
        let mut text = String::with_capacity(Self::TEXT_BYTES);
        // Writing to a string cannot fail.
        let _ = write!(text, "{PREFIX}{}", Hex(&bytes));
        bytes.zeroize();
        Self(text)
    }

    /// Reads its text; `None` if it is no token's.
    pub fn parse(text: &[u8]) -> Option<Self> {
        is_token(text).then(|| Self(String::from_utf8_lossy(text).into_owned()))
    }

    /// Its text, for its holder.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// What nodes know of it.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

fn is_token(text: &[u8]) -> bool {
    let Some(digits) = text.strip_prefix(PREFIX.as_bytes()) else { return false };
    text.len() == Token::TEXT_BYTES && from_hex::<RANDOM_BYTES>(digits).is_some()
}

/// So many digits after its beginning, and a text is no longer taken for an id that happens to begin alike.
const TELLING_DIGITS: usize = 8;

/// Where something begins that could be a token, or most of one: it may be mistyped, or cut off.
pub fn find_token(text: &[u8]) -> Option<usize> {
    let mut begins = memchr::memmem::find_iter(text, PREFIX.as_bytes());
    begins.find(|&at| {
        let digits = &text[at + PREFIX.len()..];
        let count = digits.iter().take_while(|digit| digit.is_ascii_hexdigit()).count();
        count >= TELLING_DIGITS || count > 0 && count == digits.len()
    })
}

/// The SHA-256 of a token's text. Whoever has it cannot find the token: that has 160 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Of what somebody shows as a token; `None` if it is none.
    pub fn of(text: &[u8]) -> Option<Self> {
        is_token(text).then(|| Self(Sha256::digest(text).into()))
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text.as_bytes()).map(Self)
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_token_is_recognised_and_hashes_to_what_sha256_makes_of_it() {
        let token = Token::of_bytes([0xab; RANDOM_BYTES]);
        assert_eq!(token.text(), format!("herd_{}", "ab".repeat(20)));
        // As `printf herd_abab… | sha256sum` says.
        let hash = "0bc8df5253edc798eed4a13a894d4c142e80f1834a99006cee21143a234c16ef";
        assert_eq!(token.hash().to_string(), hash);
        assert_eq!(TokenHash::parse(hash), Some(token.hash()));
        assert_eq!(TokenHash::of(token.text().as_bytes()), Some(token.hash()));
        assert_eq!(Token::parse(token.text().as_bytes()), Some(token));
    }

    #[test]
    fn anything_else_is_no_token() {
        let digits = "ab".repeat(20);
        for text in [
            String::new(),
            "herd_".into(),
            digits.clone(),
            format!("Herd_{digits}"),
            format!("herd_{digits}0"),
            format!("herd_{}", &digits[1..]),
            format!("herd_{}", digits.to_uppercase()),
            format!("herd_{digits} "),
            format!("herd_{}g", &digits[1..]),
        ] {
            assert_eq!(
                (TokenHash::of(text.as_bytes()), Token::parse(text.as_bytes())),
                (None, None),
                "{text}"
            );
        }
    }

    #[test]
    fn no_debug_form_shows_a_token_or_its_hash() {
        let token = Token::of_bytes([0xab; RANDOM_BYTES]);
        assert_eq!(format!("{token:?} {:?}", token.hash()), "Token TokenHash");
    }

    #[test]
    fn what_could_be_a_token_is_found_wherever_it_stands() {
        let token = format!("herd_{}", "ab".repeat(20));
        for (text, at) in [
            (format!("GET /?token={token} HTTP/1.1"), Some(12)),
            (format!("Authorization: Bearer {token}"), Some(22)),
            (token.to_uppercase().replace("HERD", "herd"), Some(0)),
            // Cut off by a limit.
            (token[..20].to_owned(), Some(0)),
            (token[..8].to_owned(), Some(0)),
            (format!("herd_kiwi {}", &token[..44]), Some(10)),
            ("herd_".to_owned(), None),
            ("herd_abcdabc efgh".to_owned(), None),
            ("WHATSAT herd_kiwi 1 1".to_owned(), None),
        ] {
            assert_eq!(find_token(text.as_bytes()), at, "{text}");
        }
    }
}
