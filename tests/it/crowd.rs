//! Many connections at once, and a system that has no thread left for another.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use proxyherd::server::Role;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{Client, Setup, heavy};

/// Sets the soft limit on descriptors to the hard one, and checks that it is enough.
fn raise_descriptors(wanted: u64) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    assert!(
        maximum.is_none_or(|maximum| maximum >= wanted),
        "raise the hard limit on descriptors to {wanted}"
    );
}

#[test]
fn two_thousand_connections_at_once_are_all_answered() {
    let _heavy = heavy();
    let count = 2000;
    // Both ends of each are in this process, beside what other tests have open.
    raise_descriptors(2 * count as u64 + 1000);
    let node = Setup::new().start();
    let mut clients: Vec<Client> = (0..count).map(|_| node.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(format!("IAMAT c{number} +1+1 {number}\n"));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let reply = String::from_utf8(client.line()).unwrap();
        assert!(reply.ends_with(&format!(" c{number} +1+1 {number}\n")), "{reply}");
    }
    // All are still there.
    for (number, client) in clients.iter_mut().enumerate() {
        let other = (number + 1) % count;
        assert!(client.ask(&format!("WHATSAT c{other} 1 1")).ends_with(&format!(" c{other} +1+1 {other}")));
    }
}

#[test]
fn connection_that_gets_no_thread_is_closed_and_the_node_goes_on() {
    let asked = Arc::new(AtomicUsize::new(0));
    let spawner = move |role: &Role| {
        let is_refused =
            matches!(role, Role::Session(_)) && !asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
        if is_refused { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    };
    // Were a place not freed again, the second client would find none.
    let node = Setup::new().limit("connections", 20).before_spawn(spawner).start();
    let mut served = Vec::new();
    for _ in 0..15 {
        let mut client = node.client();
        assert_eq!(client.ask("hello"), "? hello");
        served.push(client);
        for _ in 0..2 {
            node.client().expect_closed();
        }
    }
    for client in &mut served {
        assert_eq!(client.ask("still here"), "? still here");
    }
}
