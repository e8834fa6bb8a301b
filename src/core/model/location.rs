//! What a herd remembers of a client, and the total order that decides which of two memories lives.

use std::cmp::Ordering;

use super::{ClientId, NodeId, Skew, Timestamp, is_position};

/// A client's location as one server took it: the fields of an AT line, borrowed from whatever holds them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Location<'a> {
    /// The id of the server the client reported to.
    pub server: &'a [u8],
    /// That server's clock minus the client's timestamp, as [`Skew::text`] writes it.
    pub skew: &'a [u8],
    /// Who reported.
    pub client: ClientId<'a>,
    /// The ISO 6709 text of the report.
    pub position: &'a [u8],
    /// The timestamp's text of the report.
    pub timestamp: &'a [u8],
    /// The value of `timestamp`.
    pub time: Timestamp,
}

impl<'a> Location<'a> {
    /// The fields of an AT line, checked by the rules that hold on every node alike; `None` if one breaks them.
    pub fn of_fields(fields: [&'a [u8]; 5]) -> Option<Self> {
        let [server, skew, client, position, timestamp] = fields;
        let sound = NodeId::is_valid(server) && Skew::is_skew(skew) && is_position(position);
        let time = Timestamp::parse(timestamp)?;
        sound.then_some(Self { server, skew, client: ClientId::new(client)?, position, timestamp, time })
    }

    /// The order in which one client's locations replace each other: by time, and where times are equal by the
    /// whole content, so that all nodes choose alike in whatever order the locations reach them.
    pub fn cmp_age(&self, other: &Self) -> Ordering {
        debug_assert_eq!(self.client, other.client);
        let content =
            |location: &Self| (location.timestamp, location.position, location.server, location.skew);
        self.time.cmp(&other.time).then_with(|| content(self).cmp(&content(other)))
    }
}

/// A location that owns its text, to be copied into under a lock and read after it.
#[derive(Clone, Default, Debug)]
pub struct OwnedLocation {
    /// Server, skew, position and timestamp, one after the other.
    text: Vec<u8>,
    /// Where each of them ends.
    ends: [usize; 4],
    time: Timestamp,
}

impl OwnedLocation {
    /// Holds that location from now on. The client's id is not copied: whoever asks has it.
    pub fn copy_from(&mut self, location: &Location<'_>) {
        self.text.clear();
        let fields = [location.server, location.skew, location.position, location.timestamp];
        for (field, end) in fields.into_iter().zip(&mut self.ends) {
            self.text.extend_from_slice(field);
            *end = self.text.len();
        }
        self.time = location.time;
    }

    /// The location, which is that client's.
    pub fn of<'a>(&'a self, client: ClientId<'a>) -> Location<'a> {
        let [server, skew, position, timestamp] = self.ends;
        Location {
            server: &self.text[..server],
            skew: &self.text[server..skew],
            client,
            position: &self.text[skew..position],
            timestamp: &self.text[position..timestamp],
            time: self.time,
        }
    }

    /// Bytes of memory it holds.
    pub fn capacity(&self) -> usize {
        self.text.capacity()
    }
}
