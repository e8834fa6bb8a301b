//! A run folder, read back: what raw.jsonl holds, one figure per line, with the rounds of each figure brought together.
//! What was marked invalid is set aside here, so that no reader counts it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::{Better, Spread};

/// The file of a run folder that holds its figures.
pub(super) const RAW: &str = "raw.jsonl";
/// How a line begins that is about the run, and no figure.
pub(super) const ABOUT_THE_RUN: &[u8] = b"{\"run\":";
/// Units of which less is better by default.
const LESS: [&str; 13] = ["ns", "µs", "us", "ms", "s", "min", "B", "bytes", "kB", "MB", "GB", "KiB", "MiB"];
/// How the unit of a rate ends.
const A_SECOND: &str = "/s";

/// Why a run folder cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The folder does not exist, or it has no raw.jsonl that can be read.
    #[error("cannot read {}: {source}; give a run folder, such as one below bench/runs", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line is not a figure.
    #[error(
        "{}:{line}:{column}: {reason}; every line is to be one figure with what, unit and value. Older folders have \
         other lines; where the run broke off in a line, remove it",
        .path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There are no lines.
    #[error("{} holds no figures: the run broke off before its first", .0.display())]
    Empty(PathBuf),
}

/// The load a figure was measured under, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct At {
    /// Connections that send requests.
    pub(crate) connections: Option<u64>,
    /// Connections that stay silent.
    pub(crate) idle: Option<u64>,
    /// Requests in flight on each connection.
    pub(crate) pipeline: Option<u64>,
    /// Reports' share of the mix.
    pub(crate) iamat: Option<u64>,
    /// Lookups' share of it.
    pub(crate) whatsat: Option<u64>,
    /// Distinct clients.
    pub(crate) clients: Option<u64>,
    /// Requests a second in an open loop.
    pub(crate) rate: Option<f64>,
    /// The same, as a share of what each server can take.
    pub(crate) share: Option<f64>,
    /// Links of a chain.
    pub(crate) hops: Option<u64>,
}

impl At {
    /// What two loads differ in, of everything that both state: `clients 1000 and 100000`.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let fields = [
            ("connections", self.connections, other.connections),
            ("idle", self.idle, other.idle),
            ("pipeline", self.pipeline, other.pipeline),
            ("iamat", self.iamat, other.iamat),
            ("whatsat", self.whatsat, other.whatsat),
            ("clients", self.clients, other.clients),
        ];
        let whole = fields.into_iter().find_map(|(name, one, two)| {
            let (one, two) = one.zip(two)?;
            (one != two).then(|| format!("{name} {one} and {two}"))
        });
        let rates = || self.rate.zip(other.rate).filter(|(one, two)| one != two);
        whole.or_else(|| rates().map(|(one, two)| format!("rate {one} and {two}")))
    }
}

/// What distinguishes a figure from all others of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Key {
    /// What it is a figure of; empty where a run has no parts.
    pub part: String,
    /// The server it is of, if there are several.
    pub server: Option<String>,
    /// Which figure.
    pub what: String,
    /// Its unit.
    pub unit: String,
    /// The length of the chain, if that is varied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hops: Option<u64>,
}

/// One figure with its valid values.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Which figure.
    pub(crate) key: Key,
    /// Which direction is the better one, if that is known.
    pub(crate) better: Option<Better>,
    /// The load.
    pub(crate) at: At,
    /// At least one, as they came.
    pub(crate) values: Vec<f64>,
    /// The round of each; 0 where a run has none.
    pub(crate) rounds: Vec<u32>,
}

impl Series {
    /// The median, and how far the values reach. There are values: a series begins with one.
    pub(crate) fn spread(&self) -> Spread {
        Spread::of(self.values.clone()).unwrap_or_default()
    }
}

/// A sample that does not count.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// Which figure.
    #[serde(flatten)]
    pub key: Key,
    /// From 1; 0 where a run has no rounds.
    pub round: u32,
    /// Why it does not count.
    pub reason: String,
}

/// A run folder's figures.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The folder's name, without what it lies in.
    pub(crate) name: String,
    /// How many rounds it has.
    pub(crate) rounds: usize,
    /// All figures, in the order in which they first appear.
    pub(crate) series: Vec<Series>,
    /// What does not count.
    pub(crate) left_out: Vec<LeftOut>,
    /// How many figures were measured while the machine was disturbed.
    pub(crate) disturbed: usize,
}

/// A line.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    round: u32,
    #[serde(default)]
    part: String,
    server: Option<String>,
    what: String,
    unit: String,
    /// A figure that is not a number is written as null.
    #[serde(deserialize_with = "present")]
    value: Option<f64>,
    better: Option<Better>,
    at: Option<At>,
    target: Option<String>,
    invalid: Option<String>,
    disturbance: Option<Amid>,
}

#[derive(Debug, Deserialize)]
struct Amid {
    disturbed: bool,
}

/// A field that may be null, but not missing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Option::deserialize(deserializer)
}

impl Recorded {
    /// Reads a run folder.
    ///
    /// # Errors
    ///
    /// If there is no raw.jsonl, if a line of it is not a figure, and if it has none.
    pub(crate) fn read(folder: &Path) -> Result<Self, ReadError> {
        let path = folder.join(RAW);
        let unreadable = |source| ReadError::Unreadable { path: path.clone(), source };
        let whole = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let name = whole.file_name().unwrap_or(whole.as_os_str()).to_string_lossy().into_owned();
        let mut gathered = Gathered::default();
        let lines = BufReader::new(File::open(&path).map_err(unreadable)?).split(b'\n');
        for (index, line) in lines.enumerate() {
            let line = line.map_err(unreadable)?;
            if !line.trim_ascii().is_empty() && !line.starts_with(ABOUT_THE_RUN) {
                let line = serde_json::from_slice(&line);
                gathered.take(line.map_err(|error| broken(&path, index + 1, &error))?);
            }
        }
        if gathered.rounds.is_empty() {
            return Err(ReadError::Empty(path));
        }
        let Gathered { rounds, series, left_out, disturbed, .. } = gathered;
        Ok(Self { name, rounds: rounds.len(), series, left_out, disturbed })
    }
}

/// The parser counts lines too, but it sees one at a time.
fn broken(path: &Path, line: usize, error: &serde_json::Error) -> ReadError {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text).to_owned();
    ReadError::Broken { path: path.to_owned(), line, column: error.column(), reason }
}

/// What was read so far.
#[derive(Debug, Default)]
struct Gathered {
    rounds: Vec<u32>,
    series: Vec<Series>,
    places: HashMap<Key, usize>,
    left_out: Vec<LeftOut>,
    disturbed: usize,
}

impl Gathered {
    fn take(&mut self, line: Line) {
        let better = line.direction();
        self.disturbed += usize::from(line.disturbance.as_ref().is_some_and(|amid| amid.disturbed));
        let Line { round, part, server, what, unit, value, at, invalid, .. } = line;
        let at = at.unwrap_or_default();
        let key = Key { part, server, what, unit, hops: at.hops };
        if !self.rounds.contains(&round) {
            self.rounds.push(round);
        }
        match (value, invalid) {
            (Some(value), None) => match self.places.get(&key) {
                Some(place) => {
                    self.series[*place].values.push(value);
                    self.series[*place].rounds.push(round);
                }
                None => {
                    self.places.insert(key.clone(), self.series.len());
                    self.series.push(Series { key, better, at, values: vec![value], rounds: vec![round] });
                }
            },
            (_, Some(reason)) => self.left_out.push(LeftOut { key, round, reason }),
            (None, None) => {
                self.left_out.push(LeftOut { key, round, reason: "it is not a number".to_owned() });
            }
        }
    }
}

impl Line {
    /// As the line says, or else its target, or else its unit.
    fn direction(&self) -> Option<Better> {
        self.better.or_else(|| of_target(self.target.as_deref()?)).or_else(|| of_unit(&self.unit))
    }
}

fn of_target(target: &str) -> Option<Better> {
    match target.chars().next() {
        Some('≥') => Some(Better::More),
        Some('≤') => Some(Better::Less),
        _ => None,
    }
}

fn of_unit(unit: &str) -> Option<Better> {
    if unit.ends_with(A_SECOND) {
        return Some(Better::More);
    }
    LESS.contains(&unit).then_some(Better::Less)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<Recorded, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(RAW), lines).unwrap();
        Recorded::read(folder.path())
    }

    #[test]
    fn the_rounds_of_a_figure_come_together() {
        let run = read(
            "{\"round\":1,\"part\":\"a\",\"server\":\"x\",\"what\":\"rate\",\"unit\":\"/s\",\"value\":1}\n\
             {\"round\":1,\"part\":\"a\",\"server\":\"y\",\"what\":\"rate\",\"unit\":\"/s\",\"value\":5,\"at\":{\"idle\":3,\"new\":1}}\n\n\
             {\"round\":2,\"part\":\"a\",\"server\":\"x\",\"what\":\"rate\",\"unit\":\"/s\",\"value\":3.5}\n",
        )
        .unwrap();
        assert_eq!(run.rounds, 2);
        assert_eq!(run.series.len(), 2);
        assert_eq!(run.series[0].values, [1.0, 3.5]);
        assert_eq!(run.series[0].spread().median, 2.25);
        assert_eq!(run.series[1].at.idle, Some(3));
    }

    #[test]
    fn lines_about_the_run_are_no_figures_and_disturbed_ones_are_counted() {
        let figure = |disturbed: bool| {
            format!(
                "{{\"what\":\"w\",\"unit\":\"s\",\"value\":1,\"disturbance\":{{\"steal\":0,\"disturbed\":{disturbed}}}}}\n"
            )
        };
        let run = read(&format!("{{\"run\":{{\"seed\":1}}}}\n{}{}", figure(true), figure(false))).unwrap();
        assert_eq!((run.series[0].values.len(), run.disturbed), (2, 1));
    }

    #[test]
    fn what_is_invalid_is_set_aside() {
        let run = read(
            "{\"part\":\"a\",\"what\":\"w\",\"unit\":\"s\",\"value\":1,\"invalid\":\"it rained\"}\n\
             {\"part\":\"a\",\"what\":\"w\",\"unit\":\"s\",\"value\":null,\"invalid\":null}\n",
        )
        .unwrap();
        assert!(run.series.is_empty());
        assert_eq!(run.left_out[0].reason, "it rained");
        assert_eq!(run.left_out.len(), 2);
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = read("{\"what\":\"w\",\"unit\":\"s\",\"value\":1}\n{\"what\":\"w\",\"unit\":\"s\"}\n")
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("raw.jsonl:2:23: missing field `value`;"), "{text}");
        assert!(read("{\"what\":").unwrap_err().to_string().contains(":1:8: EOF"));
        assert!(matches!(read(" \n"), Err(ReadError::Empty(_))));
        assert!(Recorded::read(Path::new("nowhere")).unwrap_err().to_string().contains("nowhere/raw.jsonl"));
    }

    #[test]
    fn a_direction_is_told_or_the_targets_or_the_units() {
        let better = |rest: &str| {
            let line = format!("{{\"what\":\"w\",\"value\":1,{rest}}}");
            read(&line).unwrap().series[0].better
        };
        assert_eq!(better("\"unit\":\"/s\",\"better\":\"less\",\"target\":\"≥ 3\""), Some(Better::Less));
        assert_eq!(better("\"unit\":\"µs\",\"target\":\"≥ 3\""), Some(Better::More));
        assert_eq!(better("\"unit\":\"\",\"target\":\"≤ 3\""), Some(Better::Less));
        assert_eq!(better("\"unit\":\"k/s\""), Some(Better::More));
        assert_eq!(better("\"unit\":\"bytes\",\"target\":null"), Some(Better::Less));
        assert_eq!(better("\"unit\":\"\""), None);
    }

    #[test]
    fn loads_differ_in_what_both_tell() {
        let one = At { connections: Some(50), clients: Some(1_000), ..At::default() };
        let two = At { clients: Some(9), pipeline: Some(1), ..At::default() };
        assert_eq!(one.difference(&two).as_deref(), Some("clients 1000 and 9"));
        assert_eq!(one.difference(&At { clients: None, ..two }), None);
        let fast = At { rate: Some(2.0), ..one };
        assert_eq!(fast.difference(&At { rate: Some(1.5), ..one }).as_deref(), Some("rate 2 and 1.5"));
    }
}
