//! `herd-load report` from outside: the repository's own report is what its runs give, and one that was
//! changed by hand is reported.

use std::{fs, path::Path};

use crate::support::tester;

fn report(arguments: &[&str]) -> (bool, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = tester(&["report"]).args(arguments).current_dir(root).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_repositorys_report_is_what_its_runs_give() {
    assert_eq!(report(&["--check"]), (true, String::new()));
}

#[test]
fn a_report_that_was_changed_by_hand_is_told_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("REPORT.md");
    let out = out.to_str().unwrap();
    assert_eq!(report(&["--out", out]), (true, String::new()));
    assert_eq!(report(&["--out", out, "--check"]), (true, String::new()));
    let text = fs::read_to_string(out).unwrap();
    fs::write(out, text.replacen("## 2 ", "## 7 ", 1)).unwrap();
    let (is_right, told) = report(&["--out", out, "--check"]);
    assert!(!is_right && told.contains("is not what the runs say") && told.contains("is: ## 7 "), "{told}");
}

#[test]
fn a_figure_that_is_not_there_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (template, out) = (folder.path().join("template.md"), folder.path().join("out.md"));
    fs::write(&template, "One\n{{full; C=50 P=1; nobody; rate; k1}}\n").unwrap();
    fs::write(&out, "before").unwrap();
    let (is_right, told) = report(&[template.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(!is_right && told.contains("template.md:2: ") && told.contains("servers: "), "{told}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "before");
}
