//! The format of an answer: Google's Nearby Search (legacy), keys in alphabetical order, with its own white space.
//!
//! The content lives here; where it comes from never does.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use super::Failure;

/// Appends `document` as JSON in Google's white space, without a newline at its end.
pub fn write<T: Serialize + ?Sized>(document: &T, out: &mut Vec<u8>) {
    write_at(0, document, out);
}

/// The same for a part of a document, so many levels within it.
pub(super) fn write_at<T: Serialize + ?Sized>(depth: usize, document: &T, out: &mut Vec<u8>) {
    let formatter = LegacyFormatter { depth, ..LegacyFormatter::default() };
    let mut serializer = Serializer::with_formatter(out, formatter);
    // Only a writer, a map whose keys are not strings, or a type's own code can fail: there is none of them here.
    document.serialize(&mut serializer).expect("a Vec takes every byte");
}

/// Appends a string. Most have nothing to escape, and are copied.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    let is_plain = |byte: u8| byte >= 0x20 && !matches!(byte, b'"' | b'\\' | b'<' | b'>' | b'&' | 0x7f);
    if !text.bytes().all(is_plain) {
        return write(text, out);
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Appends the answer of a source that failed.
pub fn write_failure(failure: &Failure, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct FailureAnswer<'a> {
        error_message: &'a str,
        html_attributions: [&'a str; 0],
        results: [&'a str; 0],
        status: &'a str,
    }
    let Failure { status, message } = failure;
    write(&FailureAnswer { error_message: message, html_attributions: [], results: [], status }, out);
}

/// Google's white space: three spaces per level, a space on both sides of a colon, short lists of plain values on one
/// line.
///
/// Whether a list is short is known only at its end, so the innermost list is held back until it ends or something
/// nested begins in it.
#[derive(Default, Debug)]
pub struct LegacyFormatter {
    depth: usize,
    object_is_empty: bool,
    is_holding: bool,
    /// The list that is held back; its memory serves the next one too.
    held: HeldList,
}

/// The elements of a list whose layout is still undecided, one after another, and where each ends.
#[derive(Default, Debug)]
struct HeldList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// A list with its brackets, commas and spaces stays on one line if it is shorter than this, in bytes.
const LINE_LIMIT: usize = 74;

/// A newline and the indentation of the deepest level that is written in one piece.
const INDENTATION: &[u8] = b"\n                                                ";
const INDENT: usize = 3;

impl HeldList {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn elements(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    fn fits_a_line(&self) -> bool {
        "[  ]".len() + self.bytes.len() + self.ends.len().saturating_sub(1) * ", ".len() < LINE_LIMIT
    }
}

impl LegacyFormatter {
    fn new_line<W: Write + ?Sized>(&self, writer: &mut W) -> io::Result<()> {
        let width = "\n".len() + INDENT * self.depth;
        if let Some(in_one_piece) = INDENTATION.get(..width) {
            return writer.write_all(in_one_piece);
        }
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b"   "))
    }

    /// Opens the held list over several lines; what begins next is its next element.
    fn release<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        if !std::mem::take(&mut self.is_holding) {
            return Ok(());
        }
        self.open_list(writer)?;
        if !self.held.ends.is_empty() {
            writer.write_all(b",")?;
        }
        self.new_line(writer)
    }

    fn open_list<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"[")?;
        self.depth += 1;
        for (at, element) in self.held.elements().enumerate() {
            if at > 0 {
                writer.write_all(b",")?;
            }
            self.new_line(writer)?;
            writer.write_all(element)?;
        }
        Ok(())
    }

    fn close_list<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        self.new_line(writer)?;
        writer.write_all(b"]")
    }

    /// Where a plain value goes: into the held list if there is one.
    fn sink<'a, W: Write + ?Sized>(&'a mut self, writer: &'a mut W) -> Outlet<'a, W> {
        match self.is_holding {
            true => Outlet::Held(&mut self.held.bytes),
            false => Outlet::Through(writer),
        }
    }
}

enum Outlet<'a, W: ?Sized> {
    Held(&'a mut Vec<u8>),
    Through(&'a mut W),
}

impl<W: Write + ?Sized> Write for Outlet<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Held(held) => held.write(bytes),
            Self::Through(writer) => writer.write(bytes),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Held(held) => held.write_all(bytes),
            Self::Through(writer) => writer.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Plain values look as everywhere in JSON; only their destination is ours.
macro_rules! plain_values {
    ($($method:ident($($value:ident: $type:ty)?))*) => {
        $(fn $method<W: Write + ?Sized>(&mut self, writer: &mut W $(, $value: $type)?) -> io::Result<()> {
            CompactFormatter.$method(&mut self.sink(writer) $(, $value)?)
        })*
    };
}

impl Formatter for LegacyFormatter {
    plain_values! {
        write_null() write_bool(value: bool)
        write_i8(value: i8) write_i16(value: i16) write_i32(value: i32) write_i64(value: i64) write_i128(value: i128)
        write_u8(value: u8) write_u16(value: u16) write_u32(value: u32) write_u64(value: u64) write_u128(value: u128)
        write_f32(value: f32) write_f64(value: f64) write_number_str(value: &str)
        begin_string() end_string() write_char_escape(value: CharEscape) write_raw_fragment(value: &str)
    }

    /// Like Google, escapes characters that have a meaning in HTML.
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut sink = self.sink(writer);
        if memchr::memchr3(b'<', b'>', b'&', fragment.as_bytes()).is_none() {
            return sink.write_all(fragment.as_bytes());
        }
        for piece in fragment.split_inclusive(['<', '>', '&']) {
            let (plain, escape) = match piece.as_bytes() {
                [plain @ .., b'<'] => (plain, "\\u003c"),
                [plain @ .., b'>'] => (plain, "\\u003e"),
                [plain @ .., b'&'] => (plain, "\\u0026"),
                plain => (plain, ""),
            };
            sink.write_all(plain)?;
            sink.write_all(escape.as_bytes())?;
        }
        Ok(())
    }

    fn begin_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.release(writer)?;
        self.held.clear();
        self.is_holding = true;
        Ok(())
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, writer: &mut W, _first: bool) -> io::Result<()> {
        // The first value never gets here with the list released: it is held until a value begins.
        if self.is_holding {
            return Ok(());
        }
        writer.write_all(b",")?;
        self.new_line(writer)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, _writer: &mut W) -> io::Result<()> {
        if self.is_holding {
            self.held.ends.push(self.held.bytes.len());
        }
        Ok(())
    }

    fn end_array<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        if !std::mem::take(&mut self.is_holding) {
            return self.close_list(writer);
        }
        if self.held.ends.is_empty() {
            return writer.write_all(b"[]");
        }
        if !self.held.fits_a_line() {
            self.open_list(writer)?;
            return self.close_list(writer);
        }
        for (at, element) in self.held.elements().enumerate() {
            writer.write_all(if at == 0 { b"[ " } else { b", " })?;
            writer.write_all(element)?;
        }
        writer.write_all(b" ]")
    }

    fn begin_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.release(writer)?;
        self.depth += 1;
        self.object_is_empty = true;
        writer.write_all(b"{")
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.new_line(writer)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b" : ")
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.object_is_empty = false;
        Ok(())
    }

    fn end_object<W: Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if !self.object_is_empty {
            self.new_line(writer)?;
        }
        writer.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn text(document: &impl Serialize) -> String {
        let mut out = Vec::new();
        write(document, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_looks_like_googles() {
        let place = |name| {
            json!({
                "geometry": {
                    "location": {"lat": 34.06892, "lng": -118.44518},
                    "viewport": {"northeast": {"lat": 34.07, "lng": -118.44}, "southwest": {"lat": 34.06, "lng": -118.45}},
                },
                "icon": "https://maps.gstatic.com/mapfiles/place_api/icons/university-71.png",
                "name": name,
                "place_id": "landmark:ucla",
                "reference": "landmark:ucla",
                "types": ["university", "establishment"],
                "vicinity": "Los Angeles",
            })
        };
        let answer = json!({
            "html_attributions": ["From a <b>user</b> & \"friends\""],
            "results": [place("University of California, Los Angeles"), place("Zürich\n\u{1}\\")],
            "status": "OK",
        });
        assert_eq!(text(&answer), include_str!("testdata/answer.json").trim_end());
    }

    #[test]
    fn a_failure_is_one_whole_answer() {
        let failure = Failure { status: "UNKNOWN_ERROR", message: "The source is away.".into() };
        let mut out = Vec::new();
        write_failure(&failure, &mut out);
        let expected = r#"{
   "error_message" : "The source is away.",
   "html_attributions" : [],
   "results" : [],
   "status" : "UNKNOWN_ERROR"
}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_list_is_on_one_line_while_it_fits() {
        let longest = "x".repeat(LINE_LIMIT - 1 - "[ \"\" ]".len());
        assert_eq!(text(&[&longest]), format!("[ \"{longest}\" ]"));
        assert_eq!(text(&[format!("{longest}x")]), format!("[\n   \"{longest}x\"\n]"));
        assert_eq!(text(&[format!("{longest}x"), "y".into()]), format!("[\n   \"{longest}x\",\n   \"y\"\n]"));
    }

    #[test]
    fn nesting_opens_a_list_at_any_element() {
        let expected = "[\n   1,\n   [ true, null ],\n   -2,\n   {},\n   {\n      \"a\" : [],\n      \"b\" : {}\n   },\n   0.5\n]";
        assert_eq!(text(&json!([1, [true, null], -2, {}, {"a": [], "b": {}}, 0.5])), expected);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC*".prop_map(Value::from),
            "[<>&\"\\\\\n]{0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-z<]{0,5}", inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_document_reads_back_and_has_no_empty_line(value in any_value()) {
            let text = text(&value);
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            prop_assert!(!text.contains("\n\n") && !text.ends_with('\n') && !text.contains('<'));
        }
    }
}
