//! Why a connection gets no seat: the same for clients' connections and the web face's.

/// Why a connection gets no seat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unadmitted {
    /// There are as many connections as there may be.
    Full,
    /// The node stops.
    Stopped,
}
