//! What has happened on a link, for those who tell of it: the log, status and metrics.

use std::{fmt, time::Duration};

use super::Broken;
use crate::core::model::Tick;

/// Something that has happened on a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// There is a connection, and the handshake is not done.
    Greeting,
    /// The handshake is done, or none is needed: news is queued from now on.
    Up,
    /// Something was written; [`super::Link::news`] is the news in it.
    Sent {
        /// How much it was.
        bytes: usize,
        /// How many lines of news are in it; what a round pushes is told at its end.
        updates: usize,
        /// When the oldest ping was sent that is not answered.
        pinged_at: Option<Tick>,
    },
    /// A ping was answered after this long.
    Pong(Duration),
    /// A round is over.
    Round(RoundOver),
    /// A third-party node has been told everything.
    Swept(RoundOver),
    /// There is no connection any more, or none came about.
    Lost {
        /// Why.
        why: Lost,
        /// Whether the link was up.
        was_up: bool,
    },
}

/// How a round ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RoundOver {
    /// Counted from 1 for each connection.
    pub number: u64,
    /// How long it took.
    pub took: Duration,
    /// Parts of the stores that differed: leaves, or shards and all where one side had nothing.
    pub differing: usize,
    /// Of those, how many differed in the same way in the round before.
    pub lasting: usize,
    /// Locations pushed.
    pub pushed: usize,
    /// Whether the neighbour has all this node had when the round began, and nothing was lost since.
    pub in_step: bool,
}

/// Why there is no connection, or no longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lost {
    /// What the neighbour said, or did not say.
    Broken(Broken),
    /// The neighbour closed it.
    Closed,
    /// What was written was not taken in this time.
    Slow(Duration),
    /// What failed, in the words of who carries the link out.
    Failed(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => write!(f, "{why}"),
            Self::Closed => write!(f, "it closed the connection"),
            Self::Slow(limit) => write!(f, "it did not take what was written within {limit:?}"),
            Self::Failed(why) => write!(f, "{why}"),
        }
    }
}
