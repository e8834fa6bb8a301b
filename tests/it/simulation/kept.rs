//! What a node's journal owes: what the node has come to know, when, and how much of it must be read again at the next
//! start, whatever happens in between.

use std::time::Duration;

/// Of one node. Clients are numbers; what is known of one is told apart by a hash.
#[derive(Debug)]
pub(super) struct Kept {
    /// All that the node has come to know since its start, and first what it knew then.
    learned: Vec<Learned>,
    /// The last of these, for each client.
    latest: Vec<Option<usize>>,
    /// Of each client, this or something later must be there: a reply has said so, or it was owed before the last start.
    owed: Vec<Option<usize>>,
    /// Since when the journal says that it lacks something.
    unwell_since: Option<Duration>,
    /// What was learned until then must be there at the next start.
    horizon: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Learned {
    at: Duration,
    client: usize,
    hash: u64,
}

impl Kept {
    pub(super) fn new(clients: usize) -> Self {
        let (latest, owed) = (vec![None; clients], vec![None; clients]);
        Self { learned: Vec::new(), latest, owed, unwell_since: None, horizon: None }
    }

    /// For a node that has read this of each client from a disk that was never its own, or long ago. It may be in the
    /// system's memory only, as what comes now is.
    pub(super) fn of(read: &[Option<u64>], now: Duration) -> Self {
        let mut kept = Self::new(read.len());
        for (client, hash) in read.iter().enumerate() {
            hash.iter().for_each(|hash| kept.learned(client, *hash, now));
        }
        kept
    }

    /// The node has come to know something new of a client.
    pub(super) fn learned(&mut self, client: usize, hash: u64, at: Duration) {
        self.latest[client] = Some(self.learned.len());
        self.learned.push(Learned { at, client, hash });
    }

    /// What a reply to a report of that client acknowledges: what the node knows of it.
    pub(super) fn known(&self, client: usize) -> Option<usize> {
        self.latest[client]
    }

    /// A reply has left that acknowledges this.
    pub(super) fn answered(&mut self, client: usize, known: Option<usize>) {
        self.owed[client] = self.owed[client].max(known);
    }

    /// Whether the journal says that it has, or soon will have, all that it was given.
    pub(super) fn is_well(&mut self, is_well: bool, now: Duration) {
        self.unwell_since = if is_well { None } else { self.unwell_since.or(Some(now)) };
    }

    /// The node is gone. What is older than the window was where it stays while the journal was well. A sync that fails may
    /// lose all that was in the system's memory only, so before that what is older than the second window was on the disk.
    pub(super) fn died(&mut self, now: Duration, window: Duration, sync_window: Duration) {
        self.horizon = match self.unwell_since {
            Some(since) => since.checked_sub(sync_window),
            None => now.checked_sub(window),
        };
    }

    /// The node has stopped, and its journal says that it lacks nothing.
    pub(super) fn stopped(&mut self) {
        self.horizon = Some(Duration::MAX);
    }

    /// The next start has read this of each client. Returns the clients of which something is missing, and those of which
    /// it has read what the node never knew. What is too old by now may be missing.
    pub(super) fn started(
        &mut self,
        read: &[Option<u64>],
        now: Duration,
        is_old: impl Fn(u64) -> bool,
    ) -> (Vec<usize>, Vec<usize>) {
        let mut found = vec![None; read.len()];
        for (at, learned) in self.learned.iter().enumerate() {
            if self.horizon.is_some_and(|horizon| learned.at <= horizon) {
                self.owed[learned.client] = self.owed[learned.client].max(Some(at));
            }
            if read[learned.client] == Some(learned.hash) {
                found[learned.client] = Some(at);
            }
        }
        let clients = 0..read.len();
        let invented = clients.clone().filter(|&client| read[client].is_some() && found[client].is_none());
        let invented: Vec<usize> = invented.collect();
        // What is too old by now may have taken the place of what is owed.
        let is_owed = |at: usize| {
            let client = self.learned[at].client;
            !self.learned[at..].iter().any(|later| later.client == client && is_old(later.hash))
        };
        let lacks =
            |client: usize| found[client] < self.owed[client] && self.owed[client].is_some_and(is_owed);
        let missing = clients.filter(|&client| lacks(client)).collect();
        self.begin_again(&found, now);
        (missing, invented)
    }

    fn begin_again(&mut self, found: &[Option<usize>], now: Duration) {
        let before = std::mem::replace(self, Self::new(found.len()));
        for (client, &found) in found.iter().enumerate() {
            let owed = before.owed[client];
            if let Some(owed) = owed {
                self.learned(client, before.learned[owed].hash, Duration::ZERO);
                self.owed[client] = self.latest[client];
            }
            let Some(at) = found.filter(|_| found != owed) else { continue };
            // It may be in the system's memory only, and gets to the disk as what comes now does.
            self.learned(client, before.learned[at].hash, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// One client of which a node has come to know 1, 2, 3 after as many seconds.
    fn kept() -> Kept {
        let mut kept = Kept::new(1);
        (1..=3).for_each(|hash| kept.learned(0, hash, SECOND * hash as u32));
        kept
    }

    fn is_missing(kept: &mut Kept, read: Option<u64>) -> bool {
        let (missing, invented) = kept.started(&[read], SECOND * 10, |_| false);
        assert!(invented.is_empty(), "{invented:?}");
        !missing.is_empty()
    }

    #[test]
    fn what_was_learned_before_the_window_is_owed() {
        for (read, is_owed) in [(Some(3), false), (Some(2), false), (Some(1), true), (None, true)] {
            let mut kept = kept();
            kept.died(SECOND * 4, SECOND * 2, SECOND * 9);
            assert_eq!(is_missing(&mut kept, read), is_owed, "{read:?}");
        }
        let mut kept = kept();
        kept.is_well(false, SECOND * 2);
        kept.died(SECOND * 9, Duration::ZERO, SECOND);
        assert!(is_missing(&mut kept, None), "it was on the disk a second before the journal failed");
        for sync_window in [SECOND * 3 / 2, SECOND * 2] {
            let mut kept = self::kept();
            kept.is_well(false, SECOND * 2);
            kept.died(SECOND * 9, Duration::ZERO, sync_window);
            assert!(!is_missing(&mut kept, None), "its journal has said that it fails");
        }
    }

    #[test]
    fn what_was_answered_is_owed_and_so_is_after_the_window_what_a_start_has_read() {
        for (read, is_owed) in [(Some(3), false), (Some(2), false), (Some(1), true), (None, true)] {
            let mut kept = kept();
            kept.answered(0, Some(1));
            kept.died(SECOND * 4, SECOND * 9, SECOND * 9);
            assert_eq!(is_missing(&mut kept, read), is_owed, "{read:?}");
        }
        for (died, is_owed) in [(11, false), (12, true)] {
            let mut kept = kept();
            kept.died(SECOND * 4, SECOND * 9, SECOND * 9);
            assert!(!is_missing(&mut kept, Some(2)));
            kept.died(SECOND * died, SECOND * 2, SECOND * 9);
            assert_eq!(is_missing(&mut kept, None), is_owed, "{died}");
        }
    }

    #[test]
    fn what_was_owed_before_a_start_is_owed_after_it_whatever_the_start_has_read_beyond() {
        let mut kept = kept();
        kept.died(SECOND * 4, SECOND * 3, SECOND * 9);
        assert!(!is_missing(&mut kept, Some(3)));
        kept.died(SECOND * 11, SECOND * 9, SECOND * 9);
        assert!(!is_missing(&mut kept, Some(1)));
        kept.died(SECOND * 11, SECOND * 9, SECOND * 9);
        assert!(is_missing(&mut kept, None));
    }

    #[test]
    fn what_was_never_known_is_told() {
        assert_eq!(kept().started(&[Some(4)], SECOND * 4, |_| false), (vec![], vec![0]));
    }
}
