//! Tweets near a client, as the editions of 2012 and 2014 ask for: from one document, read at start, of a service that
//! answers with one array.
//!
//! The elements that say where they were written are returned as they are in the file, in its order, on one line.

mod position;

use std::{io, path::Path};

use super::{Failure, Form, Query, Source, cut::Document, cut::Unfit, index::Circle};
use crate::{core::model::Coordinates, regular_file};

/// The maximum size of a file of tweets.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What some programs write before a text to mark it as UTF-8; not part of the JSON.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why there are no tweets; displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum TweetsError {
    /// It is missing, may not be read, or is not a regular file.
    #[error(
        "{file}: the tweets cannot be read: {error}; give tweets_file in [places] the path of a JSON document"
    )]
    Unreadable {
        /// Its path.
        file: String,
        /// What the system said.
        error: io::Error,
    },
    /// Over the limit.
    #[error("{file} is over {} MiB; use a part of it", FILE_BYTES_MAX >> 20)]
    TooLarge {
        /// Its path.
        file: String,
    },
    /// Not a document.
    #[error("{file} holds no tweets: {fault}; {}", cure(fault))]
    Unfit {
        /// Its path.
        file: String,
        /// What is wrong.
        fault: Unfit,
    },
    /// No such array in it.
    #[error("{file} has no array {array:?} at its top level{}", instead(there))]
    NoArray {
        /// Its path.
        file: String,
        /// Its name.
        array: String,
        /// The names of the arrays that exist.
        there: Vec<String>,
    },
}

fn cure(fault: &Unfit) -> &'static str {
    match fault {
        Unfit::NotUtf8 { cure, .. } => cure,
        Unfit::Empty | Unfit::NotJson { .. } => {
            "use a whole answer of the service: one JSON object with the tweets in an array"
        }
    }
}

/// The most arrays that an error names.
const ARRAYS_SHOWN_MAX: usize = 8;

/// What to write instead of an array that does not exist.
fn instead(there: &[String]) -> String {
    if there.is_empty() {
        return ", nor any other; use a whole answer of the service".to_owned();
    }
    let names: Vec<_> = there.iter().take(ARRAYS_SHOWN_MAX).map(|name| format!("{name:?}")).collect();
    let more = if there.len() > ARRAYS_SHOWN_MAX { "…" } else { "" };
    format!(", but {}{more}; name the one with the tweets as `array` in [places]", names.join(", "))
}

/// The tweets of one file.
#[derive(Debug)]
pub struct Tweets {
    document: Document,
    /// Which of its elements say where they were written, and the positions.
    located: Vec<(usize, Coordinates)>,
}

impl Tweets {
    /// Reads a file; `array` holds its tweets.
    pub fn open(path: &Path, array: &str) -> Result<Self, TweetsError> {
        let file = || path.display().to_string();
        let unreadable = |error| TweetsError::Unreadable { file: file(), error };
        let text = regular_file::read(path, FILE_BYTES_MAX).map_err(unreadable)?;
        let mut text = text.ok_or_else(|| TweetsError::TooLarge { file: file() })?;
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        let document = Document::parse_on_one_line(text, array);
        let document = document.map_err(|fault| TweetsError::Unfit { file: file(), fault })?;
        if !document.has_array() {
            let there = document.arrays();
            return Err(TweetsError::NoArray { file: file(), array: array.to_owned(), there });
        }
        let known = document.part("includes").map(position::known_places).unwrap_or_default();
        let tweets = document.elements().enumerate();
        let located = tweets.filter_map(|(at, tweet)| Some((at, position::of(tweet, &known)?))).collect();
        Ok(Self { located, document })
    }

    /// How many there are, and how many of them say where they were written.
    pub fn counts(&self) -> (usize, usize) {
        (self.document.count(), self.located.len())
    }

    /// The tweets in an answer, each with where it was written.
    pub fn near(&self, query: &Query) -> impl Iterator<Item = (&str, Coordinates)> {
        self.within(query).map(|(at, point)| (self.document.element(at), point))
    }

    fn within(&self, query: &Query) -> impl Iterator<Item = (usize, Coordinates)> {
        let circle = Circle::new(query.center, query.radius_m);
        self.located.iter().copied().filter(move |&(_, point)| circle.holds(point)).take(query.bound)
    }
}

impl Source for Tweets {
    fn form(&self) -> Form {
        Form::TWEETS
    }

    fn may_wait(&self) -> bool {
        false
    }

    fn nearby(&self, query: &Query, out: &mut Vec<u8>) -> Result<usize, Failure> {
        Ok(self.document.write_chosen(self.within(query).map(|(at, _)| at), out))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tweets(text: impl AsRef<[u8]>, array: &str) -> Result<Tweets, TweetsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tweets.json");
        fs::write(&path, text).unwrap();
        Tweets::open(&path, array)
    }

    fn answer(tweets: &Tweets, latitude: f64, longitude: f64, km: f64, bound: usize) -> (usize, String) {
        let mut out = Vec::new();
        let query = Query { center: Coordinates { latitude, longitude }, radius_m: km * 1000.0, bound };
        let count = tweets.nearby(&query, &mut out).unwrap();
        (count, String::from_utf8(out).unwrap())
    }

    const SOME: &str = "{\n  \"results\" : [\n    {\"text\":\"a \\\" b\",\"geo\":{\"coordinates\":[34.05,-118.25]}},\n    {\"text\":\"nowhere\",\"geo\":null},\n    {\"text\":\"c\",\"geo\":{\"coordinates\":{\"coordinates\":[-118.3, 34.1]}}},\n {\"text\":\"Tokyo\",\"geo\":null,\"coordinates\":{\"coordinates\":[139.7,35.7]}}\n  ],\n  \"max_id\" : 7\n}\n";

    #[test]
    fn tweets_nearby_are_given_on_one_line_in_the_files_order() {
        let tweets = tweets(SOME, "results").unwrap();
        assert_eq!(tweets.counts(), (4, 3));
        let first = "{\"text\":\"a \\\" b\",\"geo\":{\"coordinates\":[34.05,-118.25]}}";
        let second = "{\"text\":\"c\",\"geo\":{\"coordinates\":{\"coordinates\":[-118.3,34.1]}}}";
        assert_eq!(
            answer(&tweets, 34.0, -118.2, 50.0, 100),
            (2, format!("{{\"results\":[{first},{second}],\"max_id\":7}}"))
        );
        assert_eq!(
            answer(&tweets, 34.0, -118.2, 50.0, 1),
            (1, format!("{{\"results\":[{first}],\"max_id\":7}}"))
        );
        assert_eq!(answer(&tweets, 34.0, -118.2, 50.0, 0), (0, "{\"results\":[],\"max_id\":7}".to_owned()));
        assert_eq!(answer(&tweets, -34.0, 18.2, 100.0, 100).0, 0);
        assert_eq!(answer(&tweets, -34.0, 18.2, 20_016.0, 100).0, 3);
    }

    #[test]
    fn another_service_has_its_array_elsewhere() {
        let text = SOME.replace("results", "statuses");
        assert_eq!(answer(&tweets(&text, "statuses").unwrap(), 35.7, 139.7, 1.0, 5).0, 1);
        let error = tweets(&text, "results").unwrap_err().to_string();
        assert!(
            error.ends_with(
                "has no array \"results\" at its top level, but \"statuses\"; name the one with the tweets as `array` in [places]"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_none_is_told_in_one_line() {
        let missing = Tweets::open(Path::new("/nonexistent/t.json"), "results").unwrap_err().to_string();
        assert!(missing.starts_with("/nonexistent/t.json: the tweets cannot be read: "), "{missing}");
        let broken = tweets("{\"results\":[", "results").unwrap_err().to_string();
        assert!(
            broken.contains("holds no tweets: it is not a JSON object: ") && !broken.contains('\n'),
            "{broken}"
        );
        let wide = tweets(b"\xff\xfe{\0", "results").unwrap_err().to_string();
        assert!(wide.ends_with("it is not UTF-8 text: see line 1, column 1; it looks like UTF-16, convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"), "{wide}");
    }
}
