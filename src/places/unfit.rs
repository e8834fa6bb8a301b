//! Why a text from an upstream or a file is not the JSON object it should be, and where in the text that shows.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::string::FromUtf8Error;

use crate::text::utf8_cure;

/// Why a text is not a document to cut. Lines and columns are those of the original text, in characters, counted from
/// 1.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// Not UTF-8.
    #[error("it is not UTF-8 text: see line {line}, column {column}")]
    NotUtf8 {
        /// The line of the first invalid byte.
        line: usize,
        /// The character at its place.
        column: usize,
        /// The command that converts it to UTF-8.
        cure: &'static str,
    },
    /// Not a JSON object.
    #[error("it is not a JSON object: {what} at line {line} column {column}")]
    NotJson {
        /// What was found or missing.
        what: String,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
}

impl Unfit {
    /// What serde_json says about a text, with its columns converted from bytes to characters.
    pub(super) fn not_json(error: &serde_json::Error, text: &[u8]) -> Self {
        if text.iter().all(u8::is_ascii_whitespace) {
            return Self::Empty;
        }
        let (line, bytes) = (error.line(), error.column());
        let said = error.to_string();
        let what = said.strip_suffix(&format!(" at line {line} column {bytes}")).unwrap_or(&said);
        let broken = text.split(|&byte| byte == b'\n').nth(line.saturating_sub(1)).unwrap_or_default();
        let column = characters(&broken[..bytes.min(broken.len())]).max(1);
        Self::NotJson { what: what.to_owned(), line, column }
    }

    fn not_utf8(error: &FromUtf8Error) -> Self {
        let (before, _) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column = 1 + characters(&before[line_start..]);
        Self::NotUtf8 { line, column, cure: utf8_cure(error.as_bytes()) }
    }
}

/// The bytes as text.
pub(super) fn utf8(body: Vec<u8>) -> Result<String, Unfit> {
    String::from_utf8(body).map_err(|error| Unfit::not_utf8(&error))
}

fn characters(text: &[u8]) -> usize {
    String::from_utf8_lossy(text).chars().count()
}
