//! What shells, `man` and people make of what the program prints about itself: completions, manual pages, its version.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use super::support::herd_command;
use crate::support::skipped;

/// What every subcommand is called with, for its help.
const SUBCOMMANDS: [&str; 22] = [
    "",
    "up",
    "node",
    "send",
    "forget",
    "status",
    "check-config",
    "places",
    "places near",
    "places import",
    "secret",
    "cert",
    "token",
    "token add",
    "token list",
    "token revoke",
    "token rotate",
    "journal",
    "journal check",
    "journal dismiss",
    "completions",
    "man",
];

/// Runs a tool on a completion script, in a file that ends like that; `None` if the tool is missing, which is told.
fn on_script(shell: &str, arguments: &[&str]) -> Option<Output> {
    let script = herd_command(&["completions", shell]).output().unwrap();
    assert!(script.status.success() && script.stderr.is_empty(), "{script:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("herd.script");
    fs::write(&path, &script.stdout).unwrap();
    run(shell, &[arguments, &[path.to_str().unwrap()]].concat(), "completions", shell)
}

fn run(tool: &str, arguments: &[&str], what: &str, package: &str) -> Option<Output> {
    match Command::new(tool).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => Some(output),
        Err(error) => {
            skipped(&format!("{what} with {tool}"), &format!("{error}; install {package}"));
            None
        }
    }
}

/// Sources the script, which is the last argument, and prints what the Tab key would offer behind the words before it.
const TAB: &str = r#"
script=${!#}
set -- "${@:1:$#-1}"
source "$script"
[[ $(complete -p herd) =~ -F\ ([^ ]+) ]] || exit 9
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
"${BASH_REMATCH[1]}" herd "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_completes_subcommands_flags_and_the_values_of_flags() {
    let Some(checked) = on_script("bash", &["-n"]) else { return };
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    for (words, wanted) in [
        (&["herd", "sta"][..], &["status"][..]),
        (&["herd", "se"], &["secret", "send"]),
        (&["herd", "places", "ne"], &["near"]),
        (&["herd", "status", "--wa"], &["--watch"]),
        (&["herd", "up", "--base"], &["--base-port"]),
        (&["herd", "completions", "f"], &["fish"]),
    ] {
        let Some(output) = on_script("bash", &[&["-c", TAB, "bash"], words].concat()) else { return };
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
        let offered = String::from_utf8(output.stdout).unwrap();
        let mut offered: Vec<_> = offered.split_whitespace().collect();
        offered.sort_unstable();
        assert_eq!(offered, wanted, "{words:?}");
    }
}

#[test]
fn zsh_understands_its_completions() {
    let Some(checked) = on_script("zsh", &["-n"]) else { return };
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
}

#[test]
fn fish_understands_its_completions_and_completes() {
    let Some(checked) = on_script("fish", &["-n"]) else { return };
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
    let complete = "source $argv[1]; complete --do-complete 'herd sta'";
    let Some(output) = on_script("fish", &["-c", complete]) else { return };
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("status"), "{output:?}");
}

#[test]
fn every_shell_has_a_script_and_another_is_refused() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = herd_command(&["completions", shell]).output().unwrap();
        let text = String::from_utf8(script.stdout).unwrap();
        assert!(script.status.success() && text.contains("check-config"), "{shell}: {text}");
    }
    let refused = herd_command(&["completions", "csh"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}

/// Writes the pages to this folder, and gives what was said.
fn write_pages(folder: &Path) -> String {
    let written = herd_command(&["man"]).arg(folder).output().unwrap();
    assert!(written.status.success() && written.stderr.is_empty(), "{written:?}");
    String::from_utf8(written.stdout).unwrap()
}

/// The flags that a text names.
fn flags(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    words.filter(|word| word.starts_with("--") && word.len() > 3)
}

#[test]
fn every_subcommand_has_a_manual_page_with_each_of_its_flags() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("new/man1");
    let told = write_pages(&pages);
    assert_eq!(told, format!("22 pages; to read the first: man -l {}/herd.1\n", pages.display()));
    assert_eq!(fs::read_dir(&pages).unwrap().count(), SUBCOMMANDS.len());
    for subcommand in SUBCOMMANDS {
        let words: Vec<_> = subcommand.split_whitespace().chain(["--help"]).collect();
        let help = String::from_utf8(herd_command(&words).output().unwrap().stdout).unwrap();
        let name = format!("herd {subcommand}").trim_end().replace(' ', "-");
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap().replace("\\-", "-");
        assert!(page.contains(&format!("\n{name} - ")), "{page}");
        assert!(flags(&help).count() > 0);
        for flag in flags(&help) {
            assert!(page.contains(flag), "{name} has no {flag}: {page}");
        }
    }
    // Once more, over those that are there; and into a file, which is no directory.
    write_pages(&pages);
    let refused = herd_command(&["man"]).arg(pages.join("herd.1")).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("herd.1: cannot be written: ") && said.contains("; "), "{said}");
}

#[test]
fn groff_sets_every_manual_page_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    write_pages(folder.path());
    for entry in fs::read_dir(folder.path()).unwrap() {
        let page = entry.unwrap().path();
        let arguments = ["-man", "-ww", "-Tascii", "-P-cbou", page.to_str().unwrap()];
        let Some(set) = run("groff", &arguments, "manual pages", "groff") else { return };
        let text = String::from_utf8(set.stdout).unwrap();
        let said = String::from_utf8(set.stderr).unwrap();
        assert!(set.status.success() && said.is_empty(), "{}: {said}", page.display());
        assert!(["NAME", "SYNOPSIS", "OPTIONS"].iter().all(|part| text.contains(part)), "{text}");
        if page.ends_with("herd-send.1") {
            // As one may copy it.
            assert!(text.contains("herd send Welsh 'WHATSAT kiwi.cs.ucla.edu 10 5'\n"), "{text}");
        }
    }
}

#[test]
fn version_names_the_commit_and_its_date_where_git_knows_them() {
    let said = |flag| {
        let output = herd_command(&[flag]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(said("-V"), format!("herd {number}\n"));
    let arguments = ["log", "-1", "--date=format-local:%Y-%m-%d", "--format=%H %cd"];
    let mut git = Command::new("git");
    git.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).env("TZ", "UTC");
    let about = match git.output() {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        Ok(_) => return assert_eq!(said("--version"), format!("herd {number}\n")),
        Err(error) => return skipped("the commit of --version", &format!("{error}; install git")),
    };
    let (commit, date) = about.trim().split_once(' ').unwrap();
    let version = said("--version");
    let named = format!("herd {number} ({} ", &commit[..7]);
    assert!(version.starts_with(&named), "{version} instead of {named}");
    if option_env!("SOURCE_DATE_EPOCH").is_none() {
        assert_eq!(version, format!("{named}{date})\n"));
    }
}
