//! A herd that moves from plain links to TLS while it runs and is reported to, node by node and mode by mode.

use std::fs;

use proxyherd::core::access::PeerTls;

use super::support::{Herd, Load, eventually, heavy, herd_command, wait_until_agreed};

const ALL: [&str; 3] = ["A", "B", "C"];

/// Three nodes in a line, with a secret.
fn line_with_secret(mode: PeerTls) -> Herd {
    let node = |id: &str, port: u16, links: &str| {
        format!("[[node]]\nid = \"{id}\"\nlisten = \"127.0.0.1:{port}\"\nlinks = [{links}]\n")
    };
    let herd = Herd::new(&format!(
        "[herd]\nname = \"trio\"\nsecret_file = \"herd.secret\"\npeer_tls = \"{mode}\"\n[log]\ntraffic = false\n{}{}{}",
        node("A", 11600, "\"B\""),
        node("B", 11601, "\"C\""),
        node("C", 11602, "")
    ));
    let made = herd_command(&["secret"]).arg(herd.config.with_file_name("herd.secret")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    herd
}

fn set_mode(herd: &Herd, from: PeerTls, to: PeerTls) {
    let text = fs::read_to_string(&herd.config).unwrap();
    let changed = text.replace(&format!("peer_tls = \"{from}\""), &format!("peer_tls = \"{to}\""));
    assert_ne!(changed, text);
    fs::write(&herd.config, changed).unwrap();
}

#[test]
fn herd_moves_to_tls_and_back_node_by_node_under_load_and_nothing_acknowledged_is_lost() {
    let _turn = heavy();
    let mut herd = line_with_secret(PeerTls::Off);
    herd.start_all();
    let load = Load::start(&herd, &ALL);
    let there = PeerTls::ALL.windows(2).map(|pair| (pair[0], pair[1]));
    let back = PeerTls::ALL.windows(2).rev().map(|pair| (pair[1], pair[0]));
    for (from, to) in there.chain(back) {
        set_mode(&herd, from, to);
        for id in ALL {
            load.wait_for_more(&ALL, 300);
            herd.stop(id);
            let neighbours = herd.neighbours(id);
            let lines: Vec<_> = neighbours.iter().map(|neighbour| herd.log(neighbour).len()).collect();
            herd.start(id);
            herd.wait_for_links();
            for (neighbour, lines) in neighbours.iter().zip(lines) {
                herd.wait_for_step(neighbour, id, lines);
            }
        }
        for id in ALL {
            // What a node announces may be a moment ahead of its log.
            eventually(&format!("{id} has dialled as {to} has it"), || {
                let last = herd.log(id).into_iter().rev().find(|line| line.contains(" linked "));
                last.is_some_and(|line| line.contains("over TLS") == to.dials_tls())
            });
        }
    }
    load.wait_for_more(&ALL, 300);
    wait_until_agreed(&herd, &ALL, &load.end());
    for id in ALL {
        let is_refusal =
            |line: &String| line.contains("handshake was refused") || line.contains("speaks TLS");
        let refused = herd.log(id).into_iter().find(is_refusal);
        assert_eq!(refused, None, "at no step is anyone refused");
    }
}

#[test]
fn herd_with_a_secret_speaks_tls_unless_it_is_told_otherwise_and_one_without_cannot() {
    let mut herd = line_with_secret(PeerTls::Required);
    let text = fs::read_to_string(&herd.config).unwrap();
    fs::write(&herd.config, text.replace("peer_tls = \"required\"\n", "")).unwrap();
    herd.start_all();
    let at = herd.report("A", "kiwi", "1400000000");
    herd.wait_until_known(&ALL, "kiwi", &at);
    for (id, peer) in [("A", "B"), ("B", "A"), ("B", "C"), ("C", "B")] {
        herd.wait_for_log(id, &[&format!("linked {peer} at "), " over TLS"]);
        herd.wait_for_log(id, &[&format!("{peer} is connected to this node as #"), " over TLS"]);
    }
    let without = text.replace("secret_file = \"herd.secret\"\n", "");
    fs::write(&herd.config, without).unwrap();
    let refused = herd.command(&["node", "A"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("`peer_tls` = \"required\" needs a secret") && said.lines().count() == 1, "{said}");
}
