//! A herd's secret as those who run it use it: made, named in the configuration, changed while the nodes run, and refused
//! where it is not as it must be.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};

use super::support::{Herd, Process, herd_command};

fn herd_secret(file: &Path, flags: &[&str]) -> Output {
    herd_command(&["secret"]).arg(file).args(flags).output().unwrap()
}

/// Runs it, and checks that it says one line.
#[track_caller]
fn take_step(file: &Path, flags: &[&str]) {
    let done = herd_secret(file, flags);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.lines().count() == 1 && said.contains("copy it to all nodes"), "{said}");
}

/// A herd of three in a line, with a secret beside its configuration.
fn herd_with_secret() -> (Herd, PathBuf) {
    let node = |id: &str, port: u16, links: &str| {
        format!("[[node]]\nid = \"{id}\"\nlisten = \"127.0.0.1:{port}\"\nlinks = [{links}]\n")
    };
    let herd = Herd::new(&format!(
        "[herd]\nname = \"trio\"\nsecret_file = \"herd.secret\"\n{}{}{}",
        node("A", 11600, "\"B\""),
        node("B", 11601, "\"C\""),
        node("C", 11602, "")
    ));
    let file = herd.config.with_file_name("herd.secret");
    take_step(&file, &[]);
    (herd, file)
}

/// Whether any node has been refused, or has refused another, for want of the secret.
fn has_refusals(herd: &Herd) -> bool {
    let of_secret =
        |line: &String| line.contains("handshake") || line.contains("secret") || line.contains("proof");
    herd.ids().iter().any(|id| herd.log(id).iter().any(of_secret))
}

#[test]
fn herd_with_a_secret_comes_up_and_floods() {
    let (herd, _) = herd_with_secret();
    let mut up = Process::start(herd.command(&["up"]));
    up.hear("the table", |said| said.iter().any(|line| line.contains("is up: 3 nodes, 2 links")));
    let at = herd.report("A", "kiwi", "1400000000");
    herd.wait_until_known(&["A", "B", "C"], "kiwi", &at);
    assert!(!has_refusals(&herd));
}

#[test]
fn secret_is_changed_node_by_node_and_the_links_come_back_at_every_step() {
    let (mut herd, file) = herd_with_secret();
    herd.start_all();
    let before = fs::read(&file).unwrap();
    let at = herd.report("A", "kiwi", "1400000000");
    herd.wait_until_known(&["A", "B", "C"], "kiwi", &at);
    for step in ["--add", "--switch", "--drop"] {
        take_step(&file, &[step]);
        for id in ["A", "B", "C"] {
            herd.stop(id);
            herd.start(id);
            herd.wait_for_links();
            // A restarted node is empty; only over its links can it know.
            herd.wait_until_known(&[id], "kiwi", &at);
        }
    }
    assert!(!has_refusals(&herd));
    // A node that was left out is a stranger now.
    fs::write(&file, before).unwrap();
    herd.stop("A");
    herd.start("A");
    herd.wait_for_log("A", &["no link to B at ", "its proof is wrong; give both nodes the same secret_file"]);
    assert_eq!(herd.client("A").ask("WHATSAT kiwi 1 1"), "? WHATSAT kiwi 1 1");
}

#[test]
fn secret_file_is_its_owners_and_one_that_is_not_is_refused_at_start() {
    let (herd, file) = herd_with_secret();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = herd_secret(&file, &[]);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    let refused = |word: &str| {
        for arguments in [&["check-config"][..], &["up"], &["node", "A"]] {
            let done = herd.command(arguments).output().unwrap();
            let said = String::from_utf8(done.stderr).unwrap();
            assert_eq!(done.status.code(), Some(2), "{said}");
            assert!(said.lines().count() == 1 && said.contains(word), "{said}");
            assert!(done.stdout.is_empty());
        }
    };
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    refused(&format!("run `chmod 600 {}`", file.display()));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&file, "placement 00\n").unwrap();
    refused("line 1 does not have `placement`");
    fs::remove_file(&file).unwrap();
    refused("make one with `herd secret ");
}

#[test]
fn herd_without_a_secret_stays_on_loopback_and_one_with_a_secret_need_not() {
    let folder = tempfile::tempdir().unwrap();
    let (config, file) = (folder.path().join("h.toml"), folder.path().join("herd.secret"));
    let node = "[[node]]\nid = \"Solo\"\nlisten = \"0.0.0.0:0\"\n";
    fs::write(&config, format!("[herd]\nname = \"solo\"\n{node}")).unwrap();
    let run = || {
        let mut command = herd_command(&["node", "Solo", "--lifeline", "--config"]);
        command.arg(&config).arg("--log-dir").arg(folder.path());
        command
    };
    let refused = run().output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.lines().count() == 1 && said.contains("make one with `herd secret FILE`"), "{said}");
    take_step(&file, &[]);
    fs::write(
        &config,
        format!(
            "[herd]\nname = \"solo\"\nsecret_file = \"herd.secret\"\n{node}[access]\nclients = \"open\"\n"
        ),
    )
    .unwrap();
    Process::start(run())
        .hear("that it listens", |said| said.iter().any(|line| line.starts_with("listening 0.0.0.0:")));
}
