//! What one link carries: the tester sends a node locations as fast as it accepts them.

use serde_json::json;

use super::{
    Repair,
    bed::{Bed, Plan},
    peer::Peer,
    secured,
    updates::{Keyword, Updates},
};
use crate::rounds::{BenchError, Figure};

pub(super) fn measure(bed: &Bed<'_>, repair: &Repair) -> Result<Vec<Figure>, BenchError> {
    let mut updates = Updates::new(Keyword::At);
    let first = updates.of_all(repair.clients);
    let newer = updates.of_some(repair.clients, repair.updates.saturating_sub(repair.clients).max(1));
    let lines = [(first, repair.clients), (newer, repair.updates.saturating_sub(repair.clients).max(1))];
    let mut figures = told(bed, &lines, Kind::Plain)?;
    figures.extend(told(bed, &lines, Kind::Logged)?);
    figures.extend(told(bed, &lines, Kind::OverTls)?);
    Ok(figures)
}

/// A node and the link to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Plain,
    /// The node writes each line to its log.
    Logged,
    /// Its herd has a secret.
    OverTls,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "no log",
            Self::Logged => "log",
            Self::OverTls => "over TLS, no log",
        }
    }

    /// How many thousands a second were promised.
    fn promise(self) -> Option<f64> {
        match self {
            Self::Plain => Some(1_200.0),
            Self::Logged => None,
            Self::OverTls => Some(800.0),
        }
    }
}

/// Sends a fresh node all these lines, so many at a time, and waits for it after each batch.
fn told(bed: &Bed<'_>, lines: &[(Vec<u8>, u32); 2], kind: Kind) -> Result<Vec<Figure>, BenchError> {
    let plan = Plan::new("Solo", bed.address(0), &[bed.tester()]);
    let secret = (kind == Kind::OverTls).then(secured::secret);
    let node = bed.start(&Plan { traffic: kind == Kind::Logged, secret, ..plan })?;
    let mut peer = match kind {
        Kind::OverTls => Peer::dial_secured(node.address(), node.id())?,
        Kind::Plain | Kind::Logged => bed.dial(&node)?,
    };
    let mut sums = vec![peer.ask("SUM 0")?];
    let mut seconds = Vec::new();
    for (text, _) in lines {
        seconds.push(peer.tell(text)?.as_secs_f64());
        sums.push(peer.ask("SUM 0")?);
    }
    drop(peer);
    let is_stored = sums.windows(2).all(|pair| pair[0] != pair[1]);
    let objection = (!is_stored).then(|| "what was told was not stored".to_owned());
    let dropped = node.stop()?;
    let rate = |lines: u32, seconds: f64| f64::from(lines) / seconds / 1e3;
    let count = lines.iter().map(|(_, count)| count).sum();
    let detail = json!({
        "seconds": seconds,
        "first_k_s": rate(lines[0].1, seconds[0]),
        "newer_k_s": rate(lines[1].1, seconds[1]),
    });
    let name = kind.name();
    let all = Figure::new(format!("updates, {name}"), "k/s", rate(count, seconds.iter().sum())).with(detail);
    let all = kind.promise().into_iter().fold(all, Figure::at_least);
    let of_first =
        Figure::new(format!("of them clients' first, {name}"), "k/s", rate(lines[0].1, seconds[0]));
    let of_newer = Figure::new(format!("of them newer ones, {name}"), "k/s", rate(lines[1].1, seconds[1]));
    let objection = objection.or(dropped);
    Ok([all, of_first, of_newer].map(|figure| figure.invalid_if(objection.clone())).into())
}
