//! What nodes say to each other after the handshake: locations, which clients get in the same words, tombstones, and the
//! lines that maintain a link. The search for differences is in `digest`. The protocol's version fixes the rules here, and they
//! are the same on every node: no clock, no configured limit.

use super::{Fields, Question, fields::decimal};
use crate::core::model::{ClientRecord, Generation, Location, NodeId, Timestamp, Tombstone};

/// The longest line on a peer's connection, without its terminator. Twice a client's, so that whatever a client may
/// report fits with the names and the skew added.
pub const PEER_LINE_BYTES_MAX: usize = 64 * 1024;

/// A line on a peer's connection after the handshake, parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerLine<'a> {
    /// A location or a tombstone that is flooded.
    Update(ClientRecord<'a>),
    /// One that the receiver was found to lack.
    Push(ClientRecord<'a>),
    /// A question about what the receiver holds.
    Ask(Question),
    /// Answered with [`write_pong`] once everything before it is done.
    Ping(u64),
    /// The round of that number is over: everything that was found missing has been pushed. Answered with the same
    /// line.
    Done(u64),
}

impl<'a> PeerLine<'a> {
    /// Parses a line, given without its terminator; `None` for a bad one.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::of(line);
        match fields.next()? {
            b"AT" => {
                let (location, last) = (fields.first()?, fields.next()?);
                let (generation, sender) = match fields.next() {
                    None => (None, last),
                    Some(sender) => (Some(last), sender),
                };
                let record = location_of(location, generation)?;
                (ends_well(fields) && NodeId::is_valid(sender)).then_some(Self::Update(record))
            }
            b"PUSH" => {
                let (location, generation) = (fields.first()?, fields.next());
                ends_well(fields).then(|| location_of(location, generation))?.map(Self::Push)
            }
            b"FORGOT" => {
                let (tombstone, sender) = (fields.first()?, fields.next());
                let record = ends_well(fields).then(|| tombstone_of(tombstone))??;
                match sender {
                    None => Some(Self::Push(record)),
                    Some(sender) => NodeId::is_valid(sender).then_some(Self::Update(record)),
                }
            }
            b"PING" => number(fields).map(Self::Ping),
            b"DONE" => number(fields).map(Self::Done),
            keyword => Question::of_fields(keyword, fields).map(Self::Ask),
        }
    }
}

impl<'a> ClientRecord<'a> {
    /// Reads back what [`ClientRecord::write`] wrote; `None` for anything else.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::of(line);
        match fields.next()? {
            b"AT" => {
                let (location, generation) = (fields.first()?, fields.next());
                ends_well(fields).then(|| location_of(location, generation))?
            }
            b"FORGOT" => tombstone_of(fields.exactly()?),
            _ => None,
        }
    }
}

impl ClientRecord<'_> {
    /// Appends `AT server skew client location timestamp`, and the generation if it is not the first, or `FORGOT client
    /// generation time server`; without a terminator.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Location(location) => {
                location.write_at(out);
                location.generation.write_after(out);
            }
            Self::Tombstone(tombstone) => {
                out.extend_from_slice(b"FORGOT ");
                out.extend_from_slice(tombstone.client.as_bytes());
                tombstone.generation.write_after(out);
                for field in [tombstone.timestamp, tombstone.server] {
                    out.push(b' ');
                    out.extend_from_slice(field);
                }
            }
        }
    }

    /// How many bytes [`ClientRecord::write`] appends.
    fn length(&self) -> usize {
        match self {
            Self::Location(location) => location.at_length() + location.generation.length_after(),
            Self::Tombstone(Tombstone { client, generation, timestamp, server, .. }) => {
                let fields = client.as_bytes().len() + generation.length_after();
                b"FORGOT ".len() + fields + 1 + timestamp.len() + 1 + server.len()
            }
        }
    }

    /// Itself, unless it is so long that it could not be passed on: a node that does appends its name, which may be
    /// longer.
    fn fitting(self) -> Option<Self> {
        Some(self).filter(|record| record.length() + 1 + NodeId::LENGTH_MAX <= PEER_LINE_BYTES_MAX)
    }
}

impl Location<'_> {
    /// Appends `AT server skew client location timestamp`, without a terminator: what clients get.
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

/// Parses a location in a node's line, and its generation, which is left out if it is the first.
fn location_of<'a>(fields: [&'a [u8]; 5], generation: Option<&[u8]>) -> Option<ClientRecord<'a>> {
    let location = Location::of_fields(fields)?;
    let generation = generation.map_or(Some(Generation::FIRST), Generation::parse)?;
    ClientRecord::Location(Location { generation, ..location }).fitting()
}

fn tombstone_of(fields: [&[u8]; 4]) -> Option<ClientRecord<'_>> {
    ClientRecord::Tombstone(Tombstone::of_fields(fields)?).fitting()
}

/// Whether no field is left.
fn ends_well(fields: Fields<'_>) -> bool {
    fields.exactly::<0>().is_some()
}

/// Appends a record as it is flooded: its line with the sender's id appended.
pub fn write_flooded(record: &ClientRecord<'_>, sender: &NodeId, out: &mut Vec<u8>) {
    record.write(out);
    out.push(b' ');
    out.extend_from_slice(sender.as_bytes());
    out.push(b'\n');
}

/// Appends a record as it is pushed to a neighbour that lacks it.
pub fn write_push(record: &ClientRecord<'_>, out: &mut Vec<u8>) {
    let begin = out.len();
    record.write(out);
    if matches!(record, ClientRecord::Location(_)) {
        drop(out.splice(begin..begin + "AT".len(), *b"PUSH"));
    }
    out.push(b'\n');
}

/// The only remaining field, a whole number.
pub(super) fn number(fields: Fields<'_>) -> Option<u64> {
    let [number] = fields.exactly()?;
    decimal(number)
}

/// Appends a question whose answer says that everything before it is done.
pub fn write_ping(number: u64, out: &mut Vec<u8>) {
    write_numbered("PING", number, out);
}

/// Appends the answer to a ping; `time` is this node's clock when it took the ping.
pub fn write_pong(number: u64, time: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("PONG {number} {time}\n").as_bytes());
}

/// Appends the end of a round, and the answer to it.
pub fn write_done(number: u64, out: &mut Vec<u8>) {
    write_numbered("DONE", number, out);
}

fn write_numbered(keyword: &str, number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{keyword} {number}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::wire::{Hello, PlainForm, PlainLine, parse_proof};

    #[test]
    fn flooded_locations_come_back_as_they_were_written() {
        let line =
            b"AT Alford +0.263873386 kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450 Bolden";
        let Some(PeerLine::Update(location)) = PeerLine::parse(line) else { panic!() };
        let mut out = Vec::new();
        write_flooded(&location, &NodeId::new("Bolden").unwrap(), &mut out);
        assert_eq!(out.strip_suffix(b"\n"), Some(&line[..]));
    }

    #[test]
    fn generation_comes_after_the_timestamp_and_before_the_sender() {
        let at = "AT Alford +0.000000001 kiwi +1+1 5 1479413884392";
        let line = format!("{at} Bolden");
        let Some(PeerLine::Update(flooded)) = PeerLine::parse(line.as_bytes()) else { panic!() };
        assert_eq!(flooded.rank().0.number(), 1_479_413_884_392);
        assert_eq!(ClientRecord::parse(at.as_bytes()), Some(flooded));
        assert_eq!(PeerLine::parse(at.replace("AT", "PUSH").as_bytes()), Some(PeerLine::Push(flooded)));
        // What a client gets says nothing of it.
        let (mut line, location) = (Vec::new(), *flooded.location().unwrap());
        location.write_at(&mut line);
        assert_eq!(String::from_utf8(line).unwrap(), "AT Alford +0.000000001 kiwi +1+1 5");
    }

    #[test]
    fn tombstone_is_flooded_with_its_sender_and_pushed_without() {
        let forgot = "FORGOT kiwi 1479413884392 1479413884.392014450 Alford";
        let record = ClientRecord::parse(forgot.as_bytes()).unwrap();
        assert_eq!(PeerLine::parse(format!("{forgot} Welsh").as_bytes()), Some(PeerLine::Update(record)));
        assert_eq!(PeerLine::parse(forgot.as_bytes()), Some(PeerLine::Push(record)));
        let (mut flooded, mut pushed) = (Vec::new(), Vec::new());
        write_flooded(&record, &NodeId::new("Welsh").unwrap(), &mut flooded);
        write_push(&record, &mut pushed);
        assert_eq!(String::from_utf8(flooded).unwrap(), format!("{forgot} Welsh\n"));
        assert_eq!(String::from_utf8(pushed).unwrap(), format!("{forgot}\n"));
    }

    #[test]
    fn the_other_lines_come_back_as_they_were_written() {
        let line = b"PUSH Alford +0.263873386 kiwi.cs.ucla.edu +34.068930-118.445127 1479413884.392014450\n";
        let Some(PeerLine::Push(location)) = PeerLine::parse(line) else { panic!() };
        let mut out = Vec::new();
        write_push(&location, &mut out);
        assert_eq!(out, line);
        out.clear();
        write_ping(u64::MAX, &mut out);
        assert_eq!(PeerLine::parse(&out), Some(PeerLine::Ping(u64::MAX)));
        out.clear();
        write_done(0, &mut out);
        assert_eq!((&out[..], PeerLine::parse(&out)), (&b"DONE 0\n"[..], Some(PeerLine::Done(0))));
    }

    #[test]
    fn bad_peer_lines_are_not_understood() {
        for line in [
            "",
            "IDLE",
            "PING",
            "PING -1",
            "PING 1 2",
            "PING 18446744073709551616",
            "PONG 1 1479413884.392014450",
            "DONE x",
            "PUSH Alford +0.000000001 a +1+1 1 Welsh",
            "SUM",
            "SUM 1 1",
            "SHARDS 1",
            "LEAVES",
            "LEAVES -1",
            "LIST 1 2",
            "LIST 1 2 3",
            "IAMAT a +1+1 1",
            "AT Alford +0.000000001 a +1+1 1",
            "AT Alford +0.000000001 a +1+1 1 Welsh more",
            "AT Alford +0.000000001 a +1+1 1 0 Welsh",
            "AT Alford +0.000000001 a +1+1 1 7 Welsh more",
            "PUSH Alford +0.000000001 a +1+1 1 7 Welsh",
            "FORGOT a",
            "FORGOT a 7 1",
            "FORGOT a 0 1 Alford",
            "FORGOT a 7 nan Alford",
            "FORGOT a 7 1 Alf\u{f6}rd",
            "FORGOT a 7 1 Alford W\u{f6}lsh",
            "FORGOT a 7 1 Alford Welsh more",
            "AT Alford +0.1 a +1+1 1 Welsh",
            "AT Alf\u{f6}rd +0.000000001 a +1+1 1 Welsh",
            "AT Alford +0.000000001 a +91+1 1 Welsh",
            "AT Alford +0.000000001 a +1+1 nan Welsh",
            "AT Alford -1.000000001 a +1+1 1 Welsh",
            "PUSH Alford +1.000000000 a +1+1 999999999999",
            "AT Alford 0.000000001 a +1+1 1 Welsh",
            "HELLO 2 a b c 0000000000000000 0000000000000000 - - -",
        ] {
            assert_eq!(PeerLine::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_line_is_taken_only_if_any_node_could_pass_it_on() {
        let of_length = |length: usize| {
            let rest = "AT A +0.000000001  +1+1 1 B".len();
            format!("AT A +0.000000001 {} +1+1 1 B", "x".repeat(length - rest))
        };
        let longest = PEER_LINE_BYTES_MAX - (NodeId::LENGTH_MAX - 1);
        assert!(PeerLine::parse(of_length(longest).as_bytes()).is_some());
        assert_eq!(PeerLine::parse(of_length(longest + 1).as_bytes()), None);
        let of_length = |length: usize| {
            let rest = "FORGOT  7 1 A B".len();
            format!("FORGOT {} 7 1 A B", "x".repeat(length - rest))
        };
        assert!(PeerLine::parse(of_length(longest).as_bytes()).is_some());
        assert_eq!(PeerLine::parse(of_length(longest + 1).as_bytes()), None);
    }

    const RIGHT: [&str; 12] = [
        "HELLO 2 herd Alford Welsh 0000000000000001 00000000000000ff - - -",
        "HELLO 2 herd Alford Welsh 0000000000000000 00000000000000ff 3600 0123456789abcdef0123456789abcdef -",
        "PROOF 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef 00000000000000ff",
        "AT Alford +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450 Bolden",
        "AT Alford +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450 9007199254740991 Bolden",
        "PUSH Alford -0.000000001 kiwi +1-1 1",
        "PUSH Alford -0.000000001 kiwi +1-1 1 1",
        "FORGOT kiwi 1479413884392 1479413884.392014450 Alford Bolden",
        "FORGOT kiwi 1 0 Alford",
        "PING 18446744073709551615",
        "DONE 0",
        "LIST 0 17 000000000000feed 128",
    ];

    proptest! {
        #[test]
        fn line_that_is_nearly_right_is_refused_or_means_the_same_when_it_is_written_again(
            right in prop::sample::select(RIGHT.to_vec()),
            bent in prop::option::of((any::<prop::sample::Index>(), "[0-9]{1,21}|[-+][0-9.]{1,9}|[0-9a-f]{15,17}|[0-9a-f]{32}|\\PC{0,8}")),
            tail in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let mut fields: Vec<&str> = right.split(' ').collect();
            if let Some((at, field)) = &bent {
                let at = at.index(fields.len());
                fields[at] = field;
            }
            let line = [fields.join(" ").as_bytes(), &tail].concat();
            let is_right = bent.is_none() && tail.is_empty();
            let (hello, peers, proof) = (Hello::parse(&line), PeerLine::parse(&line), parse_proof(&line));
            prop_assert!(!is_right || hello.is_ok() || peers.is_some() || proof.is_some());
            let plain = PlainLine::parse(&line, &PlainForm::default());
            let has_generation = right.split(' ').count() > 7;
            prop_assert!(!right.starts_with("AT") || !is_right || has_generation || plain.is_ok());
            let mut again = Vec::new();
            if let Ok(hello) = hello {
                hello.write(&mut again);
                prop_assert_eq!(Hello::parse(&again), Ok(hello));
            }
            if let Some(PeerLine::Update(record) | PeerLine::Push(record)) = peers {
                again.clear();
                write_push(&record, &mut again);
                prop_assert_eq!(PeerLine::parse(&again), Some(PeerLine::Push(record)));
                again.clear();
                record.write(&mut again);
                prop_assert_eq!((again.len(), ClientRecord::parse(&again)), (record.length(), Some(record)));
            }
        }
    }
}
