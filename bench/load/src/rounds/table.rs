//! Tables of a summary with a row for each server and a column for each figure. What does not count is left out of
//! them, and named below.

use super::Sample;
use crate::statistics::Sorted;

/// A column: its head, its figure, how its values are shown.
pub(crate) type Column = (&'static str, &'static str, fn(&Sorted) -> String);

/// A table with these columns, and the servers' names under `head`.
pub(crate) fn table<P>(head: &str, servers: &[String], columns: &[Column], samples: &[&Sample<P>]) -> String {
    let heads: String = columns.iter().map(|(head, ..)| format!(" {head} |")).collect();
    let mut text = format!("\n| {head} |{heads}\n|{}\n", "---|".repeat(columns.len() + 1));
    for server in servers {
        let cells: String = columns.iter().map(|column| cell(samples, server, column)).collect();
        text.push_str(&format!("| {server} |{cells}\n"));
    }
    text
}

pub(crate) fn cell<P>(samples: &[&Sample<P>], server: &str, (_, what, tell): &Column) -> String {
    format!(" {} |", found(samples, server, what).as_ref().map_or_else(none, tell))
}

/// Says for each server in which rounds this figure does not count, and why it does not in the first of them.
pub(crate) fn objections<P>(servers: &[String], what: &str, samples: &[&Sample<P>]) -> String {
    let of = |server: &String| {
        let of_server =
            samples.iter().filter(|sample| sample.server.as_ref() == Some(server) && sample.what == what);
        let invalid: Vec<_> =
            of_server.filter_map(|sample| Some((sample.round, sample.invalid.as_ref()?))).collect();
        let (_, reason) = *invalid.first()?;
        let rounds: Vec<_> = invalid.iter().map(|(round, _)| round.to_string()).collect();
        Some(format!("\n**INVALID: {server}, in round {}: {reason}.**\n", rounds.join(", ")))
    };
    servers.iter().filter_map(of).collect()
}

/// The samples of a server's figure that count.
pub(crate) fn counted<'a, P: 'a>(
    samples: impl IntoIterator<Item = &'a Sample<P>>,
    server: &str,
    what: &str,
) -> impl Iterator<Item = &'a Sample<P>> {
    let is_it = move |sample: &&Sample<P>| {
        sample.server.as_deref() == Some(server) && sample.what == what && sample.invalid.is_none()
    };
    samples.into_iter().filter(is_it)
}

pub(crate) fn found<P>(samples: &[&Sample<P>], server: &str, what: &str) -> Option<Sorted> {
    Sorted::of(counted(samples.iter().copied(), server, what).map(|sample| sample.value).collect())
}

/// The median and the quartiles, in another unit.
pub(crate) fn reach(found: &Sorted, scale: f64, decimals: usize) -> String {
    let [low, median, high] = found.quartiles().map(|value| value * scale);
    format!("{median:.decimals$} ({low:.decimals$} to {high:.decimals$})")
}

pub(crate) fn none() -> String {
    "–".to_owned()
}
