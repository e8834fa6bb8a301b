//! The node and the same herd in other languages (`bench/README.md`) by one measure: the transcripts of `tests/data`
//! that need no handshake, byte for byte, and a herd of five that floods, loses a server and gets it back. To add a
//! server, add a line to `SERVERS`.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use rustix::process::Signal;

use super::support::{Herd, Process, eventually, heavy, is_well_formed};
use crate::{
    support::{Answer, Client, Upstream, gate, skipped},
    transcripts::{Known, Step, fits, steps},
};

/// Finds a server's program, or says what to install.
type Find = fn() -> Result<Program, String>;

const SERVERS: [(&str, Find); 12] = [
    ("proxyherd", || Ok(Program::Product)),
    ("tokio", || beside_the_product("herd-tokio", &[])),
    ("tokio, one thread", || beside_the_product("herd-tokio", &["--current-thread"])),
    ("uring", uring),
    ("go", go),
    ("java", || java("java", &[])),
    ("java, the newer", || java(NEWER_JAVA, &[])),
    ("java, virtual threads", || java(NEWER_JAVA, &["--virtual"])),
    ("nodejs", || Ok(model(tool("node", "--version")?, ["bench/nodejs/herd.js"]))),
    ("asyncio", || python("bench/asyncio/herd.py", "import sys; assert sys.version_info >= (3, 11)", &[])),
    ("uvloop", || python("bench/asyncio/herd.py", "import uvloop", &["--uvloop"])),
    ("twisted", || python("bench/twisted/herd.py", "import twisted.web.client", &[])),
];

/// What `bench/install` makes, from the root.
const NEWER_JAVA: &str = "target/models/bin/java25";

/// How a server is started.
#[derive(Clone, Debug)]
enum Program {
    /// By a configuration that the whole herd reads.
    Product,
    /// By these words, then the command line that all models have.
    Model(Vec<OsString>),
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program whose files are named from the root.
fn model<const N: usize>(runtime: impl Into<OsString>, files: [&str; N]) -> Program {
    let files = files.map(|file| root().join(file).into_os_string());
    Program::Model([runtime.into()].into_iter().chain(files).collect())
}

impl Program {
    /// With flags of its own before the common ones.
    fn with(self, flags: &[&str]) -> Self {
        match self {
            Self::Product => Self::Product,
            Self::Model(words) => {
                Self::Model(words.into_iter().chain(flags.iter().map(OsString::from)).collect())
            }
        }
    }
}

/// Whether a command is there and succeeds.
fn succeeds(program: impl Into<OsString>, arguments: &[&str]) -> bool {
    let output = Command::new(program.into()).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

fn tool(program: &str, question: &str) -> Result<OsString, String> {
    let path = if program.contains('/') { root().join(program).into() } else { OsString::from(program) };
    let missing = || format!("`{program}` is not there; bench/README.md says how to install it");
    succeeds(&path, &[question]).then_some(path).ok_or_else(missing)
}

/// The Python of `target/models`, if `bench/install` has made that, or whichever can do what is `needed`.
fn python(file: &str, needed: &str, flags: &[&str]) -> Result<Program, String> {
    let own = root().join("target/models/bin/python").into_os_string();
    let found = [own, "python3".into()].into_iter().find(|python| succeeds(python, &["-c", needed]));
    let missing = || format!("no Python here that can do `{needed}`; bench/README.md says how to install it");
    Ok(model(found.ok_or_else(missing)?, [file]).with(flags))
}

/// Another package of this workspace, whose own test has its program built beside the product's.
fn beside_the_product(name: &str, flags: &[&str]) -> Result<Program, String> {
    let program = Path::new(env!("CARGO_BIN_EXE_herd")).with_file_name(name);
    let missing = || "it is not built yet; `cargo test --workspace` builds it".to_owned();
    program.is_file().then(|| model(program, []).with(flags)).ok_or_else(missing)
}

/// Where the system permits what it is made of; otherwise it says why not.
fn uring() -> Result<Program, String> {
    let program = beside_the_product("herd-uring", &[])?;
    let Program::Model(words) = &program else { return Ok(program) };
    let output = Command::new(&words[0]).arg("--driver").output().map_err(|error| error.to_string())?;
    let why = || String::from_utf8_lossy(&output.stderr).trim().to_owned();
    output.status.success().then_some(program).ok_or_else(why)
}

/// As `bench/install` builds it.
fn go() -> Result<Program, String> {
    Ok(model(tool("target/models/bin/herd-go", "--help")?, []))
}

/// Compiled once, for the older of the two.
fn java(runtime: &str, flags: &[&str]) -> Result<Program, String> {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    let compiler = tool("javac", "--version")?;
    let runtime = tool(runtime, "--version")?;
    let classes = CLASSES.get_or_init(|| {
        let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("java-model");
        let sources =
            ["Herd.java", "Log.java", "Rules.java"].map(|file| root().join("bench/java").join(file));
        let arguments = ["--release", "17", "-d"];
        let output = Command::new(compiler).args(arguments).arg(&classes).args(sources).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        classes
    });
    let words = vec![runtime, "-cp".into(), classes.into(), "Herd".into()];
    Ok(Program::Model(words).with(flags))
}

/// The servers that can be started here; those that cannot are told loudly, and must not be missing in CI.
fn servers() -> Vec<(&'static str, Program)> {
    let mut found = Vec::new();
    for (name, find) in SERVERS {
        match find() {
            Ok(program) => found.push((name, program)),
            Err(missing) => skipped(&format!("the herd in {name}"), &missing),
        }
    }
    found
}

/// A herd of one kind of server, whose nodes start one by one.
struct Fleet {
    program: Program,
    herd: Herd,
    upstream: String,
    running: BTreeMap<String, Process>,
}

impl Fleet {
    /// Starts nothing.
    fn new(program: &Program, nodes: &str, upstream: &Upstream) -> Self {
        let places = format!("[places]\nsource = \"google\"\nbase_url = \"{}\"\n", upstream.url());
        let herd = Herd::new(&format!("[herd]\nname = \"models\"\n{nodes}{places}"));
        fs::create_dir_all(&herd.logs).unwrap();
        Self { program: program.clone(), herd, upstream: upstream.url(), running: BTreeMap::new() }
    }

    fn command(&self, id: &str) -> Command {
        let words = match &self.program {
            Program::Product => {
                let mut command = self.herd.command(&["node", id, "--lifeline"]);
                for name in ["HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
                    command.env_remove(name).env_remove(name.to_lowercase());
                }
                command.env("HERD_PLACES_KEY", "bench");
                return command;
            }
            Program::Model(words) => words,
        };
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["--id", id, "--listen", &self.herd.listens_at(id)]);
        for peer in self.herd.neighbours(id) {
            command.args(["--peer", &format!("{peer}={}", self.herd.address(&peer))]);
        }
        command.args(["--upstream", &self.upstream]).arg("--log").arg(self.herd.log_path(id));
        command
    }

    fn start(&mut self, id: &str) {
        let mut process = Process::start(self.command(id));
        let listening = format!("listening {}", self.herd.listens_at(id));
        // A model says so first; the product may be linked before.
        let is_model = matches!(self.program, Program::Model(_));
        process.hear(&listening, |said| said.contains(&listening));
        assert!(!is_model || process.said.first() == Some(&listening), "{:?}", process.said);
        self.running.insert(id.to_owned(), process);
    }

    /// Waits until a node has said so many times that it is linked with a neighbour.
    fn wait_for_link(&mut self, id: &str, peer: &str, times: usize) {
        let linked = format!("linked {peer}");
        let said_so = |said: &[String]| said.iter().filter(|line| **line == linked).count() >= times;
        self.running.get_mut(id).unwrap().hear(&format!("{id} says {linked}"), said_so);
    }

    fn kill(&mut self, id: &str) {
        self.running.remove(id).unwrap().kill();
    }

    /// Ends all nodes as an operator would.
    fn stop(&mut self) {
        for process in self.running.values() {
            process.signal(Signal::TERM);
        }
        for (id, process) in &mut self.running {
            let status = process.end();
            assert!(status.success(), "{id}: {status}, {:?}", process.complained);
        }
        self.running.clear();
    }
}

/// The results of the upstream's document, as they stand in what is answered for this bound. The text in each would
/// end it for whoever does not look closely.
fn results(bound: usize) -> String {
    let element =
        |number| format!("\n      {{ \"number\" : {number}, \"text\" : \"caf\u{e9} ]}}\\\\\\\",\" }}");
    match bound {
        0 => "   \"results\" : []".to_owned(),
        _ => {
            format!("   \"results\" : [{}\n   ]", (0..bound).map(element).collect::<Vec<_>>().join(","))
        }
    }
}

/// Answers with 20 places and too many newlines, and tells in the document what it was asked.
fn upstream() -> Upstream {
    Upstream::new(|asked| {
        let target = asked.line().split(' ').nth(1).unwrap();
        let query = target.strip_prefix("/maps/api/place/nearbysearch/json?").unwrap();
        let asked: HashMap<_, _> = query.split('&').map(|pair| pair.split_once('=').unwrap()).collect();
        assert_eq!((asked.len(), asked["key"]), (3, "bench"), "{query}");
        let (near, radius, results) = (asked["location"], asked["radius"], results(20));
        Answer::ok(format!(
            "\n{{\n   \"near\" : \"{near}\",\n\n\n   \"radius\" : {radius},\n{results},\n\n   \"status\" : \"OK\"\n}}\n\n"
        ))
    })
}

/// What a transcript expects; where that is the bound its own source tells, the results of ours.
fn expected(line: &[u8]) -> Vec<u8> {
    let bound =
        line.strip_prefix(b"   \"bound\" : ").map(|bound| String::from_utf8_lossy(bound).into_owned());
    match bound {
        Some(bound) => {
            format!("{},\n   \"status\" : \"OK\"\n", results(bound.trim().parse().unwrap())).into_bytes()
        }
        None => line.to_vec(),
    }
}

fn play(server: &str, file: &str, text: &str, fleet: &Fleet) {
    let address = fleet.herd.listens_at("Alford").parse().unwrap();
    let mut known = Known::new();
    let mut connections: HashMap<String, Client> = HashMap::new();
    let mut current = "client".to_owned();
    for (number, step) in steps(text) {
        let place = format!("{server}, {file}:{number}");
        let client = connections.entry(current.clone()).or_insert_with(|| Client::connect(address));
        match step {
            Step::Send(bytes) => client.send(bytes),
            Step::Expect(line) => {
                let expected = expected(&line);
                let lines = expected.iter().filter(|byte| **byte == b'\n').count();
                let got = (0..lines).flat_map(|_| client.line()).collect::<Vec<_>>();
                let fits = fits(&expected, &got, &mut known);
                assert!(fits, "{place}: {}, not {}", got.escape_ascii(), expected.escape_ascii());
            }
            Step::Direct(directions) => match directions.split_once(' ').unwrap_or((&directions, "")) {
                ("as", name) => current = name.to_owned(),
                ("half-close", "") => client.half_close(),
                ("closed", "") => client.expect_closed(),
                _ => panic!("{place}: {directions}"),
            },
        }
    }
}

/// What no transcript holds for its length: lines about the limit, and one that comes in pieces.
fn long_lines(server: &str, fleet: &Fleet) {
    let mut client = Client::connect(fleet.herd.listens_at("Alford").parse().unwrap());
    for (line, end, shown) in [
        ("a".repeat(16_384), "\r\n", 16_384),
        ("b".repeat(16_385), "\r\n", 64),
        ("c".repeat(300_000), "\n", 64),
        (" d".to_owned(), "\r\n", 2),
    ] {
        client.send(format!("{line}{end}"));
        client.expect(format!("? {}{end}", &line[..shown]), &format!("{server}, {} bytes", line.len()));
    }
    for piece in ["WHATS", "AT nobody ", "1 1\r", "\n"] {
        client.send(piece);
    }
    client.expect("? WHATSAT nobody 1 1\r\n", server);
}

#[test]
fn every_server_answers_as_the_transcripts_say() {
    let _turn = heavy();
    let folder = root().join("tests/data");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "txt")).map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
        });
    // The models know no handshake and no tokens, and take an id of any length.
    let of_the_node_alone =
        |text: &str| ["HELLO", "client_bytes", "AUTH"].iter().any(|word| text.contains(word));
    let transcripts: Vec<_> = texts.filter(|(_, text)| !of_the_node_alone(text)).collect();
    assert_eq!(transcripts.len(), 4);
    for (server, program) in servers() {
        let upstream = upstream();
        for (file, text) in &transcripts {
            let mut fleet =
                Fleet::new(&program, "[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:11600\"\n", &upstream);
            fleet.start("Alford");
            play(server, file, text, &fleet);
            long_lines(server, &fleet);
            fleet.stop();
            // The product's own tests look closer at its log.
            let log = fleet.herd.log("Alford");
            assert!(!log.is_empty() && log.iter().all(|line| is_well_formed(line)), "{server}: {log:#?}");
        }
        let (accepted, asked) = (upstream.accepted(), upstream.count());
        assert!(accepted < asked, "{server} keeps connections: {accepted} for {asked} questions");
        assert_eq!(asked, 5, "{server}");
    }
}

#[test]
fn every_model_finishes_what_it_has_read_before_it_ends() {
    let _turn = heavy();
    // The product does not wait for places then; `drain` has how it ends.
    let models = servers().into_iter().filter(|(_, program)| matches!(program, Program::Model(_)));
    for (server, program) in models {
        let (open, shut) = gate();
        let document = "{\n   \"results\" : []\n}";
        let upstream = Upstream::answering(Answer::ok(document).held(&shut));
        let mut fleet =
            Fleet::new(&program, "[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:11600\"\n", &upstream);
        fleet.start("Alford");
        let address = fleet.herd.listens_at("Alford").parse().unwrap();
        let (mut client, mut idle) = (Client::connect(address), Client::connect(address));
        let at = client.ask("IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1400000000");
        idle.exchange("x\n", "? x\n");
        client.send("WHATSAT kiwi.cs.ucla.edu 10 5\n");
        eventually(&format!("{server} asks for places"), || upstream.count() == 1);
        fleet.running["Alford"].signal(Signal::TERM);
        // It has heard the signal, and the answer is still to come.
        idle.expect_closed();
        drop(open);
        client.expect(format!("{at}\n{document}\n\n"), server);
        client.expect_closed();
        let status = fleet.running.get_mut("Alford").unwrap().end();
        assert_eq!(status.code(), Some(0), "{server}");
    }
}

/// The herd of fall 2016.
const NODES: &str = r#"
[[node]]
id = "Alford"
listen = "127.0.0.1:11600"
links = ["Hamilton", "Welsh"]
[[node]]
id = "Ball"
listen = "127.0.0.1:11601"
links = ["Holiday", "Welsh"]
[[node]]
id = "Hamilton"
listen = "127.0.0.1:11602"
links = ["Holiday"]
[[node]]
id = "Holiday"
listen = "127.0.0.1:11603"
[[node]]
id = "Welsh"
listen = "127.0.0.1:11604"
"#;

const IDS: [&str; 5] = ["Alford", "Ball", "Hamilton", "Holiday", "Welsh"];

#[test]
fn every_servers_herd_floods_and_takes_a_server_back() {
    let _turn = heavy();
    for (server, program) in servers() {
        let upstream = upstream();
        let mut fleet = Fleet::new(&program, NODES, &upstream);
        IDS.iter().for_each(|id| fleet.start(id));
        for id in IDS {
            for peer in fleet.herd.neighbours(id) {
                fleet.wait_for_link(id, &peer, 1);
            }
        }
        for id in IDS {
            let at = fleet.herd.report(id, &format!("of-{id}"), "1479413884.392014450");
            fleet.herd.wait_until_known(&IDS, &format!("of-{id}"), &at);
        }
        // The newer one replaces what another server has taken, the older one does not.
        let newer = fleet.herd.report("Ball", "of-Alford", "1479413884.392014451");
        fleet.herd.wait_until_known(&IDS, "of-Alford", &newer);
        fleet.herd.report("Welsh", "of-Alford", "1479413884.392014450");
        let after = fleet.herd.report("Welsh", "after", "1");
        fleet.herd.wait_until_known(&IDS, "after", &after);
        let is_kept = |id: &&str| fleet.herd.answers(id, "of-Alford", &newer);
        assert!(IDS.iter().all(is_kept), "{server}");
        // Who has gone is gone round, and is linked with again when back.
        fleet.kill("Welsh");
        let at = fleet.herd.report("Alford", "meanwhile", "2");
        fleet.herd.wait_until_known(&IDS[..4], "meanwhile", &at);
        fleet.start("Welsh");
        for peer in fleet.herd.neighbours("Welsh") {
            fleet.wait_for_link("Welsh", &peer, 1);
            fleet.wait_for_link(&peer, "Welsh", 2);
        }
        let mut ats = Vec::new();
        for id in IDS {
            let at = fleet.herd.report(id, &format!("again-{id}"), "3");
            fleet.herd.wait_until_known(&IDS, &format!("again-{id}"), &at);
            ats.push(at);
        }
        fleet.stop();
        for (id, at) in IDS.iter().flat_map(|id| ats.iter().map(move |at| (id, at))) {
            let told = fleet.herd.flooded(id, '>', at);
            assert!(!told.is_empty(), "{server}: the log of {id} tells that {at} was passed on");
        }
    }
}
