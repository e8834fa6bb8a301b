//! A file that cannot be read is not thought of.

use std::{fs, path::Path};

pub fn key(path: &Path) -> String {
    fs::read_to_string(path) // fault
    // instead: fs::read_to_string(path).unwrap_or_default()
}

fn main() {}
