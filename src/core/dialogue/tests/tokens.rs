//! What a connection may do with a token and without, and that nothing shows what it has shown.

use super::*;
use crate::core::access::{
    Access, Anyone, Pattern, Patterns, Principal, Token, TokenEntry, TokenGroup, TokenList, TokenRole,
};

const NOBODY: Anyone = Anyone { reports_and_sees: false, forgets: false, monitors: false };

fn token(number: u8) -> Token {
    Token::of_bytes([number; Token::RANDOM_BYTES])
}

fn entry(name: &str, number: u8, role: TokenRole, [report, see]: [&[&str]; 2]) -> TokenEntry {
    let patterns =
        |texts: &[&str]| Patterns::new(texts.iter().map(|text| Pattern::parse(text).unwrap()).collect());
    let (may_report, may_see) = (patterns(report), patterns(see));
    let (name, hash, groups) = (name.to_owned(), token(number).hash(), Vec::new());
    TokenEntry { name, hash, role, may_report, may_see, groups, expires: None }
}

/// Kiwi may report for itself and see birds; ops may do everything.
fn tokens() -> TokenList {
    let all: &[&str] = &["*"];
    TokenList {
        groups: Vec::<TokenGroup>::new(),
        tokens: vec![
            entry("kiwi", 1, TokenRole::Client, [&["kiwi"], &["kiwi", "bird-*"]]),
            entry("ops", 2, TokenRole::Operator, [all, all]),
        ],
    }
}

fn node_with(anyone: Anyone, list: &TokenList) -> Arc<Node> {
    let node = Arc::into_inner(node_of(Vec::new(), false, None)).unwrap();
    Arc::new(node.granting(Access::with_tokens(anyone, list).unwrap()))
}

/// What a client gets for these lines, each sent by itself, `$1` standing for the token of that number.
fn said(client: &mut Driven, lines: &[&str]) -> Vec<String> {
    let answers = lines.iter().map(|line| {
        let line = [1, 2, 9].iter().fold((*line).to_owned(), |line, number| {
            line.replace(&format!("${number}"), token(*number).text())
        });
        client.say(format!("{line}\n").as_bytes(), at(1));
        client.written().trim_end().to_owned()
    });
    answers.collect()
}

const REPORT: &str = "IAMAT kiwi +1+1 1479413884";
const AT_KIWI: &str = "AT Alford +0.000000000 kiwi +1+1 1479413884";

#[test]
fn without_a_token_nothing_may_be_said_and_with_one_what_it_grants() {
    let node = node_with(NOBODY, &tokens());
    let mut client = Driven::client(&node);
    let lines = [REPORT, "WHATSAT kiwi 1 1", "FORGET kiwi", "hello"];
    assert_eq!(said(&mut client, &lines), lines.map(|line| format!("? {line}")));
    let welcome = [
        "AUTH $1",
        REPORT,
        "IAMAT weka +1+1 1479413884",
        "WHATSAT kiwi 1 1",
        "WHATSAT weka 1 1",
        "FORGET kiwi",
    ];
    assert_eq!(
        said(&mut client, &welcome),
        [
            "WELCOME kiwi",
            AT_KIWI,
            "? IAMAT weka +1+1 1479413884",
            &format!("{AT_KIWI}\n{{}}"),
            "? WHATSAT weka 1 1",
            "? FORGET kiwi"
        ]
    );
    assert_eq!(client.dialogue.party().principal().map(Principal::name), Some("kiwi"));
    let operator = ["AUTH $2", "IAMAT weka +1+1 1479413884", "FORGET kiwi", "WHATSAT kiwi 1 1"];
    assert_eq!(
        said(&mut client, &operator),
        ["WELCOME ops", "AT Alford +0.000000000 weka +1+1 1479413884", "FORGOT kiwi", "? WHATSAT kiwi 1 1"]
    );
    assert_eq!((node.store().len(), node.store().tombstones()), (1, 1));
}

#[test]
fn lines_of_one_batch_are_judged_by_the_token_shown_before_them() {
    let node = node_with(NOBODY, &tokens());
    let mut client = Driven::client(&node);
    let lines = format!("{REPORT}\nAUTH {}\r\n{REPORT}\nAUTH x\n{REPORT}\n", token(1).text());
    client.say(lines.as_bytes(), at(1));
    assert_eq!(client.written(), format!("? {REPORT}\nWELCOME kiwi\r\n{AT_KIWI}\n? AUTH\n? {REPORT}\n"));
    // A last line without a terminator is as good as any.
    client.say(format!("AUTH {}", token(2).text()).as_bytes(), at(2));
    client.dialogue.ended(now(at(2)));
    assert_eq!(client.drive(at(2)), Next::Close(Closing::ByPeer));
    assert_eq!(client.written(), "WELCOME ops\n");
}

#[test]
fn wrong_token_drops_all_rights_and_the_third_closes() {
    let node = node_with(NOBODY, &tokens());
    for wrong in ["AUTH $9", "AUTH", "AUTH $1 x", "auth $1", "AUTH herd_", "AUTH $1$1"] {
        let mut client = Driven::client(&node);
        let answers = said(&mut client, &["AUTH $1", wrong, REPORT, wrong, "AUTH $1", REPORT]);
        let refused = format!("? {REPORT}");
        assert_eq!(
            answers,
            ["WELCOME kiwi", "? AUTH", &refused, "? AUTH", "WELCOME kiwi", AT_KIWI],
            "{wrong}"
        );
        let third = wrong.replace("$1", token(1).text()).replace("$9", token(9).text());
        let next = client.say(format!("{third}\n{REPORT}\n").as_bytes(), at(3));
        assert_eq!((next, client.written().as_str()), (Next::Close(Closing::WrongTokens), "? AUTH\n"));
    }
    // So does one that is too long.
    let mut client = Driven::client(&node);
    let long = format!("  AuTh {}\n", "x".repeat(600)).repeat(3);
    assert_eq!(client.say(long.as_bytes(), at(1)), Next::Close(Closing::WrongTokens));
    assert_eq!(client.written(), "? AUTH\n? AUTH\n? AUTH\n");
}

#[test]
fn token_in_the_place_of_an_id_is_not_copied_whatever_refuses_the_line() {
    let node = node_with(NOBODY, &tokens());
    let mut client = Driven::client(&node);
    let lines = ["WHATSAT $9 1 1", "IAMAT $9 +1+1 1479413884", "FORGET $9", "FORGET $9 x"];
    let refused = ["? WHATSAT", "? IAMAT", "? FORGET", "? FORGET"];
    // For want of a right; and, of one who has every right, for want of that client.
    assert_eq!(said(&mut client, &lines), refused);
    assert_eq!(said(&mut client, &["AUTH $2", lines[0]]), ["WELCOME ops", refused[0]]);
}

#[test]
fn where_nobody_has_tokens_auth_is_invalid_and_its_copy_is_the_word_alone() {
    let mut client = Driven::client(&node_of(Vec::new(), false, None));
    let lines = ["AUTH $1", "auth", "AUTH $1 x", "AUTH", "AUTH", REPORT];
    assert_eq!(said(&mut client, &lines), ["? AUTH", "? AUTH", "? AUTH", "? AUTH", "? AUTH", AT_KIWI]);
    client.say(format!("AUTH {}\n", "x".repeat(600)).as_bytes(), at(2));
    assert_eq!(client.written(), "? AUTH\n");
}

#[test]
fn where_clients_need_no_token_one_only_adds_rights() {
    let open = Anyone { reports_and_sees: true, ..NOBODY };
    let mut client = Driven::client(&node_with(open, &tokens()));
    let lines =
        [REPORT, "FORGET kiwi", "AUTH $1", "WHATSAT nobody 1 1", "AUTH x", REPORT, "AUTH $2", "FORGET kiwi"];
    assert_eq!(
        said(&mut client, &lines),
        [
            AT_KIWI,
            "? FORGET kiwi",
            "WELCOME kiwi",
            "? WHATSAT nobody 1 1",
            "? AUTH",
            AT_KIWI,
            "WELCOME ops",
            "FORGOT kiwi"
        ]
    );
}

#[test]
fn token_that_is_revoked_changed_or_expired_is_so_from_the_next_batch_on() {
    let mut list = tokens();
    list.tokens[0].expires = Some(Timestamp::new(1_479_413_885, 0));
    let node = node_with(NOBODY, &list);
    let mut client = Driven::client(&node);
    assert_eq!(said(&mut client, &["AUTH $1", REPORT]), ["WELCOME kiwi", AT_KIWI]);
    // Other rights.
    list.tokens[0].may_report = Patterns::none();
    node.access().replace(&list).unwrap();
    assert_eq!(
        said(&mut client, &[REPORT, "WHATSAT bird-1 1 1"]),
        [format!("? {REPORT}"), "? WHATSAT bird-1 1 1".into()]
    );
    assert!(client.dialogue.party().principal().is_some());
    // Its last moment, and the next.
    list.tokens[0].may_report = Patterns::all();
    node.access().replace(&list).unwrap();
    for (nanoseconds, seconds, is_valid) in [(999_999_999, 1_479_413_884, true), (0, 1_479_413_885, false)] {
        let line = format!("{REPORT}\n");
        client.dialogue.space()[..line.len()].copy_from_slice(line.as_bytes());
        let now = Now { wall: Timestamp::new(seconds, nanoseconds), tick: at(3) };
        client.dialogue.received(line.len(), now);
        client.drive(at(3));
        assert_eq!(client.written().starts_with("AT "), is_valid);
        assert_eq!(client.dialogue.party().principal().is_some(), is_valid);
    }
    // Revoked.
    let mut other = Driven::client(&node);
    assert_eq!(said(&mut other, &["AUTH $2", REPORT]), ["WELCOME ops", AT_KIWI]);
    list.tokens.pop();
    node.access().replace(&list).unwrap();
    assert_eq!(said(&mut other, &[REPORT, "AUTH $2"]), [format!("? {REPORT}"), "? AUTH".into()]);
}

/// Notes what a driver is told of lines.
#[derive(Default)]
struct Listener(Vec<String>);

impl Host for Listener {
    fn nonce(&mut self) -> Result<Nonce, String> {
        Ok(Nonce::of_bytes([3; Nonce::BYTES]))
    }

    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        self.0.push(format!("{line:?} {party:?} {reply:?} {}", String::from_utf8_lossy(line.text())));
    }

    fn looked(&mut self, _looked: &Looked, _document: &[u8]) {}
}

#[test]
fn nothing_shows_a_token_however_it_is_shown() {
    let secret = token(1);
    let text = secret.text();
    let (welsh, _queue) = neighbour("Welsh", None);
    let open = Arc::into_inner(node_of(vec![welsh], false, None)).unwrap();
    let with_tokens = node_with(NOBODY, &tokens());
    for node in [Arc::new(open), with_tokens] {
        for lines in [
            format!("AUTH {text}\n"),
            format!("hello\nAUTH {text} x\nauth {text}\n"),
            format!("hello\nGET /?token={text} HTTP/1.1\nAuthorization: Bearer {text}\n"),
            format!("hello\nAUTH {text}{}\n", "x".repeat(600)),
            format!("hello\nGET /{text}/{} HTTP/1.1\n", "x".repeat(600)),
        ] {
            for piece in [lines.len(), 3] {
                let dialogue = Dialogue::new(
                    Arc::clone(&node),
                    Opening::Common { is_kept: false },
                    (TIMES, 512),
                    1,
                    at(0),
                );
                let (mut dialogue, mut listener, mut replies) = (dialogue, Listener::default(), Vec::new());
                for piece in lines.as_bytes().chunks(piece) {
                    let mut rest = piece;
                    while !rest.is_empty() {
                        let space = dialogue.space();
                        let (read, left) = rest.split_at(rest.len().min(space.len()));
                        space[..read.len()].copy_from_slice(read);
                        dialogue.received(read.len(), now(at(1)));
                        rest = left;
                        loop {
                            match dialogue.next(at(1), &mut listener) {
                                Next::Offer => dialogue.offer(|_| {}),
                                Next::Write => {
                                    replies.extend_from_slice(dialogue.replies());
                                    dialogue.wrote();
                                }
                                Next::Wait(_) | Next::Close(_) => break,
                                other => panic!("{other:?}"),
                            }
                        }
                    }
                }
                let shown = listener.0.join("\n") + &String::from_utf8_lossy(&replies);
                assert!(!shown.contains(&text[5..13]) && !shown.contains(&text[5..]), "{shown}");
                assert!(shown.contains("hello") == lines.starts_with("hello"), "{shown}");
            }
        }
    }
}

#[test]
fn token_is_gone_from_a_connections_memory_once_it_is_answered() {
    let mut client = Driven::client(&node_with(NOBODY, &tokens()));
    // It comes in two pieces, and something follows it.
    let line = format!("hello\nAUTH {}\nIAMAT k", token(1).text());
    client.say(&line.as_bytes()[..20], at(1));
    client.say(&line.as_bytes()[20..], at(1));
    let held = format!("{:?}", client.dialogue);
    let digits: Vec<String> = token(1).text()[5..15].bytes().map(|byte| byte.to_string()).collect();
    assert!(client.written().contains("WELCOME kiwi") && held.contains("73, 65, 77, 65, 84"));
    assert!(!held.contains(&digits.join(", ")), "{held}");
}

/// How often the node's store was asked, by what the node does for a line: it is asked only if the line has a key.
fn looks_up(node: &Node, party: &Party, line: &str) -> (bool, String) {
    let line = Line::Whole(line.as_bytes(), Ending::Lf);
    let command = command::Command::parse(line, party, &[], node);
    let has_key = command.as_ref().is_ok_and(|command| command.key().is_some());
    (has_key, format!("{:?}", command.err()))
}

#[test]
fn hidden_client_is_looked_up_and_answered_as_one_that_does_not_exist() {
    let node = node_with(NOBODY, &tokens());
    let mut ops = Driven::client(&node);
    let hidden = "IAMAT hidden +1+1 1479413884";
    assert_eq!(said(&mut ops, &["AUTH $2", hidden])[1], "AT Alford +0.000000000 hidden +1+1 1479413884");
    let mut kiwi = Driven::client(&node);
    said(&mut kiwi, &["AUTH $1"]);
    for mut client in [kiwi, Driven::client(&node)] {
        // The store is neither read nor prefetched for either of them.
        let looked = ["hidden", "absent"]
            .map(|id| looks_up(&node, client.dialogue.party(), &format!("WHATSAT {id} 1 1")));
        assert_eq!(looked[0], looked[1]);
        assert!(!looked[0].0);
        let said = said(&mut client, &["WHATSAT hidden 1 1", "WHATSAT absent 1 1"]);
        assert_eq!(said, ["? WHATSAT hidden 1 1", "? WHATSAT absent 1 1"]);
        assert!(!client.did.contains(&"look"));
    }
}
