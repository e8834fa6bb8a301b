//! Which neighbours are connected to this node, and which of two connections under one name is believed. Pure:
//! connections are numbers, and the time is an argument.

use std::time::Duration;

use crate::core::model::Tick;

/// The inbound connection of each neighbour, by the neighbour's position among the node's links.
#[derive(Debug)]
pub struct Peers {
    connected: Vec<Option<Connected>>,
    liveness: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Connected {
    connection: u64,
    incarnation: u64,
    heard: Tick,
}

impl Peers {
    /// For `links` neighbours. One that was not heard from for `liveness` may be replaced by another process of its
    /// name.
    pub fn new(links: usize, liveness: Duration) -> Self {
        Self { connected: vec![None; links], liveness }
    }

    /// A handshake. A second connection from the same start of a neighbour replaces the first, which the neighbour has
    /// given up. One from another start is refused while the first lives, so that two nodes with one id do not evict
    /// each other for ever.
    ///
    /// Returns the connection that it replaces, which must be closed; or how long ago the other start was heard from.
    pub fn admit(
        &mut self,
        link: usize,
        incarnation: u64,
        connection: u64,
        now: Tick,
    ) -> Result<Option<u64>, Duration> {
        let first = self.connected[link];
        if let Some(first) = first
            && first.incarnation != incarnation
        {
            let silence = now.saturating_sub(first.heard);
            if silence < self.liveness {
                return Err(silence);
            }
        }
        self.connected[link] = Some(Connected { connection, incarnation, heard: now });
        Ok(first.map(|first| first.connection))
    }

    /// The neighbour sent something on that connection.
    pub fn heard(&mut self, link: usize, connection: u64, now: Tick) {
        if let Some(connected) = &mut self.connected[link]
            && connected.connection == connection
        {
            connected.heard = now;
        }
    }

    /// That connection has ended.
    pub fn left(&mut self, link: usize, connection: u64) {
        if self.connected[link].is_some_and(|connected| connected.connection == connection) {
            self.connected[link] = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Tick {
        Tick::from_secs(seconds)
    }

    #[test]
    fn same_start_replaces_its_own_connection() {
        let mut peers = Peers::new(2, seconds(5));
        assert_eq!(peers.admit(1, 7, 100, seconds(0)), Ok(None));
        assert_eq!(peers.admit(1, 7, 101, seconds(0)), Ok(Some(100)));
        // The first connection's end must not free the second's place.
        peers.left(1, 100);
        assert_eq!(peers.admit(1, 8, 102, seconds(1)), Err(seconds(1)));
    }

    #[test]
    fn another_start_waits_until_the_first_is_silent() {
        let mut peers = Peers::new(1, seconds(5));
        assert_eq!(peers.admit(0, 7, 100, seconds(0)), Ok(None));
        peers.heard(0, 100, seconds(3));
        peers.heard(0, 99, seconds(4));
        assert_eq!(peers.admit(0, 8, 101, seconds(7)), Err(seconds(4)));
        assert_eq!(peers.admit(0, 8, 101, seconds(8)), Ok(Some(100)));
    }

    #[test]
    fn another_start_is_taken_once_the_first_has_left() {
        let mut peers = Peers::new(1, seconds(5));
        assert_eq!(peers.admit(0, 7, 100, seconds(0)), Ok(None));
        peers.left(0, 100);
        assert_eq!(peers.admit(0, 8, 101, seconds(0)), Ok(None));
    }
}
