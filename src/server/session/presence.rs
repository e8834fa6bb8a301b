//! That a neighbour is connected to this node: a fact as long as the connection's session lives, however it ends.

use parking_lot::Mutex;

use crate::core::{access::Peers, links::Health};

/// A neighbour's presence on one connection. When it is dropped, the neighbour has left.
#[derive(Debug)]
pub(super) struct Presence<'a> {
    health: &'a Health,
    admission: Option<Admission<'a>>,
}

/// The place that a handshake was given among the neighbours' connections.
#[derive(Debug)]
struct Admission<'a> {
    peers: &'a Mutex<Peers>,
    link: usize,
    connection: u64,
}

impl<'a> Presence<'a> {
    /// Of the neighbour `link`, which `peers` has admitted on that connection.
    pub(super) fn admitted(
        health: &'a Health,
        peers: &'a Mutex<Peers>,
        link: usize,
        connection: u64,
    ) -> Self {
        health.connected_here();
        Self { health, admission: Some(Admission { peers, link, connection }) }
    }

    /// Of a neighbour that shakes no hands, and may have as many connections as it likes.
    pub(super) fn plain(health: &'a Health) -> Self {
        health.connected_here();
        Self { health, admission: None }
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        if let Some(Admission { peers, link, connection }) = self.admission {
            peers.lock().left(link, connection);
        }
        self.health.left();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::core::{access, model::Tick};

    #[test]
    fn session_that_panics_leaves_its_link_to_the_next_start_of_the_neighbour() {
        let (health, peers) = (Health::default(), Mutex::new(Peers::new(1, Tick::from_secs(5))));
        peers.lock().admit(0, 7, 100, Tick::ZERO);
        let session = catch_unwind(AssertUnwindSafe(|| {
            let _admitted = Presence::admitted(&health, &peers, 0, 100);
            let _plain = Presence::plain(&health);
            assert!(!health.condition(Tick::ZERO).is_connected_here, "so it panics here");
        }));
        assert!(session.is_err());
        assert!(!health.condition(Tick::ZERO).is_connected_here);
        assert_eq!(peers.lock().admit(0, 8, 101, Tick::ZERO), access::Admission::Admitted);
    }
}
