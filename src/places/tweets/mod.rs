//! Tweets near a client, as the editions of 2012 and 2014 ask for: from one document, read at start, of a service that
//! answers with one array.
//!
//! Its elements that say where they were written are given as they stand in the file, in its order, on one line.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde_json::Value;

use super::{Failure, Form, Query, Source, cut::Document, cut::Unfit, index::Circle};
use crate::model::Coordinates;

/// A file of tweets is at most so large.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why there are no tweets; displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum TweetsError {
    /// It is not there, or may not be read.
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
    #[error("{file} is over {} MiB; give a part of it", FILE_BYTES_MAX >> 20)]
    TooLarge {
        /// Its path.
        file: String,
    },
    /// Not a document.
    #[error("{file} holds no tweets: {fault}; give a whole answer of the service")]
    Unfit {
        /// Its path.
        file: String,
        /// What is wrong.
        fault: Unfit,
    },
    /// No such array in it.
    #[error("{file} has no array {array:?} at its top level; name the one it has as `array` in [places]")]
    NoArray {
        /// Its path.
        file: String,
        /// Its name.
        array: String,
    },
}

/// The tweets of one file.
#[derive(Debug)]
pub struct Tweets {
    document: Document,
    /// Which of its elements say where they were written, and where that was.
    located: Vec<(usize, Coordinates)>,
}

impl Tweets {
    /// Reads a file; `array` is where its tweets are.
    pub fn open(path: &Path, array: &str) -> Result<Self, TweetsError> {
        let file = || path.display().to_string();
        let unreadable = |error| TweetsError::Unreadable { file: file(), error };
        let mut text = Vec::new();
        let opened = File::open(path).map_err(unreadable)?;
        opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(TweetsError::TooLarge { file: file() });
        }
        let document = Document::parse(on_one_line(&text), array);
        let document = document.map_err(|fault| TweetsError::Unfit { file: file(), fault })?;
        if !document.has_array() {
            return Err(TweetsError::NoArray { file: file(), array: array.to_owned() });
        }
        let located =
            document.elements().enumerate().filter_map(|(at, element)| Some((at, whereabouts(element)?)));
        Ok(Self { located: located.collect(), document })
    }

    /// How many there are, and how many of them say where they were written.
    pub fn counts(&self) -> (usize, usize) {
        (self.document.count(), self.located.len())
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
        let circle = Circle::new(query.center, query.radius_m);
        let near = self.located.iter().filter(|(_, point)| circle.holds(*point)).map(|&(at, _)| at);
        Ok(self.document.write_chosen(near.take(query.bound), out))
    }
}

/// Takes the white space out between the parts of a JSON text.
fn on_one_line(text: &[u8]) -> Vec<u8> {
    let (mut out, mut is_string, mut is_escaped) = (Vec::with_capacity(text.len()), false, false);
    for &byte in text {
        if is_string || !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            out.push(byte);
        }
        is_string ^= byte == b'"' && !is_escaped;
        is_escaped = is_string && byte == b'\\' && !is_escaped;
    }
    out
}

/// Where a tweet was written, in any of the forms services have: `geo` with latitude first (search, and version 1.1),
/// `coordinates` with longitude first (1.1), both in one another (2), or a place's `geometry`.
fn whereabouts(element: &str) -> Option<Coordinates> {
    let value: Value = serde_json::from_str(element).ok()?;
    let pair = |pointer: &str, first: usize| {
        let pair = value.pointer(pointer)?.as_array().filter(|pair| pair.len() == 2)?;
        Some((pair[first].as_f64()?, pair[1 - first].as_f64()?))
    };
    let geometry = || {
        let location = value.pointer("/geometry/location")?;
        Some((location.get("lat")?.as_f64()?, location.get("lng")?.as_f64()?))
    };
    let (latitude, longitude) = pair("/geo/coordinates", 0)
        .or_else(|| pair("/geo/coordinates/coordinates", 1))
        .or_else(|| pair("/coordinates/coordinates", 1))
        .or_else(geometry)?;
    let is_on_earth = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
    is_on_earth.then_some(Coordinates { latitude, longitude })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tweets(text: &str, array: &str) -> Result<Tweets, TweetsError> {
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
                "has no array \"results\" at its top level; name the one it has as `array` in [places]"
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
            broken.contains("holds no tweets: it is no JSON object: ") && !broken.contains('\n'),
            "{broken}"
        );
    }
}
