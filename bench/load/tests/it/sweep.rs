//! `sweep` with the plans that come with it and with small ones: every figure of every server is recorded, and what cannot
//! be started, or answers wrongly, is reported.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{figures, herd, tester};

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

/// What the only run notes about itself.
fn notes(runs: &Path) -> Vec<Value> {
    let lines = written(runs, "raw.jsonl");
    let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|mut line| line["run"].take()).filter(|about| !about.is_null()).collect()
}

fn samples(runs: &Path) -> Vec<Value> {
    figures(&written(runs, "raw.jsonl"))
}

/// A plan of one point, with these servers.
fn own_plan(folder: &Path, servers: &str) -> PathBuf {
    plan_with(folder, "rounds = 1\n", &format!("{servers}\n{POINT}"))
}

/// A plan with these keys, then these tables.
fn plan_with(folder: &Path, keys: &str, tables: &str) -> PathBuf {
    let path = folder.join("own.toml");
    let text = format!("what = \"own\"\nseconds = 0.1\nclients = 100\n{keys}{tables}");
    fs::write(&path, text).unwrap();
    path
}

const POINT: &str = "[[point]]\nconnections = 2\npipeline = 1\n";

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
    assert!(summary.contains("| met (50 %) |") && !summary.contains("INVALID"), "{summary}");
    let value = |what: &str| of("C=5 P=16", "node", what, 1)["value"].as_f64().unwrap();
    assert!(value("client cpu") > 0.0 && value("kernel cpu") < value("cpu"));
    assert_eq!(of("C=5 P=16", "node", "cpu", 1)["detail"]["system"], value("kernel cpu"));
    for sample in samples.iter().filter(|sample| sample["detail"]["of"].is_null()) {
        let seen = &sample["disturbance"];
        assert!(
            seen["steal"].is_f64() && seen["foreign"].is_f64() && seen["tries"].as_u64() > Some(0),
            "{sample}"
        );
    }
    let started = &notes(runs.path())[0];
    assert!(started["machine"]["cores"].is_string() && started["settings"]["seed"].is_u64(), "{started}");
    assert!(written(runs.path(), "machine.txt").contains("cgroup depth: "));

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
    assert!(plans.len() >= 7, "{plans:?}");
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
    // A pause each millisecond, and longer ones before the load and after it.
    let pausing = "[[server]]\nname = \"pausing\"\n\
        command = [\"sh\", \"-c\", \"(echo 0.0 9; seq -f '%.3f 0.5' 0.001 0.001 60; echo 99.0 9) > {dir}/pauses; exec $0 echo --listen {listen}\", \
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
        let target = planned["detail"]["outcome"]["target_rate"].as_f64().unwrap();
        // JSON may cost the last digit.
        assert!((target / (most * 0.25) - 1.0).abs() < 1e-12, "{server}: {target} of {most}");
    }
    let told =
        |what| of("C=2 P=1 share=0.25", "pausing", what).map(|sample| sample["value"].as_f64().unwrap());
    // The turn lasts a tenth of a second, and until the last reply.
    let count = told("pauses").unwrap();
    assert!((99.0..60_000.0).contains(&count), "{count}");
    assert_eq!([told("pause max"), told("pause total")], [Some(500.0), Some(count * 500.0)]);
    assert!(of("C=2 P=1", "echo", "pauses").is_none(), "it tells of none");
    let summary = written(&runs, "summary.md");
    assert!(summary.contains("at 0.25 of the rate that the same server had at C=2 P=1"), "{summary}");
    assert!(summary.contains(" worst response µs | longest pause µs |"), "{summary}");
}

#[test]
fn what_is_not_answered_within_the_grace_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    // No echo takes so much, and the rest would take it long; the closed loop has no end that it could miss.
    let planned = format!("{POINT}name = \"planned\"\nrate = 10_000_000\n");
    let keys = "rounds = 1\ntries = 1\ngrace = 0.05\n";
    let plan = plan_with(folder.path(), keys, &format!("{ECHO}{POINT}{planned}"));
    let output = sweep(&plan, &runs, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let samples = samples(&runs);
    let rate = |part: &str| samples.iter().find(|one| one["part"] == part && one["what"] == "rate").unwrap();
    assert!(rate("C=2 P=1")["invalid"].is_null());
    assert!(rate("planned")["invalid"].as_str().unwrap().contains("unsent "), "{}", rate("planned"));
    assert_eq!(rate("planned")["detail"]["outcome"]["end"], "grace_over");
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

/// Ends with its scope.
struct Busy(Child);

impl Drop for Busy {
    fn drop(&mut self) {
        drop((self.0.kill(), self.0.wait()));
    }
}

#[test]
fn what_others_use_is_seen_and_the_sample_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let point = format!("{ECHO}{POINT}name = \"p\"\nrate = 100\n");
    let plan = plan_with(folder.path(), "rounds = 1\nmax_steal = 1\ntries = 2\n", &point);
    // No process of the tester's, and it takes at least its share of the processors for as long as the sweep lasts.
    let _busy = Busy(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap());
    let output = sweep(&plan, &runs, &["--seconds", "0.5", "--wait-quiet=0.02"]);
    assert!(output.status.success(), "{}", said(&output));
    for told in ["waiting for a quiet machine: ", "measured again"] {
        assert!(said(&output).contains(told), "{}", said(&output));
    }
    let samples = samples(&runs);
    let seen = &samples[0]["disturbance"];
    assert!(seen["foreign"].as_f64().unwrap() > 0.05 && seen["disturbed"] == true, "{seen}");
    assert_eq!(seen["tries"], 2);
    // Of the two tries of half a second, one counts.
    let outcome = &samples.iter().find(|sample| sample["what"] == "rate").unwrap()["detail"]["outcome"];
    let [replies, sent] = ["replies", "sent"].map(|name| outcome[name].as_u64().unwrap());
    assert!((48..=52).contains(&replies) && (96..=104).contains(&sent), "{outcome}");
    assert!(samples.iter().all(|sample| sample["invalid"].is_null()));
    let summary = written(&runs, "summary.md");
    assert!(summary.contains("1 of 1 samples were disturbed, even the best of 2 tries"), "{summary}");
    assert!(summary.contains("**DISTURBED: p, echo, in round 1: host up to "), "{summary}");
}

#[test]
fn servers_take_turns_in_an_order_that_the_seed_decides() {
    let folder = tempfile::tempdir().unwrap();
    let starts = folder.path().join("starts");
    let server = |name: &str| {
        let command = format!("echo {name} >> {}; exec $0 echo --listen {{listen}}", starts.display());
        format!("[[server]]\nname = {name:?}\ncommand = [\"sh\", \"-c\", {command:?}, \"{{herd-load}}\"]\n")
    };
    let servers: String = ["a", "b", "c", "d"].map(server).concat();
    let plan = plan_with(
        folder.path(),
        "rounds = 2\nturns = 2\nseed = 7\ntries = 1\n",
        &format!("{servers}{POINT}"),
    );
    let orders = |what: &str, more: &[&str]| {
        let runs = folder.path().join(what);
        let output = sweep(&plan, &runs, more);
        assert!(output.status.success(), "{}", said(&output));
        notes(&runs).iter().map(|note| note["order"].clone()).filter(Value::is_array).collect::<Vec<_>>()
    };
    let of_plan = orders("plan", &[]);
    assert_eq!(of_plan.len(), 2, "one for each round");
    let first: Vec<_> = of_plan.iter().flat_map(|order| order[0].as_array().unwrap()).collect();
    let started = fs::read_to_string(&starts).unwrap();
    assert_eq!(started.lines().collect::<Vec<_>>(), first, "they start in the order of the first turn");
    let turns = of_plan.iter().flat_map(|order| order.as_array().unwrap());
    for turn in turns.clone() {
        let mut names: Vec<_> = turn.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }
    assert_eq!(turns.clone().count(), 4);
    assert!(turns.clone().any(|turn| Some(turn) != turns.clone().next()), "{of_plan:?}");
    assert_eq!(orders("same", &["--seed", "7"]), of_plan);
    assert_ne!(orders("other", &["--seed", "8"]), of_plan);
    assert!(written(&folder.path().join("other"), "command.txt").contains(" --seed 8"));
}

#[test]
fn a_run_that_is_interrupted_says_what_there_is_and_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let endless = POINT.to_owned() + "name = \"endless\"\nseconds = 600\n";
    let plan = plan_with(folder.path(), "rounds = 2\ntries = 1\n", &format!("{ECHO}{POINT}{endless}"));
    let mut command = tester(&["sweep", "--seed", "7", "--runs"]);
    let mut child =
        command.arg(&runs).arg(&plan).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines_said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines_said.any(|line| line.contains("round 1") && line.contains("rate")));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let summary = written(&runs, "summary.md");
    assert!(summary.contains("**INTERRUPTED") && summary.contains("| echo | "), "{summary}");
    let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let before = samples(&runs);
    assert!(before.iter().any(|sample| sample["what"] == "rate"));

    // Another plan, or another choice, would be another run.
    let resume = ["--resume", run.to_str().unwrap()];
    let text = fs::read_to_string(&plan).unwrap();
    let other = folder.path().join("other.toml");
    fs::write(&other, text.replace("clients = 100", "clients = 101")).unwrap();
    let refused = |output: Output, why: &str| {
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
        assert_eq!(samples(&runs), before);
    };
    refused(sweep(&other, &runs, &resume[..]), "--runs");
    let resumed = |plan: &Path| tester(&["sweep"]).arg(plan).args(resume).output().unwrap();
    refused(resumed(&other), "the plan is not the one beside its raw.jsonl");
}

#[test]
fn complete_rounds_are_kept_and_the_rest_is_measured_again() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let plan = plan_with(folder.path(), "rounds = 2\ntries = 1\n", &format!("{ECHO}{POINT}"));
    assert!(sweep(&plan, &runs, &["--what", "chosen"]).status.success());
    let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let resume = || tester(&["sweep"]).arg(&plan).arg("--resume").arg(&run).output().unwrap();
    // As if it had been killed after the last round.
    let summary = written(&runs, "summary.md");
    fs::remove_file(run.join("summary.md")).unwrap();
    let whole = resume();
    assert!(whole.status.success(), "{}", said(&whole));
    assert_eq!(written(&runs, "summary.md"), summary);

    // As if it had been killed in the second round, in the middle of a line.
    let raw = written(&runs, "raw.jsonl");
    let end = raw.find("{\"run\":{\"completed\":1}}\n").unwrap();
    let first = &raw[..raw[end..].find('\n').unwrap() + end + 1];
    let cut: Vec<&str> = raw[first.len()..].split_inclusive('\n').take(3).collect();
    fs::write(run.join("raw.jsonl"), format!("{first}{}{{\"round\":2,", cut.concat())).unwrap();
    let output = resume();
    assert!(output.status.success(), "{}", said(&output));
    let again = written(&runs, "raw.jsonl");
    assert!(again.starts_with(first) && again.contains("{\"run\":{\"machine\":"), "{again}");
    let rates = |round: u64| {
        let is_it = |sample: &&Value| sample["what"] == "rate" && sample["round"] == round;
        samples(&runs).iter().filter(is_it).count()
    };
    assert_eq!((rates(1), rates(2)), (1, 1));
    assert!(written(&runs, "summary.md").contains("Rounds: 2."));
    assert!(!written(&runs, "summary.md").contains("INTERRUPTED"));
}

#[test]
fn a_missed_target_a_failure_and_a_wrong_plan_have_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let target = |rounds: u32, bound: &str| {
        let target =
            format!("[[target]]\npoint = \"C=2 P=1\"\nserver = \"echo\"\nfigure = \"rate\"\n{bound}\n");
        let keys = format!("rounds = {rounds}\ntries = 1\n");
        let plan = plan_with(folder.path(), &keys, &format!("{ECHO}{POINT}{target}"));
        let runs = folder.path().join(format!("{rounds}, {bound}"));
        sweep(&plan, &runs, &[]).status.code()
    };
    assert_eq!(target(2, "at_least = 1"), Some(0));
    assert_eq!(target(2, "at_least = 1e12"), Some(3));
    assert_eq!(target(1, "at_least = 1e12"), Some(0), "one round decides nothing");
    assert_eq!(target(1, "at_lest = 1"), Some(2));
}

#[test]
fn servers_with_one_fixed_port_follow_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let fixed = |name: &str| {
        format!(
            "[[server]]\nname = {name:?}\nlisten = \"{address}\"\nready = \"connect\"\n\
             command = [\"{{herd-load}}\", \"echo\", \"--listen\", \"{address}\"]\n"
        )
    };
    let tables = format!("{}{}{POINT}together = false\n", fixed("one"), fixed("two"));
    let plan = plan_with(folder.path(), "rounds = 2\ntries = 1\n", &tables);
    let output = sweep(&plan, &runs, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(samples(&runs).iter().filter(|sample| sample["what"] == "rate").count(), 4);
}
