//! `herd places`: makes a file of places out of somebody's own data, and shows what a node would find in one.

mod import;
mod input;
mod near;
mod output;
mod table;

use clap::Subcommand;

use super::{CommandError, Common};

#[derive(Debug, Subcommand)]
pub(super) enum PlacesCommand {
    /// Make a file of places out of OpenStreetMap, GeoJSON, CSV or GeoNames files.
    Import(import::Args),
    /// Print the places around a point, ranked as in an answer to WHATSAT.
    Near(near::Args),
}

pub(super) fn run(command: &PlacesCommand, common: &Common) -> Result<(), CommandError> {
    match command {
        PlacesCommand::Import(args) => import::run(args),
        PlacesCommand::Near(args) => near::run(args, common),
    }
}
