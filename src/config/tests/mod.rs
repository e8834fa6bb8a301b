//! Every fault at its exact line; in the files below, every shipped file against its edition and writing against reading.

use std::time::Duration;

use super::*;

mod access;
mod document;
mod many;
mod plain;
mod round_trip;
mod shipped;

const TWO_NODES: &str = r#"[herd]
name = "pair"
[[node]]
id = "Alford"
listen = "127.0.0.1:11600"
links = ["Ball"]
[[node]]
id = "Ball"
listen = "127.0.0.1:11601"
"#;

/// What a user sees for [`TWO_NODES`] with `old` replaced by `new`.
fn fault_with(old: &str, new: &str) -> String {
    assert_eq!(TWO_NODES.matches(old).count(), 1, "{old:?} must be there once");
    fault_of(&TWO_NODES.replace(old, new))
}

fn fault_of(text: &str) -> String {
    Herd::parse(text, "h.toml").expect_err("it should be refused").to_string()
}

#[test]
fn a_link_named_at_one_end_is_at_both() {
    let herd = Herd::parse(TWO_NODES, "h.toml").unwrap();
    let node = herd.node("Ball").unwrap();
    assert_eq!(node.links, [NodeId::new("Alford").unwrap()]);
    assert_eq!(node.address.to_string(), "127.0.0.1:11601");
    assert_eq!(herd.node("Cat"), None);
    let (Limits { line_bytes, backoff_max, .. }, LogConfig { traffic, bodies, .. }) = (herd.limits, herd.log);
    assert_eq!((line_bytes, backoff_max), (16_384, Duration::from_secs(5)));
    assert_eq!((traffic, bodies, herd.places), (true, false, PlacesConfig::default()));
}

#[test]
fn links_are_sorted_and_each_there_once() {
    let text = r#"
[herd]
name = "three"
[[node]]
id = "C"
listen = "127.0.0.1:1"
links = ["B", "A", "B"]
[[node]]
id = "A"
listen = "127.0.0.1:2"
links = ["C"]
[[node]]
id = "B"
listen = "127.0.0.1:3"
"#;
    let herd = Herd::parse(text, "h.toml").unwrap();
    let links = |id| herd.node(id).unwrap().links.iter().map(NodeId::as_str).collect::<Vec<_>>();
    assert_eq!((links("A"), links("B"), links("C")), (vec!["C"], vec!["C"], vec!["A", "B"]));
}

#[test]
fn every_fault_is_one_line_with_its_place_and_its_cure() {
    for (old, new, line) in [
        (
            r#""pair""#,
            "pair",
            r#"h.toml:2: this is not TOML: string values must be quoted, expected literal string; correct it here"#,
        ),
        (
            r#""pair""#,
            "\"a b\"",
            r#"h.toml:2: "a b" cannot name a herd; use 1 to 64 visible ASCII characters"#,
        ),
        (r#""pair""#, "7", r#"h.toml:2: `name` is a whole number; write a name in quotes"#),
        (r#"name = "pair""#, "", r#"h.toml:1: [herd] has no `name`; add one, such as name = "fall-2016""#),
        (
            r#"name = "pair""#,
            "name = \"p\"\nsecret = \"s\"",
            "h.toml:3: unknown key `secret` in [herd]; the keys known there are name, secret_file, peer_tls, forget_after",
        ),
        (
            r#"name = "pair""#,
            "name = \"p\"\nsecret_file = 5",
            "h.toml:3: `secret_file` is a whole number; write a path in quotes",
        ),
        (
            r#"name = "pair""#,
            "name = \"p\"\nforget_after = 3600",
            "h.toml:3: `forget_after` is a whole number; write a time such as \"1h\" or \"30d\", or \"off\"",
        ),
        (
            r#"name = "pair""#,
            "name = \"p\"\nforget_after = \"1 hour\"",
            "h.toml:3: `forget_after` = \"1 hour\" is no time to forget after; write a time such as \"1h\" or \"30d\", or \"off\"",
        ),
        (
            r#"name = "pair""#,
            "name = \"p\"\nforget_after = \"59m\"",
            "h.toml:3: `forget_after` = \"59m\" is out of range; give an hour (\"1h\") to 36,500 days (\"36500d\"), or \"off\"",
        ),
        (
            r#"name = "pair""#,
            "name = \"p\"\nsecret_file = \"\"",
            "h.toml:3: `secret_file` is empty; give the path of the file that `herd secret FILE` makes",
        ),
        (
            r#"name = "pair""#,
            "name = \"p\"\nsecret_file = \"s\"\npeer_tls = true",
            "h.toml:4: `peer_tls` is true or false; write a word in quotes",
        ),
        (
            r#"name = "pair""#,
            "name = \"p\"\nsecret_file = \"s\"\npeer_tls = \"require\"",
            "h.toml:4: `peer_tls` = \"require\" is none of off, accept, on, required (did you mean \"required\"?)",
        ),
        (
            r#"id = "Ball""#,
            "id = \"Ball\"\ntls_listen = \"127.0.0.1:11800\"",
            "h.toml:9: Ball serves TLS at its `tls_listen` address and has no certificate to show; name one, and its key, as certificate_file and key_file in [tls]; `herd cert` can make them",
        ),
        (
            r#"id = "Ball""#,
            "id = \"Ball\"\nlisten = \"127.0.0.1:11603\"\nhttp = \"127.0.0.1:11800\"\n[http]\ntls = true\n[[node]]\nid = \"C\"\nlinks = [\"Ball\"]",
            "h.toml:10: Ball serves TLS at its `http` address and has no certificate to show; name one, and its key, as certificate_file and key_file in [tls]; `herd cert` can make them",
        ),
        (
            "[herd]",
            "[tls]\nkey_file = \"k\"\n[herd]",
            "h.toml:1: [tls] has no `certificate_file`; a certificate and its key are in two files, so give both",
        ),
        (
            r#"name = "pair""#,
            "name = \"p\"\npeer_tls = \"accept\"",
            "h.toml:3: `peer_tls` = \"accept\" needs a secret, which proves who speaks TLS; make one with `herd secret FILE` and name it as secret_file, or write \"off\"",
        ),
        (
            "[herd]",
            "[heard]",
            "h.toml:1: unknown key `heard` in the file (did you mean \"herd\"?); the keys known there are herd, access, places, log, journal, http, tls, limits, node",
        ),
        (
            "[herd]\nname = \"pair\"\n",
            "",
            "h.toml:1: [herd] has no `name`; add one, such as name = \"fall-2016\"",
        ),
        ("[herd]", "node = 5\n[herd]", "h.toml:4: this is not TOML: duplicate key; correct it here"),
        (r#"id = "Alford""#, "", r#"h.toml:3: this [[node]] has no `id`; add one, such as id = "Alford""#),
        (
            r#"listen = "127.0.0.1:11601""#,
            "",
            r#"h.toml:7: this [[node]] has no `listen`; add one, such as listen = "127.0.0.1:11600""#,
        ),
        (
            r#"id = "Ball""#,
            "id = \"Ball\"\nttl = \"x\"",
            "h.toml:9: unknown key `ttl` in [[node]]; the keys known there are id, listen, address, tls_listen, http, dialect, at_fields, at_keyword, extra_fields, line_end, per_connection, answer, may_report, may_see, plain_listen, links",
        ),
        (
            r#"id = "Ball""#,
            "id = \"a/b\"",
            r#"h.toml:8: "a/b" cannot name a node; use 1 to 64 visible ASCII characters, none of them / or :, the first not . or -"#,
        ),
        (
            r#"id = "Ball""#,
            "id = \"\"",
            r#"h.toml:8: "" cannot name a node; use 1 to 64 visible ASCII characters, none of them / or :, the first not . or -"#,
        ),
        (
            r#"id = "Ball""#,
            "id = \"Alford\"",
            "h.toml:8: a second node is called Alford, as on line 4; give each its own id",
        ),
        (
            "127.0.0.1:11601",
            "127.0.0.1:11600",
            "h.toml:9: Ball has 127.0.0.1:11600, which Alford has on line 5; give each node its own port",
        ),
        (
            "127.0.0.1:11601",
            "localhost:11600",
            "h.toml:9: Ball has localhost:11600, which Alford has on line 5; give each node its own port",
        ),
        (
            r#""127.0.0.1:11601""#,
            "\"127.0.0.1:11601\"\naddress = \"127.0.0.1:11600\"",
            "h.toml:10: Ball has 127.0.0.1:11600, which Alford has on line 5; give each node its own port",
        ),
        (
            "127.0.0.1:11601",
            "127.0.0.1",
            r#"h.toml:9: "127.0.0.1" is no address; write "HOST:PORT", such as "127.0.0.1:11600""#,
        ),
        (
            r#""127.0.0.1:11601""#,
            "\"127.0.0.1:11601\"\naddress = \"127.0.0.1:0\"",
            r#"h.toml:10: "127.0.0.1:0" is no address; write "HOST:PORT", such as "127.0.0.1:11600""#,
        ),
        (
            "127.0.0.1:11601",
            "127.0.0.1:0",
            "h.toml:9: Ball has links and port 0, which nobody can dial; give a port from 1 to 65535",
        ),
        (
            "127.0.0.1:11601",
            "0.0.0.0:11601",
            "h.toml:9: 0.0.0.0:11601 is beyond loopback, where a herd without a secret is open to all; make one with `herd secret FILE` and name it as secret_file in [herd], or use 127.0.0.1, [::1] or localhost",
        ),
        (
            r#""127.0.0.1:11601""#,
            "\"127.0.0.1:11601\"\naddress = \"ball.example:1\"",
            "h.toml:10: ball.example:1 is beyond loopback, where a herd without a secret is open to all; make one with `herd secret FILE` and name it as secret_file in [herd], or use 127.0.0.1, [::1] or localhost",
        ),
        (
            r#"["Ball"]"#,
            r#"["Bal"]"#,
            r#"h.toml:6: Alford is linked to "Bal", which is no node here (did you mean "Ball"?); the nodes are Alford, Ball"#,
        ),
        (
            r#"["Ball"]"#,
            "[\n  \"Ball\",\n  \"Alford\",\n]",
            "h.toml:8: Alford is linked to itself; remove that link",
        ),
        (
            r#"["Ball"]"#,
            r#""Ball""#,
            r#"h.toml:6: `links` is a string; write a list of node ids, such as ["Alford", "Ball"]"#,
        ),
        (
            r#"["Ball"]"#,
            "[true]",
            r#"h.toml:6: `links` is true or false; write a list of node ids, such as ["Alford", "Ball"]"#,
        ),
        (r#"["Ball"]"#, "[]", "h.toml:8: Alford cannot reach Ball; add a link"),
    ] {
        assert_eq!(fault_with(old, new), line, "{old} → {new}");
    }
}

#[test]
fn a_herd_in_pieces_is_refused_by_name() {
    let more = "[[node]]\nid = \"Cat\"\nlisten = \"127.0.0.1:11602\"\nlinks = [\"Dog\"]\n[[node]]\nid = \"Dog\"\nlisten = \"127.0.0.1:11603\"\n";
    assert_eq!(
        fault_of(&format!("{TWO_NODES}{more}")),
        "h.toml:11: Alford, Ball cannot reach Cat, Dog; add a link"
    );
}

#[test]
fn a_herd_has_nodes() {
    let line = "h.toml:1: there are no nodes; add a [[node]] with id and listen";
    assert_eq!(fault_of("[herd]\nname = \"none\"\n"), line);
    assert_eq!(fault_of("node = []\n[herd]\nname = \"none\"\n"), line);
    let wanted = "write [[node]], in two brackets, above each node";
    assert_eq!(
        fault_of("[herd]\nname = \"n\"\n[node]\nid = \"A\"\n"),
        format!("h.toml:3: `node` is a table; {wanted}")
    );
}

#[test]
fn settings_outside_their_bounds_are_refused() {
    for (table, setting, line) in [
        ("limits", "connections = 0", "h.toml:11: `connections` = 0 is out of range; give 1 to 1000000"),
        ("limits", "connections = -5", "h.toml:11: `connections` = -5 is out of range; give 1 to 1000000"),
        (
            "limits",
            "address_connections = 0",
            "h.toml:11: `address_connections` = 0 is out of range; give 1 to 1000000",
        ),
        (
            "limits",
            "plain_connections = 10001",
            "h.toml:11: `plain_connections` = 10001 is out of range; give 1 to 10000",
        ),
        (
            "limits",
            "connection_buffer_bytes = 1048575",
            "h.toml:11: `connection_buffer_bytes` = 1048575 is out of range; give 1048576 to 1099511627776",
        ),
        (
            "limits",
            "connections = 1.5",
            "h.toml:11: `connections` is a number with a fraction; write a whole number",
        ),
        (
            "limits",
            "line_bytes = 32769",
            "h.toml:11: `line_bytes` = 32769 is out of range; give 512 to 32768",
        ),
        ("limits", "line_seconds = 0", "h.toml:11: `line_seconds` = 0 is out of range; give 0.01 to 86400"),
        (
            "limits",
            "line_seconds = nan",
            "h.toml:11: `line_seconds` = NaN is out of range; give 0.01 to 86400",
        ),
        (
            "limits",
            "idle_seconds = inf",
            "h.toml:11: `idle_seconds` = inf is out of range; give 0.01 to 2592000",
        ),
        (
            "limits",
            "idle_seconds = \"1h\"",
            "h.toml:11: `idle_seconds` is a string; write a number of seconds",
        ),
        (
            "limits",
            "max_ahead_seconds = \"none\"",
            "h.toml:11: `max_ahead_seconds` is a string; write a number of seconds, or \"off\"",
        ),
        (
            "limits",
            "max_ahead_seconds = false",
            "h.toml:11: `max_ahead_seconds` is true or false; write a number of seconds, or \"off\"",
        ),
        (
            "limits",
            "max_ahead_seconds = 2592001",
            "h.toml:11: `max_ahead_seconds` = 2592001 is out of range; give 0 to 2592000, or \"off\"",
        ),
        (
            "limits",
            "backoff_ms_min = 6000",
            "h.toml:11: `backoff_ms_min` is above `backoff_ms_max`; make it the smaller one",
        ),
        (
            "limits",
            "\nbackoff_ms_max = 99",
            "h.toml:12: `backoff_ms_min` is above `backoff_ms_max`; make it the smaller one",
        ),
        ("log", "traffic = 1", "h.toml:11: `traffic` is a whole number; write true or false"),
        (
            "log",
            "trafic = true",
            "h.toml:11: unknown key `trafic` in [log] (did you mean \"traffic\"?); the keys known there are traffic, bodies, connections, file, events_file, buffer_bytes, file_bytes, files_kept, audit_file, audit_buffer_bytes, audit_file_bytes, audit_files_kept",
        ),
        (
            "places",
            "source = \"bing\"",
            "h.toml:11: \"bing\" is no source of places; the sources are embedded, file, google, google-new, tweets, none",
        ),
        ("places", "source = 1", "h.toml:11: `source` is a whole number; write a source's name in quotes"),
        (
            "places",
            "key = 1",
            "h.toml:11: unknown key `key` in [places]; the keys known there are ratings, connect_seconds, response_seconds, total_seconds, body_bytes, lookups, calls_per_second, calls_per_day, cache_seconds, cache_bytes, breaker_failures, breaker_seconds, source, then, key_file, ca_file, file, tweets_file, array, base_url, new_base_url, language, type",
        ),
        (
            "places",
            "source = \"file\"",
            "h.toml:10: source \"file\" needs a file; name one as `file` in [places]",
        ),
        (
            "places",
            "source = \"google\"\nthen = [\"google-new\",\n\"tweets\"]\ntweets_file = \"t\"",
            "h.toml:13: \"tweets\" has no places to answer with; leave it out of `then`",
        ),
        (
            "places",
            "then = \"google\"",
            "h.toml:11: \"embedded\" does not fail, so nobody is asked after it; leave it out of `then`",
        ),
        (
            "places",
            "source = \"google\"\nthen = [\"google\"]",
            "h.toml:12: \"google\" has been asked by then; leave it out of `then`",
        ),
        (
            "places",
            "key_file = \"\"",
            "h.toml:11: `key_file` is empty; write a path in quotes, or leave it out",
        ),
        (
            "places",
            "base_url = \"maps\"",
            "h.toml:11: `base_url` = \"maps\" is no place of a service; write \"https://HOST\", without a query",
        ),
    ] {
        assert_eq!(fault_of(&format!("{TWO_NODES}[{table}]\n{setting}\n")), line, "{setting}");
    }
    assert_eq!(
        fault_of(&format!("limits = 5\n{TWO_NODES}")),
        "h.toml:1: `limits` is a whole number; write a table"
    );
    let unknown = fault_of(&format!("{TWO_NODES}[limits]\nline_second = 5\n"));
    assert!(unknown.starts_with("h.toml:11: unknown key `line_second` in [limits] (did you mean \"line_seconds\"?); the keys known there are connections, address_connections, loopback_counts, "), "{unknown}");
}

#[test]
fn settings_land_in_their_fields() {
    let text =
        format!("{TWO_NODES}[limits]\nline_seconds = 0.05\nmax_ahead_seconds = 3\nbackoff_ms_min = 0x10\n");
    let limits = Herd::parse(&text, "h.toml").unwrap().limits;
    let millis = Duration::from_millis;
    assert_eq!(
        limits,
        Limits {
            line_time: millis(50),
            max_ahead: Some(millis(3_000)),
            backoff_min: millis(16),
            ..Limits::default()
        }
    );
}

#[test]
fn future_reports_are_limited_to_a_day_unless_that_is_off() {
    let limits = |table: &str| Herd::parse(&format!("{TWO_NODES}{table}"), "h.toml").unwrap().limits;
    assert_eq!(limits("").max_ahead, Some(Duration::from_secs(86_400)));
    assert_eq!(limits("[limits]\nmax_ahead_seconds = 0\n").max_ahead, Some(Duration::ZERO));
    assert_eq!(limits("[limits]\nmax_ahead_seconds = \"off\"\n").max_ahead, None);
    let herd = Herd::parse(&format!("{TWO_NODES}[limits]\nmax_ahead_seconds = \"off\"\n"), "h.toml").unwrap();
    assert!(herd.to_toml().contains("\nmax_ahead_seconds = \"off\" "), "{}", herd.to_toml());
}

#[test]
fn a_missing_file_is_named() {
    let line = Herd::load(Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(line.starts_with("no/such.toml: cannot be read: "), "{line}");
}

#[test]
fn one_node_alone_may_let_the_system_pick_its_port() {
    let text = "[herd]\nname = \"one\"\n[[node]]\nid = \"Alford\"\nlisten = \"[::1]:0\"\n";
    let herd = Herd::parse(text, "h.toml").unwrap();
    assert_eq!(herd.nodes[0].listen.to_string(), "[::1]:0");
    assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd);
}

const ACROSS_MACHINES: &str = r#"[herd]
name = "pair"
secret_file = "herd.secret"
[[node]]
id = "Alford"
listen = "0.0.0.0:11600"
address = "alford.example:11600"
links = ["Ball"]
[[node]]
id = "Ball"
listen = "0.0.0.0:11600"
address = "ball.example:11600"
[access]
clients = "open"
"#;

#[test]
fn a_herd_with_a_secret_goes_beyond_one_machine() {
    let herd = Herd::parse(ACROSS_MACHINES, "h.toml").unwrap();
    assert_eq!(herd.secret_file.as_deref(), Some(Path::new("herd.secret")));
    assert_eq!(herd.peer_tls, PeerTls::Required);
    for mode in PeerTls::ALL {
        let stated = format!("\"herd.secret\"\npeer_tls = \"{mode}\"");
        let stated = Herd::parse(&ACROSS_MACHINES.replace("\"herd.secret\"", &stated), "h.toml").unwrap();
        assert_eq!((stated.peer_tls, stated.to_toml().contains(&format!("\"{mode}\""))), (mode, true));
    }
    assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd);
    assert_eq!(
        fault_of(&ACROSS_MACHINES.replace("address = \"ball.example:11600\"\n", "")),
        "h.toml:11: Ball is to be dialled at 0.0.0.0:11600, which leads nowhere from another machine; give its `address` there"
    );
    assert_eq!(
        fault_of(&ACROSS_MACHINES.replace("secret_file = \"herd.secret\"\n", "")).split(", where").next(),
        Some("h.toml:5: 0.0.0.0:11600 is beyond loopback")
    );
}

#[test]
fn a_secret_files_path_begins_at_the_configurations_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("h.toml");
    for (stated, whole) in [
        ("herd.secret".to_owned(), folder.path().join("herd.secret")),
        ("keys/\"a\\b\".secret".to_owned(), folder.path().join("keys/\"a\\b\".secret")),
        ("/etc/herd.secret".to_owned(), "/etc/herd.secret".into()),
    ] {
        let stated = toml::Value::from(stated).to_string();
        fs::write(&path, ACROSS_MACHINES.replace("\"herd.secret\"", &stated)).unwrap();
        let herd = Herd::load(&path).unwrap();
        assert_eq!(herd.secret_file, Some(whole));
        assert_eq!(Herd::parse(&herd.to_toml(), "again").unwrap(), herd);
    }
}
