//! `sweep` with the plans that come with it and with small ones: every figure of every server is recorded, and what cannot
//! be started, or answers wrongly, is reported.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;

use crate::support::{herd, tester};

fn plan(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plans").join(name)
}

fn sweep(plan: &Path, runs: &Path, more: &[&str]) -> Output {
    tester(&["sweep"]).arg(plan).arg("--runs").arg(runs).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file of the only run in this folder.
fn written(runs: &Path, name: &str) -> String {
    let folder = fs::read_dir(runs).unwrap().next().unwrap().unwrap().path();
    fs::read_to_string(folder.join(name)).unwrap()
}

fn samples(runs: &Path) -> Vec<Value> {
    written(runs, "raw.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A plan of one point, with these servers.
fn own_plan(folder: &Path, servers: &str) -> PathBuf {
    let path = folder.join("own.toml");
    let text = format!(
        "what = \"own\"\nrounds = 1\nseconds = 0.1\nclients = 100\n{servers}\n[[point]]\nconnections = 2\npipeline = 1\n"
    );
    fs::write(&path, text).unwrap();
    path
}

const ECHO: &str =
    "[[server]]\nname = \"echo\"\ncommand = [\"{herd-load}\", \"echo\", \"--listen\", \"{listen}\"]\n";

#[test]
fn the_small_plan_is_measured_and_written_down() {
    let runs = tempfile::tempdir().unwrap();
    herd();
    let servers = ["--only-server", "echo-threads,echo-events,node,node-log"];
    let output = sweep(&plan("small.toml"), runs.path(), &servers);
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    let samples = samples(runs.path());
    let of = |part: &str, server: &str, what: &str, round: u32| {
        let is_it = |sample: &&Value| {
            sample["part"] == part
                && sample["server"] == server
                && sample["what"] == what
                && sample["round"] == round
        };
        samples.iter().find(is_it).unwrap_or_else(|| panic!("{part}, {server}: {what} in {round}: {told}"))
    };
    for server in ["echo-threads", "echo-events", "node", "node-log"] {
        for what in ["rate", "service p50", "service p99.9", "switches", "rss at rest", "rss under load"] {
            for round in [1, 2] {
                assert!(
                    of("C=5 P=1", server, what, round)["value"].as_f64().unwrap() > 0.0,
                    "{server}: {what}"
                );
            }
        }
    }
    assert!(of("C=5 P=1", "node", "ratio", 2)["detail"]["of"] == "echo-threads");
    assert_eq!(of("C=5 P=1", "node", "ratio", 1)["target"], "≥ 0.01");
    assert!(of("C=5 P=16", "node", "rate of node at C=5 P=1", 1)["value"].as_f64().unwrap() > 0.0);
    for what in ["accept all", "rss a connection"] {
        assert!(of("C=5 P=1 idle=195", "node", what, 1)["value"].as_f64().unwrap() > 0.0);
    }
    assert!(of("C=6 P=1 nodes=3", "node-log", "in step", 1)["value"].as_f64().unwrap() > 0.0);
    let at = serde_json::json!({
        "connections": 5, "idle": 0, "pipeline": 16, "iamat": 100, "whatsat": 0, "clients": 1000, "rate": null,
    });
    assert_eq!(of("C=5 P=16", "node", "rate", 1)["at"], at);
    assert!(samples.iter().all(|sample| sample["invalid"].is_null()));

    let summary = written(runs.path(), "summary.md");
    assert!(summary.contains("| C=5 P=1 | node | rate of echo-threads | ≥ 0.01 |"), "{summary}");
    assert!(summary.contains("| met |") && !summary.contains("INVALID"), "{summary}");
    for name in ["command.txt", "versions.txt", "machine.txt", "summary.md", "raw.jsonl", "plan.toml"] {
        let text = written(runs.path(), name);
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")) && !text.contains("/tmp"), "{name} names a path");
    }
}

#[test]
fn every_plan_that_is_shipped_can_be_read() {
    let runs = tempfile::tempdir().unwrap();
    let plans = fs::read_dir(plan("")).unwrap().map(|entry| entry.unwrap().path());
    let plans: Vec<_> = plans.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    assert!(plans.len() >= 8, "{plans:?}");
    for plan in plans {
        // Fails for the choice, which is looked at once all else is found to be right.
        let told = said(&sweep(&plan, runs.path(), &["--only-server", "nobody"]));
        assert!(told.contains("--only-server: \"nobody\" is none of "), "{}: {told}", plan.display());
    }
    assert_eq!(fs::read_dir(runs.path()).unwrap().count(), 0);
}

#[test]
fn a_share_is_of_the_servers_own_rate_and_its_pauses_stand_beside_the_responses() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    // One pause is of before the load.
    let pausing = "[[server]]\nname = \"pausing\"\n\
        command = [\"sh\", \"-c\", \"printf '0.0 9\\\\n999.0 0.5\\\\n999.5 0.25\\\\n' > {dir}/pauses; exec $0 echo --listen {listen}\", \
        \"{herd-load}\"]\npauses = { format = \"python\", file = \"{dir}/pauses\" }\n";
    let text = fs::read_to_string(own_plan(folder.path(), &format!("{ECHO}{pausing}"))).unwrap();
    let share = "[[point]]\nconnections = 2\npipeline = 1\nrate_of = { point = \"C=2 P=1\", share = 0.25 }\n";
    let path = folder.path().join("share.toml");
    fs::write(&path, format!("{text}{share}")).unwrap();
    let output = sweep(&path, &runs, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let samples = samples(&runs);
    let of = |part: &str, server: &str, what: &str| {
        let is_it =
            |sample: &&Value| sample["part"] == part && sample["server"] == server && sample["what"] == what;
        samples.iter().find(is_it)
    };
    for server in ["echo", "pausing"] {
        let most = of("C=2 P=1", server, "rate").unwrap()["value"].as_f64().unwrap();
        let planned = of("C=2 P=1 share=0.25", server, "rate").unwrap();
        assert_eq!(planned["detail"]["outcome"]["target_rate"].as_f64().unwrap(), most * 0.25, "{server}");
    }
    let told =
        |what| of("C=2 P=1 share=0.25", "pausing", what).map(|sample| sample["value"].as_f64().unwrap());
    assert_eq!(
        [told("pauses"), told("pause max"), told("pause total")],
        [Some(2.0), Some(500.0), Some(750.0)]
    );
    assert!(of("C=2 P=1", "echo", "pauses").is_none(), "it tells of none");
    let summary = written(&runs, "summary.md");
    assert!(summary.contains("at 0.25 of the rate that the same server had at C=2 P=1"), "{summary}");
    assert!(summary.contains(" worst response µs | longest pause µs |"), "{summary}");
}

#[test]
fn a_missing_server_ends_the_run_before_it_begins_unless_it_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let missing = "[[server]]\nname = \"gone\"\ncommand = [\"no-such-program\"]\n";
    let output = sweep(&own_plan(folder.path(), &format!("{ECHO}{missing}")), &runs, &[]);
    assert!(!output.status.success() && !runs.exists());
    assert!(
        said(&output).contains("server \"gone\": the program no-such-program is not there"),
        "{}",
        said(&output)
    );

    let skipped = format!("{ECHO}{missing}skip_if_missing = true\n");
    let output = sweep(&own_plan(folder.path(), &skipped), &runs, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("SKIPPED gone: "), "{}", said(&output));
    assert!(
        written(&runs, "summary.md").contains("**SKIPPED: gone: the program no-such-program is not there.**")
    );
}

#[test]
fn a_server_that_fails_is_a_finding_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    // It takes what was logged for another's, and it is not the node.
    let unlogged = "[[server]]\nname = \"unlogged\"\ncommand = [\"{herd-load}\", \"echo\", \"--listen\", \"{listen}\"]\nlog = \"{dir}/log\"\n";
    let wrong = "[[server]]\nname = \"wrong\"\ncommand = [\"{herd-load}\", \"echo\", \"--listen\", \"{listen}\"]\nverify = true\n";
    let dead = "[[server]]\nname = \"dead\"\ncommand = [\"true\"]\n";
    let output = sweep(&own_plan(folder.path(), &format!("{ECHO}{unlogged}{wrong}{dead}")), &runs, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let samples = samples(&runs);
    let invalid = |server: &str| {
        let rate = samples.iter().find(|sample| sample["server"] == server && sample["what"] == "rate");
        rate.unwrap()["invalid"].as_str().map(str::to_owned)
    };
    assert_eq!(invalid("echo"), None);
    assert!(invalid("unlogged").unwrap().contains("log holds 0 of"));
    assert!(invalid("wrong").unwrap().starts_with("errors: wrong 100; to \"IAMAT kiwi"));
    assert!(invalid("dead").unwrap().contains("did not print `listening ADDRESS`"));
    assert!(written(&runs, "summary.md").contains("**INVALID: unlogged, in round 1: "));
}
