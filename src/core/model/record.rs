//! What a herd remembers of a client: its location, or that it was forgotten; and the total order that decides which of
//! two records is kept.

use std::cmp::Ordering;

use super::{ClientId, Generation, Location, NodeId, Timestamp};

/// What a store holds of one client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientRecord<'a> {
    /// Where it is.
    Location(Location<'a>),
    /// That it was forgotten, and has not reported since.
    Tombstone(Tombstone<'a>),
}

/// What a forgetting leaves: the fields of a FORGOT line, borrowed from wherever they are stored. It hides what was known
/// of its client, from nodes that were cut off, too; while nothing replaces it, the client is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tombstone<'a> {
    /// The client.
    pub client: ClientId<'a>,
    /// The generation that it begins; never the first.
    pub generation: Generation,
    /// The text of the time after which a report must be to replace it.
    pub timestamp: &'a [u8],
    /// The value of `timestamp`.
    pub time: Timestamp,
    /// The id of the server that was told to forget the client.
    pub server: &'a [u8],
}

impl<'a> Tombstone<'a> {
    /// The fields of a FORGOT line, checked by the rules that are the same on every node; `None` if one breaks them.
    pub fn of_fields(fields: [&'a [u8]; 4]) -> Option<Self> {
        let [client, generation, timestamp, server] = fields;
        let (generation, time) = (Generation::parse(generation)?, Timestamp::parse(timestamp)?);
        let client = ClientId::new(client)?;
        NodeId::is_valid(server).then_some(Self { client, generation, timestamp, time, server })
    }
}

impl<'a> ClientRecord<'a> {
    /// The client.
    pub fn client(&self) -> ClientId<'a> {
        match self {
            Self::Location(location) => location.client,
            Self::Tombstone(tombstone) => tombstone.client,
        }
    }

    /// Its location, if this is one.
    pub fn location(&self) -> Option<&Location<'a>> {
        match self {
            Self::Location(location) => Some(location),
            Self::Tombstone(_) => None,
        }
    }

    /// What orders two records of one client, as long as it differs: generation, time, and a tombstone before a report
    /// of the same time, so that repeating what was hidden brings nothing back.
    pub fn rank(&self) -> (Generation, Timestamp, bool) {
        match self {
            Self::Location(location) => (location.generation, location.time, false),
            Self::Tombstone(tombstone) => (tombstone.generation, tombstone.time, true),
        }
    }

    /// The order in which one client's records replace each other: by rank, and for equal ranks by the whole content, so
    /// that all nodes choose alike in whatever order the records reach them.
    pub fn cmp_age(&self, other: &Self) -> Ordering {
        debug_assert_eq!(self.client(), other.client());
        self.rank().cmp(&other.rank()).then_with(|| self.content().cmp(&other.content()))
    }

    fn content(&self) -> [&'a [u8]; 4] {
        match self {
            Self::Location(location) => {
                [location.timestamp, location.position, location.server, location.skew]
            }
            Self::Tombstone(tombstone) => [tombstone.timestamp, tombstone.server, b"", b""],
        }
    }
}

impl<'a> From<Location<'a>> for ClientRecord<'a> {
    fn from(location: Location<'a>) -> Self {
        Self::Location(location)
    }
}

impl<'a> From<Tombstone<'a>> for ClientRecord<'a> {
    fn from(tombstone: Tombstone<'a>) -> Self {
        Self::Tombstone(tombstone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(generation: u64, timestamp: &str, position: &str) -> ClientRecord<'static> {
        let leak = |text: &str| -> &'static [u8] { Box::leak(text.to_owned().into_boxed_str()).as_bytes() };
        let fields: [&[u8]; 5] = [b"A", b"+0.000000001", b"kiwi", leak(position), leak(timestamp)];
        let location = Location::of_fields(fields).unwrap();
        Location { generation: Generation::new(generation).unwrap(), ..location }.into()
    }

    fn tombstone(fields: &'static str) -> ClientRecord<'static> {
        let [generation, timestamp, server] = fields.split(' ').collect::<Vec<_>>()[..] else { panic!() };
        Tombstone::of_fields([b"kiwi", generation.as_bytes(), timestamp.as_bytes(), server.as_bytes()])
            .unwrap()
            .into()
    }

    #[test]
    fn generation_orders_before_time_and_time_before_kind_and_kind_before_content() {
        let ascending = [
            report(0, "5", "+1+1"),
            report(0, "5", "+2+2"),
            report(0, "999999999999", "+1+1"),
            report(7, "4", "+1+1"),
            report(7, "5", "+9+9"),
            // Its server is less than any position, and still it is the greater.
            tombstone("7 5 !"),
            tombstone("7 5 A"),
            tombstone("7 5 B"),
            tombstone("7 5.0 A"),
            report(7, "5.000000001", "+1+1"),
            tombstone("8 0 A"),
            report(8, "1", "+1+1"),
        ];
        for (place, one) in ascending.iter().enumerate() {
            for (other_place, other) in ascending.iter().enumerate() {
                assert_eq!(one.cmp_age(other), place.cmp(&other_place), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn fields_of_a_tombstone_obey_the_rules_of_a_location() {
        let good: [&[u8]; 4] = [b"kiwi", b"1479413884392", b"1479413884.5", b"Alford"];
        assert!(Tombstone::of_fields(good).is_some());
        let bad: [(usize, &[u8]); 6] = [
            (0, b""),
            (1, b"0"),
            (1, b"9007199254740992"),
            (2, b"-1"),
            (2, b"1000000000000"),
            (3, b"Alf\xc3\xb6rd"),
        ];
        for (place, field) in bad {
            let mut fields = good;
            fields[place] = field;
            assert_eq!(Tombstone::of_fields(fields), None, "{}", field.escape_ascii());
        }
    }
}
