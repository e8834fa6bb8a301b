//! Imports of the load tester point one way, too: each module of bench/load/src uses only modules of lower layers.

use crate::tidy::{broken, imported, module_of, rust_files, upward};

const FOLDER: &str = "bench/load/src/";

/// The modules, lowest first; those of one row do not import each other.
const LAYERS: [&str; 10] = [
    "address clock digits interrupt keys listener machine processors statistics tls usage whole words",
    "disturbance exit load outcome server stamp",
    "requests",
    "reply",
    "drive echo hop",
    "flood upstream",
    "rounds",
    "compare locks places plot repair report run sweep",
    "cli",
    "main lib",
];

fn wrong_imports(name: &str, text: &str) -> Vec<String> {
    let rows = LAYERS.map(|row| row.split(' ').collect::<Vec<_>>());
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    upward(&rows, module_of(FOLDER, name), &imported("crate::", text))
}

#[test]
fn the_load_testers_imports_point_one_way() {
    assert_eq!(broken(&rust_files(&[FOLDER]), wrong_imports), "");
}

#[test]
fn an_import_that_points_up_is_found() {
    let text = "use crate::{clock::Clock, rounds::Sample};";
    assert_eq!(wrong_imports("bench/load/src/flood/mod.rs", text).len(), 1);
    assert_eq!(wrong_imports("bench/load/src/sweep/mod.rs", text).len(), 0);
    assert_eq!(wrong_imports("bench/load/src/new.rs", text).len(), 1);
}
