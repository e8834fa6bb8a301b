//! What is shipped for those who run a herd: the systemd unit, which systemd itself is asked about and whose command is
//! run, and the Grafana dashboard and the alerts, which may only ask for metrics that nodes export.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use proxyherd::{config::Herd, core::access::TokenList};
use serde_json::Value;

use crate::support::{Authority, FakePeer, Setup, skipped};

fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const UNIT: &str = "systemd/proxyherd@.service";
const INSTALLED: &str = "/usr/local/bin/herd";

/// The values of a key of the unit.
fn values<'u>(unit: &'u str, key: &str) -> Vec<&'u str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// What systemd says against a unit, whose program is where the tests have it; `None` if it is not here to be asked.
fn complaints(unit: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file: PathBuf = folder.path().join("proxyherd@Alford.service");
    fs::write(&file, unit.replace(INSTALLED, env!("CARGO_BIN_EXE_herd"))).unwrap();
    match Command::new("systemd-analyze").arg("verify").arg(&file).output() {
        Ok(output) => {
            // Of other units of the machine it may complain too.
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let ours: Vec<_> = said.lines().filter(|line| line.contains("proxyherd@")).collect();
            let failed = if output.status.success() { "" } else { said.as_str() };
            Some(format!("{}{failed}", ours.join("\n")))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn systemd_has_nothing_against_the_unit() {
    let unit = shipped(UNIT);
    let Some(said) = complaints(&unit) else {
        return skipped("the systemd unit", "there is no `systemd-analyze` here; install systemd");
    };
    assert_eq!(said, "");
    let misspelt = complaints(&unit.replace("ProtectHome", "ProtectHose")).unwrap();
    assert!(misspelt.contains("ProtectHose"), "it was asked in vain: {misspelt:?}");
    let missing = complaints(&unit.replace(INSTALLED, "/nowhere/herd")).unwrap();
    assert!(missing.contains("/nowhere/herd"), "it was asked in vain: {missing:?}");
}

#[test]
fn unit_needs_no_file_but_the_configuration() {
    let unit = shipped(UNIT);
    let names = |key| values(&unit, key).into_iter().map(|value| value.split_once(':').unwrap());
    let laid: Vec<_> = names("LoadCredential").map(|(name, _)| name).collect();
    let stood_in_for: Vec<_> = names("SetCredential").map(|(name, _)| name).collect();
    assert_eq!((laid[0], &laid[1..]), ("herd.toml", &stood_in_for[..]));
    for (name, file) in names("LoadCredential") {
        // A path in the configuration is taken from its folder, which is that of the credentials.
        assert_eq!(file, format!("/etc/proxyherd/{name}"));
    }
    assert!(names("SetCredential").all(|(_, text)| !text.is_empty()), "systemd takes no empty one");
}

#[test]
fn unit_starts_a_node_and_stops_it_in_peace() {
    let unit = shipped(UNIT);
    let folder = tempfile::tempdir().unwrap();
    let text = "[herd]\nname = \"unit\"\n[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:0\"\n\
                [log]\nevents_file = \"{node}.events.log\"\n";
    fs::write(folder.path().join("herd.toml"), text).unwrap();
    let credential = values(&unit, "LoadCredential")[0];
    assert_eq!(credential.split_once(':').unwrap().0, "herd.toml", "it is the file that the command names");
    let here = folder.path().to_str().unwrap();
    let resolved = |key| {
        let value = values(&unit, key)[0].replace("%i", "Alford");
        ["%d", "%L", "%S"].iter().fold(value, |value, folder| value.replace(folder, here))
    };
    let (command, environment) = (resolved("ExecStart"), resolved("Environment"));
    let mut words = command.split(' ');
    assert_eq!(words.next(), Some(INSTALLED));
    let mut node = Command::new(env!("CARGO_BIN_EXE_herd"));
    node.envs(environment.split_once('='));
    node.args(words).stdout(Stdio::piped()).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut node = node.spawn().unwrap();
    let mut said = io::BufReader::new(node.stdout.take().unwrap());
    let mut line = String::new();
    io::BufRead::read_line(&mut said, &mut line).unwrap();
    let signal = rustix::process::Signal::TERM;
    assert_eq!(values(&unit, "KillSignal"), ["SIGTERM"]);
    rustix::process::kill_process(rustix::process::Pid::from_child(&node), signal).unwrap();
    let ended = node.wait_with_output().unwrap();
    assert!(line.starts_with("listening 127.0.0.1:"), "{line:?}, {ended:?}");
    assert_eq!(ended.status.code(), Some(0));
    // Both of its logs are in the folder that systemd makes for it.
    for name in ["Alford.log", "Alford.events.log"] {
        assert!(folder.path().join("proxyherd/Alford").join(name).exists(), "{name}");
    }
    assert_eq!(values(&unit, "LogsDirectory"), ["proxyherd/%i"]);
    // As is its journal.
    assert!(folder.path().join("proxyherd/Alford/Alford/lock").exists());
    assert_eq!(values(&unit, "StateDirectory"), ["proxyherd/%i"]);
}

#[test]
fn unit_allows_what_a_node_with_default_limits_takes() {
    let unit = shipped(UNIT);
    let number = |key| values(&unit, key)[0].parse::<usize>().unwrap();
    let limits = Herd::embedded().limits;
    assert!(number("TimeoutStopSec") as f64 > limits.drain_time.as_secs_f64() + 5.0);
    // What a node keeps away from, as docs/limits.md says, and neighbours' connections.
    assert!(number("TasksMax") > limits.connections + 512 + 1_000);
    assert!(number("LimitNOFILE") > limits.connections + 256 + 1_000);
}

/// What a node exports at /metrics.
fn exported() -> BTreeSet<String> {
    let welsh = FakePeer::new("Welsh");
    let certificate = Authority::new().issue("localhost", (2040, 1, 1));
    let setup = Setup::new().http("").in_herd("forget_after = \"1h\"").journal().tls(certificate);
    let node = setup.tokens("open", &TokenList::default()).neighbour(&welsh).start();
    let (_, text) = node.page("/metrics");
    let mut names = BTreeSet::new();
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        match family.split_once(' ').unwrap() {
            (name, "histogram") => {
                names.extend(["_bucket", "_count", "_sum"].map(|end| format!("{name}{end}")));
            }
            (name, _) => names.extend([name.to_owned()]),
        }
    }
    names
}

/// Every text in a dashboard that is asked of the source of data, wherever it stands.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value {
                    Value::String(text) if matches!(key.as_str(), "expr" | "definition" | "query") => {
                        found.push(text.clone());
                    }
                    value => queries(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

/// The words of a query that are named as metrics of nodes are.
fn metrics(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | ':'));
    words.filter(|word| word.starts_with("proxyherd_") || word.starts_with("process_"))
}

#[test]
fn dashboard_asks_only_for_metrics_that_nodes_export() {
    let dashboard: Value = serde_json::from_str(&shipped("grafana/proxyherd.json")).unwrap();
    let mut asked = Vec::new();
    queries(&dashboard, &mut asked);
    let names: BTreeSet<String> = asked.iter().flat_map(|query| metrics(query)).map(str::to_owned).collect();
    let unknown: Vec<_> = names.difference(&exported()).cloned().collect();
    assert_eq!(unknown, [""; 0]);
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(panel["type"] == "row" || !targets.is_empty(), "{panel}");
        for target in targets {
            let expr = target["expr"].as_str().unwrap();
            assert!(metrics(expr).next().is_some(), "{expr}");
            assert_eq!(target["datasource"]["uid"], "${datasource}");
        }
    }
    // What an operator must not look for in vain.
    let not_shown = ["start_time", "duration_seconds_count", "duration_seconds_sum"];
    let unseen: Vec<_> = exported()
        .difference(&names)
        .filter(|name| !not_shown.iter().any(|part| name.contains(part)))
        .cloned()
        .collect();
    assert_eq!(unseen, [""; 0]);
}

const ALERTS: &str = "prometheus/proxyherd.yml";

#[test]
fn alerts_ask_only_for_metrics_that_nodes_export() {
    let (alerts, exported) = (shipped(ALERTS), exported());
    let asked: Vec<_> = values_of(&alerts, "expr").collect();
    assert_eq!(asked.len(), values_of(&alerts, "- alert").count());
    assert!(asked.len() > 2, "{alerts}");
    for expr in asked {
        let names: Vec<_> = metrics(expr).collect();
        assert!(!names.is_empty() && names.iter().all(|name| exported.contains(*name)), "{expr}");
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(ALERTS);
    match Command::new("promtool").args(["check", "rules"]).arg(file).output() {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skipped("the alerts", "there is no `promtool` here; install prometheus");
        }
        Err(error) => panic!("{error}"),
    }
}

/// What stands after a key, in lines of YAML.
fn values_of<'t>(text: &'t str, key: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| line.trim_start().strip_prefix(key)?.strip_prefix(": "))
}

#[test]
fn panels_of_the_dashboard_do_not_overlap_and_have_ids_of_their_own() {
    let dashboard: Value = serde_json::from_str(&shipped("grafana/proxyherd.json")).unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24 && ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        for place in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(place), "{}", panel["title"]);
        }
    }
}
