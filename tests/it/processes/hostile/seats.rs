//! What connections that come again and again do not keep others from.

use super::*;

#[test]
fn sockets_that_come_again_and_again_do_not_keep_a_neighbour_out_of_a_full_node() {
    let _turn = heavy();
    let node = |id: &str, port: u16, links: &str| {
        format!("[[node]]\nid = \"{id}\"\nlisten = \"127.0.0.1:{port}\"\nlinks = [{links}]\n")
    };
    let mut herd = Herd::new(&format!(
        "[herd]\nname = \"{HERD}\"\nsecret_file = \"herd.secret\"\n[limits]\nconnections = 1\n{}{}",
        node("A", 11600, "\"B\""),
        node("B", 11601, "")
    ));
    secret_of(7).create(&herd.config.with_file_name("herd.secret")).unwrap();
    herd.start("A");
    let mut client = herd.client("A");
    assert_eq!(client.ask("the only place"), "? the only place");
    let (address, (stop, stopped)) = (herd.listens_at("A"), crossbeam_channel::bounded::<()>(0));
    thread::scope(|scope| {
        for _ in 0..12 {
            let (address, stopped) = (address.clone(), stopped.clone());
            scope.spawn(move || {
                while !matches!(stopped.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected)) {
                    // Silent until it is closed.
                    let _ = Client::connect(&address).stream.read(&mut [0]);
                }
            });
        }
        for _ in 0..3 {
            herd.start("B");
            herd.wait_for_links();
            herd.kill("B");
        }
        drop(stop);
    });
    assert_eq!(client.ask("still here"), "? still here");
}
