//! Who clients are must be said beyond loopback, and where their tokens are must be said with it.

use super::*;

/// Its `clients` is on the line below the last.
const BEYOND: &str = "[herd]\nname = \"one\"\nsecret_file = \"herd.secret\"\n[[node]]\nid = \"Alford\"\n";

#[test]
fn beyond_loopback_it_must_be_said_who_clients_are() {
    for (addresses, line, beyond) in [
        ("listen = \"0.0.0.0:1\"\n", 6, "0.0.0.0:1"),
        ("listen = \"127.0.0.1:1\"\naddress = \"alford.example:1\"\n", 7, "alford.example:1"),
        ("listen = \"127.0.0.1:1\"\nhttp = \"[::]:2\"\n", 7, "[::]:2"),
    ] {
        let text = format!("{BEYOND}{addresses}");
        assert_eq!(
            fault_of(&text),
            format!(
                "h.toml:{line}: {beyond} is beyond loopback, and nothing says who clients are; write in [access] either \
                 clients = \"tokens\", with a tokens_file that `herd token add` makes, or clients = \"open\", for anyone who can connect"
            )
        );
        for said in ["clients = \"open\"", "clients = \"tokens\"\ntokens_file = \"herd.tokens\""] {
            let herd = Herd::parse(&format!("{text}[access]\n{said}\n"), "h.toml").unwrap();
            assert_eq!(herd.access.is_open(), said.ends_with("\"open\""));
            assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd);
        }
        // A file of tokens alone does not say that clients need one.
        assert!(fault_of(&format!("{text}[access]\ntokens_file = \"t\"\n")).contains("who clients are"));
    }
}

#[test]
fn on_loopback_it_need_not_be_said_nor_for_third_party_nodes_beyond() {
    assert!(Herd::parse(TWO_NODES, "h.toml").unwrap().access.is_open());
    let third = "listen = \"127.0.0.1:1\"\nplain_listen = \"127.0.0.1:2\"\nlinks = [\"Ball\"]\n\
                 [[node]]\nid = \"Ball\"\nlisten = \"ball.example:1\"\ndialect = \"plain\"\n";
    assert!(Herd::parse(&format!("{BEYOND}{third}"), "h.toml").unwrap().access.is_open());
}

#[test]
fn tokens_need_their_file_and_the_word_is_one_of_two() {
    for (access, fault) in [
        (
            "clients = \"tokens\"",
            "h.toml:11: `clients` = \"tokens\" needs a file of tokens; name one as `tokens_file` in [access], and `herd token add` makes it",
        ),
        (
            "clients = \"token\"",
            "h.toml:11: `clients` = \"token\" is none of tokens, open (did you mean \"tokens\"?)",
        ),
        ("tokens_file = \"\"", "h.toml:11: `tokens_file` is empty; write a path in quotes, or leave it out"),
    ] {
        assert_eq!(fault_of(&format!("{TWO_NODES}[access]\n{access}\n")), fault);
    }
}

#[test]
fn path_of_the_tokens_begins_at_the_configurations_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.toml");
    fs::write(&path, format!("{TWO_NODES}[access]\ntokens_file = \"a.tokens\"\n")).unwrap();
    assert_eq!(Herd::load(&path).unwrap().access.tokens_file, Some(folder.path().join("a.tokens")));
}
