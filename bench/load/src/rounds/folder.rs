//! The run folder: command, versions, machine, raw data, summary. It names neither hosts nor paths, since it is
//! published.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use chrono::Local;

use serde::Serialize;

use super::BenchError;

/// A run folder that is being filled.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    raw: File,
}

impl Folder {
    /// Makes the folder `<runs>/<date>-<what>` with everything that is known in advance.
    pub(crate) fn create(runs: &Path, what: &str, herd: &Path, command: &str) -> Result<Self, BenchError> {
        let herd = ("herd".to_owned(), output(Command::new(herd).arg("--version")));
        Self::create_with(runs, what, &[herd], command)
    }

    /// The same, for measuring other programs; each with the version that it reports.
    pub(crate) fn create_with(
        runs: &Path,
        what: &str,
        programs: &[(String, Option<String>)],
        command: &str,
    ) -> Result<Self, BenchError> {
        let path = runs.join(format!("{}-{what}", Local::now().format("%Y-%m-%d")));
        if path.exists() {
            return Err(BenchError::FolderExists(path));
        }
        fs::create_dir_all(&path).map_err(BenchError::file("cannot make the run folder"))?;
        write(&path, "command.txt", command)?;
        write(&path, "versions.txt", &versions(programs))?;
        write(&path, "machine.txt", &machine())?;
        let raw = File::create(path.join("raw.jsonl")).map_err(BenchError::file("cannot make raw.jsonl"))?;
        Ok(Self { path, raw })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// At once, so that a run that is interrupted leaves what it had.
    pub(crate) fn append(&mut self, sample: &impl Serialize) -> Result<(), BenchError> {
        let line = serde_json::to_string(sample).map_err(std::io::Error::from);
        line.and_then(|line| writeln!(self.raw, "{line}")).map_err(BenchError::file("cannot write raw.jsonl"))
    }

    /// Another file.
    pub(crate) fn add(&self, name: &str, text: &str) -> Result<(), BenchError> {
        write(&self.path, name, text)
    }

    pub(crate) fn finish(&self, summary: &str) -> Result<(), BenchError> {
        write(&self.path, "summary.md", summary)
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), BenchError> {
    fs::write(folder.join(name), text).map_err(BenchError::file("cannot write to the run folder"))
}

fn versions(programs: &[(String, Option<String>)]) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let own = [
        ("herd-load", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("revision", revision()),
        ("rustc", output(Command::new("rustc").arg("-V"))),
        ("kernel", Some(format!("Linux {}", upstream_release(kernel.trim())))),
    ];
    let programs = programs.iter().map(|(name, text)| (name.as_str(), text.clone()));
    let line =
        |(name, text): (&str, Option<String>)| format!("{name}: {}\n", text.as_deref().unwrap_or("unknown"));
    programs.chain(own).map(line).collect()
}

/// The tree that the tester was started in, and whether it had changes that are not committed.
fn revision() -> Option<String> {
    let commit = output(Command::new("git").args(["rev-parse", "HEAD"]))?;
    let changed = output(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, with changes") })
}

/// What a command prints, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The version without what a distributor or a host adds to it.
fn upstream_release(release: &str) -> &str {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(release.len());
    &release[..end]
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let model = field(&cpuinfo, "model name").unwrap_or("unknown");
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let kib: u64 =
        field(&meminfo, "MemTotal").and_then(|text| text.strip_suffix(" kB")?.parse().ok()).unwrap_or(0);
    let memory = kib as f64 / f64::from(1 << 20);
    let load = load.split_ascii_whitespace().next().unwrap_or("unknown");
    format!("cpu: {model}\ncores: {cores}\nmemory: {memory:.1} GiB\nload before the run (1 min): {load}\n")
}

/// The first `name : value` of a file in /proc.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let matching = |line: &'a str| line.split_once(':').filter(|(key, _)| key.trim() == name);
    text.lines().find_map(matching).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_named_by_its_upstream_release() {
        assert_eq!(upstream_release("6.1.0-18-amd64"), "6.1.0");
        assert_eq!(upstream_release("6.1"), "6.1");
    }

    #[test]
    fn fields_of_proc_are_found() {
        let text = "processor\t: 0\nmodel name\t: Some CPU\nMemTotal:    1024 kB\n";
        assert_eq!(field(text, "model name"), Some("Some CPU"));
        assert_eq!(field(text, "MemTotal"), Some("1024 kB"));
        assert_eq!(field(text, "bogus"), None);
    }
}
