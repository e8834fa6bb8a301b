//! What connections cost that speak TLS and then nothing, or do not get as far.

use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::support::{Authority, peers_tls};

/// A node that takes clients over TLS, and has what it shows them.
fn with_tls(kind: &'static str) -> Scene {
    let prepare = |herd: &Herd| {
        let (certificate, key) = Authority::new().issue("localhost", (2040, 1, 1));
        for (name, text) in [("node.pem", certificate), ("node.key", key)] {
            let file = herd.config.with_file_name(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
    };
    let more = format!(
        "{ALONE}\ntls_listen = \"127.0.0.1:11605\"\n\
         [tls]\ncertificate_file = \"node.pem\"\nkey_file = \"node.key\""
    );
    Scene::with(kind, "11605", prepare, (&more, ""))
}

#[test]
fn silence_over_tls() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene = with_tls("says nothing, over TLS");
    let secured = |stream| crate::support::Client::of(stream).secured(peers_tls::dialler(&[])).unwrap();
    let mut clients: Vec<_> = scene.connect().into_iter().map(secured).collect();
    for client in &mut clients {
        // Its handshake is over at the node, too.
        assert_eq!(client.ask("hello"), "? hello");
    }
    scene.expect_at_last(|| {});
}

#[test]
fn half_handshakes_of_tls() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene = with_tls("stops half way through a handshake of TLS");
    let mut hello = Vec::new();
    peers_tls::dialler(&[]).write_tls(&mut hello).unwrap();
    let mut streams = scene.connect();
    for stream in &mut streams {
        stream.write_all(&hello).unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).unwrap(), 0);
    }
    scene.expect_within();
}
