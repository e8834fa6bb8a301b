//! `herd places near`: what a node would answer around a point, as a table for people or as the very document.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::ValueHint;
use serde_json::Value;

use super::super::{Common, Failure, complain, printable, status::visible};
use crate::{
    config::PlacesSource,
    model::Coordinates,
    places::{self, Embedded, PlacesFile, Query, Source},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd places near 34.0689 -118.4451 10          the 20 best known within 10 km
  herd places near 34.0689 -118.4451 10 5 --file places.bin
  herd places near 34.0689 -118.4451 10 --json   the document a WHATSAT is answered with")]
pub(in crate::cli) struct Args {
    /// Degrees north.
    #[arg(value_name = "LAT", allow_negative_numbers = true, value_parser = |word: &str| degrees(word, 90.0))]
    latitude: f64,
    /// Degrees east.
    #[arg(value_name = "LNG", allow_negative_numbers = true, value_parser = |word: &str| degrees(word, 180.0))]
    longitude: f64,
    /// How far around, in kilometres.
    #[arg(value_name = "RADIUS", value_parser = |word: &str| kilometres(word))]
    radius_km: f64,
    /// The most places to print.
    #[arg(value_name = "LIMIT", default_value_t = 20)]
    limit: u32,
    /// A file made by herd places import; without it, the places of the configuration that need no network.
    #[arg(long, value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Print the JSON document of a reply.
    #[arg(long)]
    json: bool,
}

fn degrees(word: &str, bound: f64) -> Result<f64, String> {
    let degrees = word.parse().ok().filter(|degrees: &f64| degrees.abs() <= bound);
    degrees.ok_or_else(|| format!("it is a number of degrees from -{bound} to {bound}"))
}

/// No two points are farther apart.
const RADIUS_KM_MAX: f64 = 20_016.0;

fn kilometres(word: &str) -> Result<f64, String> {
    let kilometres = word.parse().ok().filter(|kilometres| (0.0..=RADIUS_KM_MAX).contains(kilometres));
    kilometres.ok_or_else(|| format!("it is a number of kilometres from 0 to {RADIUS_KM_MAX}"))
}

pub(super) fn run(args: &Args, common: &Common) -> Result<(), Failure> {
    let center = Coordinates { latitude: args.latitude, longitude: args.longitude };
    let query = Query { center, radius_m: args.radius_km * 1000.0, bound: args.limit as usize };
    let mut document = Vec::new();
    source(args, common)?
        .nearby(&query, &mut document)
        .map_err(|failure| Failure::Failed(format!("{}: {}", failure.status, failure.message)))?;
    if args.json {
        document.push(b'\n');
        let mut out = printable::documents();
        out.write_all(&document)?;
        out.finish()?;
    } else {
        let mut out = io::stdout().lock();
        let answer = serde_json::from_slice(&document).map_err(|error| {
            Failure::Failed(format!("the answer is no JSON: {error}; look at it with --json"))
        })?;
        out.write_all(table(&answer, center).as_bytes()).and_then(|()| out.flush())?;
        if answer["results"].as_array().is_none_or(Vec::is_empty) {
            complain(&format!("no place is within {} km; ask for a greater radius", args.radius_km));
        }
    }
    Ok(())
}

/// The file that is named, or else the first of the configured sources that needs no network.
fn source(args: &Args, common: &Common) -> Result<Box<dyn Source>, Failure> {
    let open = |file: &Path| match PlacesFile::open(file) {
        Ok(places) => Ok(Box::new(places) as Box<dyn Source>),
        Err(error) => Err(Failure::Usage(error.to_string())),
    };
    if let Some(file) = &args.file {
        return open(file);
    }
    let config = common.herd()?.places;
    let is_local = |source: &PlacesSource| matches!(source, PlacesSource::File | PlacesSource::Embedded);
    match (config.chain().find(is_local), &config.file) {
        (Some(PlacesSource::File), Some(file)) => open(file),
        _ => Ok(Box::new(Embedded)),
    }
}

const HEADING: [&str; 5] = ["KM", "NAME", "TYPES", "VICINITY", "PLACE_ID"];

/// A row a place, and below them who must be named; nothing where there is no place. Of what a file says, nothing reaches
/// the terminal but visible text.
fn table(answer: &Value, center: Coordinates) -> String {
    let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<_> = results.iter().map(|result| row(result, center)).collect();
    let mut out = String::new();
    if rows.is_empty() {
        return out;
    }
    let heading = HEADING.map(str::to_owned);
    let length = |row: &[String; 5], column: usize| row[column].chars().count();
    let widths: Vec<_> = (0..HEADING.len())
        .map(|column| rows.iter().chain([&heading]).map(|row| length(row, column)).max().unwrap_or(0))
        .collect();
    for row in std::iter::once(&heading).chain(&rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let room = " ".repeat(widths[column] - length(row, column));
            let _ = if column == 0 { write!(line, "{room}{cell}  ") } else { write!(line, "{cell}{room}  ") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out.push('\n');
    for html in answer["html_attributions"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "{}", visible(&without_marks(html.as_str().unwrap_or_default())));
    }
    out
}

fn row(result: &Value, center: Coordinates) -> [String; 5] {
    let text = |key: &str| visible(result[key].as_str().unwrap_or_default());
    let location = &result["geometry"]["location"];
    let (latitude, longitude) = (location["lat"].as_f64(), location["lng"].as_f64());
    let km = latitude.zip(longitude).map(|(latitude, longitude)| {
        format!("{:.2}", places::km_between(center, Coordinates { latitude, longitude }))
    });
    let types: Vec<_> = result["types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    [km.unwrap_or_default(), text("name"), visible(&types.join(", ")), text("vicinity"), text("place_id")]
}

/// HTML's text alone.
fn without_marks(html: &str) -> String {
    let mut pieces = html.split('<');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push_str(piece.split_once('>').map_or(piece, |(_, after)| after));
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[test]
    fn southern_and_western_points_are_no_flags() {
        let words = ["herd", "places", "near", "-33.86", "-151.2", "10", "5"];
        let parsed = crate::cli::Args::try_parse_from(words).unwrap();
        let crate::cli::Command::Places(super::super::Command::Near(args)) = parsed.command else { panic!() };
        assert_eq!((args.latitude, args.longitude, args.radius_km, args.limit), (-33.86, -151.2, 10.0, 5));
        for wrong in
            [["91", "0", "1"], ["0", "-181", "1"], ["0", "0", "-1"], ["0", "nan", "1"], ["0", "0", "inf"]]
        {
            let words = ["herd", "places", "near"].into_iter().chain(wrong);
            assert!(crate::cli::Args::try_parse_from(words).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_table_has_a_row_a_place_and_names_who_must_be_named() {
        let answer = json!({
            "html_attributions": ["© <a href=\"https://x\">Us</a> &amp; them"],
            "results": [
                {"geometry": {"location": {"lat": 0.0, "lng": 0.1}}, "name": "Café\u{1b}[31m",
                 "types": ["cafe", "food"], "vicinity": "Main Street 1", "place_id": "osm:node:1"},
                {"geometry": {"location": {"lat": 1.0, "lng": 0.0}}, "name": "A longer name",
                 "types": ["locality"], "vicinity": "", "place_id": "x:2"},
            ],
        });
        let expected = [
            "    KM  NAME           TYPES       VICINITY       PLACE_ID",
            " 11.12  Café?[31m      cafe, food  Main Street 1  osm:node:1",
            "111.20  A longer name  locality                   x:2",
            "",
            "© Us & them",
            "",
        ]
        .join("\n");
        assert_eq!(table(&answer, Coordinates { latitude: 0.0, longitude: 0.0 }), expected);
        assert_eq!(table(&json!({"results": []}), Coordinates { latitude: 0.0, longitude: 0.0 }), "");
    }
}
