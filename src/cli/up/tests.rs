//! `up` over stand-ins for nodes: shell scripts that say what nodes say and end as nodes end.

use std::{os::unix::ffi::OsStrExt, path::PathBuf, sync::LazyLock};

use rustix::process::{Pid, kill_process, test_kill_process};

use super::*;

static PAIR: LazyLock<Herd> = LazyLock::new(|| {
    let text = r#"
[herd]
name = "pair"
[[node]]
id = "Alford"
listen = "127.0.0.1:11600"
links = ["Ball"]
[[node]]
id = "Ball"
listen = "127.0.0.1:11601"
"#;
    Herd::parse(text, "pair.toml").unwrap()
});

/// A node that gets its name as `$2`, says its process id for an address, and ends well on SIGTERM or when standard
/// input does. What stands in front of it may change its mind.
const NODE: &str = r#"
exec 3<&0
trap 'kill $cat 2>/dev/null; exit 0' TERM
echo "listening $$"
case $2 in Alford) echo 'linked Ball';; Ball) echo 'linked Alford';; esac
cat <&3 >/dev/null 2>&1 & cat=$!
wait $cat
"#;

/// Collects what is written, and once does something when it holds `cue`.
struct Tap<'t> {
    text: String,
    cue: &'static str,
    action: Option<&'t dyn Fn(&str)>,
}

impl<'t> Tap<'t> {
    fn new(cue: &'static str, action: &'t dyn Fn(&str)) -> Self {
        Self { text: String::new(), cue, action: Some(action) }
    }
}

impl Write for Tap<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.push_str(std::str::from_utf8(bytes).unwrap());
        if self.text.contains(self.cue)
            && let Some(action) = self.action.take()
        {
            action(&self.text);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Outcome {
    out: String,
    err: String,
    done: Result<(), String>,
}

fn plan<'p>(first: &'p [OsString], ready_time: Duration) -> Plan<'p> {
    Plan {
        herd: &PAIR,
        program: (OsStr::new("/bin/sh"), first),
        typed: OsStr::new("herd"),
        callable: Path::new("/opt/herd"),
        config: None,
        typed_config: None,
        base_port: None,
        is_piped: false,
        log_dir: Path::new("./herd-logs"),
        data_dir: None,
        ending: "Ctrl-C ends the herd.",
        has_key: false,
        shows_progress: true,
        ready_time,
    }
}

fn shell(script: &str) -> Vec<OsString> {
    ["-c", script, "sh"].map(OsString::from).to_vec()
}

/// What the user does when the herd is up, given the table.
enum Then {
    Signal,
    Kill(&'static [usize]),
}

/// Runs a herd of `script`s; the user does `then` when it is up, and signals when standard error holds `cue`.
fn supervised(script: &str, ready_time: Duration, then: &Then, cue: &'static str) -> Outcome {
    let first = shell(script);
    let (sender, events) = bounded(64);
    let signal = |_: &str| sender.send(ChildEvent::Signal).unwrap();
    let when_up = |table: &str| match then {
        Then::Signal => signal(table),
        Then::Kill(numbers) => {
            numbers.iter().for_each(|&number| kill_process(pids(table)[number], Signal::KILL).unwrap());
        }
    };
    thread::scope(|scope| {
        let (mut out, mut err) = (Tap::new("WHATSAT", &when_up), Tap::new(cue, &signal));
        let plan = plan(&first, ready_time);
        let done = supervise(&plan, scope, &sender, events, &mut out, &mut err);
        Outcome { out: out.text, err: err.text, done: done.map_err(|failure| failure.to_string()) }
    })
}

/// The process ids that the nodes gave as their addresses.
fn pids(out: &str) -> Vec<Pid> {
    let rows = out.lines().filter(|row| row.starts_with("  Alford") || row.starts_with("  Ball"));
    let pids = rows.map(|row| row.split_whitespace().nth(1).unwrap().parse().unwrap());
    let pids: Vec<_> = pids.map(|pid| Pid::from_raw(pid).unwrap()).collect();
    assert_eq!(pids.len(), 2, "{out}");
    pids
}

const LONG: Duration = Duration::from_secs(60);

/// A text that standard error never holds.
const NEVER: &str = "\0";

#[test]
fn a_herd_comes_up_and_ends_on_a_signal() {
    let Outcome { out, err, done } = supervised(NODE, LONG, &Then::Signal, NEVER);
    assert_eq!(done, Ok(()));
    assert_eq!(err, "herd: ending every node; a second signal kills those that are left\n");
    assert!(out.starts_with("pair is up: 2 nodes, 1 link\n\n  NODE    ADDRESS"), "{out}");
    assert!(pids(&out).into_iter().all(|pid| test_kill_process(pid).is_err()), "a node is left");
}

#[test]
fn a_node_that_does_not_start_is_named_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alford.pid");
    // Ball fails only once Alford runs, so that there is something to leave behind.
    let script = format!(
        r#"file='{}'
if [ $2 = Ball ]; then
  until [ -s "$file" ]; do sleep 0.01; done
  echo 'a warning' >&2; echo 'herd: 127.0.0.1:11601 is taken; give another port' >&2; exit 1
fi
echo $$ > "$file.new"; mv "$file.new" "$file"
{NODE}"#,
        file.display()
    );
    let Outcome { out, err, done } = supervised(&script, LONG, &Then::Signal, NEVER);
    let line = "Ball did not start, and nothing is left running: 127.0.0.1:11601 is taken; give another port";
    assert_eq!((out.as_str(), err.as_str(), done), ("", "", Err(line.to_owned())));
    let alford = fs::read_to_string(file).unwrap().trim().parse().unwrap();
    assert!(test_kill_process(Pid::from_raw(alford).unwrap()).is_err(), "Alford is left");
}

#[test]
fn a_node_that_ends_without_a_word_is_named_with_its_status() {
    let done = supervised(&format!("[ $2 = Ball ] && exit 3\n{NODE}"), LONG, &Then::Signal, NEVER).done;
    let line = "Ball did not start, and nothing is left running: it ended at once (exit status: 3); its log may say why";
    assert_eq!(done, Err(line.to_owned()));
}

#[test]
fn what_is_missing_is_named_when_time_is_up() {
    let script = "trap 'exit 0' TERM; [ $2 = Alford ] && echo 'listening x'; while :; do sleep 0.01; done";
    let done = supervised(script, Duration::from_millis(500), &Then::Signal, NEVER).done;
    let line = "not up after 0.5 s: Alford has no link to Ball; Ball does not listen; the logs in ./herd-logs say why";
    assert_eq!(done, Err(line.to_owned()));
}

#[test]
fn a_signal_ends_a_herd_that_is_not_up_yet() {
    let script = "trap 'exit 0' TERM; echo here >&2; while :; do sleep 0.01; done";
    let first = shell(script);
    let (sender, events) = bounded(64);
    sender.send(ChildEvent::Signal).unwrap();
    let done = thread::scope(|scope| {
        supervise(&plan(&first, LONG), scope, &sender, events, &mut io::sink(), &mut io::sink())
    });
    // The signal may well reach the shells before their traps are set.
    assert_eq!(done.map_err(|failure| failure.to_string()), Ok(()));
}

#[test]
fn a_node_that_dies_is_reported_and_the_others_go_on() {
    let Outcome { err, done, .. } = supervised(NODE, LONG, &Then::Kill(&[1]), "has ended");
    assert_eq!(done, Ok(()));
    let line = "herd: Ball has ended (signal: 9 (SIGKILL)), 1 go on; to bring it back, in another terminal: env HERD_CONFIG= /opt/herd node Ball --log-dir ";
    assert!(err.starts_with(line) && err.lines().next().unwrap().ends_with("/herd-logs"), "{err}");
}

#[test]
fn a_herd_of_which_nothing_is_left_is_a_failure() {
    let Outcome { err, done, .. } = supervised(NODE, LONG, &Then::Kill(&[0, 1]), NEVER);
    assert_eq!(done, Err("every node has ended; the logs say why, herd up starts them again".to_owned()));
    assert_eq!(err.matches("has ended (signal: 9 (SIGKILL))").count(), 2, "{err}");
}

#[test]
fn a_node_that_tells_how_far_its_recovery_is_is_waited_for() {
    let reads = "for part in 1 2 3; do echo \"journal: read $part\"; sleep 1; done\n";
    let time = Duration::from_secs(2);
    let Outcome { err, done, .. } = supervised(&format!("{reads}{NODE}"), time, &Then::Signal, NEVER);
    assert_eq!(done, Ok(()), "{err}");
    assert!(err.contains("Alford: journal: read 3\n"), "{err}");
}

#[test]
fn a_herd_that_is_late_after_a_recovery_says_since_when() {
    let script = "trap 'exit 0' TERM; echo 'journal: read 1'; while :; do sleep 0.01; done";
    let line = supervised(script, Duration::from_secs(1), &Then::Signal, NEVER).done.unwrap_err();
    assert!(
        line.starts_with("not up 1 s after the last progress of a journal: Alford does not listen"),
        "{line}"
    );
}

#[test]
fn a_second_signal_kills_what_does_not_drain() {
    // A stopped process heeds neither SIGTERM nor the end of its lifeline.
    let stubborn = NODE.replace("cat <&3 >/dev/null 2>&1 & cat=$!", "kill -STOP $$");
    assert_ne!(stubborn, NODE);
    let Outcome { out, done, .. } = supervised(&stubborn, LONG, &Then::Signal, "ending every node");
    let line = done.unwrap_err();
    assert!(line.starts_with("killed before they had drained: "), "{line}");
    assert!(line.contains("Alford (signal: 9 (SIGKILL))"), "{line}");
    assert!(pids(&out).into_iter().all(|pid| test_kill_process(pid).is_err()), "a node is left");
}

#[test]
fn a_node_that_ends_badly_when_asked_to_is_a_failure() {
    let script = NODE.replace("exit 0", "exit 1");
    let line = supervised(&script, LONG, &Then::Signal, NEVER).done.unwrap_err();
    assert!(line.starts_with("did not end well: ") && line.contains("Ball (exit status: 1)"), "{line}");
}

#[test]
fn what_a_node_complains_of_is_passed_on_with_its_name() {
    let script = format!("[ $2 = Ball ] && echo 'the clock is odd' >&2\n{NODE}");
    let Outcome { err, .. } = supervised(&script, LONG, &Then::Kill(&[]), "the clock is odd");
    assert!(err.starts_with("Ball: the clock is odd\n"), "{err}");
}

#[test]
fn a_node_drains_when_its_lifeline_ends() {
    let first = shell(NODE);
    let (sender, events) = bounded(64);
    thread::scope(|scope| {
        let child = Child::start(&plan(&first, LONG), 0, scope, &sender).unwrap();
        assert!(matches!(events.recv(), Ok(ChildEvent::Said(0, _))));
        // As when `up` is killed: no signal is sent, its end of the pipe just closes.
        drop(child);
        while !matches!(events.recv_timeout(LONG).unwrap(), ChildEvent::Gone(0)) {}
    });
}

#[test]
fn children_get_their_herd_from_flags_alone() {
    let config = PathBuf::from("a herd.toml");
    let plan = Plan { config: Some(&config), ..plan(&[], LONG) };
    let args = |plan: &Plan<'_>| {
        let command = child::command(plan, &PAIR.nodes[1].id);
        let unset: Vec<_> =
            command.get_envs().filter(|(_, value)| value.is_none()).map(|(key, _)| key).collect();
        assert_eq!(unset, ["HERD_BASE_PORT", "HERD_CONFIG", "HERD_DATA_DIR", "HERD_LOG_DIR"]);
        command.get_args().map(|arg| arg.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let with_config = ["node", "Ball", "--config", "a herd.toml", "--log-dir", "./herd-logs", "--lifeline"];
    assert_eq!(args(&plan), with_config);
    let built_in = Plan { config: None, ..plan };
    assert_eq!(args(&built_in), ["node", "Ball", "--log-dir", "./herd-logs", "--lifeline"]);
    let moved = Plan { base_port: NonZeroU16::new(21_600), ..built_in };
    let with_base = ["node", "Ball", "--base-port", "21600", "--log-dir", "./herd-logs", "--lifeline"];
    assert_eq!(args(&moved), with_base);
}

#[test]
fn the_table_says_what_to_type() {
    let herd = Herd::embedded();
    let plan = Plan { herd: &herd, ..plan(&[], LONG) };
    let addresses: Vec<_> = herd.nodes.iter().map(|node| node.listen.to_string()).collect();
    let wanted = "\
fall-2016 is up: 5 nodes, 5 links

  NODE      ADDRESS          LINKED TO
  Alford    127.0.0.1:11600  Hamilton, Welsh
  Ball      127.0.0.1:11601  Holiday, Welsh
  Hamilton  127.0.0.1:11602  Alford, Holiday
  Holiday   127.0.0.1:11603  Ball, Hamilton
  Welsh     127.0.0.1:11604  Alford, Ball

Logs: ./herd-logs
Nothing is kept over a stop; --data-dir DIR keeps what the nodes know
Ctrl-C ends the herd. To try it, in another terminal in this folder:

  herd send Alford 'IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450'
  herd send Welsh 'WHATSAT kiwi.cs.ucla.edu 10 5'
  herd status
";
    assert_eq!(table::up_text(&plan, &addresses), wanted);
}

#[test]
fn lines_to_type_are_quoted_and_the_cure_holds_in_any_folder() {
    let here = env::current_dir().unwrap();
    let plan = Plan {
        config: Some(Path::new("/a/it's/my herd.toml")),
        typed_config: Some(Path::new("it's/my herd.toml")),
        log_dir: Path::new("logs"),
        typed: OsStr::new("target/release/herd"),
        ..plan(&[], LONG)
    };
    assert!(
        table::up_text(&plan, &["x".into(), "y".into()])
            .contains(r"  target/release/herd send Alford --config 'it'\''s/my herd.toml' 'IAMAT kiwi")
    );
    let here = here.display();
    assert_eq!(
        table::cure(&plan, &["node", "Ball"]),
        format!(r"/opt/herd node Ball --config '/a/it'\''s/my herd.toml' --log-dir {here}/logs")
    );
    let moved = Plan { base_port: NonZeroU16::new(21_600), ..plan };
    assert_eq!(
        table::cure(&moved, &["node", "Ball"]),
        format!(
            "/opt/herd node Ball --config '/a/it'\\''s/my herd.toml' --base-port 21600 --log-dir {here}/logs"
        )
    );
    let odd = OsStr::from_bytes(b"/x/a\n\x1b'\\\xff1 100% \xe2\x80\xae.toml");
    let plan = Plan { config: Some(Path::new(odd)), typed: OsStr::new("herd"), ..plan };
    let cure = table::cure(&plan, &["node", "Ball"]);
    assert!(
        cure.contains(
            r#"herd node Ball --config "$(printf '/x/a\012\033\047\\\3771 100%% \342\200\256.toml')" --log-dir "#
        ),
        "{cure}"
    );
}

#[test]
fn what_ends_the_herd_is_what_it_does_not_ignore() {
    let with = |ignored: &'static [i32]| ending(|signal| ignored.contains(&signal), 7);
    assert_eq!(with(&[SIGHUP, SIGTERM]), "Ctrl-C ends the herd.");
    for (ignored, command) in [
        (&[SIGINT][..], "`kill 7`"),
        (&[SIGINT, SIGTERM], "`kill -HUP 7`"),
        (&[SIGINT, SIGTERM, SIGHUP], "`kill -KILL 7`"),
    ] {
        let text = with(ignored);
        assert!(text.starts_with("Ctrl-C does not end the herd") && text.contains(command), "{text}");
    }
}

#[test]
fn herd_of_a_pipe_and_a_key_of_the_environment_are_told() {
    let first = shell(NODE);
    let plan = Plan { is_piped: true, ..plan(&first, LONG) };
    let text = table::up_text(&plan, &["x".into(), "y".into()]);
    assert!(
        text.contains("\nThe configuration came through a pipe, and is there for as long as this runs"),
        "{text}"
    );
}

#[test]
fn taken_addresses_are_named_before_anything_starts() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let text = format!("[herd]\nname = \"one\"\n[[node]]\nid = \"Alford\"\nlisten = \"{taken}\"\n");
    let herd = Herd::parse(&text, "one.toml").unwrap();
    let line = refuse_taken_addresses(&herd).unwrap_err().to_string();
    assert!(line.starts_with(&format!("{taken} (Alford) is taken; ")), "{line}");
    let free = Herd::parse(&text.replace(&taken.to_string(), "127.0.0.1:0"), "one.toml").unwrap();
    refuse_taken_addresses(&free).unwrap();
}
