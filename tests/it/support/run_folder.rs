//! The run folder, in the form that `bench/load` gives to its own: command, versions, machine, raw data, summary. It names
//! neither hosts nor paths, since it is published.

use std::{
    fmt::Display,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use chrono::Local;

/// A run folder that is being filled.
pub(crate) struct RunFolder {
    path: PathBuf,
    raw: File,
}

impl RunFolder {
    /// Makes `bench/runs/<date>-<kind>` with what is known beforehand; there must be none yet.
    pub(crate) fn create(kind: &str, command: &str) -> Self {
        let runs = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/runs");
        let path = runs.join(format!("{}-{kind}", Local::now().format("%Y-%m-%d")));
        fs::create_dir(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        fs::write(path.join("command.txt"), format!("{command}\n")).unwrap();
        fs::write(path.join("versions.txt"), versions()).unwrap();
        fs::write(path.join("machine.txt"), machine()).unwrap();
        let raw = File::create(path.join("raw.jsonl")).unwrap();
        Self { path, raw }
    }

    /// A sample, as JSON on one line.
    pub(crate) fn append(&mut self, sample: &impl Display) {
        writeln!(self.raw, "{sample}").unwrap();
    }

    pub(crate) fn finish(&self, summary: &str) {
        fs::write(self.path.join("summary.md"), summary).unwrap();
    }
}

fn versions() -> String {
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    let revision = output("git", &["rev-parse", "HEAD"]);
    let revision = if changed.is_empty() { revision } else { format!("{revision}, with changes") };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release: String = kernel.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let (herd, rustc) = (env!("CARGO_PKG_VERSION"), output("rustc", &["-V"]));
    format!("herd: herd {herd}\nrevision: {revision}\nrustc: {rustc}\nkernel: Linux {release}\n")
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    output.map_or_else(|_| "unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().into())
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let cpu = field(&cpuinfo, "model name").unwrap_or("unknown");
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kib = field(&meminfo, "MemTotal").and_then(|text| text.strip_suffix(" kB")?.parse::<u64>().ok());
    let memory = kib.unwrap_or(0) as f64 / f64::from(1 << 20);
    format!("cpu: {cpu}\ncores: {cores}\nmemory: {memory:.1} GiB\n")
}

/// The first `name : value` of a file in /proc.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let matching = |line: &'a str| line.split_once(':').filter(|(key, _)| key.trim() == name);
    text.lines().find_map(matching).map(|(_, value)| value.trim())
}
