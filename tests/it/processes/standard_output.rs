//! `herd node --log-dir -`, as containers and systemd run it: one stream of log lines, whatever becomes of its reader.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    process::Command,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::Signal,
};
use serde_json::Value;

use super::support::{Client, Herd, Process, eventually, herd_command, is_well_formed, solo, traffic};

const HTTP: &str = "http = \"127.0.0.1:11680\"\n";

/// A node of the herd that logs to its standard output.
fn node(herd: &Herd, id: &str) -> Command {
    let mut command = herd_command(&["node", id, "--lifeline", "--log-dir", "-", "--config"]);
    command.arg(&herd.config).current_dir(herd.config.parent().unwrap());
    command
}

/// Waits until it serves, without its own word.
fn client_of(herd: &Herd) -> Client {
    let address = herd.listens_at("Solo");
    eventually("it listens", || Client::try_connect(&address).is_ok());
    Client::connect(&address)
}

fn log_status(herd: &Herd) -> Value {
    let status: Value = serde_json::from_str(&herd.page("Solo", "/status")).unwrap();
    status["log"].clone()
}

fn event(line: &str) -> Option<&str> {
    line.split_once("Z INFO  ").map(|(_, event)| event)
}

#[test]
fn all_a_node_says_is_one_stream_of_log_lines() {
    let herd = Herd::new(
        "[herd]\nname = \"pair\"\n[log]\nevents_file = \"{node}.events\"\n\
         [[node]]\nid = \"A\"\nlisten = \"127.0.0.1:11600\"\nlinks = [\"B\"]\n\
         [[node]]\nid = \"B\"\nlisten = \"127.0.0.1:11601\"\n",
    );
    let mut by_environment = herd_command(&["node", "A", "--lifeline", "--config"]);
    by_environment.arg(&herd.config).env("HERD_LOG_DIR", "-").current_dir(herd.config.parent().unwrap());
    let (mut a, mut b) = (Process::start(by_environment), Process::start(node(&herd, "B")));
    for (process, id, peer) in [(&mut a, "A", "B"), (&mut b, "B", "A")] {
        let (listening, linked) = (format!("listening {}", herd.listens_at(id)), format!("linked {peer}"));
        for wanted in [listening, linked] {
            process.hear(&wanted, |said| said.iter().any(|line| event(line) == Some(&wanted)));
        }
    }
    assert!(Client::connect(&herd.address("A")).ask("IAMAT kiwi +1+1 1400000000").starts_with("AT A "));
    a.hear("the client's line", |said| said.iter().any(|line| traffic(line).is_some()));
    // It has nothing to open again.
    a.signal(Signal::HUP);
    let at = Client::connect(&herd.address("A")).ask("after");
    assert_eq!(at, "? after");
    for process in [&mut a, &mut b] {
        process.signal(Signal::TERM);
        assert_eq!(process.end().code(), Some(0), "{:?}", process.complained);
        let mut lines = std::mem::take(&mut process.said);
        process.each_line(|line| lines.push(line));
        // A round may take µs, which are no ASCII.
        assert!(lines.iter().all(|line| is_well_formed(&line.replace('µ', "u"))), "{lines:#?}");
        assert!(event(lines.last().unwrap()).unwrap().ends_with(" stops, drained"), "{lines:#?}");
        assert!(process.all_complaints().is_empty());
    }
    let mut names: Vec<_> = fs::read_dir(herd.config.parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "no file but the configuration: {:?}", names.pop());
}

#[test]
fn output_that_is_closed_or_full_degrades_the_node_and_it_ends_well() {
    for (is_closed, why) in [(true, "Broken pipe"), (false, "No space left on device")] {
        let herd = solo(HTTP);
        let command = node(&herd, "Solo");
        let mut process = match is_closed {
            true => {
                let (reader, writer) = io::pipe().unwrap();
                let process = Process::start_into(command, writer);
                drop((client_of(&herd), reader));
                process
            }
            false => Process::start_into(command, File::options().write(true).open("/dev/full").unwrap()),
        };
        let mut client = client_of(&herd);
        eventually("the log fails", || {
            assert_eq!(client.ask("a line of the log"), "? a line of the log");
            log_status(&herd)["state"] == "failing"
        });
        assert!(log_status(&herd)["error"].as_str().unwrap().starts_with(why));
        let cannot = format!("herd: the log on standard output cannot be written: {why}");
        process.complaint("the log fails", |line| line.starts_with(&cannot));
        process.signal(Signal::TERM);
        assert_eq!(process.end().code(), Some(0), "{why}");
        let complaints = process.all_complaints();
        let [_, lacks] = &complaints[..] else { panic!("{complaints:?}") };
        assert!(
            lacks.starts_with("herd: the log on standard output lacks ") && lacks.contains(why),
            "{complaints:?}"
        );
    }
}

/// Has the node log more than a pipe holds, which it answers all the same; the pipe is read by nobody.
fn fill(herd: &Herd) {
    let (mut client, line) = (client_of(herd), "x".repeat(10_000));
    (0..20).for_each(|_| assert!(client.ask(&line).starts_with("? x")));
}

#[test]
fn reader_that_hangs_holds_up_neither_the_node_nor_its_end() {
    let herd = solo(&format!("{HTTP}[limits]\ndrain_seconds = 1\n"));
    let (reader, writer) = io::pipe().unwrap();
    let mut process = Process::start_into(node(&herd, "Solo"), writer);
    fill(&herd);
    eventually("the log fails", || log_status(&herd)["state"] == "failing");
    assert_eq!(log_status(&herd)["error"], "its reader takes nothing");
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(1));
    let complaints = process.all_complaints();
    let [lacks, left] = &complaints[..] else { panic!("{complaints:?}") };
    assert!(
        lacks.starts_with("herd: the log on standard output lacks ")
            && lacks.ends_with(" lines at least, which are lost: its reader takes nothing"),
        "{lacks}"
    );
    assert_eq!(left, "herd: Solo has drained, but its log has not; threads left: log");
    drop(reader);
}

#[test]
fn reader_that_hangs_may_have_standard_error_too() {
    let herd = solo("[limits]\ndrain_seconds = 1\n");
    let (reader, writer) = io::pipe().unwrap();
    let node = node(&herd, "Solo");
    let mut both = Command::new("sh");
    both.args(["-c", "exec \"$@\" 2>&1", "sh"]).arg(node.get_program()).args(node.get_args());
    both.current_dir(node.get_current_dir().unwrap()).env_remove("HERD_LOG_DIR").env_remove("HERD_CONFIG");
    let mut process = Process::start_into(both, writer);
    fill(&herd);
    process.signal(Signal::TERM);
    assert_eq!(process.end().code(), Some(1), "it ends, though nobody can be told why");
    drop(reader);
}

#[test]
fn output_that_others_made_non_blocking_loses_no_line() {
    let herd = solo("");
    let (reader, writer) = io::pipe().unwrap();
    fcntl_setfl(&writer, fcntl_getfl(&writer).unwrap() | OFlags::NONBLOCK).unwrap();
    let mut process = Process::start_into(node(&herd, "Solo"), writer);
    fill(&herd);
    process.signal(Signal::TERM);
    let lines: Vec<_> = BufReader::new(reader).lines().map(Result::unwrap).collect();
    assert_eq!(process.end().code(), Some(0), "{:?}", process.complained);
    assert_eq!(lines.iter().filter(|line| line.contains("< xx")).count(), 20);
    assert!(lines.iter().all(|line| is_well_formed(line)), "{lines:#?}");
    assert!(process.all_complaints().is_empty(), "{:?}", process.complained);
}

#[test]
fn herd_up_takes_a_folder_only_and_check_config_says_what_is_not_used() {
    let herd = solo("");
    for (words, variable) in [(&["up", "--log-dir", "-"][..], ""), (&["up"], "-")] {
        let mut command = herd_command(words);
        let output =
            command.arg("--config").arg(&herd.config).env("HERD_LOG_DIR", variable).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(
            said.starts_with("herd: herd up cannot log to standard output")
                && said.contains("; give a folder"),
            "{said}"
        );
        assert!(output.stdout.is_empty());
    }
    for (folder, is_told) in [("-", true), ("./-", false)] {
        let mut command = herd_command(&["check-config", "--log-dir", folder, "--config"]);
        let output = command.arg(&herd.config).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success());
        assert_eq!(said.contains("`events_file`") && said.contains("not used"), is_told, "{said}");
    }
}
