//! A herd on three machines, set up by nothing but the blocks of docs/operate.md, with TLS and tokens. Each machine is a
//! network namespace, and so are the desk at which everything is made and the client's; a switch joins them, at which all
//! that crosses the network is read.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    documented::{are_as_shown, block, session, without_times},
    support::{Namespace, PATIENCE, Process, Wire, comes_true_within, eventually, heavy},
};

const SUBJECT: &str = "a herd on three machines";
const PAGE: &str = "docs/operate.md";
const SECTION: &str = "Three machines";
const DESK: &str = "10.0.0.8";
const CLIENT: &str = "10.0.0.9";
const KIWI: &str = "kiwi.cs.ucla.edu";
const POINT: &str = "+34.07-118.45";

fn shown(part: &str) -> String {
    block(PAGE, SECTION, part)
}

/// A machine: its network, and the folder in which whoever logs in there is.
struct Machine {
    network: Namespace,
    folder: PathBuf,
}

impl Machine {
    fn new(lan: &Path, address: &str, switch: &Namespace) -> Option<Self> {
        let network = Namespace::new(SUBJECT)?;
        network.plug_into(switch, address);
        let folder = lan.join(address);
        fs::create_dir(&folder).unwrap();
        Some(Self { network, folder })
    }

    /// A shell there, in which `scp` reaches the other machines' folders.
    fn shell(&self, script: &str) -> Command {
        let lan = self.folder.parent().unwrap();
        let path = format!("{}:{}", lan.display(), env::var("PATH").unwrap());
        let scp = format!(
            "scp() {{ for to; do :; done; while [ $# -gt 2 ]; do shift; cp -p \"$1\" '{}'/\"${{to%:}}\"; done; }}",
            lan.display()
        );
        let mut shell = Command::new("sh");
        shell.args(["-euc", &format!("{scp}\n{script}")]).current_dir(&self.folder).env("PATH", path);
        for name in ["HERD_CONFIG", "HERD_LOG_DIR", "HERD_DATA_DIR", "HERD_BASE_PORT", "HERD_TOKEN_FILE"] {
            shell.env_remove(name);
        }
        shell
    }

    fn run(&self, script: &str) -> Output {
        self.network.within(|| self.shell(script).output().unwrap())
    }

    /// What it says on standard output where it is well, and that it complains of nothing.
    #[track_caller]
    fn done(&self, script: &str) -> String {
        let output = self.run(script);
        assert!(output.status.success() && output.stderr.is_empty(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same where it may have something to tell on standard error, such as that a line is refused.
    #[track_caller]
    fn done_or_told(&self, script: &str) -> String {
        let output = self.run(script);
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn start(&self, script: &str) -> Process {
        self.network.within(|| Process::start(self.shell(&format!("exec {script} --lifeline"))))
    }

    fn log(&self, id: &str) -> String {
        fs::read_to_string(self.folder.join("herd-logs").join(format!("{id}.log"))).unwrap_or_default()
    }
}

/// Three machines with a node each, a desk, and a client.
struct Machines {
    running: Vec<Process>,
    /// In the order of the page, and the command of each node.
    nodes: Vec<(Machine, String)>,
    desk: Machine,
    client: Machine,
    wire: Wire,
    _switch: Namespace,
    _lan: TempDir,
}

const IDS: [&str; 3] = ["Alford", "Hamilton", "Welsh"];

impl Machines {
    /// Nothing but a network, on which somebody listens. `None` where there can be none.
    fn new() -> Option<Self> {
        let lan = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_herd"), lan.path().join("herd")).unwrap();
        let switch = Namespace::switch(SUBJECT)?;
        let wire = Wire::tap(&switch);
        let mut nodes = Vec::new();
        for line in shown("herd node").lines() {
            let (command, address) = line.split_once("# at ").unwrap();
            nodes.push((Machine::new(lan.path(), address, &switch)?, command.trim().to_owned()));
        }
        assert_eq!(nodes.len(), IDS.len());
        let desk = Machine::new(lan.path(), DESK, &switch)?;
        let client = Machine::new(lan.path(), CLIENT, &switch)?;
        Some(Self { running: Vec::new(), nodes, desk, client, wire, _switch: switch, _lan: lan })
    }

    /// Does what the page says, block by block, and nothing else.
    fn set_up(&mut self) {
        fs::write(self.desk.folder.join("my.toml"), shown("[herd]")).unwrap();
        self.desk.done_or_told(&shown("herd secret"));
        self.desk.done(&shown("scp -p my.toml"));
        self.desk.done(&shown("authority.pem kiwi.token"));
        let started = self.nodes.iter().map(|(machine, command)| machine.start(command));
        self.running = started.collect();
        for (at, node) in self.running.iter_mut().enumerate() {
            for peer in IDS.iter().filter(|id| **id != IDS[at]) {
                let linked = format!("linked {peer}");
                node.hear(&linked, |said| said.contains(&linked));
            }
        }
        let check = shown("herd status");
        eventually("the herd is in step", || self.desk.run(&check).status.success());
        assert!(self.desk.done(&check).ends_with("\nin step\n"));
    }

    /// What the client's session at the page says: at one machine it reports, at another it asks.
    fn report_as_shown(&self) -> String {
        let block = shown("IAMAT");
        let session = session(&block);
        assert_eq!(session.len(), 2);
        let mut at = String::new();
        for (command, shown) in session {
            let shown: Vec<_> = shown.into_iter().map(without_times).collect();
            let shown: Vec<_> = shown.iter().map(String::as_str).collect();
            // The other node may hear of it a moment later.
            eventually(command, || {
                let said = self.client.done_or_told(command);
                at = said.lines().next().unwrap_or_default().to_owned();
                let lines: Vec<_> = said.trim_end().lines().map(without_times).collect();
                are_as_shown(&shown, &lines.iter().map(String::as_str).collect::<Vec<_>>())
            });
        }
        at
    }

    /// What a node says to these lines over TLS, with a token's file or without.
    fn told(&self, node: usize, token: &str, lines: &[&str]) -> Vec<String> {
        let token = if token.is_empty() { String::new() } else { format!("--token-file {token}") };
        let lines = lines.iter().map(|line| format!(" '{line}'")).collect::<String>();
        let address = format!("10.0.0.{}:11605", node + 1);
        let said =
            self.desk.done_or_told(&format!("herd send {address} --ca tls/authority.pem {token}{lines}"));
        said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    #[track_caller]
    fn wait_for_log(&self, node: usize, parts: &[&str], lines: usize) {
        let mut since = String::new();
        let logs = comes_true_within(PATIENCE, || {
            since = self.nodes[node].0.log(IDS[node]).lines().skip(lines).collect::<Vec<_>>().join("\n");
            since.lines().any(|line| parts.iter().all(|part| line.contains(part)))
        });
        assert!(logs, "{} does not log {parts:?}, but\n{since}", IDS[node]);
    }

    fn log_lines(&self, node: usize) -> usize {
        self.nodes[node].0.log(IDS[node]).lines().count()
    }

    /// Ends a node as an operator would.
    #[track_caller]
    fn end(&mut self, node: usize) {
        let mut process = self.running.remove(node);
        process.signal(Signal::TERM);
        assert!(process.end().success(), "{:?}", process.all_complaints());
    }
}

#[test]
fn herd_of_three_machines_is_set_up_by_the_page_alone_and_tells_strangers_nothing() {
    let _turn = heavy();
    let Some(mut machines) = Machines::new() else { return };
    machines.set_up();
    let at = machines.report_as_shown();
    assert!(at.starts_with("AT Alford ") && at.contains(KIWI), "{at}");

    strangers_and_holders_of_other_tokens_get_nothing(&machines);
    // What they tried has changed nothing.
    for node in 0..IDS.len() {
        assert_eq!(machines.told(node, "ops.token", &[&format!("WHATSAT {KIWI} 10 0")])[0], at);
    }
    peer_without_the_secret_gets_nothing(&mut machines, &at);
    nothing_is_readable_on_the_way_but_what_goes_without_tls(&mut machines);
    commands_say_whom_they_give_a_token(&machines);
    for node in (0..IDS.len()).rev() {
        machines.end(node);
    }
}

fn strangers_and_holders_of_other_tokens_get_nothing(machines: &Machines) {
    // The page: a token is added, and its file copied again.
    let add = shown("herd secret");
    let add = add.lines().find(|line| line.contains("token add kiwi")).unwrap();
    let add = add.replace(KIWI, "tui.cs.ucla.edu").replace("kiwi", "tui").replace("'*'", "'tui*'");
    machines.desk.done_or_told(&add);
    machines.desk.done(&shown("scp -p my.toml"));
    let own = "IAMAT tui.cs.ucla.edu +1+1 1479413884";
    let lines = [
        format!("IAMAT {KIWI} +1+1 1579413884"),
        format!("WHATSAT {KIWI} 10 1"),
        format!("FORGET {KIWI}"),
        "HELLO".to_owned(),
    ];
    let lines = lines.each_ref().map(String::as_str);
    let refused = lines.map(|line| format!("? {line}"));
    for node in 0..IDS.len() {
        let show =
            format!("herd send 10.0.0.{}:11605 --ca tls/authority.pem --token-file tui.token x", node + 1);
        eventually("the new token is taken", || machines.desk.run(&show).status.success());
        for token in ["", "tui.token"] {
            assert_eq!(machines.told(node, token, &lines), refused, "{token:?}");
        }
        assert!(machines.told(node, "tui.token", &[own])[0].starts_with("AT "), "it is its own client's");
    }
    for token in ["", "--token-file tui.token"] {
        let status =
            machines.desk.run(&format!("herd status --config my.toml --ca tls/authority.pem {token}"));
        let said = String::from_utf8(status.stdout).unwrap();
        assert!(!status.status.success() && said.matches("bad answer: ").count() >= IDS.len(), "{said}");
        assert!(!said.contains("running"), "{said}");
    }
    // Whoever believes another authority tells this one's nodes nothing.
    let other = "herd cert other 10.0.0.1 > made; herd send 10.0.0.1:11605 --ca other/authority.pem x";
    let output = machines.desk.run(other);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

/// Has Welsh run where its neighbours dial it, with all that is Welsh's but the secret.
fn peer_without_the_secret_gets_nothing(machines: &mut Machines, at: &str) {
    const WELSH: usize = 2;
    machines.end(WELSH);
    let from: Vec<_> = (0..IDS.len()).map(|node| machines.log_lines(node)).collect();
    let (machine, command) = &machines.nodes[WELSH];
    // Another secret of the same herd: nothing but the proof tells them apart.
    machine.done("cp -p herd.secret kept; for step in add switch drop; do herd secret herd.secret --$step; done > made");
    let mut impostor = machine.start(command);
    impostor.hear("that it listens", |said| said.iter().any(|line| line.starts_with("listening ")));
    for node in 0..WELSH {
        // It is dialled, and it dials.
        machines.wait_for_log(
            node,
            &["no link to Welsh at 10.0.0.3:11600 yet: ", "its proof is wrong"],
            from[node],
        );
        machines.wait_for_log(
            WELSH,
            &[&format!("no link to {} at ", IDS[node]), "its proof is wrong"],
            from[WELSH],
        );
        // And so it is at the end that is dialled.
        for (end, from) in [(node, from[node]), (WELSH, from[WELSH])] {
            machines.wait_for_log(end, &[" is closed: it ended its handshake before its proof"], from);
        }
    }
    let question = format!("WHATSAT {KIWI} 10 0");
    assert_eq!(machines.told(WELSH, "ops.token", &[&question]), [format!("? {question}")]);
    impostor.signal(Signal::TERM);
    impostor.end();
    // With the secret, the same node gets it.
    let (machine, command) = &machines.nodes[WELSH];
    machine.done("mv kept herd.secret");
    let node = machine.start(command);
    machines.running.push(node);
    eventually("Welsh knows it again", || {
        let run =
            format!("herd send 10.0.0.3:11605 --ca tls/authority.pem --token-file ops.token '{question}'");
        String::from_utf8_lossy(&machines.desk.run(&run).stdout).starts_with(at)
    });
}

fn nothing_is_readable_on_the_way_but_what_goes_without_tls(machines: &mut Machines) {
    let text = |machine: &Machine, file: &str| fs::read_to_string(machine.folder.join(file)).unwrap();
    let digits = |file: &str| text(&machines.desk, file).trim().trim_start_matches("herd_").to_owned();
    let (kiwi, ops) = (digits("kiwi.token"), digits("ops.token"));
    assert_eq!((kiwi.len(), ops.len()), (40, 40));
    let secret = text(&machines.desk, "herd.secret");
    let secret = secret.lines().find_map(|line| line.strip_prefix("secret ")).unwrap().to_owned();
    // All of it was TLS, and of all of these: links, both ways, a client's and the operator's connections, and pages.
    let said = machines.wire.said();
    assert!(said.values().all(|said| said.is_empty() || said.starts_with(b"\x16\x03")));
    let links = [(1, 2, 11600), (2, 1, 11600), (1, 3, 11600), (3, 1, 11600), (2, 3, 11600), (3, 2, 11600)];
    let asked = (1..=3).flat_map(|node| [(8, node, 11605), (8, node, 11700)]);
    for (from, to, port) in links.into_iter().chain(asked).chain([(9, 1, 11605), (9, 3, 11605)]) {
        let [from, to] = [from, to].map(|machine| Ipv4Addr::new(10, 0, 0, machine));
        let is_between = |ends: &(SocketAddrV4, SocketAddrV4)| {
            *ends.0.ip() == from && ends.1 == SocketAddrV4::new(to, port)
        };
        let was_seen = said.iter().any(|(ends, said)| is_between(ends) && !said.is_empty());
        assert!(was_seen, "{from} says something to {to} at port {port}");
    }
    for hidden in
        [&kiwi[..20], &kiwi[20..], &ops[..20], &ops[20..], &secret, KIWI, POINT, "AUTH", "Bearer", "HELLO"]
    {
        assert!(!machines.wire.holds(hidden), "{hidden} has crossed the network");
    }
    // Where a client leaves TLS out, the same reader finds all of that. The client is told.
    let ask = format!("herd send 10.0.0.1:11600 'WHATSAT {KIWI} 10 0'");
    assert_eq!(machines.client.done_or_told(&ask).trim_end(), format!("? WHATSAT {KIWI} 10 0"));
    let output = machines.client.run(&format!("{ask} --token-file kiwi.token"));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("the token goes to 10.0.0.1:11600 in the clear"), "{complaint}");
    for shown in [&kiwi[..20], &kiwi[20..], KIWI, POINT, "AUTH"] {
        assert!(machines.wire.holds(shown), "{shown} was overlooked");
    }
}

/// Each command that gives a token away says so once.
fn commands_say_whom_they_give_a_token(machines: &Machines) {
    machines.desk.done("sed '/^tls = true/d' my.toml > plain.toml");
    let (clear, anyone) = ("herd: the token goes to ", "herd: nothing proves who answers as ");
    for (command, begin, end) in [
        ("forget tui.cs.ucla.edu --config my.toml", clear, "; --ca or --tls hides it"),
        ("status --config plain.toml", clear, "; `[http] tls` hides it"),
        ("send 10.0.0.2:11600 'WHATSAT kiwi.cs.ucla.edu 10 0'", clear, "; --ca or --tls hides it"),
        ("forget tui.cs.ucla.edu --config my.toml --insecure", anyone, ": whoever it is gets the token"),
        ("status --config my.toml --insecure", anyone, ": whoever it is gets the token"),
        (
            "send Welsh --config my.toml --insecure 'WHATSAT kiwi.cs.ucla.edu 10 0'",
            anyone,
            ": whoever it is gets the token",
        ),
    ] {
        let output = machines.desk.run(&format!("herd {command} --token-file ops.token"));
        let said = String::from_utf8(output.stderr).unwrap();
        let line = said.strip_suffix('\n').unwrap_or_default();
        assert!(
            line.starts_with(begin) && line.ends_with(end) && !line.contains('\n'),
            "{command}: {said:?}"
        );
    }
}
