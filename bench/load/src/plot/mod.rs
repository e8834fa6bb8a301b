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
/// its title above it and where it is from below.
///
/// # Errors
///
/// If the run cannot be read, has nothing to draw, or the charts cannot be written.
pub fn run(folder: &Path, out: Option<&Path>, has_captions: bool) -> Result<Vec<PathBuf>, PlotError> {
    let recorded = Recorded::read(folder)?;
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
