//! `AUTH`: from whom a client's lines are, for as long as the token is valid that it has shown. Nothing of the token leaves
//! this file: neither an answer nor the driver is given the line.

use std::ops::Deref;

use super::{Closing, Dialogue, Host, Party, Reply, Then, execute::Batch};
use crate::core::{
    access::{Principal, TokenHash},
    model::Now,
    node::Node,
    wire::{Invalid, Line},
};

/// A connection that has shown so many tokens that are not valid is closed.
const WRONG_TOKENS_MAX: u8 = 3;

impl Batch {
    /// Answers an AUTH. `line` is what may be shown of it, and `token` what it has shown; `None` if it is malformed. Returns
    /// whom the token is for, if it is valid.
    pub(super) fn authenticate(
        &mut self,
        node: &Node,
        (line, token): (Line<'_>, Option<&[u8]>),
        (party, now): (&Party, Now),
        host: &mut impl Host,
    ) -> Option<Principal> {
        let hash = token.and_then(TokenHash::of);
        let principal = hash.and_then(|hash| node.access().find(&hash, now.wall));
        match &principal {
            Some(principal) => {
                self.replies.extend_from_slice(b"WELCOME ");
                self.replies.extend_from_slice(principal.name().as_bytes());
                self.replies.extend_from_slice(line.ending().as_bytes());
                host.said(line, party, &Reply::Welcome { principal });
            }
            None => {
                self.refuse(line, party, Invalid::WrongToken);
                host.said(line, party, &Reply::Invalid(Invalid::WrongToken));
            }
        }
        principal
    }
}

impl<N: Deref<Target = Node>> Dialogue<N> {
    /// From here on the client's lines are that principal's: nobody's, if the token was wrong.
    pub(super) fn authenticated(&mut self, principal: Option<Principal>) {
        self.buffer.wipe();
        self.wrong_tokens += u8::from(principal.is_none());
        self.set_principal(principal);
        if self.wrong_tokens >= WRONG_TOKENS_MAX {
            self.settle(Then::Close(Closing::WrongTokens));
        }
    }

    /// Before a batch is executed: a token may have expired, and tokens may have been replaced.
    pub(super) fn renew(&mut self) {
        // Read before the principal is, so that a change in between is noticed at the next batch.
        let generation = self.node.access().generation();
        let is_same = std::mem::replace(&mut self.as_of, generation) == generation;
        if let Party::Client(Some(principal)) = &self.party
            && !(is_same && principal.is_valid(self.heard.wall))
        {
            let renewed = self.node.access().renewed(principal, self.heard.wall);
            self.set_principal(renewed);
        }
    }
}
