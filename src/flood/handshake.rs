//! The handshake, from the side that dials: what a link says first, and whether whoever answers is whom it meant.

use super::link::Broken;
use crate::{
    model::NodeId,
    protocol::{Hello, REFUSED},
};

/// The two ends of a link.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The herd's name.
    pub herd: String,
    /// This node.
    pub id: NodeId,
    /// The neighbour.
    pub peer: NodeId,
    /// This node's start.
    pub incarnation: u64,
    /// The placement key's check value.
    pub check: u64,
}

impl Ends {
    /// Appends this node's handshake.
    pub(super) fn write_hello(&self, out: &mut Vec<u8>) {
        Hello::new(&self.herd, &self.id, &self.peer, self.incarnation, self.check).write(out);
    }

    /// Looks at the answer.
    pub(super) fn check_answer(&self, answer: &[u8]) -> Result<(), Broken> {
        if let Some(why) = answer.strip_prefix(REFUSED) {
            return Err(Broken::Refused(String::from_utf8_lossy(why).into_owned()));
        }
        let theirs = Hello::parse(answer).map_err(Broken::Stranger)?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let fault = if theirs.incarnation == self.incarnation {
            "the address leads back to this node; mend it".to_owned()
        } else if theirs.from != self.peer.as_bytes() || theirs.herd != self.herd.as_bytes() {
            format!("it is {} of the herd {}; mend the address", text(theirs.from), text(theirs.herd))
        } else if theirs.to != self.id.as_bytes() {
            format!("it answers {}", text(theirs.to))
        } else if theirs.check != self.check {
            "its placement key is another; give both nodes the same configuration".to_owned()
        } else {
            return Ok(());
        };
        Err(Broken::Stranger(fault))
    }
}
