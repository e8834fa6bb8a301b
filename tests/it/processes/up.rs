//! `herd up` as a process: the table once the herd is up, an end that leaves nothing running however it comes about, and
//! nodes that die under it.

use std::{
    ffi::OsStr,
    io::Write,
    net::TcpListener,
    os::unix::ffi::OsStrExt,
    process::{Command, Output},
};

use rustix::process::{Pid, Signal, kill_process};

use super::support::{Client, Herd, Process, Watched, children_of, eventually, heavy, herd_command, shipped};

/// A herd that is up, and its nodes' processes.
struct Up {
    process: Process,
    nodes: Vec<Watched>,
}

impl Up {
    /// Runs it until it has said all it says once it is up.
    fn start(command: Command, nodes: usize) -> Self {
        Self::when_up(Process::start(command), nodes)
    }

    fn when_up(mut process: Process, nodes: usize) -> Self {
        process.hear("the line to try", |said| {
            said.iter().any(|line| line.contains(" send ") && line.contains("'IAMAT "))
        });
        process.hear("the other line to try", |said| said.iter().any(|line| line.contains("'WHATSAT ")));
        let nodes_found = children_of(process.pid());
        assert_eq!(nodes_found.len(), nodes, "one process a node");
        Self { process, nodes: nodes_found }
    }

    fn node(&self, id: &str) -> &Watched {
        let is_it = |node: &&Watched| {
            node.words().iter().skip_while(|word| *word != "node").nth(1).is_some_and(|word| word == id)
        };
        self.nodes.iter().find(is_it).unwrap()
    }

    #[track_caller]
    fn wait_until_nothing_is_left(&self) {
        eventually("no node is left", || self.nodes.iter().all(Watched::is_gone));
    }
}

#[test]
fn table_is_printed_once_all_links_are_up_and_each_signal_ends_all_with_0() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("2020.toml"));
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut up = Up::start(herd.command(&["up"]), 5);
        let table = up.process.said.join("\n");
        assert!(table.starts_with("2020 is up: 5 nodes, 6 links\n"), "{table}");
        assert!(table.contains(&format!("\nLogs: {}\n", herd.logs.display())), "{table}");
        for id in herd.ids() {
            let row = |line: &&String| line.trim_start().starts_with(&format!("{id} "));
            let row = up.process.said.iter().find(row).unwrap();
            assert!(row.contains(&herd.address(&id)), "{row}");
            for peer in herd.neighbours(&id) {
                assert!(row.contains(&peer), "{row}");
            }
        }
        // The links are up: what is reported now is not lost.
        let at = herd.report("Hill", "kiwi", &format!("14000000{:02}", signal.as_raw()));
        let ids = herd.ids();
        herd.wait_until_known(&ids.iter().map(String::as_str).collect::<Vec<_>>(), "kiwi", &at);
        up.process.signal(signal);
        let status = up.process.end();
        assert_eq!(status.code(), Some(0), "{signal:?}: {status}, {:?}", up.process.complained);
        assert!(up.nodes.iter().all(Watched::is_gone), "nothing runs once up has ended");
        assert!(herd.ids().iter().all(|id| herd.log(id).last().unwrap().ends_with("stops, drained")));
    }
}

#[test]
fn kill_9_of_up_leaves_nothing_behind_and_the_nodes_drain() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("2014-2015.toml"));
    let mut up = Up::start(herd.command(&["up"]), 5);
    up.process.kill();
    up.wait_until_nothing_is_left();
    for id in herd.ids() {
        assert!(herd.log(&id).last().unwrap().ends_with(&format!("INFO  {id} stops, drained")));
        drop(TcpListener::bind(herd.address(&id)));
    }
}

#[test]
fn taken_port_is_named_and_nothing_is_left_running() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("2014-2015.toml"));
    let taken = TcpListener::bind(herd.address("Hamilton")).unwrap();
    let output = herd.command(&["up"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    let named = format!("herd: {} (Hamilton) is taken; ", herd.address("Hamilton"));
    assert!(said.starts_with(&named) && said.lines().count() == 1, "{said}");
    for id in herd.ids().iter().filter(|id| *id != "Hamilton") {
        assert!(Client::try_connect(&herd.address(id)).is_err(), "{id} does not run");
    }
    drop(taken);
    drop(Up::start(herd.command(&["up"]), 5));
}

#[test]
fn killed_node_is_reported_and_the_command_given_brings_it_back() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("2014-2015.toml"));
    let mut up = Up::start(herd.command(&["up"]), 5);
    up.node("Parker").kill();
    let report = up.process.complaint("Parker has ended", |line| line.starts_with("herd: Parker has ended"));
    assert!(report.contains("SIGKILL") && report.contains(", 4 go on; "), "{report}");
    let at = herd.report("Alford", "kiwi", "1400000000");
    herd.wait_until_known(&["Alford", "Bolden", "Powell"], "kiwi", &at);

    let (_, command) = report.split_once("in another terminal: ").unwrap();
    assert!(command.contains(" node Parker "), "{report}");
    let mut parker = Process::start(shell(command));
    for peer in herd.neighbours("Parker") {
        let linked = format!("linked {peer}");
        parker.hear(&linked, |said| said.contains(&linked));
        herd.wait_for_log(&peer, &["INFO  Parker is connected to this node as #"]);
    }
    // Both ways: Hamilton can only hear of it through Parker.
    eventually("a fresh report reaches Hamilton", || {
        let at = herd.report("Alford", "kiwi", &fresh());
        let asked = || herd.answers("Hamilton", "kiwi", &at);
        super::support::comes_true_within(std::time::Duration::from_millis(500), asked)
    });
    parker.signal(Signal::TERM);
    assert_eq!(parker.end().code(), Some(0));
    up.process.signal(Signal::INT);
    assert_eq!(up.process.end().code(), Some(0), "{:?}", up.process.complained);
    up.wait_until_nothing_is_left();
}

/// The command that brings a node back, from the report of its end.
fn cure_of(up: &mut Up, id: &str) -> String {
    up.node(id).kill();
    let ended = format!("herd: {id} has ended");
    let report = up.process.complaint(&ended, |line| line.starts_with(&ended));
    report.split_once("in another terminal: ").unwrap().1.to_owned()
}

/// The same line as pasted into a terminal that has another folder, and another herd in its environment.
fn pasted_elsewhere(line: &str) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir("/");
    command.env("HERD_CONFIG", "/another/herd.toml").env("HERD_LOG_DIR", "/another/folder");
    Process::start(command)
}

#[test]
fn command_given_is_whole_whatever_the_paths_and_wherever_it_is_pasted() {
    let _turn = heavy();
    let text = "[herd]\nname = \"pair\"\n[[node]]\nid = \"A\"\nlisten = \"127.0.0.1:11600\"\nlinks = [\"B\"]\n\
        [[node]]\nid = \"B\"\nlisten = \"127.0.0.1:11601\"\n";
    let herd = Herd::new(text);
    let names = ["it's a \"herd\" of $HOME & `x`".as_bytes(), b"-50%\\n\n\x1b\xff 1"];
    for (name, by_environment) in names.into_iter().zip([false, true]) {
        let folder = herd.config.parent().unwrap().join(OsStr::from_bytes(name));
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(&herd.config, folder.join("my herd.toml")).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_herd"), folder.join("my herd")).unwrap();
        // Everything by paths that hold in that folder alone.
        let mut command = Command::new("sh");
        let flag = if by_environment { "" } else { " --config 'my herd.toml'" };
        command.args(["-c", &format!("exec './my herd' up --log-dir 'the logs'{flag}")]);
        command.current_dir(&folder).env_remove("HERD_LOG_DIR").env_remove("HERD_CONFIG");
        if by_environment {
            command.env("HERD_CONFIG", "my herd.toml");
        }
        let mut up = Up::start(command, 2);
        let log = folder.join("the logs/B.log");
        let starts = || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            text.matches("B of the herd pair starts at ").count()
        };
        eventually("its log has the start", || starts() == 1);
        let cure = cure_of(&mut up, "B");
        assert!(cure.is_ascii() && cure.contains("/my herd"), "{cure}");
        let mut b = pasted_elsewhere(&cure);
        b.hear("linked A", |said| said.contains(&"linked A".to_owned()));
        eventually("the same log has both starts", || starts() == 2);
        end(&mut b);
        up.process.signal(Signal::TERM);
        assert_eq!(up.process.end().code(), Some(0), "{:?}", up.process.complained);
    }
}

/// Ends what a shell may have started in its stead, or as its child.
fn end(process: &mut Process) {
    let children = children_of(process.pid());
    match children.first() {
        Some(child) => kill_process(child.pid, Signal::TERM).unwrap(),
        None => process.signal(Signal::TERM),
    }
    assert_eq!(process.end().code(), Some(0), "{:?}", process.complained);
}

#[test]
fn last_node_to_end_ends_up_with_an_error() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("2014-2015.toml"));
    let mut up = Up::start(herd.command(&["up"]), 5);
    up.nodes.iter().for_each(Watched::kill);
    assert_eq!(up.process.end().code(), Some(1));
    up.process.all_complaints();
    up.process.complaint("why", |line| line.starts_with("herd: every node has ended; "));
}

#[test]
fn herd_comes_up_without_any_configuration_and_the_lines_to_try_work() {
    let _turn = heavy();
    let addresses = (11600..=11604).map(|port| format!("127.0.0.1:{port}"));
    if let Some(taken) = addresses.map(TcpListener::bind).find_map(Result::err) {
        println!("not tested: the built-in herd's ports are not free: {taken}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = herd_command(&["up"]);
    command.current_dir(folder.path());
    let mut up = Up::start(command, 5);
    let said = |part: &str| up.process.said.iter().find(|line| line.contains(part)).unwrap();
    assert_eq!(said("is up"), "fall-2016 is up: 5 nodes, 5 links");
    let try_line = |part: &str| -> Output {
        let mut command = shell(said(part));
        command.current_dir(folder.path()).output().unwrap()
    };
    let at = try_line("'IAMAT ");
    assert!(at.status.success() && at.stdout.starts_with(b"AT Alford +"), "{at:?}");
    eventually("the other end of the herd answers the same", || {
        let answer = try_line("'WHATSAT ");
        answer.status.success() && answer.stdout.starts_with(&at.stdout)
    });
    assert!(folder.path().join("herd-logs/Welsh.log").exists());
    // The built-in herd has no file; the other terminal's is not taken for it.
    let cure = cure_of(&mut up, "Ball");
    let mut ball = pasted_elsewhere(&cure);
    ball.hear("linked Welsh", |said| said.contains(&"linked Welsh".to_owned()));
    end(&mut ball);
    up.process.signal(Signal::TERM);
    assert_eq!(up.process.end().code(), Some(0));
    up.wait_until_nothing_is_left();
}

#[test]
fn signals_ignored_at_the_start_stay_ignored_and_a_node_still_reopens_its_log() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("2014-2015.toml"));
    // As `nohup` does, and a shell's `&` for SIGINT.
    let mut up = Up::start(ignoring("HUP INT", &herd.command(&["up"])), 5);
    let line = up.process.said.iter().find(|line| line.starts_with("Ctrl-C does not end the herd")).unwrap();
    // SIGTERM is not ignored.
    assert!(line.contains(&format!("; `kill {}` does.", up.process.pid())), "{line}");
    let nodes = up.nodes.iter().map(|node| node.pid);
    for pid in nodes.chain([up.process.pid()]) {
        assert!(ignores(pid, Signal::INT), "{pid:?}");
        kill_process(pid, Signal::INT).unwrap();
    }
    assert!(ignores(up.process.pid(), Signal::HUP));
    up.process.signal(Signal::HUP);
    let log = herd.log_path("Parker");
    std::fs::rename(&log, log.with_extension("moved")).unwrap();
    kill_process(up.node("Parker").pid, Signal::HUP).unwrap();
    eventually("the log is there again", || log.exists());
    // Had any of the others counted, this would be the second, which kills.
    up.process.signal(Signal::TERM);
    assert_eq!(up.process.end().code(), Some(0), "{:?}", up.process.complained);
    let complaints = up.process.all_complaints();
    assert_eq!(
        complaints.iter().filter(|line| line.contains("ending every node")).count(),
        1,
        "{complaints:?}"
    );
}

#[test]
fn nodes_drain_though_sigterm_was_ignored_at_the_start() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("2014-2015.toml"));
    let mut up = Up::start(ignoring("TERM", &herd.command(&["up"])), 5);
    up.process.signal(Signal::INT);
    assert_eq!(up.process.end().code(), Some(0), "{:?}", up.process.complained);
    assert!(herd.ids().iter().all(|id| herd.log(id).last().unwrap().ends_with("stops, drained")));
}

#[test]
fn watch_of_the_status_ignores_what_it_was_started_to_ignore() {
    let herd = Herd::new(&shipped("2014-2015.toml"));
    let mut watch = Process::start(ignoring("HUP", &herd.command(&["status", "--watch"])));
    watch.hear("a look", |said| said.iter().any(|line| line.starts_with("not in step")));
    assert!(ignores(watch.pid(), Signal::HUP) && !ignores(watch.pid(), Signal::INT));
    watch.signal(Signal::INT);
    assert_eq!(watch.end().code(), Some(1));
}

#[test]
fn configuration_from_a_pipe_reaches_every_node_and_the_one_brought_back() {
    let _turn = heavy();
    let text = "[herd]\nname = \"piped\"\nsecret_file = \"of the herd\"\n\
        [[node]]\nid = \"A\"\nlisten = \"127.0.0.1:11600\"\nlinks = [\"B\"]\n\
        [[node]]\nid = \"B\"\nlisten = \"127.0.0.1:11601\"\n";
    for config in ["/dev/stdin", "/dev/fd/3"] {
        let herd = Herd::new(text);
        let folder = herd.config.parent().unwrap();
        assert!(
            herd_command(&["secret", "of the herd"]).current_dir(folder).output().unwrap().status.success()
        );
        let mut command = Command::new("sh");
        let script =
            format!("exec '{}' up --config {config} --log-dir 'the logs' 3<&0", env!("CARGO_BIN_EXE_herd"));
        command
            .args(["-c", &script])
            .current_dir(folder)
            .env_remove("HERD_CONFIG")
            .env_remove("HERD_LOG_DIR");
        let mut process = Process::start(command);
        process.take_input().write_all(&std::fs::read(&herd.config).unwrap()).unwrap();
        let mut up = Up::when_up(process, 2);
        let log = folder.join("the logs/B.log");
        let starts =
            || std::fs::read_to_string(&log).unwrap().matches("B of the herd piped starts at ").count();
        eventually("its log has the start", || starts() == 1);
        up.node("B").kill();
        let report = up.process.complaint("B has ended", |line| line.starts_with("herd: B has ended"));
        let (_, command) = report.split_once("in another terminal: ").unwrap();
        // From any folder, with the same secret and the same logs.
        let mut b = Process::start({
            let mut shell = shell(command);
            shell.current_dir("/");
            shell
        });
        b.hear("linked A", |said| said.contains(&"linked A".to_owned()));
        eventually("the same log has the other start", || starts() == 2);
        assert!(up.process.said.iter().any(|line| line.starts_with("The configuration came through a pipe")));
        let status = up.process.said.iter().find(|line| line.contains(" send A ")).unwrap();
        assert!(status.contains(" --config /proc/"), "{status}");
        b.signal(Signal::TERM);
        assert_eq!(b.end().code(), Some(0));
        up.process.signal(Signal::TERM);
        assert_eq!(up.process.end().code(), Some(0), "{:?}", up.process.complained);
    }
}

#[test]
fn two_herds_of_one_configuration_run_side_by_side_and_a_lost_node_comes_back_to_its_own() {
    let _turn = heavy();
    let herd = Herd::new(&shipped("2014-2015.toml"));
    let first = Up::start(herd.command(&["up"]), 5);
    let base = ["--base-port", "21600", "--log-dir"];
    let mut command = herd_command(&["up"]);
    command.arg("--config").arg(&herd.config).args(base).arg(herd.logs.join("two"));
    let mut second = Up::start(command, 5);
    let lowest = herd.ids().iter().map(|id| port_of(&herd.address(id))).min().unwrap();
    let moved = |id: &str| {
        let address = herd.address(id);
        let (host, _) = address.rsplit_once(':').unwrap();
        format!("{host}:{}", port_of(&address) - lowest + 21_600)
    };
    for id in herd.ids() {
        assert!(second.process.said.iter().any(|line| line.contains(&format!(" {} ", moved(&id)))), "{id}");
        drop(Client::try_connect(&moved(&id)).unwrap());
    }
    let to_try = second.process.said.iter().find(|line| line.contains(" send ")).unwrap();
    assert!(to_try.contains(" --base-port 21600 "), "{to_try}");
    second.node("Parker").kill();
    let report = second.process.complaint("its end", |line| line.starts_with("herd: Parker has ended"));
    let (_, command) = report.split_once("in another terminal: ").unwrap();
    let mut parker = Process::start(shell(command));
    let listening = format!("listening {}", moved("Parker"));
    parker.hear(&listening, |said| said.contains(&listening));
    for peer in herd.neighbours("Parker") {
        let linked = format!("linked {peer}");
        parker.hear(&linked, |said| said.contains(&linked));
    }
    parker.signal(Signal::TERM);
    assert_eq!(parker.end().code(), Some(0));
    for mut up in [first, second] {
        up.process.signal(Signal::TERM);
        assert_eq!(up.process.end().code(), Some(0), "{:?}", up.process.complained);
    }
}

fn port_of(address: &str) -> u16 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// The same command, started with these signals ignored.
fn ignoring(signals: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("trap '' {signals}; exec \"$@\""), "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.env_remove("HERD_CONFIG").env_remove("HERD_LOG_DIR").env_remove("HERD_BASE_PORT");
    shell
}

/// Whether a process ignores a signal, by its own word.
fn ignores(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal.as_raw() - 1) & 1 == 1
}

/// A line as a user would paste it.
fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {}", line.trim())]);
    command.env_remove("HERD_CONFIG").env_remove("HERD_LOG_DIR").env_remove("HERD_BASE_PORT");
    command
}

/// A later time at each call.
fn fresh() -> String {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}
