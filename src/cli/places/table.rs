//! What is near a point as a table. Of what a file says, nothing reaches the terminal unescaped.

use std::{collections::HashMap, fmt::Write};

use serde_json::{Value, value::RawValue};

use super::super::printable::short;
use crate::{core::model::Coordinates, places::km_between};

const HEADING: [&str; 5] = ["KM", "NAME", "TYPES", "VICINITY", "PLACE_ID"];

/// A row a place, and below them who must be named; nothing where there is no place.
pub(super) fn of_places(answer: &Value, center: Coordinates) -> String {
    let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = results.iter().map(|result| place(result, center)).collect();
    let mut out = String::new();
    if rows.is_empty() {
        return out;
    }
    out.push_str(&columns(HEADING, &rows));
    out.push('\n');
    for html in answer["html_attributions"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "{}", short(&without_marks(html.as_str().unwrap_or_default())));
    }
    out
}

fn place(result: &Value, center: Coordinates) -> [String; 5] {
    let text = |key: &str| short(result[key].as_str().unwrap_or_default());
    let location = &result["geometry"]["location"];
    let (latitude, longitude) = (location["lat"].as_f64(), location["lng"].as_f64());
    let point = latitude.zip(longitude).map(|(latitude, longitude)| Coordinates { latitude, longitude });
    let km = point.map(|point| kilometres(center, point));
    let types: Vec<_> = result["types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    [km.unwrap_or_default(), text("name"), short(&types.join(", ")), text("vicinity"), text("place_id")]
}

const TWEET_HEADING: [&str; 4] = ["KM", "FROM", "WRITTEN", "TEXT"];

/// A row a tweet; nothing where there is none.
pub(super) fn of_tweets<'t>(
    tweets: impl Iterator<Item = (&'t str, Coordinates)>,
    center: Coordinates,
) -> String {
    let rows: Vec<_> = tweets.map(|(tweet, point)| row_of_tweet(tweet, kilometres(center, point))).collect();
    if rows.is_empty() { String::new() } else { columns(TWEET_HEADING, &rows) }
}

/// Each service has its own names for who wrote when what. A value that is no text, as half an emoji is, hides no other.
fn row_of_tweet(tweet: &str, km: String) -> [String; 4] {
    let parts: HashMap<String, &RawValue> = serde_json::from_str(tweet).unwrap_or_default();
    let part = |key: &str| -> Value {
        parts.get(key).and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
    };
    let first = |values: &[Value]| {
        let mut texts = values.iter().filter_map(Value::as_str);
        short(texts.next().unwrap_or_default())
    };
    let from = first(&[part("from_user"), part("user")["screen_name"].clone(), part("author_id")]);
    [km, from, first(&[part("created_at")]), first(&[part("text"), part("full_text")])]
}

fn kilometres(center: Coordinates, point: Coordinates) -> String {
    format!("{:.2}", km_between(center, point))
}

/// A line a row, the first column to the right.
fn columns<const COUNT: usize>(heading: [&str; COUNT], rows: &[[String; COUNT]]) -> String {
    let heading = heading.map(str::to_owned);
    let lines = || std::iter::once(&heading).chain(rows);
    let length = |cell: &String| cell.chars().count();
    let widths: [usize; COUNT] =
        std::array::from_fn(|column| lines().map(|row| length(&row[column])).max().unwrap_or(0));
    let mut out = String::new();
    for row in lines() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let room = " ".repeat(widths[column] - length(cell));
            // Writing to a string cannot fail.
            let _ = if column == 0 { write!(line, "{room}{cell}  ") } else { write!(line, "{cell}{room}  ") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// HTML's text alone.
fn without_marks(html: &str) -> String {
    let mut pieces = html.split('<');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push_str(piece.split_once('>').map_or(piece, |(_, after)| after));
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    // Last, so that nothing is read twice.
    text.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_row_a_place_and_names_who_must_be_named() {
        let answer = json!({
            "html_attributions": ["© <a href=\"https://x\">Us</a> &amp; &quot;them&#39;"],
            "results": [
                {"geometry": {"location": {"lat": 0.0, "lng": 0.1}}, "name": "Café\u{1b}[31m",
                 "types": ["cafe", "food"], "vicinity": "Main Street 1", "place_id": "osm:node:1"},
                {"geometry": {"location": {"lat": 1.0, "lng": 0.0}}, "name": "A longer name",
                 "types": ["locality"], "vicinity": "", "place_id": "x:2"},
            ],
        });
        let expected = [
            "    KM  NAME           TYPES       VICINITY       PLACE_ID",
            " 11.12  Café\\x1b[31m   cafe, food  Main Street 1  osm:node:1",
            "111.20  A longer name  locality                   x:2",
            "",
            "© Us & \"them'",
            "",
        ]
        .join("\n");
        assert_eq!(of_places(&answer, Coordinates { latitude: 0.0, longitude: 0.0 }), expected);
        assert_eq!(of_places(&json!({"results": []}), Coordinates { latitude: 0.0, longitude: 0.0 }), "");
    }

    #[test]
    fn tweets_of_every_service_have_a_row() {
        let at = Coordinates { latitude: 0.0, longitude: 0.1 };
        let tweets = [
            r#"{"from_user": "old_pier", "created_at": "Sat, 17 Nov 2012", "text": "one\u001b[31m"}"#,
            r#"{"user": {"screen_name": "mira"}, "full_text": "two"}"#,
            r#"{"author_id": "17", "text": "three"}"#,
            r#"{"from_user": "half", "user": 5, "text": "\ud83d"}"#,
            "7",
        ];
        let expected = [
            "   KM  FROM      WRITTEN           TEXT",
            "11.12  old_pier  Sat, 17 Nov 2012  one\\x1b[31m",
            "11.12  mira                        two",
            "11.12  17                          three",
            "11.12  half",
            "11.12",
            "",
        ];
        let center = Coordinates { latitude: 0.0, longitude: 0.0 };
        assert_eq!(of_tweets(tweets.into_iter().map(|tweet| (tweet, at)), center), expected.join("\n"));
        assert_eq!(of_tweets(std::iter::empty(), center), "");
    }
}
