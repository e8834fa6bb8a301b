//! Makes of `src/core/links/outbox.rs` what the model checker can run: the same text, less its tests, with the checker's
//! atomics and channel for std's and crossbeam's. Whatever is no longer found here fails the build, so that the model
//! can never be one of an older file or of nothing.

use std::{env, fs, path::Path};

const SOURCE: &str = "../../src/core/links/outbox.rs";

/// What stands for what, and how often it must be there.
const REPLACEMENTS: [(&str, &str, usize); 2] =
    [("std::sync::{", "crate::sync::{", 1), ("crossbeam_channel::", "crate::channel::", 2)];

/// Where its own tests begin.
const TESTS: &str = "#[cfg(test)]\nmod tests {";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SOURCE}");
    let source = fs::read_to_string(SOURCE).unwrap_or_else(|error| panic!("{SOURCE}: {error}"));
    let (code, _) = source.split_once(TESTS).unwrap_or_else(|| panic!("{SOURCE} has no {TESTS:?}"));
    // A file that is included must not begin by documenting what it is included in.
    let mut code = code.lines().map(|line| line.replacen("//!", "//", 1) + "\n").collect::<String>();
    for (real, checked, count) in REPLACEMENTS {
        assert_eq!(code.matches(real).count(), count, "{real} in {SOURCE}");
        code = code.replace(real, checked);
    }
    for real in ["std::", "crossbeam", "parking_lot"] {
        assert!(!code.contains(real), "{real} in {SOURCE} has no counterpart for the checker");
    }
    let folder = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&folder).join("outbox.rs"), code).expect("OUT_DIR can be written");
}
