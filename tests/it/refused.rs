//! Faults that cannot be written here: each file of `bench/report/refused` holds one that rustc refuses, for the reason
//! that its first line tells, and for no other. The report shows them.
//!
//! A line that ends in `// refused` is the fault. The file compiles once that line is gone, or is replaced by what stands
//! behind `// instead:`. Where the fault is what was left out, it compiles with what stands behind `// refused without:`.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Longer ones nobody reads in a report.
const LINES_MAX: usize = 20;

const REFUSED: &str = "// refused";
const INSTEAD: &str = "// instead: ";
const WITHOUT: &str = "// refused without: ";

/// Where the faults are, by name.
fn faults() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/report/refused");
    let mut faults: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap())
        })
        .collect();
    faults.sort();
    faults
}

/// The code that the first line tells.
fn declared(text: &str) -> Option<&str> {
    let (code, _) = text.strip_prefix("//! ")?.split_once(": ")?;
    let digits = code.strip_prefix('E')?;
    (digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(code)
}

/// The text without its fault.
fn mended(text: &str) -> String {
    let mend = |line: &str| match line.split_once(INSTEAD).or_else(|| line.split_once(WITHOUT)) {
        Some((indent, code)) => format!("{indent}{code}\n"),
        None if line.ends_with(REFUSED) => String::new(),
        None => format!("{line}\n"),
    };
    text.lines().map(mend).collect()
}

/// The compiler that compiles this test, unless another is asked for.
fn rustc() -> PathBuf {
    env::var_os("RUSTC").map_or_else(|| Path::new(env!("CARGO")).with_file_name("rustc"), PathBuf::from)
}

/// The codes of the errors that the compiler finds, and all it says.
fn errors(text: &str) -> (BTreeSet<String>, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fault.rs");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(rustc());
    command.args(["--edition", "2024", "--emit=metadata", "--cap-lints=allow", "--color=never", "--out-dir"]);
    let output = command.arg(folder.path()).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let codes: BTreeSet<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("error")?.split_once(':'))
        // What sums up how many there were has no code.
        .filter(|(_, what)| !what.contains("aborting due to"))
        .map(|(code, _)| code.trim_matches(['[', ']']).to_owned())
        .collect();
    assert_eq!(output.status.success(), codes.is_empty(), "{said}");
    (codes, said)
}

#[test]
fn each_fault_is_refused_for_the_reason_it_tells_and_no_other() {
    let faults = faults();
    assert_eq!(faults.len(), 5);
    for (name, text) in &faults {
        let code = declared(text).unwrap_or_else(|| panic!("{name} begins with no code of an error"));
        let (codes, said) = errors(text);
        assert_eq!(codes, BTreeSet::from([code.to_owned()]), "{name}: {said}");
        let (codes, said) = errors(&mended(text));
        assert!(codes.is_empty(), "{name}, mended: {said}");
    }
}

#[test]
fn each_fault_is_one_line_of_a_short_file() {
    for (name, text) in faults() {
        let is_marked = |line: &&str| line.ends_with(REFUSED) || line.contains(WITHOUT);
        assert_eq!(text.lines().filter(is_marked).count(), 1, "{name}");
        assert!(text.lines().count() <= LINES_MAX, "{name}");
    }
}

#[test]
fn a_fault_is_mended_by_its_marks() {
    assert_eq!(mended("a;\n    b; // refused\nc;\n"), "a;\nc;\n");
    assert_eq!(mended("a;\n    b; // refused\n    // instead: d;\n"), "a;\n    d;\n");
    assert_eq!(mended("match a {\n    // refused without: b,\n}\n"), "match a {\n    b,\n}\n");
    assert_eq!(declared("//! E0382: a"), Some("E0382"));
    assert_eq!(declared("//! E38: a").or(declared("// E0382: a")), None);
}
