//! Every subcommand of `herd` with each thing that can be wrong with its arguments, its files, its port or its output: the
//! exit code, and one line on standard error that names the cure and holds nothing that moves a cursor.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    os::unix::fs::symlink,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use super::support::herd_command;

/// What every subcommand is called with at least.
const SUBCOMMANDS: [&[&str]; 14] = [
    &["up"],
    &["node", "Alford"],
    &["send", "Alford", "x"],
    &["forget", "kiwi"],
    &["status"],
    &["check-config"],
    &["places", "near", "1", "2", "3"],
    IMPORT,
    &["secret", "new.secret"],
    &["cert", "tls", "alford.example"],
    &["journal", "check", "kept"],
    &["journal", "dismiss", "kept"],
    &["completions", "bash"],
    &["man", "pages"],
];

const IMPORT: &[&str] = &["places", "import", "sights.csv", "-o", "places.bin"];

/// What tries to move the cursor, to end the line, and to turn the text around.
const EVIL: &str = "\x1b[2J\r\n\u{9b}1A\u{202e}\u{2028}";

/// A folder with a herd of one, whose port is taken, and with files that are something else.
struct Scene {
    folder: TempDir,
    port: TcpListener,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = port.local_addr().unwrap();
        let herd = format!("[herd]\nname = \"one\"\n[[node]]\nid = \"Alford\"\nlisten = \"{listen}\"\n");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("herd.toml", &herd);
        write("wrong.toml", &format!("{herd}\"{EVIL_KEY}\" = 1\n"));
        write("noise.toml", "\0\x07");
        let bytes = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        bytes("latin1.toml", b"[herd]\nname = \"caf\xe9\"\n");
        let utf16: Vec<_> = herd.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes("utf16.toml", &[b"\xff\xfe", &utf16[..]].concat());
        bytes("utf16le.toml", &utf16);
        write("sights.csv", "name,lat,lng\nPark,1,2\n");
        write("evil.csv", &format!("na{}me,x\nA,1\n", EVIL.replace(['\r', '\n'], "")));
        write("there.secret", "x");
        fs::create_dir(folder.path().join("folder")).unwrap();
        fs::create_dir(folder.path().join("new journal")).unwrap();
        write("new journal/lock", "");
        symlink("loop", folder.path().join("loop")).unwrap();
        Self { folder, port }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = herd_command(words);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env_remove("HERD_PLACES_KEY");
        command
    }

    /// The one line it complains with.
    #[track_caller]
    fn refused(&self, words: &[&str], code: i32) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
        complaint(words, &output, code)
    }
}

/// The same as TOML has it.
const EVIL_KEY: &str = r"\u001b[2J\r\n\u009b1A\u202e\u2028";

#[track_caller]
fn complaint(words: &[&str], output: &Output, code: i32) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
    let line = said.strip_prefix("herd: ").and_then(|rest| rest.strip_suffix('\n'));
    let line = line.unwrap_or_else(|| panic!("{words:?}: {said:?}"));
    let is_odd = |letter: char| letter.is_control() || ('\u{2028}'..='\u{202e}').contains(&letter);
    assert!(!line.contains(is_odd), "{words:?}: {line:?}");
    line.to_owned()
}

/// The name of a subcommand, for its help.
fn name<'w>(words: &[&'w str]) -> Vec<&'w str> {
    let count = if matches!(words[0], "places" | "journal") { 2 } else { 1 };
    words[..count].to_vec()
}

#[test]
fn arguments_that_are_wrong_name_the_help_to_read() {
    let scene = Scene::new();
    for words in SUBCOMMANDS {
        let help = format!("; try herd {} --help", name(words).join(" "));
        for more in [&["--speed"][..], &["--config"], &["--config", ""], &[&format!("--{EVIL}")]] {
            let line = scene.refused(&[words, more].concat(), 2);
            assert!(line.ends_with(&help), "{line}");
        }
    }
    for words in [
        &["node"][..],
        &["send"],
        &["forget"],
        &["places", "near", "1", "2"],
        &["places", "import"],
        &["secret"],
        &["cert", "tls"],
        &["journal", "check"],
        &["journal", "dismiss"],
        &["completions"],
        &["man"],
    ] {
        let line = scene.refused(words, 2);
        assert!(line.starts_with("the following required arguments were not provided: "), "{line}");
    }
    for (words, part) in [
        (&["nonsense"][..], "unrecognized subcommand 'nonsense'"),
        (&["uP"], "try herd --help"),
        (&["places", "far"], "try herd places --help"),
        (&["places", "near", "91", "0", "1"], "degrees from -90 to 90"),
        (&["places", "near", "0", "0", EVIL], "kilometres from 0"),
        (&["status", "--timeout", "0"], "give 0.01 to 60 seconds"),
        (&["status", "--interval", "1"], "--watch"),
        (&["secret", "f", "--add", "--drop"], "cannot be used with"),
        (&["help", EVIL], "unrecognized subcommand"),
    ] {
        let line = scene.refused(words, 2);
        assert!(line.contains(part), "{line}");
    }
    let output = scene.command(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("\nUsage: herd [OPTIONS] <COMMAND>\n"));
}

#[test]
fn configuration_that_cannot_be_used_is_named_with_its_cure() {
    let scene = Scene::new();
    let another = "; give another with --config or HERD_CONFIG";
    let evil = format!("{EVIL}.toml");
    for words in &SUBCOMMANDS[..7] {
        for (file, parts) in [
            ("none.toml", ["none.toml: cannot be read: No such file", another]),
            ("folder", ["folder: cannot be read: Is a directory", another]),
            ("herd.toml/x", ["herd.toml/x: cannot be read: Not a directory", another]),
            ("/dev/zero", ["/dev/zero: cannot be read: it is longer than 16777216 bytes", another]),
            (evil.as_str(), [r"\x1b[2J\x0d\x0a\x9b1A\u{202e}\u{2028}.toml: cannot be read", another]),
            ("wrong.toml", ["wrong.toml:6: unknown key `", "; the keys known there are "]),
            ("noise.toml", ["noise.toml:1: this is not TOML", "; correct it here"]),
            (
                "latin1.toml",
                ["latin1.toml:2: this is not UTF-8; ", "convert it: iconv -f LATIN1 -t UTF-8 FILE > NEW"],
            ),
            (
                "utf16.toml",
                ["utf16.toml:1: this is not UTF-8; ", "convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"],
            ),
            ("utf16le.toml", ["utf16le.toml:1: this is not UTF-8; ", "convert it: iconv -f UTF-16LE -t"]),
        ] {
            let line = scene.refused(&[words, &["--config", file][..]].concat(), 2);
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
        let output = scene.command(words).env("HERD_CONFIG", "none.toml").output().unwrap();
        assert!(complaint(words, &output, 2).contains("none.toml: cannot be read"));
    }
    let config = ["--config", "herd.toml"];
    for words in [["node", "Nobody"], ["send", "Nobody"]] {
        let line = scene.refused(&[&words[..], &config].concat(), 2);
        assert_eq!(line, "one has no node \"Nobody\"; its nodes are Alford");
    }
    for words in [["node", "alfrod"], ["send", "Alforde"]] {
        let line = scene.refused(&[&words[..], &config].concat(), 2);
        let wanted =
            format!("one has no node {:?} (did you mean \"Alford\"?); its nodes are Alford", words[1]);
        assert_eq!(line, wanted);
    }
    let line = scene.refused(&[&["node", EVIL], &config[..]].concat(), 2);
    assert!(line.ends_with("; its nodes are Alford"), "{line}");
}

#[test]
fn files_ports_and_peers_that_fail_are_named_with_their_cure() {
    let scene = Scene::new();
    let config = ["--config", "herd.toml"];
    for words in [&["up"][..], &["node", "Alford"]] {
        let line = scene.refused(&[words, &config].concat(), 1);
        assert!(
            line.contains(&scene.port.local_addr().unwrap().to_string()) && line.contains("; "),
            "{line}"
        );
    }
    for (words, code, part) in [
        (
            &["places", "near", "1", "2", "3", "--file", "none.bin"][..],
            2,
            "; make the file with `herd places import`",
        ),
        (
            &["places", "near", "1", "2", "3", "--file", "folder"],
            2,
            "; make the file with `herd places import`",
        ),
        (&["places", "import", "evil.csv", "-o", "new.bin"], 1, r"na\x1b[2J\x9b1A\u{202e}\u{2028}me"),
        (&["places", "import", "none.csv", "-o", "new.bin"], 1, "none.csv: cannot be read"),
        (&["places", "import", "folder", "-o", "new.bin"], 1, "; name the files in it"),
        (&["places", "import", "herd.toml", "-o", "new.bin"], 1, "; say --format, one of"),
        (&["places", "import", "/dev/zero", "-o", "new.bin"], 1, "holds binary data"),
        (&["places", "import", "sights.csv", "-o", "folder"], 2, "; name a file with -o"),
        (&["places", "import", "sights.csv", "-o", "none/new.bin"], 2, "; make it first"),
        (&["secret", "there.secret"], 2, "is there already"),
        (&["secret", "none/new.secret"], 1, "cannot be written"),
        (&["cert", "tls", "authority"], 2, "; give another as --name"),
        (&["cert", "there.secret", "a"], 1, "; make room there, or give another folder"),
        (&["send", "Alford", "--ca", "none.pem", "x"], 2, "; give --ca a PEM file"),
        (&["send", "Alford", "--ca", "sights.csv", "x"], 2, "holds no whole certificate"),
        (&["send", "Alford", "--tls", "x"], 2, "Alford has no `tls_listen` address"),
        (&["forget", "kiwi", "--insecure"], 2, "has no `tls_listen` address"),
        (&["secret", "none.secret", "--add"], 2, "; make one with `herd secret "),
        (&["journal", "check", "none"], 2, "none has no journal; give a node's own folder"),
        (&["journal", "check", "folder"], 2, "folder has no journal; give a node's own folder"),
        (&["journal", "check", "herd.toml"], 2, "herd.toml has no journal; give a node's own folder"),
        (&["journal", "check", "loop"], 1, "loop: Too many levels of symbolic links"),
        (&["journal", "dismiss", "none"], 2, "none has no journal; give a node's own folder"),
        (&["journal", "dismiss", "folder"], 2, "folder has no journal; give a node's own folder"),
        (&["journal", "dismiss", "loop"], 1, "loop: Too many levels of symbolic links"),
        (&["forget", "kiwi", "a b"], 2, r#""a b" is no client's id"#),
        (&["forget", "kiwi", "--node", "Alfrod"], 2, "(did you mean \"Alford\"?)"),
        (&["send", "127.0.0.1:0", "x"], 1, "; is it up? herd up starts the whole herd"),
    ] {
        let line = scene.refused(words, code);
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn log_folder_that_cannot_be_made_is_named() {
    let scene = Scene::new();
    let text = "[herd]\nname = \"one\"\n[[node]]\nid = \"Alford\"\nlisten = \"127.0.0.1:0\"\n";
    fs::write(scene.folder.path().join("free.toml"), text).unwrap();
    // Not even root may write there.
    let more = ["--config", "free.toml", "--log-dir", "/proc/none/\x1b[2J"];
    for words in [&["up"][..], &["node", "Alford"]] {
        let line = scene.refused(&[words, &more].concat(), 1);
        assert!(line.contains(r"/proc/none/\x1b[2J") && line.contains("; "), "{line}");
    }
}

#[test]
fn empty_variable_is_an_unset_one() {
    let scene = Scene::new();
    for variable in ["HERD_CONFIG", "HERD_LOG_DIR", "HERD_BASE_PORT", "HERD_PLACES_KEY"] {
        for words in [&["check-config"][..], &["places", "near", "1", "2", "3"], &["--help"]] {
            let output = scene.command(words).env(variable, "").output().unwrap();
            assert!(output.status.success(), "{variable} {words:?}: {output:?}");
        }
    }
    let google = "[herd]\nname = \"g\"\n[places]\nsource = \"google\"\n[[node]]\nid = \"A\"\nlisten = \"127.0.0.1:0\"\n";
    fs::write(scene.folder.path().join("google.toml"), google).unwrap();
    let words = ["check-config", "--config", "google.toml"];
    let output = scene.command(&words).env("HERD_PLACES_KEY", "").output().unwrap();
    assert!(complaint(&words, &output, 2).starts_with("Google needs a key: set HERD_PLACES_KEY"));
}

#[test]
fn help_shows_what_to_type_and_nothing_of_the_environment() {
    let scene = Scene::new();
    for words in SUBCOMMANDS {
        let name = name(words);
        for asked in [[&["help"][..], &name].concat(), [&name[..], &["--help"]].concat()] {
            let output =
                scene.command(&asked).env("HERD_CONFIG", EVIL).env("HERD_LOG_DIR", EVIL).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{asked:?}");
            assert!(text.contains(&format!("\nUsage: herd {} ", name.join(" "))), "{text}");
            assert!(text.contains("\nExamples:\n"), "{text}");
            let reads =
                !["secret", "cert", "journal", "completions", "man"].contains(&words[0]) && words != IMPORT;
            assert_eq!(text.contains(" [env: HERD_CONFIG]"), reads, "{text}");
            assert!(!text.contains(['\x1b', '\r', '\u{9b}', '\u{202e}']), "{text:?}");
        }
    }
}

#[test]
fn full_disk_under_standard_output_is_an_error_and_a_reader_that_left_is_none() {
    let scene = Scene::new();
    let config = ["--config", "herd.toml"];
    for (words, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["help", "up"], 0),
        (&["check-config"], 0),
        (&["places", "near", "34.07", "-118.45", "10"], 0),
        (&["places", "near", "34.07", "-118.45", "10", "--json"], 0),
        (&["secret", "new.secret"], 0),
        (&["cert", "tls", "alford.example"], 0),
        (&["journal", "check", "new journal"], 0),
        (&["journal", "dismiss", "new journal"], 0),
        (&["completions", "zsh"], 0),
        (&["man", "pages"], 0),
        // It is not in step, which is what its exit code says.
        (&["status"], 1),
        (&["status", "--json"], 1),
    ] {
        let words = if words[0] == "status" { [words, &config].concat() } else { words.to_vec() };
        let run = |stdout: Stdio| {
            let _ = fs::remove_file(scene.folder.path().join("new.secret"));
            scene.command(&words).stdout(stdout).output().unwrap()
        };
        let full = run(File::options().write(true).open("/dev/full").unwrap().into());
        let line = complaint(&words, &full, 1);
        assert!(line.starts_with("cannot write to standard output: No space left"), "{line}");
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let left = run(writer.into());
        assert_eq!((left.status.code(), left.stderr.len()), (Some(code), 0), "{words:?}: {left:?}");
    }
}
