//! Why a connection ended, in the words of the log.

use std::{fmt, io, time::Duration};

use super::commits::Uncommitted;
use crate::{core::dialogue::Closing, transport::TlsFault};

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Its dialogue says so.
    Said(Closing),
    Reset(io::Error),
    /// Its end came without the goodbye of TLS, so what was said last may be cut.
    Cut,
    /// It began as TLS, and did not go on so.
    Tls(TlsFault),
    SlowReader(Duration),
    /// It did not read its replies at once while all connections together held too much.
    Crowded,
    /// What it reported is not known to be on the disk.
    NotKept(Uncommitted),
    /// Another connection got its seat.
    Evicted,
    Draining,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(why) => write!(f, "{why}"),
            Self::Reset(error) => write!(f, "it broke: {error}"),
            Self::Cut => write!(f, "it broke: it ended without the goodbye of TLS"),
            Self::Tls(fault) => write!(f, "{fault}"),
            Self::SlowReader(limit) => write!(f, "it did not read its replies within {limit:?}"),
            Self::Crowded => {
                write!(
                    f,
                    "it did not read its replies while all buffers together held `connection_buffer_bytes`"
                )
            }
            Self::NotKept(why) => {
                write!(f, "its reports were not on the disk {why}, so they are not acknowledged")
            }
            Self::Evicted => write!(f, "another connection took its place"),
            Self::Draining => write!(f, "this node is stopping"),
        }
    }
}
