//! Plays the kept inputs of the fuzz targets on the stable toolchain: the targets' own code, without a fuzzer.

#[expect(unreachable_pub, reason = "it is a library's source elsewhere")]
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::{fs, path::Path};

fn play(target: &str, fuzz: fuzz::Target) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        let input = fs::read(file).unwrap();
        // Only a panic's own words would say which input it was not.
        if std::panic::catch_unwind(|| fuzz(&input)).is_err() {
            panic!("{} makes the target {target} fail", file.display());
        }
    }
    files.len()
}

#[test]
fn kept_inputs_find_no_fault() {
    for (target, fuzz) in fuzz::TARGETS {
        assert!(play(target, fuzz) > 0, "the corpus of {target} is empty");
    }
}

#[test]
fn every_target_is_built_for_the_fuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (target, _) in fuzz::TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
    }
    assert_eq!(fs::read_dir(root.join("fuzz_targets")).unwrap().count(), fuzz::TARGETS.len());
    assert_eq!(fs::read_dir(root.join("corpus")).unwrap().count(), fuzz::TARGETS.len());
}
