//! Closed loops of nothing but lookups, whose documents are known.

use std::{net::SocketAddr, time::Duration};

use crate::{
    drive::{Drive, drive},
    load::{Choice, Document, Length, Load, Mix},
    outcome::Outcome,
    rounds::BenchError,
};

/// Lookups about `clients` clients. Each connection asks about its own; if there are too few for that, all ask about
/// all.
pub(super) fn on(node: SocketAddr, connections: u32, clients: u32, document: Document) -> Load {
    let choice = if clients < connections { Choice::Zipf(0.0) } else { Choice::Uniform };
    let mix = Mix { iamat: 0, whatsat: 1 };
    Load { connections, clients, choice, mix, bound: 20, document: Some(document), ..Load::on(node) }
}

/// Asks for so long, after a first answer on each connection that is checked as a whole; also returns why that does not
/// count, if it does not.
pub(super) fn measure(load: &Load, time: Duration) -> Result<(Outcome, Option<String>), BenchError> {
    let length = Length::Requests(u64::from(load.connections));
    let checked = drive(&Load { verify: true, length, ..load.clone() })?;
    let mut asking = Drive::open(Load { length: Length::Time(time), ..load.clone() })?;
    asking.turn()?;
    let outcome = asking.outcome();
    let objection = checked.objection().or_else(|| outcome.objection());
    Ok((outcome, objection))
}
