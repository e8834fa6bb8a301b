//! `herd-load compare` over folders that are made up: what is compared, what is only reported, and how it exits.

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::{
    recorded::Run,
    support::{self, run},
};

fn compare(a: &Run, b: &Run, more: &[&str]) -> Output {
    let (a, b) = (a.path(), b.path());
    let folders = [a.to_str().unwrap(), b.to_str().unwrap()];
    run(&[&["compare"], &folders[..], more].concat())
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A sweep, with one server's rates or times changed by a factor in all rounds.
fn sweep_with(what: &str, server: &str, factor: f64) -> Run {
    let mut run = Run::sweep();
    run.change(|line| {
        if line["what"] == what && line["server"] == server && line["part"] == "C=50 P=1" {
            line["value"] = json!(line["value"].as_f64().unwrap() * factor);
        }
    });
    run
}

#[test]
fn a_run_is_no_worse_than_itself() {
    let sweep = Run::sweep();
    let output = compare(&sweep, &sweep, &["--fail-above", "0"]);
    assert!(output.status.success());
    let text = text(&output);
    assert!(text.contains("None got worse by more than 0 % beyond the noise."), "{text}");
    assert!(!text.contains("WORSE") && !text.contains("Only in") && !text.contains("Invalid"), "{text}");
}

#[test]
fn a_figure_that_got_worse_beyond_the_noise_fails() {
    let (before, after) = (Run::sweep(), sweep_with("rate", "node", 0.8));
    assert!(compare(&before, &after, &[]).status.success());
    assert!(compare(&before, &after, &["--fail-above", "20.1"]).status.success());
    let output = compare(&before, &after, &["--fail-above", "19.9"]);
    assert_eq!(output.status.code(), Some(3));
    let text = text(&output);
    assert!(
        text.contains(
            "1 got worse by more than 19.9 % beyond the noise:\n  C=50 P=1, node, rate (/s): -20.0 %"
        ),
        "{text}"
    );
    let row =
        ["node", "rate", "/s", "108000 (104760 to 110160)", "86400 (83808 to 88128)", "-20.0 %", "WORSE"];
    let cells = |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).eq(row);
    assert!(text.lines().any(cells), "{text}");
    let better = compare(&after, &before, &["--fail-above", "0"]);
    assert!(better.status.success());
}

#[test]
fn what_worse_means_is_told_by_the_figure() {
    let (before, slower) = (Run::sweep(), sweep_with("service p99", "java", 1.3));
    assert_eq!(compare(&before, &slower, &["--fail-above", "5"]).status.code(), Some(3));
    assert!(compare(&slower, &before, &["--fail-above", "5"]).status.success());
}

#[test]
fn a_change_within_the_noise_does_not_fail() {
    let (before, after) = (Run::sweep(), sweep_with("rate", "node", 0.93));
    let output = compare(&before, &after, &["--fail-above", "1"]);
    assert!(output.status.success());
    assert!(text(&output).contains("-7.0 %  within noise"));
}

#[test]
fn columns_line_up() {
    let sweep = Run::sweep();
    let text = text(&compare(&sweep, &sweep, &[]));
    let rows: Vec<&str> = text.lines().filter(|line| line.ends_with("within noise")).collect();
    assert!(rows.len() > 400);
    let end = |row: &str| row.chars().count();
    assert!(rows.iter().all(|row| end(row) == end(rows[0])), "{text}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let figure = |part: &str, unit: &str| json!({"part": part, "what": "w", "unit": unit, "value": 3.0});
    let (mut a, mut b) = (Run::empty(), Run::empty());
    a.add(&figure("both", "s"));
    b.add(&figure("both", "s"));
    a.add(&figure("gone", "s"));
    b.add(&figure("new", "s"));
    let mut invalid = figure("both", "MB");
    invalid["invalid"] = json!("it rained");
    a.add(&figure("both", "MB"));
    b.add_rounds(&invalid, &[9.0]);
    for (run, clients) in [(&mut a, 1_000), (&mut b, 100_000)] {
        let mut load = figure("load", "s");
        load["at"] = json!({"clients": clients});
        run.add(&load);
    }
    let told = text(&compare(&a, &b, &[]));
    assert!(told.contains("\nOnly in A\n  gone, w (s)\n"), "{told}");
    assert!(told.contains("\nOnly in B\n  new, w (s)\n"), "{told}");
    assert!(told.contains("\nInvalid in B, left out\n  both, w (MB), round 1: it rained\n"), "{told}");
    assert!(
        told.contains("\nNot compared, since the load differs\n  load, w (s): clients 1000 and 100000\n"),
        "{told}"
    );
    assert!(told.contains("\n1 figure compared, 1 within noise.\n"), "{told}");
    assert!(told.contains("if every round of one run is above every round of the other"), "{told}");
}

#[test]
fn figures_of_a_disturbed_machine_are_counted() {
    let figure =
        json!({"part": "p", "what": "w", "unit": "s", "value": 3.0, "disturbance": {"disturbed": true}});
    let (mut a, mut b) = (Run::empty(), Run::empty());
    a.add_rounds(&figure, &[1.0, 2.0]);
    b.add_rounds(&json!({"part": "p", "what": "w", "unit": "s"}), &[1.0]);
    let told = text(&compare(&a, &b, &[]));
    assert!(told.contains("\n2 figures of A, taken while its machine was disturbed\n"), "{told}");
    assert!(!told.contains("of B, taken"), "{told}");
}

#[test]
fn few_rounds_tell_nothing() {
    let figure = json!({"part": "p", "what": "w", "unit": "s"});
    let (mut a, mut b) = (Run::empty(), Run::empty());
    a.add_rounds(&figure, &[1.0, 1.1]);
    b.add_rounds(&figure, &[3.0, 3.1]);
    let output = compare(&a, &b, &["--fail-above", "5"]);
    assert!(output.status.success());
    assert!(text(&output).contains("too few rounds"));
}

#[test]
fn programs_can_read_it() {
    let (before, after) = (Run::sweep(), sweep_with("rate", "node", 0.8));
    let document = support::json(&compare(&before, &after, &["--json", "--fail-above", "5"]));
    let failed: Vec<&Value> =
        document["compared"].as_array().unwrap().iter().filter(|figure| figure["fails"] == true).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["server"], "node");
    assert_eq!(failed[0]["verdict"], "worse");
    assert_eq!(failed[0]["a"]["median"], 108_000.0);
    assert_eq!(failed[0]["b"]["samples"], 5);
}

#[test]
fn folders_that_cannot_be_read_are_named() {
    let sweep = Run::sweep();
    let folder = sweep.path();
    let folder = folder.to_str().unwrap();
    let error = |output: &Output| String::from_utf8(output.stderr.clone()).unwrap();
    let missing = run(&["compare", folder, "/nowhere/at-all"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(error(&missing).contains("/nowhere/at-all/raw.jsonl"), "{}", error(&missing));

    let broken = Run::empty();
    let path = broken.path();
    fs::write(path.join("raw.jsonl"), "{\"what\":\"w\",\"unit\":\"s\",\"value\":1}\n{\"what\":\"w\",\"un")
        .unwrap();
    let output = run(&["compare", folder, path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("raw.jsonl:2:15: EOF while parsing"), "{}", error(&output));
    assert_eq!(run(&["compare", folder, folder, "--fail-above", "much"]).status.code(), Some(2));
}
