//! The report, assembled from a template: every figure in it is read from a run folder, the sources, or their history,
//! so that none can be mistyped or become outdated.
//!
//! What stands between `{{` and `}}` is fields, separated by semicolons:
//!
//! | fields | what is put there |
//! |---|---|
//! | `RUN; PART; SERVER; WHAT; FORM` | the median of a figure; of `A/B` the median of the ratios within rounds |
//! | `RUN; PART; SERVER; WHAT; > 1.2` | nothing; but the report is refused if the figure is not so |
//! | `text; RUN/FILE; KEY` | the rest of the first line that begins with `KEY: ` |
//! | `lines; MODEL; own` or `all` | its lines of code, as bench/report/lines counts them |
//! | `defects; MODEL; comparable` or `all` | the defects listed for it, without or with those in parts only it has |
//! | `disturbed; RUN` | the percentage of its figures that were measured while the machine was disturbed |
//! | `code; PATH; FROM-TO` | lines of a file, from 1, without the indentation they share |
//!
//! `RUN` is a folder below the runs, with or without its date; a `WHAT` may end in ` @3`, three hops away. `form` defines
//! FORM.

mod figure;
mod form;
mod template;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use thiserror::Error;

use crate::rounds::read::ReadError;
use template::{Model, Sources};

/// Where the parts of the report are.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Report {
    /// The template
    #[arg(value_name = "TEMPLATE", default_value = "bench/report/template.md")]
    pub template: PathBuf,
    /// The run folders
    #[arg(long, default_value = "bench/runs")]
    pub runs: PathBuf,
    /// The program that counts the compared servers' lines and defects
    #[arg(long, value_name = "PROGRAM", default_value = "bench/report/lines")]
    pub lines: PathBuf,
    /// Where paths of code begin.
    #[arg(skip = PathBuf::from("."))]
    pub root: PathBuf,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A file is missing.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The template asks for something that does not exist, or makes a claim that does not hold.
    #[error("{}:{line}: {{{{{text}}}}}: {reason}", .template.display())]
    Placeholder {
        /// The template.
        template: PathBuf,
        /// From 1.
        line: usize,
        /// What stands between the braces.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A run cannot be read.
    #[error(transparent)]
    Run(#[from] ReadError),
    /// The models' lines are not known.
    #[error("cannot count lines by {}: {reason}; it needs Python 3.11", .program.display())]
    Lines {
        /// Which program.
        program: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl Report {
    /// The whole text.
    ///
    /// # Errors
    ///
    /// If anything that the template names cannot be read or does not exist, or a claim does not hold.
    pub fn render(&self) -> Result<String, ReportError> {
        let unreadable = |source| ReportError::Unreadable { path: self.template.clone(), source };
        let template = fs::read_to_string(&self.template).map_err(unreadable)?;
        let models =
            self.models().map_err(|reason| ReportError::Lines { program: self.lines.clone(), reason })?;
        let sources = Sources::new(&self.runs, models, &self.root);
        sources.fill(&template).map_err(|fault| ReportError::Placeholder {
            template: self.template.clone(),
            line: fault.line,
            text: fault.text,
            reason: fault.reason,
        })
    }

    fn models(&self) -> Result<HashMap<String, Model>, String> {
        // What it complains of goes to our own standard error.
        let output = Command::new(&self.lines).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(output.status.to_string());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }
}

/// What differs in a text from what it should be: the first line, from 1, in both.
pub fn first_difference<'a>(is: &'a str, should_be: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (mut one, mut other) = (is.lines(), should_be.lines());
    for number in 1.. {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (is, should_be) if is == should_be => {}
            (is, should_be) => return Some((number, is.unwrap_or(""), should_be.unwrap_or(""))),
        }
    }
    None
}

/// The folders below the runs by both their names, with the date and without.
fn folder(runs: &Path, name: &str) -> Result<PathBuf, String> {
    let exact = runs.join(name);
    if exact.is_dir() {
        return Ok(exact);
    }
    let entries = fs::read_dir(runs).map_err(|error| format!("{}: {error}", runs.display()))?;
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.file_name().is_some_and(|own| without_date(&own.to_string_lossy()) == Some(name)))
        .collect();
    // The latest, if there are several.
    found.sort();
    found.pop().ok_or_else(|| format!("there is no run {name:?} in {}", runs.display()))
}

/// `full` of `2026-11-21-full`.
fn without_date(name: &str) -> Option<&str> {
    let (date, rest) = name.split_at_checked(11)?;
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 | 10 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_date.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_with_its_date_or_without_and_then_is_the_latest() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["2026-01-02-full", "2026-03-01-full", "2026-03-01-fuller"] {
            fs::create_dir(runs.path().join(name)).unwrap();
        }
        let named = |name: &str| folder(runs.path(), name).map(|path| path.file_name().unwrap().to_owned());
        assert_eq!(named("full").unwrap(), "2026-03-01-full");
        assert_eq!(named("2026-01-02-full").unwrap(), "2026-01-02-full");
        assert!(named("ful").unwrap_err().starts_with("there is no run \"ful\""));
    }

    #[test]
    fn the_first_line_that_differs_is_told() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b", "c")));
        assert_eq!(first_difference("a\n", "a\nc\n"), Some((2, "", "c")));
    }
}
