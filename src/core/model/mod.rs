//! The nouns: what a client says and what a node remembers of it. Everything here is a plain value: no sockets, no
//! locks, no clock.

mod decimal;
mod generation;
mod ids;
mod location;
mod query;
mod record;
mod retention;
mod time;

pub use generation::Generation;
pub use ids::{ClientId, NodeId, is_white_space};
pub use location::{Coordinates, Location, OwnedLocation, is_position};
pub use query::Query;
pub use record::{ClientRecord, Tombstone};
pub use retention::RetentionTimes;
pub use time::{Now, Skew, SkewText, Tick, Timestamp, TimestampText};
