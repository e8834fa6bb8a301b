//! A valid line, as what it is about: parsed once, with the key of the client concerned, once it is known that the sender
//! may say so.

use super::Party;
use crate::core::{
    access::Act,
    model::{ClientId, ClientRecord},
    node::Node,
    store::KeyHash,
    wire::{Invalid, Line, PeerLine, PlainLine, Question, Report, Request, Whatsat, is_auth},
};

/// A valid line.
#[derive(Debug)]
pub(super) enum Command<'a> {
    /// A client says where it is.
    Report(Report<'a>, KeyHash),
    /// A client asks what is near a client.
    Whatsat(Whatsat<'a>, KeyHash),
    /// A client has a client forgotten.
    Forget(ClientId<'a>, KeyHash),
    /// A client shows a token; `None` if not as it should.
    Auth(Option<&'a [u8]>),
    /// A peer sends an update.
    Learn(ClientRecord<'a>, KeyHash),
    /// A peer pushes what this node was found to lack.
    Repair(ClientRecord<'a>, KeyHash),
    /// A third-party node sends an update.
    Plain(PlainLine<'a>, KeyHash),
    /// A peer asks what this node holds.
    Ask(Question),
    /// A peer asks to be told when everything before has been done.
    Ping(u64),
    /// A peer's repair round is over.
    Done(u64),
}

impl<'a> Command<'a> {
    /// Parses a line from that party, checks whether it may say so, and finds the key of the client concerned. Changes
    /// nothing, and looks at nothing stored: whoever may not see a client costs the same whether there is one or not.
    ///
    /// Inlined, so that a command, which is some two hundred bytes, is built in its final place.
    #[inline]
    pub(super) fn parse(
        line: Line<'a>,
        party: &Party,
        candidates: &[usize],
        node: &Node,
    ) -> Result<Self, Invalid> {
        let Line::Whole(text, _) = line else {
            let shows_token = party.is_client() && node.access().has_tokens() && is_auth(line.text());
            return if shows_token { Ok(Self::Auth(None)) } else { Err(Invalid::TooLong) };
        };
        match *party {
            Party::Stranger | Party::Client(_) => {
                let may = |act, otherwise| match node.access().allows(party.principal(), act) {
                    true => Ok(()),
                    false => Err(otherwise),
                };
                match Request::parse(text, node.form())? {
                    Request::Iamat(report) => {
                        may(Act::Report(report.client), Invalid::MayNotReport)?;
                        Ok(Self::Report(report, node.key(report.client)))
                    }
                    Request::Whatsat(asked) => {
                        may(Act::See(asked.client), Invalid::MayNotSee)?;
                        Ok(Self::Whatsat(asked, node.key(asked.client)))
                    }
                    Request::Forget(client) => {
                        may(Act::Forget(client), Invalid::NotLetForget)?;
                        Ok(Self::Forget(client, node.key(client)))
                    }
                    Request::Auth(token) if node.access().has_tokens() => Ok(Self::Auth(token)),
                    Request::Auth(_) => Err(Invalid::NoTokens),
                }
            }
            Party::Peer(_) => {
                let line = PeerLine::parse(text).ok_or(Invalid::NotFromPeer)?;
                Ok(match line {
                    PeerLine::Update(record) => Self::Learn(record, node.key(record.client())),
                    PeerLine::Push(record) => Self::Repair(record, node.key(record.client())),
                    PeerLine::Ask(question) => Self::Ask(question),
                    PeerLine::Ping(number) => Self::Ping(number),
                    PeerLine::Done(number) => Self::Done(number),
                })
            }
            Party::Plain(link) => {
                let line = node.read_plain(text, link, candidates).map_err(Invalid::NotPlain)?;
                Ok(Self::Plain(line, node.key(line.client)))
            }
        }
    }

    /// The key of the client concerned.
    pub(super) fn key(&self) -> Option<KeyHash> {
        match self {
            Self::Report(_, key)
            | Self::Whatsat(_, key)
            | Self::Forget(_, key)
            | Self::Learn(_, key)
            | Self::Repair(_, key)
            | Self::Plain(_, key) => Some(*key),
            Self::Auth(_) | Self::Ask(_) | Self::Ping(_) | Self::Done(_) => None,
        }
    }
}
