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

use super::{CompareError, Comparison, Sample};

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    raw: File,
}

impl Folder {
    /// Makes the folder with everything that is known beforehand.
    pub(super) fn create(comparison: &Comparison, line_length: usize) -> Result<Self, CompareError> {
        let name = format!("{}-{}", Local::now().format("%Y-%m-%d"), comparison.what);
        let path = comparison.runs.join(name);
        if path.exists() {
            return Err(CompareError::FolderExists(path));
        }
        fs::create_dir_all(&path).map_err(CompareError::file("cannot make the run folder"))?;
        write(&path, "command.txt", &command(comparison, line_length))?;
        write(&path, "versions.txt", &versions(&comparison.herd))?;
        write(&path, "machine.txt", &machine())?;
        let raw =
            File::create(path.join("raw.jsonl")).map_err(CompareError::file("cannot make raw.jsonl"))?;
        Ok(Self { path, raw })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// At once, so that a run that breaks off leaves what it had.
    pub(super) fn append(&mut self, sample: &Sample) -> Result<(), CompareError> {
        let line = serde_json::to_string(sample).map_err(std::io::Error::from);
        line.and_then(|line| writeln!(self.raw, "{line}"))
            .map_err(CompareError::file("cannot write raw.jsonl"))
    }

    pub(super) fn finish(&self, summary: &str) -> Result<(), CompareError> {
        write(&self.path, "summary.md", summary)
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), CompareError> {
    fs::write(folder.join(name), text).map_err(CompareError::file("cannot write to the run folder"))
}

/// The command as it would be typed, programs by their names alone.
fn command(comparison: &Comparison, line_length: usize) -> String {
    let Comparison { what, rounds, seconds, warmup, connections, clients, verify, hops, .. } = comparison;
    let herd = comparison.herd.file_name().unwrap_or_default().to_string_lossy();
    let (seconds, warmup) = (seconds.as_secs_f64(), warmup.as_secs_f64());
    let verify = if *verify { "" } else { " --no-verify" };
    format!(
        "herd-load compare {herd} --what {what} --rounds {rounds} --seconds {seconds} --warmup {warmup} \
         -c {connections} --clients {clients} --back-to-back {} --idle {}{verify}\n\n\
         Each round starts afresh, each server in a process of its own, in an order that rotates:\n\
         herd-load echo --line-length {line_length}   (the length of the node's own answers)\n\
         {herd} node Solo --config FILE --log-dir DIR   (once with `[log] traffic = false`, once with true)\n\
         herd-load skeleton\n",
        hops.back_to_back, hops.idle
    )
}

fn versions(herd: &Path) -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let lines = [
        ("herd", output(Command::new(herd).arg("--version"))),
        ("herd-load", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("revision", revision()),
        ("rustc", output(Command::new("rustc").arg("-V"))),
        ("kernel", Some(format!("Linux {}", upstream_release(kernel.trim())))),
    ];
    lines.iter().map(|(name, text)| format!("{name}: {}\n", text.as_deref().unwrap_or("unknown"))).collect()
}

/// The tree that the tester was started in, and whether it had changes that are not committed.
fn revision() -> Option<String> {
    let commit = output(Command::new("git").args(["rev-parse", "HEAD"]))?;
    let changed = output(Command::new("git").args(["status", "--porcelain", "--untracked-files=no"]))?;
    Some(if changed.is_empty() { commit } else { format!("{commit}, with changes") })
}

fn output(command: &mut Command) -> Option<String> {
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
