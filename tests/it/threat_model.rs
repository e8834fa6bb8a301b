//! The threat model of docs/security.md: every row of its table names tests that hold it, and they exist.

use std::{fs, path::Path};

use crate::tidy::rust_files;

const DOCUMENT: &str = "docs/security.md";

/// The rows of the table whose last column is this, and what stands there.
fn rows(document: &str) -> Vec<(String, Vec<String>)> {
    let table = document.lines().skip_while(|line| !line.ends_with("| held by |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let held_by = cells.last().unwrap().split('`').skip(1).step_by(2);
        (row.to_owned(), held_by.map(str::to_owned).collect())
    })
    .collect()
}

/// Whether a file has that test, or fuzzes by a target of that name.
fn holds(file: &(String, String), test: &str) -> bool {
    let (path, text) = file;
    let head = format!("fn {test}(");
    let is_target = path.starts_with("fuzz/") && text.contains(&format!("pub {head}data"));
    is_target
        || text.match_indices(&head).any(|(at, _)| {
            // What is above it, of attributes.
            let before = text[..at].trim_end();
            before.ends_with("#[test]")
        })
}

#[test]
fn every_row_of_the_threat_model_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = rows(&fs::read_to_string(root.join(DOCUMENT)).unwrap());
    assert!(rows.len() >= 15, "{rows:?}");
    let files = rust_files(&["src", "tests", "fuzz/src"]);
    for (row, tests) in rows {
        assert!(!tests.is_empty(), "nothing holds: {row}");
        for test in tests {
            assert!(
                files.iter().any(|file| holds(file, &test)),
                "there is no test {test}, which holds: {row}"
            );
        }
    }
}

#[test]
fn row_without_a_test_that_exists_is_found() {
    let document = "| who | held by |\n|---|---|\n| a | `one`, `two` |\n| b | none |\n\n| c | `three` |\n";
    let rows = rows(document);
    assert_eq!(rows.iter().map(|(_, tests)| tests.len()).collect::<Vec<_>>(), [2, 0]);
    let file = |text: &str| ("src/a.rs".to_owned(), text.to_owned());
    assert!(holds(&file("    #[test]\n    fn one() {"), "one"));
    assert!(!holds(&file("#[test]\nfn other() {}\nfn one() {"), "one"));
    assert!(!holds(&file("#[test]\nfn one_more() {"), "one"));
    let target = |path: &str| (path.to_owned(), "pub fn one(data: &[u8]) {".to_owned());
    assert!(holds(&target("fuzz/src/a.rs"), "one") && !holds(&target("src/a.rs"), "one"));
}
