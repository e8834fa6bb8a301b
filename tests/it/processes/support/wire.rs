//! A reader of everything that crosses a network: frames as the network card sees them, and what each TCP connection in
//! them says each way, put together again. It knows nothing of what is said.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    num::NonZeroU32,
    os::fd::OwnedFd,
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with,
        sockopt::set_socket_recv_buffer_size_force,
    },
};

use super::Namespace;

/// `ETH_P_ALL`: frames of any kind.
const ANY_FRAME: u16 = 3;
const IPV4: [u8; 2] = [0x08, 0x00];
const TCP: u8 = 6;
const SYN: u8 = 2;

/// What may wait to be read: far more than a test sends.
const BUFFER_BYTES: usize = 64 << 20;

/// Longer than any frame.
const FRAME_BYTES_MAX: usize = 128 << 10;

/// One direction of a connection: its two ends, the sender first.
type Ends = (SocketAddrV4, SocketAddrV4);

/// What has crossed a network since the begin.
pub(crate) struct Wire {
    socket: OwnedFd,
    streams: BTreeMap<Ends, Direction>,
    /// All that is not of a TCP connection.
    others: Vec<Vec<u8>>,
}

/// What was sent one way, by how far it is from the begin.
#[derive(Default)]
struct Direction {
    /// The number of the first byte; nothing before its SYN was seen.
    first: Option<u32>,
    pieces: BTreeMap<u32, Vec<u8>>,
}

impl Direction {
    fn take(&mut self, number: u32, is_syn: bool, bytes: &[u8]) {
        if is_syn {
            self.first = Some(number.wrapping_add(1));
        }
        if !bytes.is_empty() {
            let first = self.first.expect("the begin of a connection comes first");
            let piece = self.pieces.entry(number.wrapping_sub(first)).or_default();
            // A frame is seen at each port that it passes, and may be sent again.
            if piece.len() < bytes.len() {
                bytes.clone_into(piece);
            }
        }
    }

    /// All of it, in order; nothing may be missing.
    fn whole(&self) -> Vec<u8> {
        let mut whole = Vec::new();
        for (&at, piece) in &self.pieces {
            let at = at as usize;
            assert!(at <= whole.len(), "{} bytes were not seen", at - whole.len());
            if at + piece.len() > whole.len() {
                whole.truncate(at);
                whole.extend_from_slice(piece);
            }
        }
        whole
    }
}

impl Wire {
    /// Listens from now on, at every port of a switch.
    pub(crate) fn tap(switch: &Namespace) -> Self {
        let protocol = NonZeroU32::new(ANY_FRAME.to_be().into()).map(Protocol::from_raw);
        let socket = switch.within(|| {
            socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, protocol).unwrap()
        });
        set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES).unwrap();
        Self { socket, streams: BTreeMap::new(), others: Vec::new() }
    }

    /// Takes in everything that has crossed until now.
    fn read(&mut self) {
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC) {
                Ok((kept, length)) => {
                    assert_eq!(kept, length, "a frame is longer than the buffer");
                    self.take(&buffer[..kept]);
                }
                Err(Errno::AGAIN) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn take(&mut self, frame: &[u8]) {
        let Some((ends, number, flags, bytes)) = segment(frame) else {
            self.others.push(frame.to_owned());
            return;
        };
        self.streams.entry(ends).or_default().take(number, flags & SYN != 0, bytes);
    }

    /// What each connection said each way, so far.
    pub(crate) fn said(&mut self) -> BTreeMap<Ends, Vec<u8>> {
        self.read();
        self.streams.iter().map(|(ends, direction)| (*ends, direction.whole())).collect()
    }

    /// Whether these bytes have crossed, in a connection or outside of any.
    pub(crate) fn holds(&mut self, wanted: &str) -> bool {
        let holds = |bytes: &[u8]| bytes.windows(wanted.len()).any(|found| found == wanted.as_bytes());
        self.said().values().any(|said| holds(said)) || self.others.iter().any(|frame| holds(frame))
    }
}

/// A frame's part of a TCP connection: its ends, the number of its first byte, its flags and its bytes.
fn segment(frame: &[u8]) -> Option<(Ends, u32, u8, &[u8])> {
    let (ethernet, packet) = frame.split_at_checked(14)?;
    let is_tcp = ethernet[12..] == IPV4 && *packet.get(9)? == TCP;
    let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    let packet = packet.get(..length).filter(|_| is_tcp)?;
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    let segment = packet.get(usize::from(packet[0] & 15) * 4..)?;
    let port = |at: usize| Some(u16::from_be_bytes([*segment.get(at)?, *segment.get(at + 1)?]));
    let ends = (SocketAddrV4::new(address(12)?, port(0)?), SocketAddrV4::new(address(16)?, port(2)?));
    let number = u32::from_be_bytes(segment.get(4..8)?.try_into().ok()?);
    let bytes = segment.get(usize::from(segment.get(12)? >> 4) * 4..)?;
    Some((ends, number, *segment.get(13)?, bytes))
}
