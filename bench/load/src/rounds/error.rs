//! How a run that is written to a folder ends: with a summary, or with what went wrong.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

use super::{Sample, folder::Folder};
use crate::{exit::Exit, flood::FloodError, hop::HopError, load::LoadError, server::ServerError};

/// A run that was made.
#[derive(Debug)]
pub struct Finished {
    /// The run folder.
    pub folder: PathBuf,
    /// Its summary.
    pub summary: String,
    /// What it comes to.
    pub exit: Exit,
}

impl Finished {
    /// What a command's exit code says of a run that was made: whether a signal ended it early, whether every sample
    /// counts, whether a target was missed.
    pub(crate) fn new<P>(
        folder: &Folder,
        summary: String,
        samples: &[Sample<P>],
        interrupted: bool,
        missed: bool,
    ) -> Self {
        let exit = match samples.iter().all(|sample| sample.invalid.is_none()) {
            _ if interrupted => Exit::Interrupted,
            false => Exit::Failed,
            true if missed => Exit::Missed,
            true => Exit::Good,
        };
        Self { folder: folder.path.clone(), summary, exit }
    }
}

/// Why a run was not made.
#[derive(Debug, Error)]
pub enum BenchError {
    /// No rounds.
    #[error("a run needs at least one round: raise --rounds")]
    NoRounds,
    /// The run folder exists already.
    #[error("{0} exists; give another --what, or move it away")]
    FolderExists(PathBuf),
    /// A file could not be written or read.
    #[error("{what}: {source}")]
    File {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A server was not there.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The loop broke.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The hops broke.
    #[error(transparent)]
    Hop(#[from] HopError),
    /// The spreading of a report could not be timed.
    #[error(transparent)]
    Flood(#[from] FloodError),
    /// The node's reply to a single report was not one.
    #[error("the node answered {0:?} to a report")]
    Wrong(String),
    /// The node's answer to its neighbour was not the right one.
    #[error("the node answered {0:?} to its neighbour")]
    WrongToNeighbour(String),
    /// Something did not happen.
    #[error("{what} did not come within {} s; the nodes' logs should say why", .within.as_secs())]
    Late {
        /// What was awaited.
        what: String,
        /// For how long.
        within: Duration,
    },
}

impl BenchError {
    /// Names what was being done when the system refused.
    pub(crate) fn file(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::File { what, source }
    }
}
