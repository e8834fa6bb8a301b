//! Whose a connection is, and the beginning that decides it: a handshake as its first line and the proof that follows,
//! another protocol, or a client's line; at the door for third-party nodes, the address.

use std::{mem, ops::Deref};

use super::{Closing, Dialogue, Host, Phase, Then, execute::GROUP_LINES};
use crate::core::{
    access::{Principal, Refusal},
    model::Tick,
    node::{Challenge, Greeting, Node, Welcome},
    wire::{
        Channel, Fields, Line, Nonce, OtherProtocol, PEER_LINE_BYTES_MAX, begins_as_tls, is_hello,
        write_refusal,
    },
};

/// Whose a connection is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Party {
    /// Not known yet: its beginning decides. Until then its lines are a client's.
    Stranger,
    /// A client's, and whose: nobody's, as long as it has shown no token, or its token is not valid.
    Client(Option<Principal>),
    /// The peer's at that link, after its handshake.
    Peer(usize),
    /// A third-party node's: the one at that link, or one of several at its address.
    Plain(Option<usize>),
}

impl Party {
    /// Whether its lines are a client's, every one of which is answered.
    pub fn is_client(&self) -> bool {
        matches!(self, Self::Stranger | Self::Client(_))
    }

    /// Whose token it has shown.
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Client(principal) => principal.as_ref(),
            Self::Stranger | Self::Peer(_) | Self::Plain(_) => None,
        }
    }

    /// The neighbour's link, if it is a neighbour's connection.
    pub fn link(&self) -> Option<usize> {
        match *self {
            Self::Peer(link) | Self::Plain(Some(link)) => Some(link),
            Self::Stranger | Self::Client(_) | Self::Plain(None) => None,
        }
    }
}

/// The door by which a connection came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Opening {
    /// The common one.
    Common {
        /// Whether its seat is kept for peers, so that a handshake must earn it.
        is_kept: bool,
    },
    /// The one for clients over TLS, whose handshake is over. Peers are not let in there.
    Secured {
        /// Whether its seat is kept for peers; then it ends at its first line.
        is_kept: bool,
    },
    /// The one for third-party nodes. By its address, the connection belongs to one of these links.
    Plain(Vec<usize>),
}

/// A connection that turned out to be a neighbour's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Joined {
    /// Its link.
    pub link: usize,
    /// The neighbour's earlier connection, which must be closed.
    pub replaces: Option<u64>,
}

/// What the next line may be.
#[derive(Debug)]
pub(super) enum Stage {
    /// The first one: a handshake, or a client's.
    First,
    /// Only the proof of the herd's secret, until that time.
    Proof(Challenge, Tick),
    /// Not part of a handshake; but only blank lines have come, so the next may still be another protocol's first.
    Blank,
    /// Not part of a handshake.
    Lines,
}

impl Stage {
    /// Why a line that does not belong to a handshake ends the connection, if it does.
    pub(super) fn refuses_lines(&self, line: Line<'_>, no_peer: Option<Closing>) -> Option<Closing> {
        if !matches!(self, Self::First | Self::Blank) {
            return None;
        }
        match OtherProtocol::of_line(line) {
            Some(other) => Some(Closing::OtherProtocol(other)),
            // Neither a seat that is kept for peers nor the peers' TLS serves clients' lines.
            None => no_peer,
        }
    }
}

/// What the next line has turned out to be.
pub(super) enum Beginning {
    /// There is no line.
    NoLine,
    /// A handshake's, or another protocol's: something else must be done before other lines are executed.
    Waiting,
    /// Not a handshake's: so many lines may be executed at once.
    Lines(usize),
}

/// How a first line is understood.
enum Judged {
    Greeting(Result<Greeting, Refusal>),
    Proof(Result<Welcome, Refusal>),
    Closing(Closing),
    Line { is_blank: bool },
}

impl<N: Deref<Target = Node>> Dialogue<N> {
    /// Judges the next line while it may still decide whose connection this is.
    pub(super) fn beginning(&mut self, host: &mut impl Host) -> Beginning {
        if matches!(self.stage, Stage::Lines) {
            return Beginning::Lines(GROUP_LINES);
        }
        if self.is_to_be_secured() {
            let by = self.line_began.unwrap_or(self.heard.tick) + self.times.handshake;
            let by = self.greet_by.map_or(by, |greet_by| greet_by.min(by));
            self.greet_by = Some(by);
            self.doing = Phase::Securing(by);
            return Beginning::Waiting;
        }
        let no_peer = self.no_peer();
        let Self { node, buffer, batch, stage, number, heard, channel, takes_peers, .. } = self;
        let mut lines = buffer.lines();
        let Some(line) = lines.next() else { return Beginning::NoLine };
        let left = lines.left();
        let text = line.text();
        let (connection, out) = ((*number, heard.tick), &mut batch.replies);
        let judged = match stage {
            Stage::Proof(challenge, _) => Judged::Proof(node.check_proof(challenge, text, connection, out)),
            Stage::First if matches!(line, Line::Whole(..)) && is_hello(text) => {
                let nonce =
                    if node.secret.is_some() { host.nonce() } else { Ok(Nonce::of_bytes([0; Nonce::BYTES])) };
                let no_nonce = |error| Refusal::NoRandomNumbers { id: node.id.clone(), error };
                let greet = |nonce| node.greet(text, (nonce, *channel), connection, out);
                let for_clients = || Refusal::ForClients { id: node.id.clone() };
                let is_let_in = takes_peers.then_some(()).ok_or_else(for_clients);
                Judged::Greeting(is_let_in.and_then(|()| nonce.map_err(no_nonce)).and_then(greet))
            }
            stage => match stage.refuses_lines(line, no_peer) {
                Some(closing) => Judged::Closing(closing),
                None => Judged::Line { is_blank: is_blank(line) },
            },
        };
        let stage = mem::replace(&mut self.stage, Stage::Lines);
        match judged {
            Judged::Line { is_blank: true } => {
                self.stage = Stage::Blank;
                return Beginning::Lines(1);
            }
            Judged::Line { is_blank: false } => {
                if self.party == Party::Stranger {
                    self.party = Party::Client(None);
                }
                return Beginning::Lines(GROUP_LINES);
            }
            Judged::Closing(closing) => {
                self.stage = stage;
                self.settle(Then::Close(closing));
            }
            Judged::Greeting(Ok(Greeting::Challenge(challenge))) => {
                self.stage = Stage::Proof(challenge, self.heard.tick + self.times.handshake);
                self.settle(Then::Execute);
            }
            Judged::Greeting(Ok(Greeting::Welcome(welcome))) | Judged::Proof(Ok(welcome)) => {
                self.join(welcome);
            }
            Judged::Greeting(Err(why)) | Judged::Proof(Err(why)) => {
                write_refusal(&why, &mut self.batch.replies);
                self.settle(Then::Close(Closing::Refused(Box::new(why))));
            }
        }
        self.buffer.consume(left);
        Beginning::Waiting
    }

    /// What has arrived and was not lines.
    pub fn unread(&self) -> &[u8] {
        self.buffer.unread()
    }

    /// TLS carries the connection from now on, and what was [`Dialogue::unread`] was part of it.
    pub fn secured(&mut self, channel: Channel) {
        if matches!(self.doing, Phase::Securing(_)) {
            self.buffer.drop_unread();
            (self.channel, self.line_began) = (channel, None);
            self.doing = Phase::Reading;
        }
    }

    /// Whether it begins as a peer's TLS does. What comes in it may not, or a connection could be wrapped in itself.
    fn is_to_be_secured(&self) -> bool {
        matches!(self.stage, Stage::First)
            && self.takes_peers
            && self.channel == Channel::Plain
            && self.node.peer_tls.takes_tls()
            && begins_as_tls(self.buffer.unread())
    }

    /// Why the connection ends if it is no peer's, where only a peer's may go on.
    pub(super) fn no_peer(&self) -> Option<Closing> {
        let handshake = self.times.handshake;
        self.greet_by.filter(|_| self.party.is_client()).map(|_| match (&self.stage, self.channel) {
            (_, Channel::Plain) => Closing::NoHandshake,
            (Stage::Proof(..), Channel::Tls(_)) => Closing::NoProof(handshake),
            (_, Channel::Tls(_)) => Closing::NoGreeting(handshake),
        })
    }

    /// Another protocol that shows in the beginning of a first line that is incomplete, and may remain so.
    pub(super) fn other_protocol_begins(&self) -> Option<OtherProtocol> {
        let is_first = matches!(self.stage, Stage::First | Stage::Blank);
        self.buffer.beginning().filter(|_| is_first).and_then(OtherProtocol::of_beginning)
    }

    /// The connection is a peer's, whose handshake succeeded.
    fn join(&mut self, welcome: Welcome) {
        let Welcome { link, replaces } = welcome;
        self.party = Party::Peer(link);
        self.calls = true;
        self.stop_metering();
        self.buffer.set_limit(PEER_LINE_BYTES_MAX);
        self.node.neighbours()[link].health.connected_here();
        self.then = Then::Execute;
        self.doing = Phase::Joining(Joined { link, replaces });
    }

    /// The connection is that third-party node's, which does no handshake and may have any number of connections.
    pub(super) fn join_plain(&mut self, link: usize) -> Joined {
        let neighbour = &self.node.neighbours()[link];
        self.party = Party::Plain(Some(link));
        neighbour.health.connected_here();
        // It is alive, as after a handshake.
        let _ = neighbour.called.try_send(());
        Joined { link, replaces: None }
    }
}

fn is_blank(line: Line<'_>) -> bool {
    matches!(line, Line::Whole(text, _) if Fields::of(text).next().is_none())
}
