//! What nodes say to each other after the handshake: locations, which clients get in the same words, and the lines that
//! maintain a link. The search for differences is in `digest`. The protocol's version fixes the rules here, and they
//! are the same on every node: no clock, no configured limit.

use super::{Fields, Question, fields::decimal};
use crate::core::model::{Location, NodeId, Timestamp};

/// The longest line on a peer's connection, without its terminator. Twice a client's, so that whatever a client may
/// report fits with the names and the skew added.
pub const PEER_LINE_BYTES_MAX: usize = 64 * 1024;

/// A line on a peer's connection after the handshake, parsed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeerLine<'a> {
    /// A flooded location.
    At(Location<'a>),
    /// A location the receiver was found to lack.
    Push(Location<'a>),
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
                let [location @ .., sender] = fields.exactly::<6>()?;
                NodeId::is_valid(sender).then(|| location_of(location))?.map(Self::At)
            }
            b"PUSH" => location_of(fields.exactly::<5>()?).map(Self::Push),
            b"PING" => number(fields).map(Self::Ping),
            b"DONE" => number(fields).map(Self::Done),
            keyword => Question::of_fields(keyword, fields).map(Self::Ask),
        }
    }
}

impl<'a> Location<'a> {
    /// Reads back what [`Location::write_at`] wrote; `None` for anything else.
    pub fn parse_at(line: &'a [u8]) -> Option<Self> {
        let mut fields = Fields::of(line);
        (fields.next()? == b"AT").then_some(())?;
        location_of(fields.exactly::<5>()?)
    }
}

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

/// Parses a location in a node's line. One that could not be passed on is `None`.
fn location_of(fields: [&[u8]; 5]) -> Option<Location<'_>> {
    let location = Location::of_fields(fields)?;
    // A node that passes it on appends its name, which may be longer.
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
        let Some(PeerLine::At(location)) = PeerLine::parse(line) else { panic!() };
        let mut out = Vec::new();
        write_flooded(&location, &NodeId::new("Bolden").unwrap(), &mut out);
        assert_eq!(out.strip_suffix(b"\n"), Some(&line[..]));
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
            "AT Alford +0.1 a +1+1 1 Welsh",
            "AT Alf\u{f6}rd +0.000000001 a +1+1 1 Welsh",
            "AT Alford +0.000000001 a +91+1 1 Welsh",
            "AT Alford +0.000000001 a +1+1 nan Welsh",
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
    }

    const RIGHT: [&str; 8] = [
        "HELLO 2 herd Alford Welsh 0000000000000001 00000000000000ff - - -",
        "HELLO 2 herd Alford Welsh 0000000000000000 00000000000000ff 3600 0123456789abcdef0123456789abcdef -",
        "PROOF 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef 00000000000000ff",
        "AT Alford +0.263873386 kiwi +34.068930-118.445127 1479413884.392014450 Bolden",
        "PUSH Alford -0.000000001 kiwi +1-1 1",
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
            prop_assert!(!right.starts_with("AT") || !is_right || plain.is_ok());
            let mut again = Vec::new();
            if let Ok(hello) = hello {
                hello.write(&mut again);
                prop_assert_eq!(Hello::parse(&again), Ok(hello));
            }
            if let Some(PeerLine::At(location) | PeerLine::Push(location)) = peers {
                again.clear();
                write_push(&location, &mut again);
                prop_assert_eq!(PeerLine::parse(&again), Some(PeerLine::Push(location)));
            }
        }
    }
}
