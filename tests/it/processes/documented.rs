//! The commands of the README and of docs/, as they stand there, in a shell: against a herd, against stand-ins for nodes,
//! with a `systemctl` that only notes what it is asked, and below a folder instead of the root.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use proxyherd::{config, keys::load_tokens};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    status::{Asked, StandIn, ok, turning, well},
    support::{Herd, Process, eventually, heavy, shipped},
};
use crate::support::skipped;

const THREE: [&str; 3] = ["Alford", "Hamilton", "Welsh"];

/// Stands in a document for what is left out there.
const LEFT_OUT: &str = "[…]";

/// What stands below this heading of a document.
fn section(document: &str, heading: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let (_, rest) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap().to_owned()
}

/// The fenced block of a section that holds this.
pub(super) fn block(document: &str, heading: &str, part: &str) -> String {
    let section = section(document, heading);
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
        Self { folder }
    }

    fn run(&self, script: &str, config: Option<&Path>) -> Output {
        let path = format!("{}:{}", self.folder.path().display(), env::var("PATH").unwrap());
        let note = format!("systemctl() {{ echo \"$@\" >> '{}/asked'; }}", self.folder.path().display());
        let mut shell = Command::new("sh");
        shell.args(["-euc", &format!("{note}\n{script}")]);
        shell.env("PATH", path).current_dir(env!("CARGO_MANIFEST_DIR"));
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

/// What a document shows of a session: each command, and the lines that follow it.
pub(super) fn session(block: &str) -> Vec<(&str, Vec<&str>)> {
    let commands = block.split("$ ").skip(1).map(|part| part.split_once('\n').unwrap());
    commands.map(|(command, said)| (command, said.lines().collect())).collect()
}

/// Whether these lines are those that a document shows, where some may be left out.
pub(super) fn are_as_shown(shown: &[&str], said: &[&str]) -> bool {
    match shown.split_first() {
        None => said.is_empty(),
        Some((&LEFT_OUT, rest)) => (0..=said.len()).any(|left_out| are_as_shown(rest, &said[left_out..])),
        Some((line, rest)) => said.first() == Some(line) && are_as_shown(rest, &said[1..]),
    }
}

/// An AT line without its skew and its time; any other line as it is.
pub(super) fn without_times(line: &str) -> String {
    let fields: Vec<_> = line.split(' ').collect();
    match fields[..] {
        ["AT", node, _, client, point, _] => format!("AT {node} {client} {point}"),
        _ => line.to_owned(),
    }
}

/// `herd up`, until it has printed what the README shows of it.
fn up(herd: &Herd) -> Process {
    let block = block("README.md", "A first session", "-- up");
    let session = session(&block);
    let [(command, shown)] = &session[..] else { panic!("{block}") };
    assert_eq!(*command, "cargo run --release -- up");
    let own = herd.address("Alford");
    let [shown @ .., "[…]"] = &shown[..] else { panic!("{block}") };
    let shown = shown.join("\n").replace("127.0.0.1", own.split(':').next().unwrap());
    // The columns are as wide as the addresses in them.
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut up = Process::start(herd.command(&["up"]));
    up.hear("what the README shows", |said| words(&said.join("\n")).starts_with(&words(&shown)));
    up
}

#[test]
fn first_session_is_as_the_readme_shows_it() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("herd.toml"));
    let shell = Shell::new();
    let mut up = up(&herd);
    let in_step = || shell.run("herd status", Some(&herd.config)).status.success();
    eventually("the herd is in step", in_step);
    let block = block("README.md", "A first session", "IAMAT me");
    let session = session(&block);
    assert_eq!(session.len(), 4);
    for (command, shown) in session {
        let herds = command.strip_prefix("target/release/").unwrap();
        let output = shell.run(&format!("exec 2>&1\n{herds}"), Some(&herd.config));
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = said.trim_end().lines().map(without_times).collect();
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let shown: Vec<_> = shown.into_iter().map(without_times).collect();
        let shown: Vec<_> = shown.iter().map(String::as_str).collect();
        assert!(are_as_shown(&shown, &lines), "{command}: {said}");
        if command.contains("IAMAT") {
            herd.wait_until_known(&["Alford", "Ball", "Hamilton", "Holiday", "Welsh"], "me", said.trim_end());
        }
    }
    up.signal(Signal::INT);
    assert!(up.end().success());
}

#[test]
fn herd_can_be_waited_for_in_a_shell() {
    let block = block("docs/commands.md", "`herd status`", "until herd status");
    let until = block.lines().find(|line| line.starts_with("until ")).unwrap().split("   ").next().unwrap();
    let (alford, ball) = (StandIn::answering(ok(&well("Alford", &["Ball"]))), turning(false));
    let asked = Asked::pair(&alford, &ball);
    let output = Shell::new().run(&format!("{until}; herd status | tail -n 1"), Some(&asked.config()));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "in step\n", "{:?}", output.stderr);
}

#[test]
fn herd_is_changed_node_by_node() {
    let stand_ins: Vec<_> = THREE
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let peers = [at.checked_sub(1), Some(at + 1)].into_iter().flatten();
            let peers: Vec<_> = peers.filter_map(|at| THREE.get(at).copied()).collect();
            StandIn::answering(ok(&well(id, &peers)))
        })
        .collect();
    let nodes: Vec<_> = THREE.into_iter().zip(stand_ins.iter().map(|node| Some(node.address()))).collect();
    let asked = Asked::new(&nodes);
    let config = asked.config();
    let script = block("docs/operate.md", "Change a herd node by node", "systemctl restart");
    assert!(script.contains("/etc/proxyherd/herd.toml"));
    let shell = Shell::new();
    let output = shell.run(&script.replace("/etc/proxyherd/herd.toml", config.to_str().unwrap()), None);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(shell.asked(), THREE.map(|id| format!("restart proxyherd@{id}")));
}

#[test]
fn node_is_installed_where_its_unit_looks() {
    let (root, copies, shell) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Shell::new());
    let below = |path: &str| root.path().join(path.trim_start_matches('/'));
    for folder in ["usr/local/bin", "etc/systemd/system"] {
        fs::create_dir_all(below(folder)).unwrap();
    }
    // What is copied to the machine: the program, the unit, and what the page copies to Alford's.
    let unit = include_str!("../../../config/systemd/proxyherd@.service");
    fs::write(copies.path().join("proxyherd@.service"), unit).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_herd"), copies.path().join("herd")).unwrap();
    let copied = block("docs/operate.md", "Three machines", "scp -p my.toml");
    let copied = copied.lines().find(|line| line.contains("Alford")).unwrap();
    let names: Vec<_> = copied.split(' ').filter(|word| word.contains('.') && !word.ends_with(':')).collect();
    let names: Vec<_> = names.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    for name in &names {
        fs::write(copies.path().join(name), "").unwrap();
    }
    let script = block("docs/operate.md", "Run it under systemd", "systemctl enable")
        .replace(" /", &format!(" {}/", root.path().display()));
    let output = shell.run(&format!("cd '{}'\n{script}", copies.path().display()), None);
    assert!(output.status.success(), "{script}\n{output:?}");
    assert_eq!(shell.asked(), ["daemon-reload", "enable --now proxyherd@Alford"]);
    let installed = fs::read_to_string(below("etc/systemd/system/proxyherd@.service")).unwrap();
    assert_eq!(installed, unit);
    let line = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let program = line("ExecStart=").split(' ').next().unwrap();
    let mode = |path: &str| fs::metadata(below(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(program), 0o755);
    // Every file is where the unit looks for it, under the name that the configuration has for it.
    for name in names.iter().map(|name| name.replace("my.toml", "herd.toml")) {
        let there = format!("/etc/proxyherd/{name}");
        let unit = unit.replace("%i", "Alford");
        assert!(unit.contains(&format!("\nLoadCredential={name}:{there}\n")), "{name}");
        assert_eq!(mode(&there), 0o600, "{name}");
    }
    // Where the page says that the log is.
    assert!(unit.contains("\nLogsDirectory=proxyherd/%i\n") && unit.contains(" --log-dir %L/proxyherd/%i\n"));
    assert!(
        section("docs/operate.md", "Run it under systemd").contains("`/var/log/proxyherd/Alford/Alford.log`")
    );
}

#[test]
fn any_of_the_three_machines_may_be_lost() {
    let block = block("docs/operate.md", "Three machines", "secret_file");
    let herd = config::Herd::parse(&block, "my.toml").unwrap();
    let ids: Vec<_> = herd.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(ids, THREE);
    // Each one may be, and the others hold together.
    assert!(herd.nodes.iter().all(|node| node.links.len() == THREE.len() - 1));
    assert!(herd.nodes.iter().all(|node| !node.listen.host.starts_with("127.") && node.http.is_some()));
}

#[test]
fn node_is_found_by_its_port_and_its_neighbours_are_not() {
    let block = block("docs/load-testing.md", "Point your load test or your grader at it", "lsof -t");
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
    // As the page says: others than the node have it open, too.
    let all = found(&asked.replace(" -sTCP:LISTEN", ""));
    pids.sort();
    assert!(all.len() > 1 && all.iter().all(|pid| pids.contains(pid)), "{all:?} of {pids:?}");
}

#[test]
fn tokens_are_made_and_listed_as_the_page_shows() {
    let block = block("docs/security.md", "Tokens", "herd token add");
    let (folder, shell) = (tempfile::tempdir().unwrap(), Shell::new());
    for (command, shown) in session(&block) {
        let output = shell.run(&format!("cd '{}'\n{command}", folder.path().display()), None);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}: {said}");
        assert!(are_as_shown(&shown, &said.lines().collect::<Vec<_>>()), "{command}: {said}");
    }
    let tokens = load_tokens(&folder.path().join("herd.tokens")).unwrap().tokens;
    let roles: Vec<_> = tokens.iter().map(|token| token.role.name()).collect();
    assert_eq!(roles, ["client", "monitor", "operator"]);
}

#[test]
fn own_places_are_imported_and_shown() {
    let block = block("docs/places.md", "Your own places", "herd places import");
    let folder = tempfile::tempdir().unwrap();
    let output = Shell::new().run(&format!("cd '{}'\n{block}", folder.path().display()), None);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("My café  cafe, food  Los Angeles  sights/row:1"),
        "{said}"
    );
}
