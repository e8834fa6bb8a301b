//! The links to the neighbours: what waits to be sent, when to dial and when to wait, who may connect, and the thread
//! that carries it out. Only `flooder` and `resolver` touch the network.

mod backoff;
mod flooder;
mod link;
mod outbox;
mod peers;
mod resolver;

pub use backoff::Backoff;
pub use flooder::{Flooder, Host, Wiring};
pub use link::{Due, Link, LinkTimes};
pub use outbox::{Encoded, Offer, Outbox, Queue, outbox};
pub use peers::{Admission, Peers};
pub use resolver::{Resolve, system_resolve};
