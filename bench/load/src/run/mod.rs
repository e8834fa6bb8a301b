//! `run`: a load on servers that are already running, with everything around it that a person or a script wants.

mod hdr_log;
mod progress;
mod report;

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use thiserror::Error;

use crate::{
    drive::{Drive, drive},
    load::{Length, Load, LoadError, Mix},
    outcome::Outcome,
    server::{Server, ServerError},
    words::Format,
};
use hdr_log::HdrLog;
use progress::Progress;
pub use report::Thresholds;

/// How long the ceiling is measured, at most.
const CEILING: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Clone, Debug)]
pub struct Run {
    /// The load.
    pub load: Load,
    /// Whether every client is reported once first.
    pub prefill: bool,
    /// Whether an echo is put under the same load, to learn the tester's limit.
    pub ceiling: bool,
    /// How the result is written.
    pub format: Format,
    /// Where to; standard output if there is no file.
    pub output: Option<PathBuf>,
    /// Where each second's histograms go.
    pub hdr: Option<PathBuf>,
    /// The limits for the result.
    pub thresholds: Thresholds,
}

/// A run that was made.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What came out.
    pub outcome: Outcome,
    /// Whether it met its thresholds.
    pub is_good: bool,
}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum RunError {
    /// The load could not be made.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The prefill went wrong.
    #[error("nothing was measured, since reporting every client once went wrong: {0}")]
    Prefill(String),
    /// No echo to compare with.
    #[error("cannot measure the ceiling: {0}")]
    Ceiling(#[from] ServerError),
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl RunError {
    fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Write { path, source }
    }
}

/// Makes the run and writes its result; progress goes to the terminal on standard error, if there is one.
pub fn run(run: &Run) -> Result<Finished, RunError> {
    let ceiling = if run.ceiling { Some(ceiling(&run.load)?) } else { None };
    // Before the load, so that a long run is not lost to a wrong name.
    let mut output = output(run.output.as_deref())?;
    let hdr = run.hdr.as_deref().map(HdrLog::create).transpose()?;
    let progress = Progress::new();
    if run.prefill {
        let mut prefill = Drive::open(run.load.prefill())?;
        prefill.observe(progress.observer("prefill"));
        prefill.turn()?;
        if let Some(objection) = prefill.outcome().objection() {
            progress.end();
            return Err(RunError::Prefill(objection));
        }
    }
    let mut drive = Drive::open(run.load.clone())?;
    let mut show = progress.observer("measuring");
    let log = hdr.as_ref().map(HdrLog::writer);
    drive.observe(move |tick| {
        show(tick);
        if let Some(log) = &log {
            log.note(tick);
        }
    });
    let turned = drive.turn();
    progress.end();
    turned?;
    let outcome = Outcome { ceiling, ..drive.outcome() };
    // With it goes what records its seconds.
    drop(drive);
    hdr.map_or(Ok(()), HdrLog::finish)?;
    let violations = run.thresholds.violations(&outcome);
    let written = report::write(&mut output, &outcome, &violations, run.format);
    written.and_then(|()| output.flush()).map_err(|source| {
        let path = run.output.as_ref().map_or("standard output".into(), |path| path.display().to_string());
        RunError::Write { path, source }
    })?;
    Ok(Finished { outcome, is_good: violations.is_empty() })
}

fn output(path: Option<&Path>) -> Result<Box<dyn Write>, RunError> {
    Ok(match path {
        Some(path) => Box::new(File::create(path).map_err(RunError::write(path))?),
        None => Box::new(io::stdout()),
    })
}

/// What the same connections get out of an echo on an event loop, which does nothing else: the tester's own limit on
/// this machine, in requests a second.
fn ceiling(load: &Load) -> Result<f64, RunError> {
    let tester = std::env::current_exe().map_err(RunError::write(Path::new("the tester's own path")))?;
    let mut command = Command::new(tester);
    command.args(["echo", "--shape", "events"]);
    let echo = Server::start(command)?;
    let time = match load.length {
        Length::Time(time) => time.min(CEILING),
        Length::Requests(_) | Length::EveryClient => CEILING,
    };
    let same = Load {
        targets: vec![echo.address()],
        idle: 0,
        rate: None,
        mix: Mix::REPORTS,
        dialect: crate::load::Dialect::Herd,
        length: Length::Time(time),
        warmup: Duration::from_millis(100),
        verify: false,
        ..load.clone()
    };
    let outcome = drive(&same)?;
    echo.stop()?;
    Ok(outcome.rate)
}
