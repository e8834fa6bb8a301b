//! Charts of a run folder: SVG at the width of a paper's column, the same bytes for the same figures. `charts` decides
//! what is drawn; `bars`, `dots` and `lines` draw it; nothing below here knows of folders.

mod bars;
mod charts;
mod dots;
mod frame;
mod lines;
mod quantity;
mod scale;
mod style;
mod svg;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::rounds::read::{ReadError, Recorded};

/// Where charts go in their run folder.
const PLOTS: &str = "plots";

/// Why there are no charts.
#[derive(Debug, Error)]
pub enum PlotError {
    /// The run is not there.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It has nothing that can be drawn.
    #[error(
        "{0} has no figure that charts are drawn of: a rate, percentiles of service or response, memory, or those of a hop; \
         its summary.md and `herd-load compare` show the others"
    )]
    Nothing(String),
    /// A server was asked for that the run does not have.
    #[error("{run} has no server {server:?}; it has {there}")]
    Unknown {
        /// The run.
        run: String,
        /// What was asked for.
        server: String,
        /// Its servers.
        there: String,
    },
    /// A chart could not be written.
    #[error("cannot write {}: {source}; give another --out", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Draws all charts of a run to `out`, or to `plots` in its folder, and returns where they are. With captions, each has
/// its title above it and where it is from below. `servers` are the only ones in them, in this order, if there are any;
/// one written `NAME=LABEL` is labelled so.
///
/// # Errors
///
/// If the run cannot be read, lacks a server, has nothing to draw, or the charts cannot be written.
pub fn run(
    folder: &Path,
    out: Option<&Path>,
    has_captions: bool,
    servers: &[String],
) -> Result<Vec<PathBuf>, PlotError> {
    let mut recorded = Recorded::read(folder)?;
    if !servers.is_empty() {
        choose(&mut recorded, servers)?;
    }
    let charts = charts::of(&recorded, has_captions);
    if charts.is_empty() {
        return Err(PlotError::Nothing(recorded.name));
    }
    let out = out.map_or_else(|| folder.join(PLOTS), Path::to_owned);
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| PlotError::Write { path, source }
    };
    fs::create_dir_all(&out).map_err(unwritable(&out))?;
    let mut written = Vec::new();
    for chart in charts {
        let path = out.join(format!("{}.svg", chart.name));
        fs::write(&path, chart.svg).map_err(unwritable(&path))?;
        written.push(path);
    }
    Ok(written)
}

/// Leaves only these servers, in their order and with their labels.
fn choose(recorded: &mut Recorded, servers: &[String]) -> Result<(), PlotError> {
    let all = std::mem::take(&mut recorded.series);
    for server in servers {
        let (name, label) = server.split_once('=').unwrap_or((server, server));
        let of_it = all.iter().filter(|series| series.key.server.as_deref() == Some(name));
        let before = recorded.series.len();
        recorded.series.extend(of_it.cloned().map(|mut series| {
            series.key.server = Some(label.to_owned());
            series
        }));
        if recorded.series.len() == before {
            let mut there: Vec<_> = all.iter().filter_map(|series| series.key.server.as_deref()).collect();
            there.sort_unstable();
            there.dedup();
            let (run, server, there) = (recorded.name.clone(), name.to_owned(), there.join(", "));
            return Err(PlotError::Unknown { run, server, there });
        }
    }
    Ok(())
}
