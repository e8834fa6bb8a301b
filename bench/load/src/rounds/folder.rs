//! The run folder: command, versions, machine, raw data, summary. It names neither hosts nor paths, since it is
//! published.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use chrono::{Local, SecondsFormat, Utc};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    BenchError, Sample,
    read::{ABOUT_THE_RUN, RAW},
};
use crate::{machine, whole::WholeFile};

/// A run folder that is being filled.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(super) path: PathBuf,
    raw: File,
}

impl Folder {
    /// Makes the folder `<runs>/<date>-<what>` with everything that is known in advance; `programs` are those that are
    /// measured, each with the version that it reports.
    pub(crate) fn create(
        runs: &Path,
        what: &str,
        programs: &[(String, Option<String>)],
        command: &str,
        settings: &Value,
    ) -> Result<Self, BenchError> {
        let path = runs.join(format!("{}-{what}", Local::now().format("%Y-%m-%d")));
        if path.exists() {
            return Err(BenchError::FolderExists(path));
        }
        fs::create_dir_all(&path).map_err(BenchError::file("cannot make the run folder"))?;
        write(&path, "command.txt", command)?;
        write(&path, "versions.txt", &versions(programs))?;
        let machine = machine::read();
        write(&path, "machine.txt", &machine::text(&machine))?;
        let raw = OpenOptions::new().append(true).create_new(true).open(path.join(RAW));
        let mut folder = Self { path, raw: raw.map_err(BenchError::file("cannot make raw.jsonl"))? };
        folder.note(&json!({ "started": now(), "machine": machine, "settings": settings }))?;
        Ok(folder)
    }

    /// A line of the raw data that is no figure: it is about the run.
    pub(crate) fn note(&mut self, about: &Value) -> Result<(), BenchError> {
        self.append(&json!({ "run": about }))
    }

    /// At once and as a whole line, so that a run that is interrupted leaves what it had.
    pub(crate) fn append(&mut self, line: &impl Serialize) -> Result<(), BenchError> {
        let line = serde_json::to_string(line).map_err(io::Error::from);
        let written = line.and_then(|line| self.raw.write_all((line + "\n").as_bytes()));
        written.map_err(BenchError::file("cannot write raw.jsonl"))
    }

    /// Another file.
    pub(crate) fn add(&self, name: &str, text: &str) -> Result<(), BenchError> {
        write(&self.path, name, text)
    }
}

/// A run folder whose run was interrupted, as far as its rounds are complete.
#[derive(Debug)]
pub(crate) struct Unfinished {
    path: PathBuf,
    /// What was noted at its start.
    pub(crate) settings: Value,
    /// Of the raw data, up to the end of the last complete round.
    lines: Vec<String>,
    /// How many are complete, or 0.
    pub(crate) rounds: u32,
}

impl Unfinished {
    pub(crate) fn read(path: &Path) -> Result<Self, BenchError> {
        let text = fs::read_to_string(path.join(RAW))
            .map_err(BenchError::file("cannot read raw.jsonl of the run folder that is resumed"))?;
        let (mut settings, mut lines, mut rounds) = (Value::Null, Vec::new(), 0);
        let mut whole = 0;
        // What follows the last line's end was cut off.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let about = serde_json::from_str::<Value>(line).unwrap_or_default();
            let about = &about["run"];
            lines.push(line.to_owned());
            if lines.len() == 1 {
                (settings, whole) = (about["settings"].clone(), 1);
            }
            if let Some(round) = about["completed"].as_u64() {
                (rounds, whole) = (u32::try_from(round).unwrap_or(u32::MAX), lines.len());
            }
        }
        lines.truncate(whole);
        Ok(Self { path: path.to_owned(), settings, lines, rounds })
    }

    /// A file of the folder.
    pub(crate) fn file(&self, name: &str) -> Result<String, BenchError> {
        fs::read_to_string(self.path.join(name))
            .map_err(BenchError::file("cannot read a file of the run folder that is resumed"))
    }

    /// The figures of its complete rounds.
    pub(crate) fn samples<P: DeserializeOwned>(&self) -> Result<Vec<Sample<P>>, BenchError> {
        let figures = self.lines.iter().filter(|line| !line.as_bytes().starts_with(ABOUT_THE_RUN));
        let samples = figures.map(|line| serde_json::from_str(line)).collect::<Result<_, _>>();
        samples.map_err(io::Error::from).map_err(BenchError::file("cannot read a figure of raw.jsonl"))
    }

    /// Leaves out what is not complete, and opens the folder for more.
    pub(crate) fn resume(self) -> Result<Folder, BenchError> {
        write(&self.path, RAW, &self.lines.concat())?;
        let raw = OpenOptions::new().append(true).open(self.path.join(RAW));
        let raw = raw.map_err(BenchError::file("cannot open raw.jsonl"))?;
        let mut folder = Folder { path: self.path, raw };
        folder.note(&json!({ "resumed": now(), "machine": machine::read() }))?;
        Ok(folder)
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The whole file, or what was there before.
fn write(folder: &Path, name: &str, text: &str) -> Result<(), BenchError> {
    WholeFile::write(&folder.join(name), text).map_err(BenchError::file("cannot write to the run folder"))
}

/// A program that is measured, with the version that it reports.
pub(crate) fn version(name: &str, program: &Path) -> (String, Option<String>) {
    (name.to_owned(), output(Command::new(program).arg("--version")))
}

/// The text of versions.txt.
pub(crate) fn versions(programs: &[(String, Option<String>)]) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let own = [
        ("herd-load", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("revision", revision()),
        ("rustc", output(Command::new("rustc").arg("-V"))),
        ("kernel", Some(format!("Linux {}", machine::upstream_release(kernel.trim())))),
    ];
    let programs = programs.iter().map(|(name, text)| (name.as_str(), text.clone()));
    let line =
        |(name, text): (&str, Option<String>)| format!("{name}: {}\n", text.as_deref().unwrap_or("unknown"));
    programs.chain(own).map(line).collect()
}

/// The tree that the tester was started in, and whether it had changes that are not committed.
fn revision() -> Option<String> {
    let commit = output(Command::new("git").args(["rev-parse", "HEAD"]))?;
    let changed = output(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, with changes") })
}

/// What a command prints, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
