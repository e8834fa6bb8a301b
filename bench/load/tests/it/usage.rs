//! Every subcommand of `herd-load` where its arguments are wrong: exit code 2, and one line that names the help to read.

use crate::support::{run, tester};

const SUBCOMMANDS: [&str; 14] = [
    "echo",
    "run",
    "hop",
    "flood",
    "repair",
    "places",
    "locks",
    "report",
    "sweep",
    "upstream",
    "plot",
    "compare",
    "completions",
    "man",
];

#[test]
fn wrong_arguments_are_one_line_that_names_the_help() {
    for subcommand in SUBCOMMANDS {
        let wrong = run(&[subcommand, "--\x1b[2J\u{9b}\u{202e}"]);
        let said = String::from_utf8(wrong.stderr).unwrap();
        assert_eq!((wrong.status.code(), wrong.stdout.len()), (Some(2), 0), "{said}");
        let line = said.strip_suffix('\n').unwrap();
        assert!(
            line.starts_with("herd-load: ")
                && line.ends_with(&format!("; try herd-load {subcommand} --help")),
            "{line}"
        );
        assert!(!line.contains(|letter: char| letter.is_control() || letter == '\u{202e}'), "{line:?}");
        let help = run(&[subcommand, "--help"]);
        assert!(help.status.success() && help.stderr.is_empty(), "{help:?}");
        let told = String::from_utf8(help.stdout).unwrap();
        assert!(told.contains(&format!("Usage: herd-load {subcommand}")), "{told}");
    }
    for words in [
        &["run"][..],
        &["flood", "localhost:1"],
        &["sweep"],
        &["compare", "a"],
        &["nonsense"],
        &["plot"],
        &[],
    ] {
        assert_eq!(run(words).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn file_in_an_error_moves_no_cursor() {
    let output = run(&["report", "no\x1b[2J\nfile"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said:?}");
    assert!(said.contains(r"no\x1b[2J\x0afile"), "{said:?}");
}

#[test]
fn an_error_that_nobody_reads_keeps_its_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = tester(&["--wrong"]).stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn every_subcommand_has_a_manual_page_and_a_completion() {
    let folder = tempfile::tempdir().unwrap();
    let written = tester(&["man"]).arg(folder.path()).output().unwrap();
    assert!(written.status.success() && written.stderr.is_empty(), "{written:?}");
    let script = String::from_utf8(run(&["completions", "bash"]).stdout).unwrap();
    for subcommand in SUBCOMMANDS {
        let page = std::fs::read_to_string(folder.path().join(format!("herd-load-{subcommand}.1"))).unwrap();
        let help = String::from_utf8(run(&[subcommand, "--help"]).stdout).unwrap();
        let words = help.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
        let page = page.replace("\\-", "-");
        for flag in words.filter(|word| word.starts_with("--") && word.len() > 3) {
            assert!(page.contains(flag), "{subcommand} has no {flag}: {page}");
        }
        assert!(script.contains(&format!(" {subcommand} ")), "{subcommand}: {script}");
    }
    let version = String::from_utf8(run(&["--version"]).stdout).unwrap();
    let short = String::from_utf8(run(&["-V"]).stdout).unwrap();
    assert!(version.starts_with(short.trim_end()), "{version:?}, {short:?}");
}
