//! `herd places near`: what a node would answer around a point, as a table for people or as the very document. Asks no
//! upstream: that is billed, and counted where nodes do it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::ValueHint;

use super::{
    super::{CommandError, Common, complain, printable},
    table,
};
use crate::{
    config::{Herd, PlacesSource},
    core::model::Coordinates,
    places::{Embedded, Form, OpenError, PlacesFile, Query, Source, tweets::Tweets},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  herd places near 34.0689 -118.4451 10          the first 20 that a WHATSAT gives within 10 km
  herd places near 34.0689 -118.4451 10 5 --file places.bin
  herd places near 34.0689 -118.4451 10 --config my.toml
  herd places near 34.0689 -118.4451 10 --json   the document a WHATSAT is answered with

Without --file, the source that [places] in the configuration names answers, as it does in a node.
Google is not asked: that is a call somebody pays for. Ask a node instead, with herd send.")]
pub(in crate::cli) struct Args {
    /// Degrees north.
    #[arg(value_name = "LAT", allow_negative_numbers = true, value_parser = |word: &str| degrees(word, 90.0))]
    latitude: f64,
    /// Degrees east.
    #[arg(value_name = "LNG", allow_negative_numbers = true, value_parser = |word: &str| degrees(word, 180.0))]
    longitude: f64,
    /// How far around, in kilometres: at most 50, as in a WHATSAT; for tweets at most 20016.
    #[arg(value_name = "RADIUS", value_parser = |word: &str| kilometres(word))]
    radius_km: f64,
    /// The most places or tweets to print: at most 20, as in a WHATSAT; for tweets at most 100.
    #[arg(value_name = "LIMIT", default_value_t = 20)]
    limit: u32,
    /// A file made by herd places import, to look in instead; the configuration is not read then.
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

pub(super) fn run(args: &Args, common: &Common) -> Result<(), CommandError> {
    let center = Coordinates { latitude: args.latitude, longitude: args.longitude };
    let query = Query { center, radius_m: args.radius_km * 1000.0, bound: args.limit as usize };
    let holder = Holder::open(args, common)?;
    holder.check(args)?;
    let mut document = Vec::new();
    let count = holder
        .source()
        .nearby(&query, &mut document)
        .map_err(|failure| CommandError::Failed(format!("{}: {}", failure.status, failure.message)))?;
    if args.json {
        document.push(b'\n');
        let mut out = printable::documents();
        out.write_all(&document)?;
        out.finish()?;
    } else {
        let mut out = io::stdout().lock();
        out.write_all(holder.table(&query, &document)?.as_bytes()).and_then(|()| out.flush())?;
        if count == 0 {
            complain(&holder.nothing(args));
        }
    }
    Ok(())
}

/// Who answers.
enum Holder {
    Places(Box<dyn Source>),
    Tweets(Tweets),
}

impl Holder {
    /// The file that is named, or else what the configuration has nodes ask first. That is enough: only an upstream can fail
    /// and leave the answer to the next.
    fn open(args: &Args, common: &Common) -> Result<Self, CommandError> {
        if let Some(file) = &args.file {
            return Self::of_file(file);
        }
        let herd = common.herd()?;
        let places = &herd.places;
        match places.source {
            PlacesSource::Embedded => Ok(Self::Places(Box::new(Embedded))),
            // Without their file, the configuration is not valid.
            PlacesSource::File => Self::of_file(places.file.as_deref().unwrap_or(Path::new(""))),
            PlacesSource::Tweets => {
                let path = places.tweets_file.as_deref().unwrap_or(Path::new(""));
                let tweets = Tweets::open(path, &places.array).map_err(OpenError::Tweets)?;
                Ok(Self::Tweets(tweets))
            }
            source @ (PlacesSource::Google | PlacesSource::GoogleNew) => {
                Err(CommandError::Failed(not_asked(source, args, &herd)))
            }
            PlacesSource::None => Err(CommandError::Failed(format!(
                "the nodes of {} refuse every WHATSAT, as [places] source is \"none\"; look into a file with --file",
                herd.name
            ))),
        }
    }

    fn of_file(path: &Path) -> Result<Self, CommandError> {
        let places = PlacesFile::open(path).map_err(OpenError::File)?;
        Ok(Self::Places(Box::new(places)))
    }

    /// Whether a node would answer a WHATSAT with this radius and limit.
    fn check(&self, args: &Args) -> Result<(), CommandError> {
        let Form { radius_km_max, bound_max, .. } = self.source().form();
        let over = |what: &str, max: u64, unit: &str| {
            let noun = self.noun();
            CommandError::Usage(format!(
                "{what} is over {max}{unit}, the most that a WHATSAT for {noun}s takes; give at most that"
            ))
        };
        if args.radius_km > radius_km_max as f64 {
            return Err(over("RADIUS", radius_km_max, " km"));
        }
        if u64::from(args.limit) > bound_max {
            return Err(over("LIMIT", bound_max, ""));
        }
        Ok(())
    }

    /// Why the answer is empty, and what may change that.
    fn nothing(&self, args: &Args) -> String {
        let (noun, radius_km) = (self.noun(), args.radius_km);
        if args.limit == 0 {
            return format!("LIMIT 0 asks for no {noun}; give a greater one");
        }
        if let Self::Tweets(tweets) = self
            && let (count, 0) = tweets.counts()
        {
            return format!(
                "none of the {count} tweets says where it was written, so no radius finds one; give nodes tweets with \
                 coordinates or a place"
            );
        }
        match radius_km < self.source().form().radius_km_max as f64 {
            true => format!("no {noun} is within {radius_km} km; ask for a greater radius"),
            false => format!(
                "no {noun} is within {radius_km} km, the greatest radius there is; ask around another point"
            ),
        }
    }

    fn source(&self) -> &dyn Source {
        match self {
            Self::Places(places) => places.as_ref(),
            Self::Tweets(tweets) => tweets,
        }
    }

    fn noun(&self) -> &'static str {
        match self {
            Self::Places(_) => "place",
            Self::Tweets(_) => "tweet",
        }
    }

    fn table(&self, query: &Query, document: &[u8]) -> Result<String, CommandError> {
        match self {
            Self::Tweets(tweets) => Ok(table::of_tweets(tweets.near(query), query.center)),
            Self::Places(_) => {
                let answer = serde_json::from_slice(document).map_err(|error| {
                    CommandError::Failed(format!("the answer is no JSON: {error}; look at it with --json"))
                })?;
                Ok(table::of_places(&answer, query.center))
            }
        }
    }
}

/// Why there is no answer where nodes ask Google, and how to have one of a node.
fn not_asked(source: PlacesSource, args: &Args, herd: &Herd) -> String {
    let node =
        herd.own().nodes.into_iter().next().map_or_else(|| "NODE".to_owned(), |node| node.id.to_string());
    let Args { radius_km, limit, .. } = args;
    format!(
        "nodes ask {} first, which bills each call, so this does not; ask a node about a client that has reported: \
         herd send {node} 'WHATSAT CLIENT {radius_km} {limit}', or look into a file with --file",
        source.as_str()
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    #[test]
    fn southern_and_western_points_are_no_flags() {
        let words = ["herd", "places", "near", "-33.86", "-151.2", "10", "5"];
        let parsed = crate::cli::Args::try_parse_from(words).unwrap();
        let crate::cli::HerdCommand::Places(super::super::PlacesCommand::Near(args)) = parsed.command else {
            panic!()
        };
        assert_eq!((args.latitude, args.longitude, args.radius_km, args.limit), (-33.86, -151.2, 10.0, 5));
        for wrong in
            [["91", "0", "1"], ["0", "-181", "1"], ["0", "0", "-1"], ["0", "nan", "1"], ["0", "0", "inf"]]
        {
            let words = ["herd", "places", "near"].into_iter().chain(wrong);
            assert!(crate::cli::Args::try_parse_from(words).is_err(), "{wrong:?}");
        }
    }
}
