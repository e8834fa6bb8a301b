//! What connections cost at the door for third-party nodes.

use super::*;

/// Where a third-party neighbour is.
const PLAIN: [u8; 4] = [127, 0, 0, 9];

fn with_plain_neighbour() -> String {
    format!(
        "{ALONE}\nplain_listen = \"127.0.0.1:11700\"\nlinks = [\"Plain\"]\n[[node]]\nid = \"Plain\"\n\
         listen = \"{}:1\"\ndialect = \"plain\"",
        IpAddr::from(PLAIN)
    )
}

#[test]
fn strangers_where_third_party_nodes_come_in() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let mut scene =
        Scene::with("is a stranger at `plain_listen`", "11700", |_| {}, (&with_plain_neighbour(), ""));
    let stranger = own_ip();
    for _ in 0..COUNT {
        let mut stream = connect_from(stranger.into(), scene.address());
        // It may end by a reset.
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)));
    }
    scene.expect_to_come_down(|| {});
    // That none of them got as far as a thread, plain_seats.rs shows.
    let log = scene.herd.log(Setup::ID).join("\n");
    assert!(log.contains(" is not the address of a third-party node"), "{log}");
}

#[test]
fn connections_of_a_third_party_neighbour() {
    let _turn = heavy();
    if !can_count() {
        return;
    }
    let most = Limits::default().plain_connections as u64;
    let mut scene =
        Scene::with("is from a third-party neighbour", "11700", |_| {}, (&with_plain_neighbour(), ""));
    let streams: Vec<_> = (0..COUNT).map(|_| connect_from(PLAIN.into(), scene.address())).collect();
    for stream in &streams {
        stream.set_nonblocking(true).unwrap();
    }
    let is_open = |mut stream: &TcpStream| matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    eventually("all but the last are closed", || {
        streams.iter().filter(|stream| is_open(stream)).count() as u64 == most
    });
    assert!(streams[(COUNT - most) as usize..].iter().all(is_open));
    scene.most.0 = most;
    scene.expect_within();
}
