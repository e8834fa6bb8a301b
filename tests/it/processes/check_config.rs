//! `herd check-config` as a user runs it: what it prints is the same herd again, and a fault is one line with its place.

use std::{fs, path::Path};

use proxyherd::config::Herd;

use super::{editions, support::herd_command};

#[test]
fn every_shipped_file_is_sound_and_comes_back_the_same() {
    for file in editions::all_files() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(&file);
        let checked = herd_command(&["check-config", "--config"]).arg(&path).output().unwrap();
        assert_eq!(checked.status.code(), Some(0), "{file}: {checked:?}");
        let herd = Herd::load(&path).unwrap();
        let printed = String::from_utf8(checked.stdout).unwrap();
        assert_eq!(Herd::parse(&printed, &file).unwrap(), herd, "{printed}");
        assert_eq!(String::from_utf8(checked.stderr).unwrap(), "", "{file}");
    }
}

#[test]
fn herd_without_places_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    let text =
        "[herd]\nname = \"h\"\n[places]\nsource = \"none\"\n[[node]]\nid = \"A\"\nlisten = \"127.0.0.1:0\"\n";
    fs::write(&path, text).unwrap();
    let checked = herd_command(&["check-config", "--config"]).arg(&path).output().unwrap();
    assert_eq!(checked.status.code(), Some(0));
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(said.contains("WHATSAT is refused") && said.lines().count() == 1, "{said:?}");
}

#[test]
fn built_in_herd_is_the_one_of_herd_toml() {
    let checked = herd_command(&["check-config"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(0));
    let printed = String::from_utf8(checked.stdout).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/herd.toml");
    assert_eq!(Herd::parse(&printed, "built in").unwrap(), Herd::load(&path).unwrap());
}

#[test]
fn fault_is_one_line_with_file_and_line_and_exit_code_2() {
    let node = |id: &str, port, links: &str| {
        format!("[[node]]\nid = \"{id}\"\nlisten = \"127.0.0.1:{port}\"\nlinks = [{links}]\n")
    };
    let herd = "[herd]\nname = \"broken\"\n";
    let (a, b) = (format!("{herd}{}", node("A", 11601, "\"B\"")), node("B", 11602, ""));
    let faults = [
        (format!("{a}{b}colour = 1\n"), 11, "unknown key `colour`"),
        (format!("{a}{b}{}", node("A", 11603, "")), 12, "a second node is called A"),
        (format!("{a}{}", node("B", 11601, "")), 9, "B has 127.0.0.1:11601, which A has on line 5"),
        (format!("{herd}{}", node("A", 11601, "\"X\"")), 6, "A is linked to \"X\", which is no node here"),
        (format!("{herd}{}", node("A", 11601, "\"A\"")), 6, "A is linked to itself"),
        (format!("{a}{b}{}", node("C", 11603, "")), 12, "A, B cannot reach C; add a link"),
        ("[[node]\n".to_owned(), 1, "this is not TOML"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (text, line, fault) in faults {
        let path = folder.path().join("broken.toml");
        fs::write(&path, format!("{text}\n")).unwrap();
        for command in ["check-config", "up"] {
            let checked = herd_command(&[command, "--config"]).arg(&path).output().unwrap();
            assert_eq!(checked.status.code(), Some(2), "{fault}");
            assert!(checked.stdout.is_empty());
            let said = String::from_utf8(checked.stderr).unwrap();
            assert_eq!(said.lines().count(), 1, "{said}");
            let place = format!("herd: {}:", path.display());
            let rest = said.strip_prefix(&place).unwrap_or_else(|| panic!("{said}"));
            let (found_line, rest) = rest.split_once(": ").unwrap();
            assert!(rest.contains(fault) && rest.contains("; "), "{said}");
            assert_eq!(found_line, line.to_string(), "{said}");
        }
    }
    let missing = herd_command(&["check-config", "--config", "/nowhere/x.toml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(String::from_utf8(missing.stderr).unwrap().lines().count(), 1);
}

#[test]
fn all_faults_of_a_file_are_told_at_once_each_on_its_line() {
    let text = "[herd]\nname = \"a b\"\n[limits]\nline_seconds = 0\nlien_bytes = 600\n[log]\ntraffic = 1\n\
        [[node]]\nid = \"A\"\nlisten = \"127.0.0.1\"\nlinks = [\"Bal\"]\n\
        [[node]]\nid = \"Ball\"\nlisten = \"127.0.0.1:11600\"\nhttp = \"127.0.0.1:11600\"\nlinks = [\"Ball\"]\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eight.toml");
    fs::write(&path, text).unwrap();
    for words in [&["check-config"][..], &["up"], &["node", "A"], &["send", "A", "x"], &["status"]] {
        let checked = herd_command(words).arg("--config").arg(&path).output().unwrap();
        assert_eq!((checked.status.code(), checked.stdout.len()), (Some(2), 0), "{words:?}: {checked:?}");
        let said = String::from_utf8(checked.stderr).unwrap();
        let place = format!("herd: {}:", path.display());
        let told = said.lines().map(|line| line.strip_prefix(&place).unwrap_or_else(|| panic!("{said}")));
        let told: Vec<_> = told.map(|line| line.split("; ").next().unwrap()).collect();
        assert_eq!(
            told,
            [
                "2: \"a b\" cannot name a herd",
                "4: `line_seconds` = 0 is out of range",
                "5: unknown key `lien_bytes` in [limits] (did you mean \"line_bytes\"?)",
                "7: `traffic` is a whole number",
                "10: \"127.0.0.1\" is no address",
                "11: A is linked to \"Bal\", which is no node here (did you mean \"Ball\"?)",
                "15: Ball has 127.0.0.1:11600, which Ball has on line 14",
                "16: Ball is linked to itself",
            ],
            "{words:?}"
        );
    }
}

#[test]
fn base_port_moves_what_is_printed() {
    let printed = |words: &[&str], base: Option<&str>| {
        let mut command = herd_command(words);
        command.envs(base.map(|base| ("HERD_BASE_PORT", base)));
        let checked = command.output().unwrap();
        assert_eq!(checked.status.code(), Some(0), "{checked:?}");
        String::from_utf8(checked.stdout).unwrap()
    };
    let moved = printed(&["check-config", "--base-port", "21600"], None);
    assert_eq!(printed(&["check-config"], Some("21600")), moved);
    let herd = Herd::parse(&moved, "moved").unwrap();
    for (node, own) in herd.nodes.iter().zip(Herd::embedded().nodes) {
        let web = |http: &Option<proxyherd::config::Address>| http.as_ref().unwrap().port;
        assert_eq!((node.listen.port, web(&node.http)), (own.listen.port + 10_000, web(&own.http) + 10_000));
    }
    for (base, part) in [
        (
            "65500",
            "--base-port 65500 moves `http` of Welsh from 11704 to 65604, and the last port is 65535; give at most 65431",
        ),
        ("0", "invalid value '0' for '--base-port <N>'"),
        ("70000", "invalid value '70000' for '--base-port <N>'"),
    ] {
        for words in [&["check-config"][..], &["up"], &["node", "Alford"], &["send", "Alford"], &["status"]] {
            let refused = herd_command(words).args(["--base-port", base]).output().unwrap();
            let said = String::from_utf8(refused.stderr).unwrap();
            assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "{said}");
            assert!(said.starts_with("herd: ") && said.contains(part) && said.lines().count() == 1, "{said}");
        }
    }
}
