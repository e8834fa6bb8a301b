//! `locks` at tiny sizes: every number of locks is measured with every number of threads, and the run folder is whole.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use crate::support::{figures, tester};

#[test]
fn every_number_of_locks_is_measured_with_every_number_of_threads() {
    let runs = tempfile::tempdir().unwrap();
    let few = [
        "locks",
        "--rounds",
        "2",
        "--tries",
        "1",
        "--threads",
        "1,4",
        "--seconds",
        "0.02",
        "--clients",
        "2000",
        "--reads",
        "10",
    ];
    let output = tester(&few).arg("--runs").arg(runs.path()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let folder = fs::read_dir(runs.path()).unwrap().next().unwrap().unwrap().path();
    assert!(folder.to_string_lossy().ends_with("-locks"), "{}", folder.display());
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();

    let samples: Vec<Value> = figures(&read("raw.jsonl"));
    let updates: Vec<_> = samples.iter().filter(|sample| sample["what"] == "updates").collect();
    // Ten with the shards' own, for two numbers of threads, in two rounds.
    assert_eq!(updates.len(), 40, "{told}");
    for sample in &updates {
        assert!(sample["invalid"].is_null() && sample["value"].as_f64().unwrap() > 0.0, "{sample}");
        assert!(sample["detail"]["answers"].as_u64().unwrap() > 0, "{sample}");
    }
    let locks = updates.iter().filter_map(|sample| sample["at"]["locks"].as_u64());
    assert_eq!(locks.collect::<BTreeSet<_>>(), BTreeSet::from([1, 2, 4, 8, 16, 32, 64, 128, 256]));
    let order =
        |round| updates.iter().filter(move |sample| sample["round"] == round).map(|sample| &sample["server"]);
    assert!(order(1).eq(order(2).rev()), "{told}");
    let ratio =
        |server| samples.iter().find(|sample| sample["what"] == "ratio" && sample["server"] == server);
    assert_eq!(ratio("256 locks").unwrap()["value"], 1.0);
    assert!(ratio("1 lock").is_some() && ratio("shards' own").is_some());

    let summary = read("summary.md");
    assert!(
        summary.contains("## T=1") && summary.contains("## T=4") && summary.contains("| 1 lock |"),
        "{summary}"
    );
    assert!(
        read("command.txt")
            .starts_with("herd-load locks --what locks --rounds 2 --threads 1,4 --locks 1,2,4,")
    );
}

#[test]
fn a_number_of_locks_that_shards_cannot_be_shared_among_is_refused() {
    let output = tester(&["locks", "--locks", "3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("power of two"));
}
