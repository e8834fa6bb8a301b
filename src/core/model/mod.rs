//! The nouns: what a client says and what a node remembers of it.
//! Everything here is a plain value: no sockets, no locks, no clock.

mod coordinates;
mod ids;
mod location;
mod query;
mod time;

pub use coordinates::{Coordinates, is_position};
pub use ids::{ClientId, NodeId, is_white_space};
pub use location::{Location, OwnedLocation};
pub use query::Query;
pub use time::{Now, Skew, SkewText, Tick, Timestamp};
