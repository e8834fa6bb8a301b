//! The links to the neighbours: what waits to be sent, when to dial and when to wait, how two stores find out where they
//! differ, who may connect, and the thread that carries it out. Only `flooder` and `resolver` touch the network.

mod backoff;
mod conversation;
mod flooder;
mod handshake;
mod health;
mod link;
mod outbox;
mod peers;
mod plain;
mod resolver;
mod round;
mod times;
mod vigil;

pub use backoff::Backoff;
pub use conversation::Conversation;
pub use flooder::{Flooder, Host, Wiring};
pub use handshake::Ends;
pub use health::{Condition, Health, LinkState};
pub use link::{Broken, Heard, Link, Next, RoundOver, Rules, Sound};
pub use outbox::{Encoded, Offer, Outbox, Queue, outbox};
pub use peers::{Admission, Peers};
pub use plain::PlainLink;
pub use resolver::{Resolve, Resolver, system_resolve};
pub use times::LinkTimes;
pub use vigil::Vigil;
