//! `places` with the real node, an upstream of the tester's own and little time: every part runs, the run folder is whole,
//! and the figures are possible.

use std::fs;

use serde_json::Value;

use crate::support::{figures, herd, tester};

#[test]
fn every_part_of_places_is_measured_and_written_down() {
    let runs = tempfile::tempdir().unwrap();
    let few = ["places", "--what", "trial", "--rounds", "1", "--tries", "1", "--seconds", "0.3", "--runs"];
    let output = tester(&few).arg(runs.path()).arg(herd()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // So little time may miss a target.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{told}");
    let folder = fs::read_dir(runs.path()).unwrap().next().unwrap().unwrap().path();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();

    let samples: Vec<Value> = figures(&read("raw.jsonl"));
    for part in ["start", "embedded", "single-flight", "upstream", "hanging"] {
        assert!(samples.iter().any(|sample| sample["part"] == part), "{part}: {told}");
    }
    for sample in &samples {
        assert_eq!(sample["round"], 1);
        // CPU time is told in hundredths of a second, of which there may be none.
        let is_share = sample["what"].as_str().unwrap().contains("share of");
        assert!(is_share || sample["value"].as_f64().unwrap() > 0.0, "{sample}");
    }
    // Each waits 50 ms for a call of its own.
    let rate = samples.iter().find(|sample| sample["what"] == "lookups").unwrap();
    assert!(rate["value"].as_f64().unwrap() <= 5_000.0 * 1.2, "{rate}");

    let summary = read("summary.md");
    assert!(summary.contains("| what | unit | median (quartiles) | between | target | verdict |"));
    assert!(
        read("command.txt")
            .starts_with("herd-load places herd --what trial --only start,embedded,single-flight,")
    );
    for name in ["command.txt", "versions.txt", "machine.txt", "summary.md", "raw.jsonl"] {
        let text = read(name);
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")) && !text.contains("/tmp"), "{name} names a path");
    }
}

#[test]
fn a_part_alone_is_measured_alone() {
    let runs = tempfile::tempdir().unwrap();
    let few =
        ["places", "--only", "single-flight", "--rounds", "1", "--tries", "1", "--what", "one", "--runs"];
    let output = tester(&few).arg(runs.path()).arg(herd()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("## single-flight") && said.contains("calls for 200 equal lookups"), "{said}");
    assert!(!said.contains("## embedded"), "{said}");
}
