//! A herd of five of which one is a third-party node: news both ways across the whole herd, through its restart and through
//! that of its only neighbour.

use std::net::{SocketAddr, TcpListener};

use super::support::{Herd, eventually, heavy};
use crate::support::{Manners, PlainNode};

const OURS: [&str; 4] = ["A", "B", "C", "D"];

/// A chain of A, B, C and D, and Plain beside B.
fn mixed(keys: &str) -> Herd {
    Herd::new(&format!(
        r#"
[herd]
name = "mixed"
[[node]]
id = "A"
listen = "127.0.0.1:11601"
links = ["B"]
[[node]]
id = "B"
listen = "127.0.0.1:11602"
plain_listen = "127.0.0.1:11702"
links = ["C", "Plain"]
[[node]]
id = "C"
listen = "127.0.0.1:11603"
links = ["D"]
[[node]]
id = "D"
listen = "127.0.0.1:11604"
[[node]]
id = "Plain"
listen = "127.0.0.1:11605"
dialect = "plain"
{keys}
"#
    ))
}

fn address(herd: &Herd, id: &str, port: u16) -> SocketAddr {
    let listens_at: SocketAddr = herd.listens_at(id).parse().unwrap();
    SocketAddr::new(listens_at.ip(), port)
}

fn tells(plain: &PlainNode, herd: &Herd, client: &str) {
    plain.report(client, "6.5");
    herd.wait_until_known(&OURS, client, &format!("AT Plain +1.000000000 {client} +1+1 6.5"));
}

fn hears(plain: &PlainNode, herd: &Herd, from: &str, client: &str) -> String {
    let at = herd.report(from, client, "1479413884.5");
    eventually("the plain node knows", || plain.knows(client).as_deref() == Some(&at));
    herd.wait_until_known(&OURS, client, &at);
    at
}

#[test]
fn herd_with_a_third_party_node_agrees_through_restarts() {
    let _turn = heavy();
    for (keys, manners) in [
        ("", Manners::default()),
        (
            "at_fields = 6\nline_end = \"crlf\"",
            Manners { six_fields: true, crlf: true, ..Manners::default() },
        ),
    ] {
        let mut herd = mixed(keys);
        for id in OURS {
            herd.start(id);
        }
        let (own, door) = (address(&herd, "A", 11605), address(&herd, "B", 11702));
        let start = || {
            let plain = PlainNode::start("Plain", TcpListener::bind(own).unwrap(), manners);
            plain.tell(door);
            plain
        };
        let plain = start();
        hears(&plain, &herd, "D", "one");
        tells(&plain, &herd, "two");
        drop(plain);
        let at = herd.report("A", "three", "1479413884.5");
        let plain = start();
        eventually("the plain node has been told everything", || plain.known() == 3);
        assert_eq!(plain.knows("three").unwrap(), at);
        tells(&plain, &herd, "four");
        herd.kill("B");
        let at = herd.report("D", "five", "1479413884.5");
        herd.start("B");
        plain.tell(door);
        eventually("the plain node has been told what B was", || plain.knows("five").as_deref() == Some(&at));
        tells(&plain, &herd, "six");
        hears(&plain, &herd, "A", "seven");
    }
}
