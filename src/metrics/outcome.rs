//! What can become of a client's request, under the names the metrics show.

/// Which command a request was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestKind {
    /// A report.
    Iamat,
    /// A question.
    Whatsat,
    /// Neither: the line is no command.
    Invalid,
}

impl RequestKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Iamat, Self::Whatsat, Self::Invalid];

    /// The label `kind`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Iamat => "iamat",
            Self::Whatsat => "whatsat",
            Self::Invalid => "invalid",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestOutcome {
    /// A report that is the newest of its client.
    Stored,
    /// A report that is not strictly newer than what is known; answered all the same.
    Stale,
    /// A report too far ahead of the server's clock.
    Ahead,
    /// A report of a new client, for whom there is no room.
    Full,
    /// A question that was answered by the source of places.
    Answered,
    /// A question whose source failed; answered with its error.
    SourceFailed,
    /// A question about a client nobody knows.
    UnknownClient,
    /// A question in a herd without a source of places.
    NoPlaces,
    /// A line that is no valid command.
    Invalid,
}

impl RequestOutcome {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Stored,
        Self::Stale,
        Self::Ahead,
        Self::Full,
        Self::Answered,
        Self::SourceFailed,
        Self::UnknownClient,
        Self::NoPlaces,
        Self::Invalid,
    ];

    /// Which command it was.
    pub fn kind(self) -> RequestKind {
        match self {
            Self::Stored | Self::Stale | Self::Ahead | Self::Full => RequestKind::Iamat,
            Self::Answered | Self::SourceFailed | Self::UnknownClient | Self::NoPlaces => {
                RequestKind::Whatsat
            }
            Self::Invalid => RequestKind::Invalid,
        }
    }

    /// The label `outcome`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Stale => "stale",
            Self::Ahead => "ahead",
            Self::Full => "full",
            Self::Answered => "answered",
            Self::SourceFailed => "source_failed",
            Self::UnknownClient => "unknown_client",
            Self::NoPlaces => "no_places",
            Self::Invalid => "invalid",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_lists() {
        assert!(RequestOutcome::ALL.iter().enumerate().all(|(place, &outcome)| outcome as usize == place));
        assert!(RequestKind::ALL.iter().enumerate().all(|(place, &kind)| kind as usize == place));
    }
}
