//! What `herd status` prints for people: a row a node, a row a direction of each link, and the verdict. Each row names
//! whom it is about, so that `grep` finds it. Pure; of what nodes say, nothing reaches the terminal unescaped.

use std::fmt::Write;

use super::{
    super::printable::short,
    answer::{LinkStatus, NodeStatus},
    fetch::FetchOutcome,
    verdict::Verdict,
};
use crate::{
    config::{Herd, Node},
    core::model::Timestamp,
    system::clock,
    text::size,
};

/// How a state is to be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tone {
    Good,
    Doubtful,
    Bad,
    Plain,
}

/// A row: cells in columns, the second of them a state, and behind them text that takes what room it needs.
struct TableRow {
    cells: Vec<String>,
    tone: Tone,
    text: String,
}

/// The nodes and links as a table, then the verdict on the last line. In colour where the terminal shows it.
pub(super) fn text(
    herd: &Herd,
    outcomes: &[FetchOutcome],
    seconds: f64,
    verdict: &Verdict,
    in_colour: bool,
) -> String {
    let nodes = herd.nodes.iter().zip(outcomes);
    let row = |(node, outcome)| node_row(node, outcome, seconds, &refused_lines(node, outcomes));
    let rows: Vec<_> = nodes.clone().map(row).collect();
    let links = nodes.filter_map(|(node, outcome)| match outcome {
        FetchOutcome::Answered(answer, _) => Some((node, answer)),
        _ => None,
    });
    let links: Vec<_> =
        links.flat_map(|(node, answer)| answer.links.iter().map(move |link| link_row(node, link))).collect();
    let mut out = String::new();
    write_table(&["NODE", "STATE", "UPTIME", "CLIENTS", "DIGEST"], &[2, 3], &rows, in_colour, &mut out);
    out.push('\n');
    if !links.is_empty() {
        let heading = ["LINK", "STATE", "LAG", "CLOCK", "OUTBOX"];
        write_table(&heading, &[2, 3, 4], &links, in_colour, &mut out);
        out.push('\n');
    }
    if let Some(line) = nothing_kept(herd, outcomes) {
        let _ = writeln!(out, "{line}\n");
    }
    let tone = if verdict.in_step() { Tone::Good } else { Tone::Bad };
    let _ = writeln!(out, "{}", painted(&verdict.summary(), tone, in_colour));
    out
}

/// Says which nodes forget what they know at a stop, in the words of `herd up`.
fn nothing_kept(herd: &Herd, outcomes: &[FetchOutcome]) -> Option<String> {
    let answers = herd.nodes.iter().zip(outcomes).filter_map(|(node, outcome)| match outcome {
        FetchOutcome::Answered(answer, _) => Some((node.id.as_str(), answer.has_journal?)),
        _ => None,
    });
    let (keeping, forgetting): (Vec<_>, Vec<_>) = answers.partition(|(_, has_journal)| *has_journal);
    let names = forgetting.iter().map(|(id, _)| *id).collect::<Vec<_>>().join(", ");
    match (keeping.len(), forgetting.len()) {
        (_, 0) => None,
        (0, _) => Some("Nothing is kept over a stop; --data-dir DIR keeps what the nodes know".to_owned()),
        _ => Some(format!("Nothing is kept over a stop by {names}; --data-dir DIR keeps what a node knows")),
    }
}

/// What the others say of a third-party node's lines that they refused.
fn refused_lines(node: &Node, outcomes: &[FetchOutcome]) -> String {
    let answers = outcomes.iter().filter_map(|outcome| match outcome {
        FetchOutcome::Answered(answer, _) => Some(answer),
        _ => None,
    });
    let links = answers.flat_map(|answer| &answer.links).filter(|link| link.peer == node.id.as_str());
    links.filter_map(LinkStatus::refused_lines).collect::<Vec<_>>().join("; ")
}

fn node_row(node: &Node, outcome: &FetchOutcome, seconds: f64, refused: &str) -> TableRow {
    let (state, tone, text) = match outcome {
        FetchOutcome::Answered(answer, _) => return answered_row(node, answer),
        _ if node.plain.is_some() => ("plain".to_owned(), Tone::Plain, refused.to_owned()),
        FetchOutcome::Down(why) => ("down".to_owned(), Tone::Bad, why.clone()),
        FetchOutcome::NoHttp => ("no http".to_owned(), Tone::Doubtful, String::new()),
        FetchOutcome::Timeout => (String::new(), Tone::Bad, format!("no answer in {seconds} s")),
        FetchOutcome::BadAnswer(what) => (String::new(), Tone::Bad, format!("bad answer: {what}")),
    };
    TableRow { cells: vec![node.id.to_string(), state], tone, text: short(&text) }
}

fn answered_row(node: &Node, answer: &NodeStatus) -> TableRow {
    let state = short(answer.state.as_deref().unwrap_or("-"));
    let is_well = state == "running" && answer.degraded.is_none();
    let tone = if is_well { Tone::Good } else { Tone::Doubtful };
    let uptime = answer.uptime_seconds.map_or_else(dash, uptime);
    let clients = answer.clients.map_or_else(dash, |count| count.to_string());
    let sum = answer.sum.as_deref().map_or_else(dash, |sum| short(sum).chars().take(8).collect());
    let told = |what: &str, why: &Option<String>| why.as_deref().map(|why| short(&format!("{what}: {why}")));
    let text = [told("not ready", &answer.not_ready), told("degraded", &answer.degraded)];
    let forgotten = answer.retention.map(|retention| {
        format!("forgotten before {}", clock::compact_text(Timestamp::new(retention.watermark, 0)))
    });
    let text = text.into_iter().flatten().chain(forgotten).collect::<Vec<_>>().join("; ");
    let cells = vec![node.id.to_string(), state, uptime, clients, sum];
    TableRow { cells, tone, text }
}

fn link_row(node: &Node, link: &LinkStatus) -> TableRow {
    let (state, tone) = match link.state.as_deref() {
        _ if link.differs_lastingly() => ("differs".to_owned(), Tone::Bad),
        Some("up") if link.behind == Some(true) => ("behind".to_owned(), Tone::Doubtful),
        Some("up") if link.is_refused() => ("refused".to_owned(), Tone::Bad),
        Some("up") if link.is_plain() => ("up".to_owned(), Tone::Plain),
        Some("up") if link.in_step != Some(true) => ("up".to_owned(), Tone::Doubtful),
        Some("up") if link.connected_here == Some(false) => ("one way".to_owned(), Tone::Doubtful),
        Some("up") => ("in step".to_owned(), Tone::Good),
        Some("down") => ("down".to_owned(), Tone::Bad),
        state => (short(state.unwrap_or("-")), Tone::Doubtful),
    };
    let is_up = link.state.as_deref() == Some("up");
    let lag = link.lag_seconds.filter(|_| is_up).map(lag).unwrap_or_default();
    let clock = link.clock_offset_seconds.filter(|_| is_up).map(clock).unwrap_or_default();
    let outbox = link.outbox_bytes.filter(|&bytes| bytes > 0).map(size).unwrap_or_default();
    let error = link.last_error.clone().filter(|_| !is_up).or_else(|| link.refused_lines());
    let text = error.as_deref().map(short).unwrap_or_default();
    let cells = vec![format!("{} > {}", node.id, short(&link.peer)), state, lag, clock, outbox];
    TableRow { cells, tone, text }
}

fn dash() -> String {
    "-".to_owned()
}

/// Writes a heading and rows in columns, the `right` ones to the right. Text begins behind the row's last cell that has
/// something in it, so that it finds room.
fn write_table(heading: &[&str], right: &[usize], rows: &[TableRow], in_colour: bool, out: &mut String) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..heading.len()).map(width).collect();
    let pad = |column: usize, cell: &str| {
        let room = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
        if right.contains(&column) { format!("{room}{cell}") } else { format!("{cell}{room}") }
    };
    let headings: Vec<_> = heading.iter().enumerate().map(|(column, cell)| pad(column, cell)).collect();
    let _ = writeln!(out, "{}", headings.join("  ").trim_end());
    for TableRow { cells, tone, text } in rows {
        let mut line = String::new();
        let filled = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
        for (column, cell) in cells[..filled].iter().enumerate() {
            let cell = pad(column, cell);
            line += &if column == 1 { painted(&cell, *tone, in_colour) } else { cell };
            line += "  ";
        }
        // Where there is no state, the text says it.
        line += &if filled > 1 { text.clone() } else { painted(text, *tone, in_colour) };
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

fn painted(text: &str, tone: Tone, in_colour: bool) -> String {
    let code = match tone {
        Tone::Good => 32,
        Tone::Doubtful => 33,
        Tone::Bad => 31,
        Tone::Plain => return text.to_owned(),
    };
    let (word, room) = text.split_at(text.trim_end().len());
    if in_colour && !word.is_empty() { format!("\x1b[{code}m{word}\x1b[0m{room}") } else { text.to_owned() }
}

/// The two largest units: `12s`, `3m12s`, `5d3h`.
fn uptime(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

fn lag(seconds: f64) -> String {
    let milliseconds = seconds * 1_000.0;
    match milliseconds {
        _ if milliseconds <= 0.0 => "0 ms".to_owned(),
        _ if milliseconds < 9.95 => format!("{milliseconds:.1} ms"),
        _ if milliseconds < 999.5 => format!("{milliseconds:.0} ms"),
        _ => format!("{seconds:.1} s"),
    }
}

/// With its sign: `+0.2 ms`, `-1.3 s`.
fn clock(offset_seconds: f64) -> String {
    let sign = if offset_seconds < 0.0 { '-' } else { '+' };
    format!("{sign}{}", lag(offset_seconds.abs()))
}
