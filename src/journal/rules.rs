//! The rules that keep a journal's promises, as values, so that the simulation can break one of them and show that it
//! notices. A node uses [`JournalRules::SOUND`].

/// Which rules hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalRules {
    /// A batch that somebody waits for is synced, and committed only then.
    pub syncs_before_commit: bool,
    /// A snapshot begins with a new segment; the map is read after that.
    pub rotates_before_snapshot: bool,
    /// A segment whose write or sync has failed is neither written to nor synced again.
    pub leaves_failed_files: bool,
    /// What a start has read and nothing tells to be on the disk is written again, and synced.
    pub tells_unsynced_again: bool,
}

impl JournalRules {
    /// All of them hold.
    pub const SOUND: Self = Self {
        syncs_before_commit: true,
        rotates_before_snapshot: true,
        leaves_failed_files: true,
        tells_unsynced_again: true,
    };
}
