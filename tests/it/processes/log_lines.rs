//! The log of a node as an operator finds it: lines that nobody outside can forge or break, for the owner's eyes only, and
//! replies in short or whole as configured.

use std::{fs, os::unix::fs::PermissionsExt};

use super::support::{Herd, eventually, is_well_formed, solo, traffic, unescaped};

const REPORT: &str = "IAMAT kiwi.cs.ucla.edu +34.068930-118.445127 1400000000";

#[test]
fn client_cannot_forge_or_break_a_line_of_the_log() {
    let mut herd = solo("");
    herd.start("Solo");
    let forged = "2001-01-01T00:00:00.000000Z ERROR forged";
    let hostile: Vec<Vec<u8>> = [
        forged.as_bytes().to_vec(),
        b"#99 > AT forged".to_vec(),
        format!("IAMAT a\r{forged}\r#99 < x").into_bytes(),
        format!("IAMAT b\x0b{forged}\x0c{forged}").into_bytes(),
        format!("x\u{2028}{forged}\u{85}{forged}").into_bytes(),
        b"\x1b[2J\x1b[1;1Hforged\x07\x08\0".to_vec(),
        (0..=255).filter(|&byte| byte != b'\n').collect(),
        br"\x0a\n".to_vec(),
        b"IAMAT forged\x1b[31m\xff +1+1 1400000000".to_vec(),
    ]
    .into();
    let mut client = herd.client("Solo");
    for line in &hostile {
        client.send(&[&line[..], b"\n"].concat());
        client.line();
    }
    // And the same in one batch, then as a peer would begin.
    client.send(&[&hostile.join(&b'\n')[..], b"\n"].concat());
    hostile.iter().for_each(|_| drop(client.line()));
    let mut stranger = herd.client("Solo");
    assert!(stranger.ask(&format!("HELLO 2 solo x\r{forged} Solo 0 0 - - -")).starts_with("REFUSED "));
    herd.client("Solo").ask("the end");
    herd.wait_for_log("Solo", &["< the end"]);
    herd.stop("Solo");

    let text = fs::read(herd.log_path("Solo")).unwrap();
    assert!(text.ends_with(b"\n"));
    let lines = herd.log("Solo");
    for line in &lines {
        assert!(is_well_formed(line), "{line:?}");
        assert!(!line.starts_with("2001-") && !line.starts_with("#99"), "{line:?}");
    }
    let taken: Vec<_> = lines.iter().filter_map(|line| traffic(line)).filter(|line| line.1 == '<').collect();
    let taken: Vec<_> = taken.iter().map(|line| unescaped(line.2)).collect();
    let without_end = |line: &Vec<u8>| line.strip_suffix(b"\r").map_or(line.clone(), <[u8]>::to_vec);
    let sent: Vec<_> = hostile.iter().chain(&hostile).map(without_end).collect();
    assert_eq!(taken[..sent.len()], sent, "what came can be read back byte for byte");
    assert!(lines.iter().any(|line| line.contains("WARN  bad line on #1")), "{lines:#?}");
}

#[test]
fn log_is_readable_by_its_owner_only() {
    let mut herd = solo("");
    herd.start("Solo");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(herd.log_path("Solo")), 0o600);
    assert_eq!(mode(herd.logs.clone()), 0o700);
}

#[test]
fn reply_of_places_is_logged_by_its_size() {
    let mut herd = solo("");
    let (json, logged) = ask_and_read(&mut herd);
    let count = json.matches("\"place_id\"").count();
    assert_eq!(count, 5, "{json}");
    assert_eq!(logged, [format!("[{count} results, {} bytes]", json.len())]);
}

#[test]
fn reply_of_places_is_logged_whole_where_that_is_configured() {
    let mut herd = solo("[log]\nbodies = true\n");
    let (json, logged) = ask_and_read(&mut herd);
    let whole: Vec<_> = logged.iter().map(|line| String::from_utf8(unescaped(line)).unwrap()).collect();
    assert_eq!(whole, json.split('\n').collect::<Vec<_>>());
}

/// The JSON of a WHATSAT, and what the log says went out after its AT line.
fn ask_and_read(herd: &mut Herd) -> (String, Vec<String>) {
    herd.start("Solo");
    let mut client = herd.client("Solo");
    let at = client.ask(REPORT);
    let (again, json) = client.whatsat("kiwi.cs.ucla.edu");
    assert_eq!(again, at);
    client.ask("the end");
    eventually("the log has it all", || herd.log("Solo").iter().any(|line| line.ends_with("> ? the end")));
    let lines = herd.log("Solo");
    assert!(lines.iter().all(|line| is_well_formed(line)), "{lines:#?}");
    let out: Vec<_> = lines.iter().filter_map(|line| traffic(line)).filter(|line| line.1 == '>').collect();
    let out: Vec<_> = out.iter().map(|line| line.2.to_owned()).collect();
    assert_eq!(out[..2], [at.clone(), at]);
    let json = String::from_utf8(json).unwrap().trim_end().to_owned();
    (json, out[2..out.len() - 1].to_vec())
}
