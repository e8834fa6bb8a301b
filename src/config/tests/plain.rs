//! How third-party nodes are described: each key of their form, and what is wrong where.

use super::*;
use crate::core::{
    access::{Pattern, Patterns},
    wire::{Ending, PerConnection},
};

/// Two nodes, of which Ball is a third-party one with these keys.
fn with_keys(keys: &str) -> String {
    TWO_NODES
        .replace("id = \"Ball\"", &format!("id = \"Ball\"\ndialect = \"plain\"\n{keys}"))
        .replace("links = [\"Ball\"]", "links = [\"Ball\"]\nplain_listen = \"127.0.0.1:11800\"")
}

#[test]
fn every_key_of_the_form_lands_in_its_place_and_is_written_back() {
    let of = PlainForm::default;
    for (keys, form) in [
        ("", of()),
        ("at_fields = 7\nextra_fields = false\nline_end = \"lf\"\nper_connection = \"many\"", of()),
        ("at_fields = 6", PlainForm { has_sender: false, ..of() }),
        ("at_keyword = \"FLOOD\"", PlainForm { keyword: Some("FLOOD".into()), ..of() }),
        ("extra_fields = true", PlainForm { takes_more: true, ..of() }),
        ("line_end = \"crlf\"", PlainForm { ending: Ending::CrLf, ..of() }),
        ("per_connection = \"one\"", PlainForm { per_connection: PerConnection::One, ..of() }),
        (
            "may_report = [\"bus-*\", 'a\\x2a']",
            PlainForm {
                may_report: Patterns::new(
                    ["bus-*", "a\\x2a"].map(|text| Pattern::parse(text).unwrap()).to_vec(),
                ),
                ..of()
            },
        ),
        ("may_see = []", PlainForm { may_see: Patterns::none(), ..of() }),
        ("answer = 'a \"b\" \\ \u{f6}'", PlainForm { answer: Some("a \"b\" \\ \u{f6}".into()), ..of() }),
    ] {
        let herd = Herd::parse(&with_keys(keys), "h.toml").unwrap();
        assert_eq!(herd.node("Ball").unwrap().plain, Some(form), "{keys}");
        assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd, "{}", herd.to_toml());
    }
}

#[test]
fn value_that_no_third_party_node_is_spoken_to_by_is_refused_with_what_may_stand_there() {
    let word = "a word in quotes other than AT, of 1 to 64 visible ASCII characters";
    let line = "a line in quotes, of at most 1,024 bytes";
    let patterns = "a list of at most 256 clients' ids, or beginnings of ids and *, such as [\"bus-*\"]";
    let long = format!("answer = \"{}\"", "x".repeat(1025));
    for (keys, fault) in [
        ("at_keyword = \"AT\"", format!("`at_keyword` = \"AT\" is not how a third-party node is spoken to; write {word}")),
        ("at_keyword = \"a b\"", format!("`at_keyword` = \"a b\" is not how a third-party node is spoken to; write {word}")),
        ("at_keyword = 5", format!("`at_keyword` is a whole number; write {word}")),
        ("extra_fields = 8", "`extra_fields` is a whole number; write true or false".to_owned()),
        (
            "per_connection = \"two\"",
            "`per_connection` = \"two\" is not how a third-party node is spoken to; write \"many\" or \"one\"".to_owned(),
        ),
        ("answer = \"\"", format!("`answer` = \"\" is not how a third-party node is spoken to; write {line}")),
        ("answer = \"a\\nb\"", format!("`answer` = \"a\\nb\" is not how a third-party node is spoken to; write {line}")),
        ("answer = true", format!("`answer` is true or false; write {line}")),
        (
            "may_report = [\"a b\"]",
            format!("`may_report` = \"a b\" is not how a third-party node is spoken to; write {patterns}"),
        ),
        ("may_see = [5]", format!("`may_see` is a list; write {patterns}")),
    ] {
        assert_eq!(fault_of(&with_keys(keys)), format!("h.toml:11: {fault}"), "{keys}");
    }
    assert!(fault_of(&with_keys(&long)).ends_with(line));
}

#[test]
fn pieces_are_what_is_left_where_third_party_nodes_do_not_join() {
    let text = "[herd]\nname = \"h\"\n";
    let node = |id: &str, port: u16, more: &str| {
        format!("[[node]]\nid = \"{id}\"\nlisten = \"127.0.0.1:{port}\"\n{more}\n")
    };
    let nodes = node("A", 1, "links = [\"B\"]")
        + &node("P", 2, "dialect = \"plain\"\nlinks = [\"C\", \"B\"]")
        + &node("B", 3, "plain_listen = \"127.0.0.1:13\"")
        + &node("C", 4, "plain_listen = \"127.0.0.1:14\"\nlinks = [\"D\"]")
        + &node("D", 5, "");
    let pieces = |text: &str| -> Vec<String> {
        let herd = Herd::parse(text, "h.toml").unwrap();
        herd.pieces().iter().map(|piece| piece.iter().map(|id| id.as_str()).collect()).collect()
    };
    assert_eq!(pieces(&format!("{text}{nodes}")), ["AB", "CD"]);
    assert_eq!(
        pieces(&format!("{text}{}", nodes.replace("links = [\"D\"]", "links = [\"D\", \"A\"]"))),
        ["ABCD"]
    );
    assert_eq!(pieces(TWO_NODES), ["AlfordBall"]);
}

#[test]
fn a_third_party_node_is_described_and_heard() {
    let plain = "id = \"Ball\"\ndialect = \"plain\"\nat_fields = 6\nline_end = \"crlf\"";
    let text = TWO_NODES
        .replace("id = \"Ball\"", plain)
        .replace("links = [\"Ball\"]", "links = [\"Ball\"]\nplain_listen = \"127.0.0.1:11800\"");
    let herd = Herd::parse(&text, "h.toml").unwrap();
    let form = PlainForm { has_sender: false, ending: Ending::CrLf, ..PlainForm::default() };
    assert_eq!(herd.node("Ball").unwrap().plain, Some(form));
    assert_eq!(herd.node("Alford").unwrap().plain_listen.as_ref().unwrap().to_string(), "127.0.0.1:11800");
    assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd);
    assert_eq!(herd.plain_nodes(), [&NodeId::new("Ball").unwrap()]);
    let own = herd.own();
    assert_eq!((own.nodes.len(), own.nodes[0].links.len()), (1, 0));
    let fault = |old: &str, new: &str| fault_of(&text.replace(old, new));
    for (old, new, line) in [
        (
            "plain_listen = \"127.0.0.1:11800\"\n",
            "",
            "h.toml:4: Alford has the third-party neighbour Ball and nowhere to hear it; add plain_listen = \"HOST:PORT\"",
        ),
        (
            "dialect = \"plain\"\nat_fields = 6\nline_end = \"crlf\"",
            "",
            "h.toml:7: Alford has no third-party neighbour to hear at its plain_listen; remove it, or link one",
        ),
        (
            "dialect = \"plain\"",
            "dialect = \"herd\"",
            "h.toml:11: `at_fields` says how to speak to a node of dialect \"plain\", which Ball is not; remove it\n\
             h.toml:12: `line_end` says how to speak to a node of dialect \"plain\", which Ball is not; remove it",
        ),
        (
            "dialect = \"plain\"",
            "dialect = \"fancy\"",
            "h.toml:10: \"fancy\" is no dialect; write \"plain\" for a third-party node, or nothing",
        ),
        ("at_fields = 6", "at_fields = 5", "h.toml:11: `at_fields` is a whole number; write 6 or 7"),
        (
            "\"crlf\"",
            "\"cr\"",
            "h.toml:12: `line_end` = \"cr\" is not how a third-party node is spoken to; write \"lf\" or \"crlf\"",
        ),
        (
            "at_fields = 6",
            "http = \"127.0.0.1:1\"",
            "h.toml:11: `http` is for this program's own nodes, and Ball is of dialect \"plain\"; remove it",
        ),
        (
            "11800",
            "11601",
            "h.toml:13: Ball has 127.0.0.1:11601, which Alford has on line 7; give each node its own port",
        ),
    ] {
        assert_eq!(fault(old, new), line, "{old} → {new}");
    }
}
