//! `compare` with a stand-in for the node: what the run folder holds, and that dropped log lines do not count.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::tester;

fn compare(runs: &Path) -> std::process::Output {
    let herd = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fake_herd.sh");
    let mut command = tester(&["compare", herd, "--what", "trial", "--no-verify", "--rounds", "2"]);
    command.args(["--seconds", "0.05", "--warmup", "0.01", "-c", "2", "--clients", "50"]);
    command.args(["--back-to-back", "10", "--idle", "2", "--runs"]).arg(runs);
    command.env("HERD_LOAD", env!("CARGO_BIN_EXE_herd-load")).output().unwrap()
}

#[test]
fn a_comparison_leaves_a_whole_run_folder() {
    let runs = tempfile::tempdir().unwrap();
    let output = compare(runs.path());
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "the stand-in drops log lines: {told}");
    let folder = fs::read_dir(runs.path()).unwrap().next().unwrap().unwrap().path();
    assert!(folder.to_string_lossy().ends_with("-trial"));
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();

    let samples: Vec<Value> =
        read("raw.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Two windows and two kinds of hop, three subjects each, two rounds.
    assert_eq!(samples.len(), 24);
    for sample in &samples {
        assert_eq!(sample["invalid"].is_string(), sample["subject"] == "node-logging", "{sample}");
    }

    let summary = read("summary.md");
    assert!(summary.contains("INVALID: P=1, node, log, in round 1, 2: the node's log dropped traffic lines"));
    assert_eq!(summary.matches("| **invalid** |").count(), 4);
    assert!(read("command.txt").starts_with("herd-load compare fake_herd.sh --what trial"));
    assert!(read("versions.txt").contains("herd: herd 0.0.0-fake\n"));
    assert!(read("machine.txt").contains("cores: "));
    for name in ["command.txt", "versions.txt", "machine.txt", "summary.md", "raw.jsonl"] {
        let text = read(name);
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")) && !text.contains("/tmp"), "{name} names a path");
    }

    let again = compare(runs.path());
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists"), "a run folder is never overwritten");
}
