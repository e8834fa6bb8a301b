//! What one node takes by itself: the time until it listens, the time of a lookup, the memory per client. Each is
//! measured on a process of its own, over its sockets, and goes to a run folder.

use std::{
    fmt, fs,
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde::Serialize;
use tempfile::TempDir;

use crate::{
    disturbance,
    drive::drive,
    load::Load,
    rounds::{self, BenchError, Figure, Finished, Rounds},
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
#[derive(Clone, Debug, clap::Args)]
pub struct Figures {
    /// The `herd` program to measure
    #[arg(value_name = "HERD")]
    pub herd: PathBuf,
    /// What is measured, in a word or two: the end of the run folder's name
    #[arg(long, default_value = "one-node")]
    pub what: String,
    /// Where the run folder goes
    #[arg(long, default_value = "bench/runs")]
    pub runs: PathBuf,
    /// When a sample is disturbed
    #[command(flatten)]
    pub disturbance: disturbance::Demands,
}

/// What is measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Start,
    Lookups,
    Memory,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Start => "start",
            Self::Lookups => "lookups",
            Self::Memory => "memory",
        })
    }
}

impl rounds::Part for Part {
    fn promise(self) -> &'static str {
        match self {
            Self::Start => "From making the process to its word that it listens.",
            Self::Lookups => {
                "One after another on one connection, from writing the line to the end of the reply."
            }
            Self::Memory => {
                "What a fresh node has grown by once all clients have reported, their connections closed."
            }
        }
    }
}

/// Measures everything; `tell` is called with every sample as it comes.
pub fn run(figures: &Figures, tell: &dyn Fn(&str)) -> Result<Finished, BenchError> {
    let Figures { herd, what, runs, disturbance } = figures;
    let name = herd.file_name().unwrap_or_default().to_string_lossy();
    let sizes = format!(
        "{STARTS} starts of `{name} node Solo`, {LOOKUPS} WHATSATs of each kind, {FILLS} times {CLIENTS} clients; the \
         traffic log is off"
    );
    let rounds = Rounds {
        herd,
        what,
        runs,
        rounds: 1,
        command: format!("herd-load figures {name} --what {what}\n\n{sizes}.\n"),
        sizes,
        parts: vec![Part::Start, Part::Lookups, Part::Memory],
        disturbance,
    };
    let measure = |part| match part {
        Part::Start => starts(herd),
        Part::Lookups => lookups(herd),
        Part::Memory => fills(herd),
    };
    rounds.run(measure, tell)
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

fn starts(herd: &Path) -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let (server, _directory) = start(herd)?;
        let value = began.elapsed().as_secs_f64() * 1e3;
        figures.push(Figure::new("start until listening", "ms", value));
        server.stop()?;
    }
    Ok(figures)
}

fn lookups(herd: &Path) -> Result<Vec<Figure>, BenchError> {
    let (server, _directory) = start(herd)?;
    let measured = QUERIES.map(|(what, position, radius, bound)| {
        let query = format!("WHATSAT client {radius} {bound}\n");
        // Each place is the client's next, so that every report is newer.
        lookup(&server, position, &query).map(|values| {
            values.into_iter().map(|value| Figure::new(format!("WHATSAT, {what}"), "µs", value)).collect()
        })
    });
    server.stop()?;
    let measured: io::Result<Vec<Vec<_>>> = measured.into_iter().collect();
    Ok(measured.map_err(BenchError::file("a lookup failed"))?.concat())
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

fn fills(herd: &Path) -> Result<Vec<Figure>, BenchError> {
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
        figures.push(Figure::new(format!("memory a client, {CLIENTS} clients"), "bytes", value));
        server.stop()?;
    }
    Ok(figures)
}
