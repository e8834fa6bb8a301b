//! Loads over TLS, on a real node: whole handshakes and resumed ones, whoever is not to be believed, and the plan.

use std::path::Path;

use crate::support::{RealNode, figures, herd, json, run, tester};

#[test]
fn load_over_tls_is_answered_like_any_other_whether_connections_are_resumed_or_not() {
    let node = RealNode::with_tls();
    let (address, ca) = (&*node.tls_address, node.folder().join("tls/authority.pem").display().to_string());
    for more in [&["-P", "64"][..], &["--idle", "9"], &["--reconnect"], &["--reconnect", "--half-close"]] {
        for kind in [&["--ca", &*ca][..], &["--ca", &*ca, "--resume"], &["--insecure"]] {
            let mut arguments = vec!["run", address, "-c", "3", "-n", "300", "--clients", "100", "--verify"];
            arguments.extend(["--mix", "iamat=3,whatsat=1", "--output-format=json"]);
            arguments.extend(more.iter().chain(kind));
            let outcome = json(&run(&arguments));
            assert_eq!(outcome["failed"], serde_json::json!([]), "{arguments:?}: {outcome}");
            assert_eq!(outcome["replies"], 300, "{arguments:?}");
        }
    }
}

#[test]
fn server_that_nobody_vouches_for_or_that_speaks_no_tls_ends_the_run_with_one_line_that_says_so() {
    let node = RealNode::with_tls();
    let said = |arguments: &[&str]| {
        let output = run(arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said(&["run", &node.tls_address, "-n", "1", "--tls"]);
    assert!(code == Some(1) && text.contains("invalid peer certificate: UnknownIssuer"), "{text}");
    let (code, text) = said(&["run", &node.address(), "-n", "1", "--insecure"]);
    assert!(code == Some(1) && text.contains("cannot connect to "), "{text}");
    let (code, text) = said(&["run", &node.address(), "-n", "1", "--resume"]);
    assert!(code == Some(2) && text.contains("--resume needs --tls, --ca or --insecure"), "{text}");
    let (code, text) = said(&["run", &node.address(), "-n", "1", "--ca", "/nowhere.pem"]);
    assert!(code == Some(2) && text.contains("/nowhere.pem cannot be read"), "{text}");
}

#[test]
fn plan_for_tls_compares_the_node_with_itself() {
    let runs = tempfile::tempdir().unwrap();
    herd();
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plans/tls.toml");
    let mut command = tester(&["sweep"]);
    command.arg(plan).arg("--runs").arg(runs.path()).args(["--rounds", "1", "--seconds", "0.2"]);
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    // How fast it is does not matter here.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{told}");
    let folder = std::fs::read_dir(runs.path()).unwrap().next().unwrap().unwrap().path();
    let samples = figures(&std::fs::read_to_string(folder.join("raw.jsonl")).unwrap());
    for (part, server) in [
        ("C=50 P=1", "node"),
        ("C=50 P=1", "node-tls"),
        ("C=50 P=64", "node-tls"),
        ("handshakes", "node"),
        ("handshakes", "node-tls"),
        ("handshakes", "node-tls-resumed"),
    ] {
        let is_it = |sample: &&serde_json::Value| {
            sample["part"] == part && sample["server"] == server && sample["what"] == "rate"
        };
        let sample = samples.iter().find(is_it).unwrap_or_else(|| panic!("{part}, {server}: {told}"));
        assert!(sample["invalid"].is_null() && sample["value"].as_f64().unwrap() > 0.0, "{sample}");
    }
}
