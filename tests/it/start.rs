//! A node that cannot start because the system has no thread left: it says so, and leaves nothing behind.

use std::{
    collections::BTreeSet,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
};

use crossbeam_channel::bounded;
use parking_lot::Mutex;
use proxyherd::server::{DoorKind, Role, StartError};

use crate::support::{Client, FakePeer, Setup, own_ip};

/// A node that has everything a node may have.
fn setup(welsh: &FakePeer, plain: SocketAddr) -> Setup {
    Setup::new().http("").neighbour(welsh).plain("Plain", plain, "")
}

/// The threads such a node begins with.
const THREADS: [&str; 6] = ["accept", "accept-http", "accept-plain", "flood-Plain", "flood-Welsh", "log"];

#[test]
fn node_begins_with_the_threads_that_are_tried_below() {
    let (welsh, plain) = (FakePeer::new("Welsh"), TcpListener::bind("127.0.0.1:0").unwrap());
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let names = Arc::clone(&asked);
    let _node = setup(&welsh, plain.local_addr().unwrap())
        .before_spawn(move |role| {
            names.lock().insert(role.to_string());
            Ok(())
        })
        .start();
    let asked: Vec<String> = asked.lock().iter().cloned().collect();
    assert_eq!(asked, THREADS);
}

#[test]
fn node_without_one_of_its_threads_does_not_start_says_which_and_leaves_nothing() {
    let (welsh, plain) = (FakePeer::new("Welsh"), TcpListener::bind("127.0.0.1:0").unwrap());
    let ip = own_ip();
    for missing in THREADS {
        let mut node = setup(&welsh, plain.local_addr().unwrap())
            .ip(ip)
            .before_spawn(move |role| match role.to_string() == missing {
                true => Err(ErrorKind::WouldBlock.into()),
                false => Ok(()),
            })
            .launch();
        // Its scopes have ended when it returns, and with them all the threads it had.
        let error = node.expect_not_started();
        assert!(
            matches!(&error, StartError::Thread { role, .. } if role.to_string() == missing),
            "{missing}: {error}"
        );
        let said = error.to_string();
        assert!(said.contains(&format!("the thread {missing} cannot be started: ")), "{said}");
        assert!(said.contains("ulimit -u") && !said.contains('\n'), "{said}");
        for address in node.addresses() {
            // Nobody else listens at this address, whatever ports the system gives out.
            let refused = TcpStream::connect(address).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{missing}");
        }
        let log = node.log();
        // What has no thread for its log has no log.
        let is_told = log.contains(&format!("Alford does not start: the thread {missing} cannot be started"));
        assert!(is_told || missing == "log", "{missing}: {log}");
        assert!(!log.contains("drained"), "{log}");
    }
}

#[test]
fn quick_client_does_not_keep_up_a_node_that_does_not_start() {
    let (welsh, plain) = (FakePeer::new("Welsh"), TcpListener::bind("127.0.0.1:0").unwrap());
    let (tell, address) = bounded::<SocketAddr>(1);
    let (came, client) = bounded(1);
    let mut node = setup(&welsh, plain.local_addr().unwrap())
        .before_spawn(move |role| {
            if *role == Role::Accept(DoorKind::Plain) {
                // Clients are accepted by now.
                let _ = came.send(Client::connect(address.recv().map_err(io::Error::other)?));
                return Err(ErrorKind::WouldBlock.into());
            }
            Ok(())
        })
        .launch();
    tell.send(node.address()).unwrap();
    let error = node.expect_not_started();
    assert!(matches!(&error, StartError::Thread { role: Role::Accept(DoorKind::Plain), .. }), "{error}");
    client.recv().unwrap().expect_closed();
}
