//! Whether a connection's first line makes it a neighbour's: the handshake, from the side that is dialled.

use super::Node;
use crate::{flood::Admission, protocol::Hello, store::Merge};

/// A neighbour that is let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Welcome {
    /// Its position among the neighbours.
    pub link: usize,
    /// Its earlier connection, which is to be closed.
    pub replaces: Option<u64>,
}

impl<M: Merge> Node<M> {
    /// Judges a handshake, and appends the answer to one that is good. `admit` is asked, with the neighbour's position and
    /// incarnation, about other connections in its name. An `Err` is the sentence to refuse with.
    pub fn welcome(
        &self,
        line: &[u8],
        admit: impl FnOnce(usize, u64) -> Admission,
        out: &mut Vec<u8>,
    ) -> Result<Welcome, String> {
        let hello = Hello::parse(line)?;
        let from = String::from_utf8_lossy(hello.from);
        if hello.herd != self.herd.as_bytes() {
            let theirs = String::from_utf8_lossy(hello.herd);
            return Err(format!(
                "this node is of the herd {}, not {theirs}; mend the address or the herd's name",
                self.herd
            ));
        }
        if hello.incarnation == self.incarnation {
            return Err(format!("{} has dialled itself; mend the addresses of its links", self.id));
        }
        if hello.to != self.id.as_bytes() {
            let meant = String::from_utf8_lossy(hello.to);
            return Err(format!("this node is {}, not {meant}; mend the address of {meant}", self.id));
        }
        let position = self.neighbours.iter().position(|neighbour| neighbour.id.as_bytes() == hello.from);
        let Some(link) = position else {
            return Err(format!("{} has no link to {from}; give both nodes the same configuration", self.id));
        };
        if hello.check != self.check {
            return Err(format!(
                "{} and {from} place clients differently; give both the same configuration",
                self.id
            ));
        }
        let replaces = match admit(link, hello.incarnation) {
            Admission::Admitted => None,
            Admission::Replaces(connection) => Some(connection),
            Admission::Refused(silence) => {
                return Err(format!(
                    "another {from} was heard from {silence:?} ago; end one of the two, or wait until it is forgotten"
                ));
            }
        };
        Hello::new(&self.herd, &self.id, &self.neighbours[link].id, self.incarnation, self.check).write(out);
        Ok(Welcome { link, replaces })
    }
}
