//! A location as text: the line that a client gets, that floods, and that repair pushes.

use super::PEER_LINE_BYTES_MAX;
use crate::core::model::{Location, NodeId};

impl Location<'_> {
    /// Appends `AT server skew client position timestamp`, without a terminator.
    pub fn write_at(&self, out: &mut Vec<u8>) {
        out.reserve(self.at_length());
        out.extend_from_slice(b"AT");
        for field in &self.at_words()[1..] {
            out.push(b' ');
            out.extend_from_slice(field);
        }
    }

    /// The words of that line.
    pub fn at_words(&self) -> [&[u8]; 6] {
        [b"AT", self.server, self.skew, self.client.as_bytes(), self.position, self.timestamp]
    }

    /// How many bytes [`Location::write_at`] appends.
    pub fn at_length(&self) -> usize {
        self.at_words().map(|word| 1 + word.len()).iter().sum::<usize>() - 1
    }
}

/// Reads a location of a node's line. One that could not be passed on is none.
pub(super) fn location_of(fields: [&[u8]; 5]) -> Option<Location<'_>> {
    let location = Location::of_fields(fields)?;
    // Whoever passes it on appends a name, perhaps a longer one.
    let fits = location.at_length() + 1 + NodeId::LENGTH_MAX <= PEER_LINE_BYTES_MAX;
    fits.then_some(location)
}

/// Appends a location as it is flooded: the AT line with the sender's id appended.
pub fn write_flooded(location: &Location<'_>, sender: &NodeId, out: &mut Vec<u8>) {
    location.write_at(out);
    out.push(b' ');
    out.extend_from_slice(sender.as_bytes());
    out.push(b'\n');
}

/// Appends a location as it is pushed to a neighbour that lacks it.
pub fn write_push(location: &Location<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"PUSH");
    let at = out.len();
    location.write_at(out);
    out.drain(at..at + "AT".len());
    out.push(b'\n');
}
