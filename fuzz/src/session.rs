//! A connection without a socket: the node's own dialogue, driven until it wants to wait.

use std::{sync::Arc, time::Duration};

use proxyherd::{
    core::{
        dialogue::{Closing, Dialogue, Host, Looked, Next, Opening, Party, Reply, Times},
        model::{Now, Query},
        node::Node,
        wire::{Hello, Line, Nonce},
    },
    places,
};

use super::scene::{self, Echo};

/// Longer than any input lasts.
const NEVER: Duration = Duration::from_secs(1 << 32);

/// Hears what becomes of each line.
pub(crate) trait Ear {
    /// A line was executed.
    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>);

    /// A lookup was answered.
    fn looked(&mut self, _query: &Query, _looked: &Looked, _document: &[u8]) {}

    /// So much is written at once.
    fn replied(&mut self, _replies: &[u8]) {}
}

/// Who hears nothing.
pub(crate) struct Deaf;

impl Ear for Deaf {
    fn said(&mut self, _line: Line<'_>, _party: &Party, _reply: &Reply<'_>) {}
}

/// One connection to a node.
pub(crate) struct Session {
    dialogue: Dialogue<Arc<Node>>,
    /// Why it has ended, if it has.
    pub(crate) closing: Option<Closing>,
}

struct Driven<'a, E>(&'a mut E, Option<Query>);

impl<E: Ear> Host for Driven<'_, E> {
    fn nonce(&mut self) -> Result<Nonce, String> {
        Ok(scene::NONCE)
    }

    fn said(&mut self, line: Line<'_>, party: &Party, reply: &Reply<'_>) {
        self.0.said(line, party, reply);
    }

    fn looked(&mut self, looked: &Looked, document: &[u8]) {
        self.0.looked(&self.1.expect("something was asked"), looked, document);
    }
}

impl Session {
    /// A client's, or whoever's it turns out to be.
    pub(crate) fn new(node: &Arc<Node>, line_bytes: usize) -> Self {
        Self::open(node, line_bytes, Opening::Common { is_kept: false })
    }

    /// Of a third-party node: one of those at the ends of these links.
    pub(crate) fn plain(node: &Arc<Node>, links: &[usize]) -> Self {
        Self::open(node, 512, Opening::Plain(links.to_vec()))
    }

    fn open(node: &Arc<Node>, line_bytes: usize, opening: Opening) -> Self {
        let times = Times { idle: NEVER, line: NEVER, handshake: NEVER, liveness: NEVER };
        let dialogue = Dialogue::new(Arc::clone(node), opening, (times, line_bytes), 1, scene::now().tick);
        Self { dialogue, closing: None }
    }

    /// A peer's, which has shaken hands.
    pub(crate) fn peer(node: &Arc<Node>, from: &str) -> Self {
        let mut session = Self::new(node, 512);
        let mut hello = Vec::new();
        let (id, check) = (scene::id(from), scene::placement().check());
        let incarnation = scene::incarnation(from);
        Hello { incarnation, ..Hello::new("test", &id, &node.id, check) }.write(&mut hello);
        session.say(&hello, scene::now(), &mut Deaf);
        assert!(matches!(session.dialogue.party(), Party::Peer(_)), "{from} is let in");
        session
    }

    /// Whose it is.
    pub(crate) fn party(&self) -> &Party {
        self.dialogue.party()
    }

    /// Says something, in as many reads as it takes, and hears it out.
    pub(crate) fn say(&mut self, mut bytes: &[u8], now: Now, ear: &mut impl Ear) {
        while self.settle(now, ear) && !bytes.is_empty() {
            let space = self.dialogue.space();
            let (read, rest) = bytes.split_at(bytes.len().min(space.len()));
            space[..read.len()].copy_from_slice(read);
            self.dialogue.received(read.len(), now);
            bytes = rest;
        }
    }

    /// Has nothing more to say.
    pub(crate) fn end(&mut self, now: Now, ear: &mut impl Ear) {
        if self.settle(now, ear) {
            self.dialogue.ended(now);
            assert!(!self.settle(now, ear), "it goes on after the end");
        }
    }

    /// Does what the dialogue says until it waits; `false` if it has ended.
    fn settle(&mut self, now: Now, ear: &mut impl Ear) -> bool {
        while self.closing.is_none() {
            match self.dialogue.next(now.tick, &mut Driven(ear, None)) {
                Next::Wait(_) => return true,
                Next::Secure(_) => unreachable!("the node takes no peers over TLS"),
                Next::Joined(_) => {}
                Next::Rest(..) => panic!("nothing is limited"),
                Next::Offer => self.dialogue.offer(|_| panic!("the outbox is large enough")),
                Next::Commit => self.dialogue.committed(),
                Next::Write => {
                    ear.replied(self.dialogue.replies());
                    self.dialogue.wrote();
                }
                Next::Look(query) => {
                    let looked = places::look_up(&Echo, &query, self.dialogue.document());
                    self.dialogue.looked(looked, &mut Driven(ear, Some(query)));
                }
                Next::Close(why) => self.closing = Some(why),
            }
        }
        false
    }
}
