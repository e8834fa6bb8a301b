//! A client that reports once, so that a server that knows of it has heard of that report.

use crate::reply::is_skew;

/// Where markers are by default: the place on Earth farthest from any land, near which a lookup finds nothing and so
/// costs little.
pub const FAR_FROM_LAND: &str = "-48.876667-123.393333";

const NANOSECONDS: u64 = 1_000_000_000;

/// One report, and the question whether it is known.
#[derive(Debug)]
pub(super) struct Marker {
    client: String,
    location: String,
    timestamp: String,
}

impl Marker {
    /// For a client that nobody has, made at this POSIX time, in nanoseconds.
    pub(super) fn new(client: String, location: &str, posix_ns: u64) -> Self {
        let timestamp = format!("{}.{:09}", posix_ns / NANOSECONDS, posix_ns % NANOSECONDS);
        Self { client, location: location.to_owned(), timestamp }
    }

    pub(super) fn report(&self) -> String {
        format!("IAMAT {} {} {}\n", self.client, self.location, self.timestamp)
    }

    pub(super) fn lookup(&self) -> String {
        lookup(&self.client)
    }

    /// Whether an AT line is the answer for this report.
    pub(super) fn is_told_by(&self, line: &[u8]) -> bool {
        let fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let fields: Vec<_> = fields.collect();
        let [keyword, _server, skew, client, location, timestamp] = fields[..] else { return false };
        keyword == b"AT"
            && is_skew(skew)
            && client == self.client.as_bytes()
            && location == self.location.as_bytes()
            && timestamp == self.timestamp.as_bytes()
    }
}

/// Asks for as little as possible: one place within one kilometre.
pub(super) fn lookup(client: &str) -> String {
    format!("WHATSAT {client} 1 1\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_told_by_its_own_report_only() {
        let marker = Marker::new("m1".to_owned(), FAR_FROM_LAND, 1_479_413_884_092_014_450);
        assert_eq!(marker.report(), "IAMAT m1 -48.876667-123.393333 1479413884.092014450\n");
        assert_eq!(marker.lookup(), "WHATSAT m1 1 1\n");
        let told = |line: &str| marker.is_told_by(line.as_bytes());
        assert!(told("AT Ball +0.1 m1 -48.876667-123.393333 1479413884.092014450"));
        assert!(told("AT Ball -4.29e-05 m1 -48.876667-123.393333 1479413884.092014450"));
        assert!(!told("AT Ball soon m1 -48.876667-123.393333 1479413884.092014450"));
        assert!(!told("AT Ball +0.1 m1 -48.876667-123.393333 1479413884.092014451"));
        assert!(!told("AT Ball +0.1 m2 -48.876667-123.393333 1479413884.092014450"));
        assert!(!told("AT Ball +0.1 m1 -48.87-123.393333 1479413884.092014450"));
        assert!(!told("? WHATSAT m1 1 1"));
    }
}
