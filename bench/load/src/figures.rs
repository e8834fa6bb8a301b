//! What one node takes by itself: the time until it listens, the time of a lookup, the memory per client. Each is
//! measured on a process of its own, over its sockets, and goes to a run folder.

use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde::Serialize;
use tempfile::TempDir;

use crate::{
    drive::drive,
    load::Load,
    rounds::{BenchError, Spread, folder::Folder},
    server::Server,
};

/// How often the node is started.
const STARTS: usize = 21;
/// How often each lookup is made.
const LOOKUPS: usize = 2_000;
/// How many clients' memory is measured, and how often.
const CLIENTS: u32 = 1_000_000;
const FILLS: usize = 3;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The lookups: a name, where, how far in kilometres, how many.
const QUERIES: [(&str, &str, u32, u32); 3] = [
    ("UCLA, 10 km, bound 5", "+34.068930-118.445127", 10, 5),
    ("Tokyo, 50 km, bound 20", "+35.689500+139.691700", 50, 20),
    ("London, 50 km, bound 20", "+51.507400-000.127800", 50, 20),
];

/// What to measure.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The `herd` program.
    pub herd: PathBuf,
    /// The end of the run folder's name.
    pub what: String,
    /// Where the run folder goes.
    pub runs: PathBuf,
}

/// One measured figure.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    what: String,
    unit: &'static str,
    value: f64,
}

/// Measures everything; returns the run folder and its summary.
pub fn run(figures: &Figures) -> Result<(PathBuf, String), BenchError> {
    let Figures { herd, what, runs } = figures;
    let name = herd.file_name().unwrap_or_default().to_string_lossy();
    let command = format!(
        "herd-load figures {name} --what {what}\n\n\
         {STARTS} starts of `{name} node Solo`, from making the process to its word that it listens;\n\
         {LOOKUPS} WHATSATs one after another on one connection, from writing the line to the reply's end;\n\
         {FILLS} times {CLIENTS} clients reported to a fresh node: its resident growth, with the connections closed.\n\
         The traffic log is off.\n"
    );
    let mut folder = Folder::create(runs, what, herd, &command)?;
    let mut rows = Vec::new();
    for measured in [starts(herd)?, lookups(herd)?, fills(herd)?].into_iter().flatten() {
        for figure in &measured {
            folder.append(figure)?;
        }
        rows.extend(row(&measured));
    }
    let summary = format!(
        "# One node by itself\n\n| what | unit | median | min | max |\n|---|---|---|---|---|\n{}",
        rows.concat()
    );
    folder.finish(&summary)?;
    Ok((folder.path().to_owned(), summary))
}

/// A table's row for figures of one name.
fn row(figures: &[Figure]) -> Option<String> {
    let Figure { what, unit, .. } = figures.first()?;
    let Spread { median, min, max } = Spread::of(figures.iter().map(|figure| figure.value).collect())?;
    Some(format!("| {what} | {unit} | {median:.1} | {min:.1} | {max:.1} |\n"))
}

fn start(herd: &Path) -> Result<(Server, TempDir), BenchError> {
    let directory =
        TempDir::with_prefix("herd-load-").map_err(BenchError::file("cannot make a scratch directory"))?;
    let config = directory.path().join("herd.toml");
    let text = "[herd]\nname = \"bench\"\n\n[log]\ntraffic = false\n\n[[node]]\nid = \"Solo\"\nlisten = \"127.0.0.1:0\"\n";
    fs::write(&config, text).map_err(BenchError::file("cannot write the node's configuration"))?;
    let mut command = Command::new(herd);
    command.args(["node", "Solo"]).arg("--config").arg(config).arg("--log-dir").arg(directory.path());
    Ok((Server::start(command)?, directory))
}

fn starts(herd: &Path) -> Result<Vec<Vec<Figure>>, BenchError> {
    let mut figures = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let (server, _directory) = start(herd)?;
        let value = began.elapsed().as_secs_f64() * 1e3;
        figures.push(Figure { what: "start until listening".into(), unit: "ms", value });
        server.stop()?;
    }
    Ok(vec![figures])
}

fn lookups(herd: &Path) -> Result<Vec<Vec<Figure>>, BenchError> {
    let (server, _directory) = start(herd)?;
    let measured = QUERIES.map(|(what, position, radius, bound)| {
        let query = format!("WHATSAT client {radius} {bound}\n");
        // Each place is the client's next, so that every report is newer.
        lookup(&server, position, &query).map(|values| {
            let figure = |value| Figure { what: format!("WHATSAT, {what}"), unit: "µs", value };
            values.into_iter().map(figure).collect()
        })
    });
    server.stop()?;
    measured.into_iter().map(|lookup| lookup.map_err(BenchError::file("a lookup failed"))).collect()
}

fn lookup(server: &Server, position: &str, query: &str) -> io::Result<Vec<f64>> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::with_capacity(1 << 16, &stream);
    let mut line = String::new();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let report = format!("IAMAT client {position} {}.{:09}\n", now.as_secs(), now.subsec_nanos());
    (&stream).write_all(report.as_bytes())?;
    reader.read_line(&mut line)?;
    let mut values = Vec::with_capacity(LOOKUPS);
    for _ in 0..LOOKUPS {
        let began = Instant::now();
        (&stream).write_all(query.as_bytes())?;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            // The reply's end: the second of its two newlines.
            if line == "\n" {
                break;
            }
        }
        values.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(values)
}

fn fills(herd: &Path) -> Result<Vec<Vec<Figure>>, BenchError> {
    let mut figures = Vec::new();
    for _ in 0..FILLS {
        let (server, _directory) = start(herd)?;
        let resident = || server.resident_bytes().map_err(BenchError::file("cannot read the node's memory"));
        let before = resident()?;
        let load = Load { connections: 4, clients: CLIENTS, verify: true, ..Load::on(server.address()) };
        let filled = drive(&load.prefill())?;
        if let Some(objection) = filled.objection() {
            return Err(BenchError::Wrong(objection));
        }
        let value = resident()?.saturating_sub(before) as f64 / f64::from(CLIENTS);
        figures.push(Figure { what: format!("memory a client, {CLIENTS} clients"), unit: "bytes", value });
        server.stop()?;
    }
    Ok(vec![figures])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_the_median_and_how_far_the_figures_reach() {
        let figure = |value| Figure { what: "start".into(), unit: "ms", value };
        let row = row(&[figure(3.0), figure(1.0), figure(9.04)]).unwrap();
        assert_eq!(row, "| start | ms | 3.0 | 1.0 | 9.0 |\n");
        assert_eq!(super::row(&[]), None);
    }
}
