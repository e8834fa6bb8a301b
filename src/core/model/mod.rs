//! The nouns: what a client says and what a node remembers of it.
//! Everything here is a plain value: no sockets, no locks, no clock.

mod client_id;
mod coordinates;
mod location;
mod node_id;
mod query;
mod skew;
mod time;
mod timestamp;

pub use client_id::{ClientId, is_white_space};
pub use coordinates::{Coordinates, is_position};
pub use location::{Location, OwnedLocation};
pub use node_id::NodeId;
pub use query::Query;
pub use skew::{Skew, SkewText};
pub use time::{Now, Tick};
pub use timestamp::Timestamp;
