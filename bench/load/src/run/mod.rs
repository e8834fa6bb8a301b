//! `run`: a load on servers that are already running, with everything around it that a person or a script wants.

mod hdr_log;
mod report;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use thiserror::Error;

use crate::{
    disturbance::{Disturbance, Limits},
    drive::{Drive, Latencies, Tick},
    exit::Exit,
    interrupt,
    load::{Length, Load, LoadError, Mix},
    machine,
    outcome::{Latency, Outcome, told},
    server::{Server, ServerError, own_program},
    whole::WholeFile,
};
use hdr_log::HdrLog;
use report::Report;
pub use report::{Thresholds, Written};

/// How long the ceiling is measured, at most.
const CEILING: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Clone, Debug)]
pub struct Run {
    /// The version of this tester.
    pub version: &'static str,
    /// The servers, as they were named.
    pub servers: Vec<String>,
    /// The load.
    pub load: Load,
    /// Whether every client is reported once first.
    pub prefill: bool,
    /// Whether an echo is put under the same load, to learn the tester's limit.
    pub ceiling: bool,
    /// How the result is written, and where to.
    pub written: Written,
    /// The limits for the result.
    pub thresholds: Thresholds,
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
    /// A signal came before the load.
    #[error("interrupted before anything was measured")]
    Interrupted,
    /// No signal can be handled.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
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
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Interrupted => Exit::Interrupted,
            Self::Load(load) if load.is_usage() => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    fn write(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::Write { path: path.clone(), source }
    }
}

/// Makes the run and writes its result to the file that it names, or returns it. Progress goes to the terminal on standard
/// error, if there is one.
pub fn run(run: &Run) -> Result<(Exit, Option<String>), RunError> {
    // Before any child is started, so that none is left behind.
    let interrupt = interrupt::watch().map_err(RunError::Signals)?;
    let ceiling = run.ceiling.then(|| ceiling(&run.load, &interrupt)).transpose();
    if interrupt.load(Ordering::Relaxed) {
        return Err(RunError::Interrupted);
    }
    let ceiling = ceiling?;
    // Before the load, so that a long run is not lost to a wrong name.
    let create = |path: &PathBuf| WholeFile::create(path).map_err(RunError::write(path));
    let (output, hdr) = (
        run.written.output.as_ref().map(create).transpose()?,
        run.written.hdr.as_ref().map(create).transpose()?,
    );
    if run.prefill {
        let mut prefill = Drive::open(run.load.prefill())?;
        prefill.end_once(interrupt.clone());
        prefill.observe(progress("prefill"));
        prefill.turn()?;
        if let Some(objection) = prefill.outcome().objection() {
            return Err(RunError::Prefill(objection));
        }
    }
    let mut drive = Drive::open(run.load.clone())?;
    if interrupt.load(Ordering::Relaxed) {
        return Err(RunError::Interrupted);
    }
    drive.end_once(interrupt);
    let hdr =
        hdr.zip(run.written.hdr.as_deref()).map(|(file, path)| HdrLog::begin(file, path)).transpose()?;
    let log = hdr.as_ref().map(HdrLog::writer);
    let mut show = progress("measuring");
    drive.observe(move |tick| {
        show(tick);
        if let Some(log) = &log {
            log.note(tick);
        }
    });
    let (started, machine) = (Utc::now(), machine::read());
    let (turned, seen) = Disturbance::during(&Limits::default(), || drive.turn());
    let outcome = Outcome { ceiling, ..drive.outcome() };
    let met = drive.met();
    // With it go the line on the terminal, and what records its seconds.
    drop(drive);
    hdr.map_or(Ok(()), HdrLog::finish)?;
    turned?;
    let report = Report { run, started, machine, seen, outcome: &outcome, met: &met };
    let written = report.written();
    let Some((mut file, path)) = output.zip(run.written.output.as_deref()) else {
        return Ok((report.exit(), Some(written)));
    };
    let put = file.write_all(written.as_bytes()).and_then(|()| file.put());
    put.map_err(RunError::write(path))?;
    Ok((report.exit(), None))
}

/// Shows each second of a phase in a line, which disappears when the phase is over.
fn progress(phase: &'static str) -> impl FnMut(&Tick<'_>) + 'static {
    let style =
        ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let line = ProgressBar::new_spinner().with_style(style).with_finish(ProgressFinish::AndClear);
    move |tick| {
        let (phase, seconds) = match tick.measuring {
            Some(measuring) => (phase, measuring.as_secs_f64()),
            None => ("not measured", tick.since.as_secs_f64()),
        };
        let rate = tick.replies as f64 / tick.lasted.as_secs_f64().max(1e-9);
        let errors = tick.errors.total();
        let met = Latency::of(&Latencies::all(tick.latencies).met());
        line.set_message(format!("{phase} {seconds:.0} s  {rate:.0} /s  errors {errors}  {}", told(met)));
    }
}

/// What the same connections get out of an echo on an event loop, which does nothing else: the tester's own limit on
/// this machine, in requests a second.
fn ceiling(load: &Load, interrupt: &Arc<AtomicBool>) -> Result<f64, RunError> {
    let mut command = own_program()?;
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
        tls: None,
        resume: false,
        ..load.clone()
    };
    let mut drive = Drive::open(same)?;
    drive.end_once(Arc::clone(interrupt));
    drive.turn()?;
    let rate = drive.outcome().rate;
    echo.stop()?;
    Ok(rate)
}
