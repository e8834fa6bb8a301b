//! TLS for clients as those who run a herd use it: a certificate made with `herd cert`, taken up on SIGHUP, and spoken to
//! by the subcommands, by `openssl` and by `curl`, as docs/security.md shows it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::process::Signal;

use super::support::{Herd, herd_command};
use crate::support::skipped;

const DOCUMENT: &str = "docs/security.md";

/// The fenced blocks of the document's section on TLS for clients.
fn blocks() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT)).unwrap();
    let (_, section) = text.split_once("\n## TLS for clients\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let fenced = section.split("\n```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap().1.to_owned()).collect()
}

struct Scene {
    herd: Herd,
    folder: PathBuf,
    ip: String,
}

impl Scene {
    /// The document's herd, with the certificate that its command makes.
    fn new() -> Self {
        let [made, config, _] = &blocks()[..] else { panic!("{DOCUMENT} shows three blocks") };
        let mut herd = Herd::new(&config.replace("alford.example", "node"));
        let ip = herd.listens_at("Alford").split(':').next().unwrap().to_owned();
        let folder = herd.config.parent().unwrap().to_owned();
        let made = made.trim().replace("alford.example", &ip);
        let done = shell(&folder, &format!("{made} --name node"));
        assert!(done.status.success(), "{done:?}");
        herd.start("Alford");
        Self { herd, folder, ip }
    }

    fn run(&self, script: &str) -> Output {
        shell(&self.folder, &script.replace("alford.example", &self.ip))
    }

    /// `herd` with these words, for this herd, in its folder.
    fn herd(&self, words: &[&str]) -> (i32, String, String) {
        let mut command = herd_command(words);
        command.arg("--config").arg(&self.herd.config).current_dir(&self.folder);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

fn shell(folder: &Path, script: &str) -> Output {
    let herd = env!("CARGO_BIN_EXE_herd");
    let script = format!("herd() {{ '{herd}' \"$@\"; }}\n{script}");
    Command::new("sh").args(["-euc", &script]).current_dir(folder).output().unwrap()
}

#[test]
fn session_is_as_the_document_shows_it() {
    let scene = Scene::new();
    let session = &blocks()[2];
    for part in session.split("$ ").skip(1) {
        let (command, shown) = part.split_once('\n').unwrap();
        let program = ["openssl", "curl"].into_iter().find(|program| command.contains(program));
        if let Some(program) =
            program.filter(|program| Command::new(program).arg("version").output().is_err())
        {
            skipped(
                "a program of others that speaks TLS",
                &format!("there is no `{program}` here; install it"),
            );
            continue;
        }
        let output = scene.run(command);
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(output.status.success(), "{command}: {output:?}");
        // Skews differ.
        let words = |line: &str| line.split(' ').filter(|word| !word.starts_with("+3178")).count();
        let (first, shown) = (said.lines().next().unwrap(), shown.lines().next().unwrap());
        let same = first.split(' ').filter(|word| shown.split(' ').any(|shown| shown == *word)).count();
        assert!(same >= words(shown), "{command}: {said}");
    }
}

#[test]
fn subcommands_speak_tls_with_whom_they_are_told_to_believe() {
    let scene = Scene::new();
    let send = |flags: &[&str]| scene.herd(&[&["send", "Alford"], flags, &["IAMAT kiwi +1+1 5"]].concat());
    let (code, said, complaint) = send(&["--ca", "tls/authority.pem"]);
    assert!(code == 0 && said.starts_with("AT Alford ") && complaint.is_empty(), "{said}{complaint}");
    // Public authorities know nothing of it, and without proof that is said.
    let (code, said, complaint) = send(&["--tls"]);
    assert!((code, said.as_str()) == (1, "") && complaint.contains("UnknownIssuer"), "{complaint}");
    assert!(complaint.ends_with("; --ca names whom to believe\n"), "{complaint}");
    let (code, said, complaint) = send(&["--insecure"]);
    assert!(code == 0 && said.starts_with("AT Alford "), "{said}{complaint}");
    assert!(complaint.contains("nothing proves who answers as Alford"), "{complaint}");
    // Much both ways, by two threads.
    let lines = (0..20_000).map(|number| format!("IAMAT kiwi{number} +1+1 5\n")).collect::<String>();
    fs::write(scene.folder.join("lines"), lines).unwrap();
    let sent = scene.run("herd send alford.example:11605 --ca tls/authority.pem < lines | wc -l");
    assert_eq!(String::from_utf8(sent.stdout).unwrap().trim(), "20000", "{:?}", sent.stderr);
    let (code, said, complaint) = scene.herd(&["forget", "kiwi", "--ca", "tls/authority.pem"]);
    assert_eq!((code, said.contains("has forgotten 1 client")), (0, true), "{complaint}");
    let (code, said, complaint) = scene.herd(&["status", "--ca", "tls/authority.pem"]);
    assert_eq!((code, said.contains("in step")), (0, true), "{said}{complaint}");
    let (code, said, _) = scene.herd(&["status"]);
    assert_eq!((code, said.contains("bad answer")), (1, true), "{said}");
}

#[test]
fn certificate_is_taken_up_on_hangup() {
    let mut scene = Scene::new();
    let text = fs::read_to_string(&scene.herd.config).unwrap();
    // It would look again in an hour.
    fs::write(&scene.herd.config, text.replace("[tls]\n", "[tls]\nwatch_seconds = 3600\n")).unwrap();
    scene.herd.stop("Alford");
    scene.herd.start("Alford");
    let before = scene.herd.log("Alford").len();
    let made = scene.run("herd cert tls alford.example --name node --days 20");
    assert!(made.status.success(), "{made:?}");
    scene.herd.process("Alford").signal(Signal::HUP);
    scene.herd.wait_for_log("Alford", &["is good for 19 days more, until "]);
    let log = scene.herd.log("Alford").split_off(before);
    assert!(log.iter().any(|line| line.contains("clients are shown the certificate ")), "{log:?}");
}

#[test]
fn node_without_its_certificate_does_not_start_and_says_what_to_do() {
    let mut scene = Scene::new();
    scene.herd.stop("Alford");
    fs::remove_file(scene.folder.join("tls/node.key")).unwrap();
    let output = scene.herd.command(&["node", "Alford"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("node.key: the key cannot be read: ") && said.lines().count() == 1, "{said}");
}

#[test]
fn keys_stand_in_no_output() {
    let mut scene = Scene::new();
    let keys: Vec<String> = ["authority.key", "node.key"]
        .iter()
        .flat_map(|name| {
            let text = fs::read_to_string(scene.folder.join("tls").join(name)).unwrap();
            text.lines()
                .filter(|line| !line.starts_with('-'))
                .map(|line| line[..20].to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(keys.len() >= 4);
    let mut said = String::new();
    for words in
        [&["check-config"][..], &["status", "--insecure", "--json"], &["send", "Alford", "--insecure", "x"]]
    {
        let (_, out, err) = scene.herd(words);
        said += &format!("{out}{err}");
    }
    said += &String::from_utf8(scene.run("herd cert tls alford.example --name other").stdout).unwrap();
    scene.herd.stop("Alford");
    said += &scene.herd.log("Alford").join("\n");
    assert!(keys.iter().all(|key| !said.contains(key)), "{said}");
    assert!(said.contains("tls/other.pem: made") && said.contains("certificate_file"));
}
