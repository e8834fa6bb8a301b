//! The byte-faithful cut: a document as it came, without the elements of one array beyond a bound, and without empty
//! lines.
//!
//! Nothing is rewritten. serde_json finds where the elements are; every byte that leaves is a byte that came.

#![deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::{collections::BTreeMap, fmt, ops::Range};

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

pub use super::unfit::Unfit;
use super::unfit::utf8;

/// A JSON object, one array in it, and two members that Google adds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// Without newlines at either end, and without two in a row.
    text: String,
    /// Between the array's brackets; if this is `Some`, the document has at least one array.
    inside: Option<Range<usize>>,
    /// Where its elements are.
    elements: Vec<Range<usize>>,
    /// Its `status`, if that is a string.
    pub status: Option<String>,
    /// Its `error_message`, if that is a string.
    pub error_message: Option<String>,
}

/// What is wrong with the text.
fn fault_of(came: &str, array: &str) -> Option<Unfit> {
    Outline::of(came, array).err().map(|error| Unfit::not_json(&error, came.as_bytes()))
}

impl Document {
    /// Finds the array called `array` at the top level of a JSON object. If a key occurs twice, the last one counts, as
    /// for most readers of JSON.
    pub fn parse(body: Vec<u8>, array: &str) -> Result<Self, Unfit> {
        let came = utf8(body)?;
        match squeeze(&came) {
            None => Self::of(came, array),
            // Only newlines are gone, which hides no fault, but moves each to another position than in the original
            // text.
            Some(text) => Self::of(text, array).map_err(|fault| fault_of(&came, array).unwrap_or(fault)),
        }
    }

    /// The same, but removes the white space between the parts of the JSON.
    pub fn parse_on_one_line(body: Vec<u8>, array: &str) -> Result<Self, Unfit> {
        let came = utf8(body)?;
        // The original text is judged: without its white space, `1 2` would be `12`.
        fault_of(&came, array).map_or_else(|| Self::of(on_one_line(came), array), Err)
    }

    /// The whole text.
    fn of(text: String, array: &str) -> Result<Self, Unfit> {
        let not_json = |error| Unfit::not_json(&error, text.as_bytes());
        let outline = Outline::of(&text, array).map_err(not_json)?;
        let place = |raw: &RawValue| {
            let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
            start..start + raw.get().len()
        };
        let (mut inside, mut elements) = (None, Vec::new());
        if let Some(raw) = outline.array.filter(|raw| is_array(raw)) {
            let Range { start, end } = place(raw);
            inside = Some(start + 1..end - 1);
            let raws: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(not_json)?;
            elements = raws.into_iter().map(place).collect();
        }
        let (status, error_message) = (string(outline.status), string(outline.error_message));
        Ok(Self { inside, elements, status, error_message, text })
    }

    /// The text of the value of a key at the top level.
    pub fn part(&self, key: &str) -> Option<&str> {
        self.top_level().get(key).map(|raw| raw.get())
    }

    /// The names of all arrays at the top level, sorted.
    pub fn arrays(&self) -> Vec<String> {
        let arrays = self.top_level().into_iter().filter(|(_, raw)| is_array(raw));
        arrays.map(|(name, _)| name).collect()
    }

    fn top_level(&self) -> BTreeMap<String, &RawValue> {
        // The text is an object: it was read before.
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// Whether the array exists.
    pub fn has_array(&self) -> bool {
        self.inside.is_some()
    }

    /// How many elements the array has.
    pub fn count(&self) -> usize {
        self.elements.len()
    }

    /// The elements' own texts.
    pub fn elements(&self) -> impl Iterator<Item = &str> {
        (0..self.count()).map(|at| self.element(at))
    }

    /// The text of one of its elements.
    pub fn element(&self, at: usize) -> &str {
        &self.text[self.elements[at].clone()]
    }

    /// Approximately how much memory it uses.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + self.elements.capacity() * size_of::<Range<usize>>()
    }

    /// Appends the document with the first `bound` elements; returns their number.
    pub fn write(&self, bound: usize, out: &mut Vec<u8>) -> usize {
        let text = self.text.as_bytes();
        let (Some(inside), Some(last)) = (&self.inside, self.elements.last()) else {
            out.extend_from_slice(text);
            return 0;
        };
        let kept = bound.min(self.elements.len());
        let (head, tail) = match self.elements[..kept].last() {
            Some(last_kept) => (last_kept.end, last.end),
            None => (inside.start, inside.end),
        };
        out.extend_from_slice(&text[..head]);
        out.extend_from_slice(&text[tail..]);
        kept
    }

    /// Appends the document with only these elements, separated by commas, between the brackets.
    pub fn write_chosen(&self, chosen: impl IntoIterator<Item = usize>, out: &mut Vec<u8>) -> usize {
        let text = self.text.as_bytes();
        let Some(inside) = &self.inside else { return self.write(0, out) };
        out.extend_from_slice(&text[..inside.start]);
        let mut count = 0;
        for at in chosen {
            if count > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&text[self.elements[at].clone()]);
            count += 1;
        }
        out.extend_from_slice(&text[inside.end..]);
        count
    }
}

/// The relevant parts of the top level.
#[derive(Default)]
struct Outline<'de> {
    array: Option<&'de RawValue>,
    status: Option<&'de RawValue>,
    error_message: Option<&'de RawValue>,
}

impl<'de> Outline<'de> {
    fn of(text: &'de str, array: &str) -> serde_json::Result<Self> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let outline = reader.deserialize_map(OutlineVisitor { array })?;
        reader.end()?;
        Ok(outline)
    }
}

struct OutlineVisitor<'a> {
    array: &'a str,
}

impl<'de> Visitor<'de> for OutlineVisitor<'_> {
    type Value = Outline<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut outline = Outline::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                key if key == self.array => outline.array = Some(map.next_value()?),
                "status" => outline.status = Some(map.next_value()?),
                "error_message" => outline.error_message = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(outline)
    }
}

fn is_array(raw: &RawValue) -> bool {
    raw.get().starts_with('[')
}

fn string(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

/// Removes newlines from both ends, and all but the first of those in a row: an empty line would end the reply. `None`
/// if there are none to remove. JSON has no newline within a string, so only its white space changes.
fn squeeze(text: &str) -> Option<String> {
    const NEWLINES: [char; 2] = ['\r', '\n'];
    let inner = text.trim_matches(NEWLINES);
    let has_empty_line = inner.contains("\n\n") || inner.contains("\n\r") || inner.contains("\r\r");
    if inner.len() == text.len() && !has_empty_line {
        return None;
    }
    let is_empty = |line: &&str| line.bytes().all(|byte| matches!(byte, b'\r' | b'\n'));
    Some(inner.split_inclusive('\n').filter(|line| !is_empty(line)).collect())
}

/// Removes the white space between the parts of a JSON text.
fn on_one_line(text: String) -> String {
    let (mut out, mut is_string, mut is_escaped) = (Vec::with_capacity(text.len()), false, false);
    for &byte in text.as_bytes() {
        if is_string || !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            out.push(byte);
        }
        is_string ^= byte == b'"' && !is_escaped;
        is_escaped = is_string && byte == b'\\' && !is_escaped;
    }
    // Whole ASCII characters are gone, and nothing else.
    String::from_utf8(out).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::disallowed_types,
        clippy::disallowed_methods,
        reason = "a thread has the stack of a session"
    )]

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn cut(text: &str, bound: usize) -> (usize, String) {
        let document = Document::parse(text.as_bytes().to_vec(), "results").unwrap();
        let mut out = Vec::new();
        let count = document.write(bound, &mut out);
        (count, String::from_utf8(out).unwrap())
    }

    const TWO_STYLES: [&str; 2] = [
        "{\n   \"html_attributions\" : [],\n   \"results\" : [\n      {\n         \"name\" : \"A\",\n         \"types\" : [ \"x\", \"y\" ]\n      },\n      {\n         \"name\" : \"B, ]}\\\"\"\n      },\n      {}\n   ],\n   \"status\" : \"OK\"\n}\n",
        "{\n   \"html_attributions\" : [],\n   \"results\" :\n   [\n      {\n         \"name\" : \"A\",\n         \"results\" : [ 1, 2, 3 ]\n      },\n      {\n         \"name\" : \"B\"\n      }\n   ],\n   \"status\" : \"OK\"\n}\n",
    ];

    #[test]
    fn both_styles_are_cut_after_an_element() {
        assert_eq!(
            cut(TWO_STYLES[0], 1),
            (1, "{\n   \"html_attributions\" : [],\n   \"results\" : [\n      {\n         \"name\" : \"A\",\n         \"types\" : [ \"x\", \"y\" ]\n      }\n   ],\n   \"status\" : \"OK\"\n}".to_owned())
        );
        assert_eq!(
            cut(TWO_STYLES[1], 0),
            (
                0,
                "{\n   \"html_attributions\" : [],\n   \"results\" :\n   [],\n   \"status\" : \"OK\"\n}"
                    .to_owned()
            )
        );
        for style in TWO_STYLES {
            assert_eq!(cut(style, 20).1, style.trim_end());
        }
    }

    #[test]
    fn empty_lines_go_and_other_white_space_stays() {
        assert_eq!(
            cut("\n\n{ \n\n\n \"results\"\r\n\r\n:[1 ,\n2\n\n]}\r\n\n", 1),
            (1, "{ \n \"results\"\r\n:[1\n]}".to_owned())
        );
        assert_eq!(cut("{\"results\":[1]}", 9), (1, "{\"results\":[1]}".to_owned()));
        assert_eq!(cut("{\t\"results\" : [ ] }\n", 1), (0, "{\t\"results\" : [ ] }".to_owned()));
    }

    #[test]
    fn numbers_escapes_and_letters_leave_as_they_came() {
        let text = r#"{"results":[{"lat":34.068929999999999,"n":"Z\u00fcrich 東京 \u003c\/","e":1E+2},2]}"#;
        assert_eq!(cut(text, 1).1, text.replace(",2]", "]"));
    }

    #[test]
    fn only_the_named_array_of_the_top_level_counts() {
        let text = r#"{"a":{"results":[1,2]},"results":"no","statuses":[1,2,3]}"#;
        assert_eq!(cut(text, 1), (0, text.to_owned()));
        let document = Document::parse(text.into(), "statuses").unwrap();
        let mut out = Vec::new();
        assert_eq!((document.write(2, &mut out), document.count()), (2, 3));
        assert!(String::from_utf8(out).unwrap().ends_with("\"statuses\":[1,2]}"));
        assert!(!Document::parse(text.into(), "results").unwrap().has_array());
    }

    #[test]
    fn a_key_that_comes_twice_counts_as_its_last() {
        assert_eq!(cut(r#"{"results":[1,2],"results":[3,4]}"#, 1).1, r#"{"results":[1,2],"results":[3]}"#);
        assert_eq!(cut(r#"{"r\u0065sults":[3,4]}"#, 1).1, r#"{"r\u0065sults":[3]}"#);
    }

    #[test]
    fn what_google_says_beside_is_read() {
        let text = br#"{"error_message":"no \"key\"","results":[],"status":"REQUEST_DENIED"}"#.to_vec();
        let document = Document::parse(text, "results").unwrap();
        assert_eq!(document.error_message.as_deref(), Some("no \"key\""));
        assert_eq!(document.status.as_deref(), Some("REQUEST_DENIED"));
        assert_eq!(Document::parse(b"{\"status\":1}".to_vec(), "results").unwrap().status, None);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in [
            "[]",
            "{",
            "<html></html>",
            "{\"results\":[1,}",
            "{\"results\":[1,]}",
            "{} {}",
            "{\"results\":[1",
        ] {
            assert!(matches!(Document::parse(text.into(), "results"), Err(Unfit::NotJson { .. })), "{text}");
        }
        assert!(matches!(Document::parse(b" \n".to_vec(), "results"), Err(Unfit::Empty)));
    }

    #[test]
    fn fault_has_the_place_it_has_in_the_text_that_came() {
        let place = |text: &[u8]| Document::parse(text.to_vec(), "results").unwrap_err().to_string();
        for (text, expected) in [
            ("\n\n{\n\n\n \"results\": [1,\n\n\n  x]}", "line 9 column 3"),
            ("{\"a\": \"\u{6771}\u{4eac}\", x}", "line 1 column 13"),
            ("{\"results\":[1]}\n\n{}\n", "trailing characters at line 3 column 1"),
            ("{\"results\":[\n", "line 2 column 1"),
        ] {
            let said = place(text.as_bytes());
            assert!(
                said.starts_with("it is not a JSON object: ") && said.ends_with(expected),
                "{text}: {said}"
            );
        }
        assert_eq!(place(b"{\n\n \"\xc3\xab\xff\""), "it is not UTF-8 text: see line 3, column 4");
    }

    #[test]
    fn one_line_makes_no_document_of_a_broken_text() {
        for text in
            ["{\"results\":[1 2]}", "{\"results\":[nu ll]}", "{\"a\":- 1}", "{\"results\":[\"a\nb\"]}"]
        {
            let parsed = Document::parse_on_one_line(text.into(), "results");
            assert!(matches!(parsed, Err(Unfit::NotJson { .. })), "{text}");
        }
    }

    #[test]
    fn parts_and_arrays_of_the_top_level_are_known_by_name() {
        let text = "{ \"b\" : [ ] , \"c\" : { \"d\" : [ 1 ] } , \"a\" : [ 1 , \" x \" ] }";
        let document = Document::parse_on_one_line(text.into(), "results").unwrap();
        assert_eq!(document.arrays(), ["a", "b"]);
        assert_eq!(document.part("a"), Some("[1,\" x \"]"));
        assert_eq!(document.part("results"), None);
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"results\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
        // serde_json may refuse it, but must not overflow the stack of a session.
        let thread = std::thread::Builder::new().stack_size(128 * 1024);
        thread.spawn(move || drop(Document::parse(deep.into(), "results"))).unwrap().join().unwrap();
    }

    #[test]
    fn chosen_elements_stand_alone_between_the_brackets() {
        let document =
            Document::parse(b"{ \"results\" : [ 1 , {\"a\" : 2} , 3 ] }".to_vec(), "results").unwrap();
        let mut out = Vec::new();
        assert_eq!(document.write_chosen([2, 1], &mut out), 2);
        assert_eq!(out, b"{ \"results\" : [3,{\"a\" : 2}] }");
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[\\PC\n\"\\\\\\[\\]{},:]*".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{0,3}|results", inner, 0..5)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    /// Puts white space of every kind wherever JSON allows it.
    fn spaced(value: &Value, spaces: &[&str]) -> String {
        let compact = value.to_string();
        let (mut out, mut is_string, mut is_escaped, mut turn) = (String::new(), false, false, 0);
        for letter in compact.chars() {
            let is_mark = !is_string && "[]{},:".contains(letter);
            if is_mark {
                turn += 1;
                out.push_str(spaces[turn % spaces.len()]);
            }
            out.push(letter);
            if is_mark {
                turn += 1;
                out.push_str(spaces[turn % spaces.len()]);
            }
            is_string ^= letter == '"' && !is_escaped;
            is_escaped = is_string && letter == '\\' && !is_escaped;
        }
        out
    }

    proptest! {
        #[test]
        fn any_document_is_cut_in_its_array_only(
            before in prop::collection::btree_map("[a-q]{1,3}", any_value(), 0..3),
            results in prop::collection::vec(any_value(), 0..6),
            after in prop::collection::btree_map("[s-z]{1,3}", any_value(), 0..3),
            bound in 0_usize..8,
            spaces in prop::collection::vec(prop_oneof![Just(""), Just(" "), Just("\n"), Just("\n\n  "), Just("\r\n\r\n"), Just("\t")], 1..7),
        ) {
            // serde_json's map is sorted, so `results` stands between the two.
            let mut object = serde_json::Map::new();
            object.extend(before);
            object.insert("results".into(), Value::from(results.clone()));
            object.extend(after);
            let whole = Value::from(object);
            let text = spaced(&whole, &spaces);
            let (count, out) = cut(&text, bound);
            prop_assert_eq!(count, results.len().min(bound));
            let mut expected = whole;
            expected["results"] = Value::from(&results[..count]);
            prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected);
            prop_assert!(!out.contains("\n\n") && !out.contains("\n\r\n") && !out.starts_with(['\r', '\n']) && !out.ends_with(['\r', '\n']));
            // What is left of the array is its beginning, and nothing outside it differs.
            let whole_again = squeeze(&text).unwrap_or(text);
            let document = Document::parse(whole_again.clone().into_bytes(), "results").unwrap();
            let inside = document.inside.clone().unwrap();
            prop_assert_eq!(&out[..inside.start], &whole_again[..inside.start]);
            let tail = &whole_again[inside.end..];
            prop_assert!(out.ends_with(tail));
            let kept = &out[inside.start..out.len() - tail.len()];
            let last_end = document.elements.last().map_or(inside.start, |last| last.end);
            let rest = if count == 0 && !results.is_empty() { "" } else { &whole_again[last_end..inside.end] };
            let head = kept.strip_suffix(rest).unwrap();
            prop_assert!(whole_again[inside.start..].starts_with(head));
        }
    }
}
