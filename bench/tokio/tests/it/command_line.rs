//! What the program says of its command line.

use std::process::Command;

#[test]
fn usage_names_the_flags_all_models_have() {
    let output = Command::new(crate::PROGRAM).arg("--help").output().unwrap();
    let usage = String::from_utf8(output.stdout).unwrap();
    for flag in ["--id", "--listen", "--peer", "--upstream", "--log"] {
        assert!(usage.contains(flag), "{flag}: {usage}");
    }
}
