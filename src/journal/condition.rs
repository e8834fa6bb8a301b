//! What a journal says about itself.

use std::{fmt, time::Duration};

/// A journal at one moment.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct JournalCondition {
    /// Bytes of changes that it has taken since the start.
    pub appended: u64,
    /// How many of them are not on the disk; 1 at least once its thread has panicked, since nobody counts any more.
    pub unsynced: u64,
    /// Whether reports are acknowledged only once they are on the disk.
    pub is_awaited: bool,
    /// How often it has brought changes to the disk.
    pub syncs: u64,
    /// How long all of that took.
    pub sync_time: Duration,
    /// How long the longest of them took.
    pub sync_time_max: Duration,
    /// Snapshots that were finished.
    pub snapshots: u64,
    /// How long the last one is, in bytes.
    pub snapshot_bytes: u64,
    /// How often writing has begun to fail, by the disk or by a panic of its thread.
    pub failures: u64,
    /// Why it fails, if it does.
    pub failing: Option<String>,
    /// Whether its thread has ended by a panic, so that nothing is kept until the node starts again.
    pub has_died: bool,
    /// Whether changes are in memory only until the next snapshot.
    pub is_short: bool,
    /// What the start found.
    pub recovery: RecoveryCondition,
}

impl JournalCondition {
    /// What the journal lacks of what has changed, if it lacks any of it.
    pub fn lack(&self) -> Option<JournalLack> {
        match self {
            Self { has_died: true, .. } => Some(JournalLack::AllSincePanic),
            Self { is_short: true, .. } => Some(JournalLack::Uncounted),
            Self { unsynced: 0, .. } => None,
            Self { unsynced, .. } => Some(JournalLack::Bytes(*unsynced)),
        }
    }
}

/// What a journal lacks. Displays as `lacks 64 bytes of the last changes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JournalLack {
    /// So many bytes of the last changes.
    Bytes(u64),
    /// Some of the last changes, which only a snapshot would have had.
    Uncounted,
    /// Everything since its thread has panicked.
    AllSincePanic,
}

impl fmt::Display for JournalLack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "lacks {bytes} bytes of the last changes"),
            Self::Uncounted => write!(f, "lacks some of the last changes"),
            Self::AllSincePanic => write!(f, "lacks all changes since its thread panicked, which is a bug"),
        }
    }
}

/// What the start found in a journal.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RecoveryCondition {
    /// Bytes of lines.
    pub bytes: u64,
    /// How long it took to read them.
    pub time: Duration,
    /// Bytes that were torn at the last end, as a power cut tears them.
    pub torn: u64,
    /// Places at which something is missing that had been on the disk.
    pub damage: usize,
    /// Damaged files that are kept for whoever wants to look at them.
    pub set_aside: usize,
}
