//! Why TLS did not come about on a connection, in the words of the log.

use std::{fmt, io};

use rustls::{AlertDescription, Error, InvalidMessage};

/// Why a TLS handshake failed.
#[derive(Debug)]
pub(crate) enum TlsFault {
    /// The other end has gone.
    Ended,
    /// The connection broke.
    Broken(io::Error),
    /// It took too long.
    Late,
    /// It speaks TLS, but not with this protocol inside.
    OtherInside,
    /// It does not speak TLS.
    NotTls,
    /// What TLS itself objects to.
    Refused(Box<Error>),
}

impl From<Error> for TlsFault {
    fn from(error: Error) -> Self {
        match error {
            Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                Self::OtherInside
            }
            Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            error => Self::Refused(Box::new(error)),
        }
    }
}

/// Completes "it …" or "TLS: it …".
impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => write!(f, "it ended the connection in the TLS handshake"),
            Self::Broken(error) => write!(f, "the TLS handshake broke: {error}"),
            Self::Late => write!(f, "the TLS handshake took too long"),
            Self::OtherInside => write!(f, "it speaks TLS, but not as a peer"),
            Self::NotTls => write!(f, "it does not speak TLS"),
            Self::Refused(error) => match **error {
                Error::AlertReceived(alert) => write!(f, "it refused the TLS handshake: {alert:?}"),
                ref error => write!(f, "the TLS handshake failed: {error}"),
            },
        }
    }
}
