//! The bytes of a GeoJSON file as serde gets them, one by one, so that an error has its line and column in the file; without
//! the byte order mark, and without the record separators of RFC 8142.

use std::{
    cell::Cell,
    io::{self, BufRead, BufReader, Read},
    rc::Rc,
};

use serde_json::error::Category;

use crate::import::{BYTE_ORDER_MARK, ImportError, NOT_UTF8};

const RECORD_SEPARATOR: u8 = 0x1e;

/// A word of so many bytes can be distinguished from others by its beginning.
const WORD_BYTES_MAX: usize = 9;

pub(super) struct JsonReader<R> {
    inner: BufReader<R>,
    /// How many bytes of the byte order mark have been read, while nothing else came before.
    marked: Option<usize>,
    /// Where the last byte is: the line, and the character of it, both counted from 1.
    line: Rc<Cell<u64>>,
    column: u64,
    last: u8,
    /// The letters up to the last byte, and the sign before them.
    word: ([u8; WORD_BYTES_MAX], usize),
}

impl<R: Read> JsonReader<R> {
    pub(super) fn new(from: R) -> Self {
        let inner = BufReader::with_capacity(256 * 1024, from);
        Self {
            inner,
            marked: Some(0),
            line: Rc::new(Cell::new(1)),
            column: 0,
            last: 0,
            word: ([0; WORD_BYTES_MAX], 0),
        }
    }

    /// The line of the last byte, kept up to date.
    pub(super) fn line(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.line)
    }

    fn next(&mut self) -> io::Result<Option<u8>> {
        let Some(&byte) = self.inner.fill_buf()?.first() else { return Ok(None) };
        self.inner.consume(1);
        self.marked = self.marked.filter(|&at| BYTE_ORDER_MARK.get(at) == Some(&byte)).map(|at| at + 1);
        if self.marked.is_some() {
            return Ok(Some(b' '));
        }
        if self.last == b'\n' || self.last == b'\r' && byte != b'\n' {
            self.line.set(self.line.get() + 1);
            self.column = 0;
        }
        // Bytes that continue a UTF-8 character are in the same column.
        self.column += u64::from(byte & 0xc0 != 0x80);
        self.last = byte;
        let (word, length) = &mut self.word;
        if !byte.is_ascii_alphabetic() {
            *length = 0;
        }
        if (byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'+')) && *length < WORD_BYTES_MAX {
            word[*length] = byte;
            *length += 1;
        }
        Ok(Some(if byte == RECORD_SEPARATOR { b' ' } else { byte }))
    }

    /// The whole word that contains the last byte.
    fn whole_word(&mut self) -> String {
        while self.inner.fill_buf().ok().and_then(<[u8]>::first).is_some_and(u8::is_ascii_alphabetic) {
            let length = self.word.1;
            if length == WORD_BYTES_MAX || !matches!(self.next(), Ok(Some(_))) {
                break;
            }
        }
        let (word, length) = self.word;
        String::from_utf8_lossy(&word[..length]).into_owned()
    }

    /// An error of serde's, at the position of the last byte.
    pub(super) fn fault(&mut self, error: serde_json::Error) -> ImportError {
        // A word is reported at its beginning.
        let letters_before = self.word.1.saturating_sub(1) as u64;
        let (line, column) = (self.line.get(), self.column.saturating_sub(letters_before).max(1));
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let fault = match error.classify() {
            Category::Io => return ImportError::Io(error.into()),
            Category::Eof => "the file ends too early; fetch it again".to_owned(),
            Category::Data => {
                format!(
                    "this is not GeoJSON as herd reads it: {message}; export the file as a FeatureCollection, or as one Feature after another"
                )
            }
            Category::Syntax if ["surrogate", "hex escape"].iter().any(|part| message.contains(part)) => {
                "this text has half a surrogate pair (such as \\ud800 by itself), which is not a character; remove it, or export the file again".to_owned()
            }
            Category::Syntax if message.starts_with("invalid unicode code point") => NOT_UTF8.to_owned(),
            Category::Syntax => {
                let word = self.whole_word();
                let unsigned = word.trim_start_matches(['-', '+']).to_ascii_lowercase();
                match unsigned.as_str() {
                    "nan" | "inf" | "infinity" => {
                        format!(
                            "{word} is not a JSON number; write null instead, or leave the property out"
                        )
                    }
                    _ => format!("this is not JSON: {message}; export the file again"),
                }
            }
        };
        ImportError::Character { line, column, fault }
    }
}

impl<R: Read> Read for JsonReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(place) = into.first_mut() else { return Ok(0) };
        Ok(match self.next()? {
            None => 0,
            Some(byte) => {
                *place = byte;
                1
            }
        })
    }
}
