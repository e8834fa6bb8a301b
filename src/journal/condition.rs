//! What a journal says about itself.

use std::time::Duration;

/// A journal at one moment.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct JournalCondition {
    /// Bytes of changes that it has taken since the start.
    pub appended: u64,
    /// How many of them are not on the disk.
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
    /// How often the disk has begun to fail.
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
