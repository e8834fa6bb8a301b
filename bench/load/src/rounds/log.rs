//! What the nodes' logs say, and when: `2026-11-21T09:09:36.507837Z INFO  in step with Right: round 1 took …`.

use std::{fs, path::Path};

use chrono::DateTime;

use crate::clock::Clock;

/// POSIX time in microseconds, as exact as a log's.
pub(crate) type Micros = i64;

/// The present, on the logs' clock.
pub(crate) fn now() -> Micros {
    (Clock::start().posix_ns(0) / 1_000).cast_signed()
}

/// From one moment of the logs to a later one.
pub(crate) fn seconds_between(from: Micros, to: Micros) -> f64 {
    (to - from) as f64 / 1e6
}

/// A line of a log that reports an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Micros,
    /// What follows the level.
    pub(crate) text: String,
}

impl Event {
    fn parse(line: &str) -> Option<Self> {
        let (time, rest) = line.split_once(' ')?;
        let at = DateTime::parse_from_rfc3339(time).ok()?.timestamp_micros();
        let (_level, text) = rest.split_once(' ')?;
        Some(Self { at, text: text.trim_start().to_owned() })
    }
}

/// The complete lines so far; none if there is no log yet.
pub(crate) fn events(path: &Path) -> Vec<Event> {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().filter_map(Event::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_time_and_a_text() {
        let line = "2026-11-21T09:09:36.507837Z INFO  in step with Right: round 1 took 2ms";
        let event = Event::parse(line).unwrap();
        assert_eq!(event.at % 1_000_000, 507_837);
        assert_eq!(event.text, "in step with Right: round 1 took 2ms");
        assert_eq!(Event::parse("nonsense"), None);
    }

    #[test]
    fn a_line_that_is_not_whole_is_not_there_yet() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "2026-11-21T09:09:36.507837Z WARN  a b\n2026-11-21T09:09:36.5").unwrap();
        assert_eq!(events(file.path()).len(), 1);
        assert!(events(Path::new("nowhere")).is_empty());
    }
}
