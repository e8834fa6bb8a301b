//! The file of tokens of a server that wants them, and the token that every connection of a sweep shows. It is worth
//! nothing elsewhere.

use std::path::Path;

use proxyherd::{
    core::access::{Pattern, Patterns, Token, TokenEntry, TokenRole},
    keys::{TokensError, change_tokens},
};

/// The clients of herd-load match the last, so that each line is compared with all of them.
const PATTERNS: [&str; 4] = ["weka.cs.ucla.edu", "bus-*", "tram-*", "kiwi*"];

pub(super) fn token() -> Token {
    Token::of_bytes([0x5e; Token::RANDOM_BYTES])
}

/// Writes the file.
pub(super) fn write(path: &Path) -> Result<(), TokensError> {
    let patterns = || Patterns::new(PATTERNS.iter().filter_map(|text| Pattern::parse(text).ok()).collect());
    change_tokens(path, true, |list| {
        list.tokens.push(TokenEntry {
            name: "bench".to_owned(),
            hash: token().hash(),
            role: TokenRole::Client,
            may_report: patterns(),
            may_see: patterns(),
            groups: Vec::new(),
            expires: None,
        });
        Ok(())
    })
}
