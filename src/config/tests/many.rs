//! Several faults of one file: each is reported with its line, and none that is only the consequence of another.

use super::*;

/// The lines that a user sees, without the file's name.
fn faults(text: &str) -> Vec<String> {
    fault_of(text).lines().map(|line| line.strip_prefix("h.toml:").unwrap().to_owned()).collect()
}

fn begin_with(found: &[String], wanted: &[&str]) -> bool {
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| found.starts_with(wanted))
}

#[test]
fn faults_of_all_kinds_are_told_at_once_in_the_order_of_the_file() {
    let text = r#"[herd]
name = "a b"
secret = "x"
[places]
source = "embeded"
lookups = "many"
[log]
file = "herd.log"
[limits]
line_seconds = 0
backoff_ms_min = 6000
[http]
hosts = ["a", 5]
[[node]]
id = "Alford"
lisen = "127.0.0.1:11600"
http = "127.0.0.1:11700"
links = ["Bal", "Alford"]
[[node]]
id = "Ball"
listen = "127.0.0.1:11700"
address = "nowhere"
dialect = "fancy"
[[node]]
id = "Cat"
listen = "10.0.0.1:0"
links = ["Ball"]
"#;
    let found = faults(text);
    let wanted = [
        "2: \"a b\" cannot name a herd; ",
        "3: unknown key `secret` in [herd]; ",
        "5: \"embeded\" is no source of places (did you mean \"embedded\"?); ",
        "6: `lookups` is a string; ",
        "8: `file` = \"herd.log\" would be the log of every node; ",
        "10: `line_seconds` = 0 is out of range; ",
        "11: `backoff_ms_min` is above `backoff_ms_max`; ",
        "13: `hosts` is a whole number; ",
        "16: unknown key `lisen` in [[node]] (did you mean \"listen\"?); ",
        "18: Alford is linked to \"Bal\", which is no node here (did you mean \"Ball\"?); ",
        "18: Alford is linked to itself; ",
        "21: Ball has 127.0.0.1:11700, which Alford has on line 17; ",
        "22: \"nowhere\" is no address; ",
        "23: \"fancy\" is no dialect; ",
        "26: 10.0.0.1:0 is beyond loopback, ",
        "26: Cat has links and port 0, which nobody can dial; ",
    ];
    assert!(begin_with(&found, &wanted), "{found:#?}");
}

#[test]
fn consequences_of_a_fault_are_not_told() {
    let third = "[[node]]\nid = \"Cat\"\nlisten = \"127.0.0.1:11602\"\n";
    for (old, new, wanted) in [
        // Links to a node whose id is at fault, and what they hold together.
        ("id = \"Ball\"", "id = \"a/b\"\nlinks = [\"Cat\"]", &["8: \"a/b\" cannot name a node"][..]),
        ("id = \"Ball\"", "ids = \"Ball\"", &["8: unknown key `ids` in [[node]] (did you mean \"id\"?)"]),
        // Whether there are nodes, a name, an address.
        (
            "[herd]",
            "[hird]",
            &["1: unknown key `hird` in the file (did you mean \"herd\"?)", "11: Alford, Ball cannot"],
        ),
        (
            "name = \"pair\"",
            "nam = \"pair\"",
            &["2: unknown key `nam` in [herd] (did you mean \"name\"?)", "11: Alford, Ball cannot"],
        ),
        // What the nodes are linked to.
        ("links = [", "lnks = [", &["6: unknown key `lnks` in [[node]] (did you mean \"links\"?)"]),
        ("links = [\"Ball\"]", "links = [\"Ball\", 5]", &["6: `links` is a whole number"]),
        // Whether a plain neighbour is there to be heard.
        (
            "links = [\"Ball\"]",
            "links = [\"Bell\"]\nplain_listen = \"127.0.0.1:1\"",
            &["6: Alford is linked to \"Bell\""],
        ),
    ] {
        assert_eq!(TWO_NODES.matches(old).count(), 1, "{old}");
        let found = faults(&format!("{}{third}", TWO_NODES.replace(old, new)));
        let wanted: Vec<_> = wanted.to_vec();
        assert!(begin_with(&found, &wanted), "{new}: {found:#?}");
    }
    let alone = "[[nod]]\nid = \"A\"\nlisten = \"127.0.0.1:1\"\n[herd]\nname = \"h\"\n";
    assert!(begin_with(&faults(alone), &["1: unknown key `nod` in the file (did you mean \"node\"?)"]));
}

#[test]
fn hundred_lines_tell_the_first_faults_and_how_many_more_there_are() {
    let wrong: String = (0..150).map(|number| format!("zzz{number} = 1\n")).collect();
    let error = Herd::parse(&format!("{wrong}{TWO_NODES}"), "h.toml").unwrap_err();
    let lines = error.lines();
    assert_eq!(lines.len(), 101);
    assert!(lines[0].starts_with("h.toml:1: unknown key `zzz0`"), "{}", lines[0]);
    assert!(lines[99].starts_with("h.toml:100: unknown key `zzz99`"), "{}", lines[99]);
    assert_eq!(lines[100], "h.toml: … and 50 more");
}
