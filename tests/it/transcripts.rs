//! Plays the conversations of tests/data against a real node. A file's head says what it shows; then:
//! `! as NAME` goes on as another client, connecting it the first time; `! flooder NAME` takes the node's call, as the
//! neighbour `Welsh`, and `! linked` waits until the node knows; `! half-close` and `! closed` are the ends; `> ` is sent
//! and `< ` must come, `> ` lines that follow each other in one piece. `\r`, `\t`, `\\`, `\xNN` are bytes, `\c` at the end
//! leaves the newline out. `{name}` holds what came there first.

use std::{collections::HashMap, fs, path::Path};

use proxyherd::core::model::Skew;

use crate::{
    support::{Client, FakePeer, Setup, check},
    tokens::{token, tokens},
};

/// One line of a transcript, without its mark.
pub(crate) enum Step {
    Send(Vec<u8>),
    Expect(Vec<u8>),
    Direct(String),
}

/// What of a file is played, consecutive sends joined; with the numbers of their lines.
pub(crate) fn steps(text: &str) -> Vec<(usize, Step)> {
    let mut steps: Vec<(usize, Step)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let (mark, rest) = line.split_at(line.len().min(2));
        let step = match mark {
            "> " | ">" => {
                let bytes = unescaped(rest);
                if let Some((_, Step::Send(sent))) = steps.last_mut() {
                    sent.extend_from_slice(&bytes);
                    continue;
                }
                Step::Send(bytes)
            }
            "< " | "<" => Step::Expect(unescaped(rest)),
            "! " => Step::Direct(rest.to_owned()),
            "# " | "#" | "" => continue,
            _ => panic!("line {}: {line}", at + 1),
        };
        steps.push((at + 1, step));
    }
    steps
}

/// The bytes of a line, its newline included.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            Some(b'c') if rest.len() == 0 => return bytes,
            other => panic!("\\{other:?} in {text}"),
        });
    }
    bytes.push(b'\n');
    bytes
}

/// What placeholders stand for.
pub(crate) type Known = HashMap<String, Vec<u8>>;

/// The first placeholder of `text`: where it begins and ends, and its name.
fn placeholder(text: &[u8]) -> Option<(usize, usize, String)> {
    let starts = text.iter().enumerate().filter(|(_, byte)| **byte == b'{');
    starts.map(|(start, _)| start).find_map(|start| {
        let length = text[start + 1..].iter().take_while(|byte| byte.is_ascii_lowercase()).count();
        let end = start + 1 + length;
        let is_one = length > 0 && text.get(end) == Some(&b'}');
        is_one.then(|| (start, end + 1, String::from_utf8_lossy(&text[start + 1..end]).into_owned()))
    })
}

/// Whether `got` is what `expected` says; learns what its placeholders stand for.
pub(crate) fn fits(mut expected: &[u8], mut got: &[u8], known: &mut Known) -> bool {
    while let Some((start, end, name)) = placeholder(expected) {
        if expected[..start] != got[..start.min(got.len())] {
            return false;
        }
        got = &got[start..];
        expected = &expected[end..];
        let length = got.iter().take_while(|byte| !byte.is_ascii_whitespace()).count();
        let value = &got[..length];
        let is_sound = !name.ends_with("skew") || Skew::is_skew(value);
        if !is_sound || known.entry(name).or_insert_with(|| value.to_vec()) != value {
            return false;
        }
        got = &got[length..];
    }
    expected == got
}

/// Puts in what placeholders stand for.
fn filled(mut text: &[u8], known: &Known) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((start, end, name)) = placeholder(text) {
        bytes.extend_from_slice(&text[..start]);
        bytes.extend_from_slice(&known[&name]);
        text = &text[end..];
    }
    [bytes, text.to_vec()].concat()
}

fn play(file: &str) {
    play_at(file, Setup::new(), Known::new());
}

/// Plays it at such a node, where some placeholders stand for something from the start.
fn play_at(file: &str, setup: Setup, mut known: Known) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
    let text = fs::read_to_string(&path).unwrap();
    let welsh = FakePeer::new("Welsh");
    let node = setup.neighbour(&welsh).start();
    known.insert("check".to_owned(), check().into_bytes());
    let mut connections: HashMap<String, Client> = HashMap::new();
    let mut current = "client".to_owned();
    for (number, step) in steps(&text) {
        let place = format!("{file}:{number}");
        let speaker = connections.entry(current.clone());
        match step {
            Step::Send(bytes) => speaker.or_insert_with(|| node.client()).send(filled(&bytes, &known)),
            Step::Expect(expected) => {
                let client = speaker.or_insert_with(|| node.client());
                let mut got = client.line();
                // A neighbour is pinged whenever the machine is slow.
                while got.starts_with(b"PING ") && expected != got {
                    got = client.line();
                }
                let fits = fits(&expected, &got, &mut known);
                assert!(fits, "{place}: {}, not {}", got.escape_ascii(), expected.escape_ascii());
            }
            Step::Direct(directions) => match directions.split_once(' ').unwrap_or((&directions, "")) {
                ("as", name) => current = name.to_owned(),
                ("flooder", name) => {
                    let (flooder, _) = welsh.answer_call();
                    connections.insert(name.to_owned(), flooder);
                    current = name.to_owned();
                }
                ("linked", "") => node.expect_linked(&welsh),
                ("half-close", "") => speaker.or_insert_with(|| node.client()).half_close(),
                ("closed", "") => speaker.or_insert_with(|| node.client()).expect_closed(),
                _ => panic!("{place}: {directions}"),
            },
        }
    }
}

#[test]
fn assignments_session() {
    play("assignment.txt");
}

#[test]
fn telnet_session() {
    play("telnet.txt");
}

#[test]
fn pipelined_session() {
    play("pipelined.txt");
}

#[test]
fn session_of_invalid_lines() {
    play("invalid.txt");
}

#[test]
fn session_of_long_ids() {
    play("long.txt");
}

#[test]
fn sessions_told_apart_by_their_first_lines() {
    play("first.txt");
}

#[test]
fn session_of_a_neighbour() {
    play("neighbour.txt");
}

#[test]
fn session_with_tokens() {
    let shown = |name: &str, number| (name.to_owned(), token(number).text().as_bytes().to_vec());
    let known = Known::from([shown("client", 1), shown("operator", 4)]);
    play_at("tokens.txt", Setup::new().tokens("tokens", &tokens()), known);
}

#[test]
fn every_transcript_is_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let source = include_str!("transcripts.rs");
    for name in names.map(|name| name.into_string().unwrap()).filter(|name| name.ends_with(".txt")) {
        assert!(source.contains(&format!("(\"{name}\"")), "{name}");
    }
}

#[test]
fn wrong_reply_does_not_fit_a_transcript() {
    let known = || Known::from([("skew".to_owned(), b"+0.000000001".to_vec())]);
    for (expected, got, does) in [
        ("AT {skew} a\n", "AT +0.000000001 a\n", true),
        ("AT {skew} a\n", "AT +0.000000002 a\n", false),
        ("AT {skew} a\n", "AT +0.000000001 b\n", false),
        ("AT {newskew} a\n", "AT -12.000000002 a\n", true),
        ("AT {newskew} a\n", "AT -12.00000002 a\n", false),
        ("AT {other} a\n", "A", false),
        ("{\n", "{\n", true),
        ("? a\r\n", "? a\n", false),
    ] {
        assert_eq!(fits(expected.as_bytes(), got.as_bytes(), &mut known()), does, "{expected}{got}");
    }
}
