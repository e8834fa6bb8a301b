//! A herd in a network namespace of its own, whose whole network is taken down under load and brought up again: nothing is
//! closed, nothing can be reached, and what was on its way comes late or never. Needs `ip`, and the right to make a
//! namespace; without that right the test says loudly that it tests nothing.

use std::{fs, thread};

use super::support::{Load, Namespace, heavy, line_of, wait_until_agreed};

const ALL: [&str; 3] = ["A", "B", "C"];

#[test]
fn herd_whose_network_goes_away_under_load_is_whole_once_it_is_back() {
    let _turn = heavy();
    let Some(namespace) = Namespace::new("a herd whose network goes away") else { return };
    thread::scope(|scope| {
        let test = scope.spawn(|| {
            namespace.enter().unwrap();
            take_the_network_away(&namespace);
        });
        test.join().unwrap();
    });
}

fn take_the_network_away(namespace: &Namespace) {
    let mut herd = line_of(&ALL, "liveness_seconds = 1\n");
    herd.start_all();
    let load = Load::start(&herd, &ALL);
    load.wait_for_more(&ALL, 1000);
    let network = |of: &str| fs::read_link(of).unwrap();
    assert_ne!(network("/proc/thread-self/ns/net"), network("/proc/self/ns/net"), "it is another one");

    namespace.ip("link set lo down");
    for (id, peer) in [("A", "B"), ("B", "A"), ("B", "C"), ("C", "B")] {
        herd.wait_for_log(id, &[&format!("WARN  lost {peer}: it ")]);
        herd.wait_for_log(id, &[&format!("WARN  no link to {peer} at ")]);
    }
    let lines = ALL.map(|id| herd.log(id).len());
    namespace.ip("link set lo up");
    for (id, peer, lines) in
        [("A", "B", lines[0]), ("B", "A", lines[1]), ("B", "C", lines[1]), ("C", "B", lines[2])]
    {
        herd.wait_for_step(id, peer, lines);
    }
    load.wait_for_more(&ALL, 500);
    wait_until_agreed(&herd, &ALL, &load.end());
}
