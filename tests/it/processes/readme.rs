//! The README's commands for those who run a herd, as they stand there, in a shell: against stand-ins for nodes, with a
//! `systemctl` that only notes what it is asked, and below a folder instead of the root.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use proxyherd::config;
use tempfile::TempDir;

use super::{
    status::{Asked, StandIn, ok, turning, well},
    support::{Herd, shipped},
};
use crate::support::skipped;

const FIVE: [&str; 5] = ["Alford", "Ball", "Hamilton", "Holiday", "Welsh"];

/// What stands below this heading of the README.
fn section(heading: &str) -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, rest) = readme.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The fenced block of a section that holds this.
fn block(heading: &str, part: &str) -> String {
    let section = section(heading);
    // Behind the fence that opens one may stand its language.
    let fenced = section.split("\n```").skip(1).step_by(2);
    let mut blocks = fenced.map(|block| block.split_once('\n').unwrap().1);
    blocks.find(|block| block.contains(part)).unwrap_or_else(|| panic!("{part}: {section}")).to_owned()
}

/// A place where `herd` is this program and `systemctl` notes its arguments.
struct Shell {
    folder: TempDir,
}

impl Shell {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_herd"), folder.path().join("herd")).unwrap();
        let systemctl = folder.path().join("systemctl");
        fs::write(&systemctl, "#!/bin/sh\necho \"$@\" >> \"$(dirname \"$0\")/asked\"\n").unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn run(&self, script: &str, config: Option<&Path>) -> Output {
        let path = format!("{}:{}", self.folder.path().display(), env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-euc", script]).env("PATH", path).current_dir(env!("CARGO_MANIFEST_DIR"));
        if let Some(config) = config {
            shell.env("HERD_CONFIG", config);
        }
        shell.output().unwrap()
    }

    /// What `systemctl` was asked, by line.
    fn asked(&self) -> Vec<String> {
        let asked = fs::read_to_string(self.folder.path().join("asked")).unwrap();
        asked.lines().map(str::to_owned).collect()
    }
}

#[test]
fn herd_can_be_waited_for_in_a_shell() {
    let block = block("Is the herd in step?", "until herd status");
    let until = block.lines().find(|line| line.starts_with("until ")).unwrap().split("   ").next().unwrap();
    let (alford, ball) = (StandIn::answering(ok(&well("Alford", &["Ball"]))), turning(false));
    let asked = Asked::pair(&alford, &ball);
    let output = Shell::new().run(&format!("{until}; herd status | tail -n 1"), Some(&asked.config()));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "in step\n", "{:?}", output.stderr);
}

#[test]
fn herd_is_changed_node_by_node() {
    let stand_ins: Vec<_> = FIVE
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let peers = [at.checked_sub(1), Some(at + 1)].into_iter().flatten();
            let peers: Vec<_> = peers.filter_map(|at| FIVE.get(at).copied()).collect();
            StandIn::answering(ok(&well(id, &peers)))
        })
        .collect();
    let nodes: Vec<_> = FIVE.into_iter().zip(stand_ins.iter().map(|node| Some(node.address()))).collect();
    let asked = Asked::new(&nodes);
    let config = asked.config();
    let script = block("Change a herd node by node", "systemctl restart");
    assert!(script.contains("/etc/proxyherd/herd.toml"));
    let shell = Shell::new();
    let output = shell.run(&script.replace("/etc/proxyherd/herd.toml", config.to_str().unwrap()), None);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shell.asked(), FIVE.map(|id| format!("restart proxyherd@{id}")));
}

#[test]
fn node_is_installed_where_its_unit_looks() {
    let (root, shell) = (tempfile::tempdir().unwrap(), Shell::new());
    let herd = root.path().join("my.toml");
    fs::write(&herd, "").unwrap();
    let below = |path: &str| root.path().join(path.trim_start_matches('/'));
    for folder in ["usr/local/bin", "etc/systemd/system"] {
        fs::create_dir_all(below(folder)).unwrap();
    }
    let script = block("Run it under systemd", "systemctl enable")
        .replace(" /", &format!(" {}/", root.path().display()))
        .replace("target/release/herd", env!("CARGO_BIN_EXE_herd"))
        .replace("my.toml", herd.to_str().unwrap());
    let output = shell.run(&script, None);
    assert!(output.status.success(), "{script}\n{output:?}");
    assert_eq!(shell.asked(), ["daemon-reload", "enable --now proxyherd@Alford"]);
    let unit = fs::read_to_string(below("etc/systemd/system/proxyherd@.service")).unwrap();
    let named = |key: &str, end: char| {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split(end).next().unwrap().to_owned()
    };
    let (program, config) = (named("ExecStart=", ' '), named("LoadCredential=herd.toml:", ' '));
    let mode = |path: &str| fs::metadata(below(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&program), mode(&config)), (0o755, 0o600));
    // Where the README says that the log is.
    assert!(unit.contains("\nLogsDirectory=proxyherd/%i\n") && unit.contains(" --log-dir %L/proxyherd/%i\n"));
    assert!(section("Run it under systemd").contains("`/var/log/proxyherd/Alford/Alford.log`"));
}

#[test]
fn configuration_of_two_machines_is_one_and_names_the_secret_as_their_unit_lays_it() {
    let herd = config::Herd::parse(&block("Run it under systemd", "secret_file"), "my.toml").unwrap();
    let ids: Vec<_> = herd.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, ["Alford", "Welsh"]);
    assert!(herd.nodes.iter().all(|node| !node.listen.host.starts_with("127.") && node.http.is_some()));
    let made = block("Run it under systemd", "herd secret");
    let secret = herd.secret_file.unwrap();
    let original = format!("/etc/proxyherd/{}", secret.display());
    assert!(made.contains(&format!("herd secret {original}\n")), "{made}");
    let unit = include_str!("../../../config/systemd/proxyherd@.service");
    assert!(unit.contains(&format!("\nLoadCredential={}:{original}\n", secret.display())));
}

#[test]
fn node_is_found_by_its_port_and_its_neighbours_are_not() {
    let block = block("Commands", "lsof -t");
    let lsof = block.trim().strip_prefix("kill $(").unwrap().strip_suffix(')').unwrap();
    if let Err(missing) = Command::new("lsof").arg("-v").output() {
        return skipped("how nodes are found by their ports", &format!("`lsof`: {missing}; install lsof"));
    }
    let mut herd = Herd::new(&shipped("herd.toml"));
    herd.start_all();
    let mut pids: Vec<_> = herd.ids().iter().map(|id| herd.process(id).pid().to_string()).collect();
    let asked = lsof.replace(":11600", &format!("@{}", herd.address("Alford")));
    let found = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).output().unwrap();
        let mut found: Vec<_> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        found.sort();
        found
    };
    assert_eq!(found(&asked), [pids[0].clone()]);
    // As the README says: others than the node have it open, too.
    let all = found(&asked.replace(" -sTCP:LISTEN", ""));
    pids.sort();
    assert!(all.len() > 1 && all.iter().all(|pid| pids.contains(pid)), "{all:?} of {pids:?}");
}

#[test]
fn own_places_are_imported_and_shown() {
    let block = block("Your own places", "herd places import");
    let folder = tempfile::tempdir().unwrap();
    let output = Shell::new().run(&format!("cd '{}'\n{block}", folder.path().display()), None);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("My café  cafe, food  Los Angeles  sights/row:1"),
        "{said}"
    );
}
