//! Whether the peers of a herd speak TLS with each other. A herd moves from plain connections to TLS through the modes
//! in their order: all nodes to the next one, before any to the one after it. No node that dials falls back to plain
//! TCP, so nobody between two nodes can make it.

use std::fmt;

/// What a node says to peers, and what it takes from them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum PeerTls {
    /// Dials plain, takes plain only.
    #[default]
    Off,
    /// Dials plain, takes both.
    Accept,
    /// Dials TLS, takes both.
    On,
    /// Dials TLS, takes TLS only.
    Required,
}

impl PeerTls {
    /// All of them, in the order in which a herd moves.
    pub const ALL: [Self; 4] = [Self::Off, Self::Accept, Self::On, Self::Required];

    /// Its word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Accept => "accept",
            Self::On => "on",
            Self::Required => "required",
        }
    }

    /// Whether the node dials its peers over TLS.
    pub fn dials_tls(self) -> bool {
        self >= Self::On
    }

    /// Whether peers may dial it over TLS.
    pub fn takes_tls(self) -> bool {
        self >= Self::Accept
    }

    /// Whether peers may dial it without TLS.
    pub fn takes_plain(self) -> bool {
        self < Self::Required
    }
}

impl fmt::Display for PeerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_are_one_mode_apart_reach_each_other_both_ways() {
        let reaches =
            |from: PeerTls, to: PeerTls| if from.dials_tls() { to.takes_tls() } else { to.takes_plain() };
        for pair in PeerTls::ALL.windows(2) {
            assert!(reaches(pair[0], pair[1]) && reaches(pair[1], pair[0]), "{pair:?}");
        }
        for mode in PeerTls::ALL {
            assert!(reaches(mode, mode), "{mode}");
        }
        // Two steps at once leave nodes that cannot reach each other.
        assert!(!reaches(PeerTls::On, PeerTls::Off) && !reaches(PeerTls::Accept, PeerTls::Required));
    }
}
