//! Where a node keeps what it knows over a stop, and how soon that is safe.

use std::{path::PathBuf, time::Duration};

use super::settings::table;

/// When changes are brought to the disk: before they are acknowledged, within some time, when the system sees fit.
pub(super) const SYNCS: [&str; 3] = ["commit", "interval", "never"];

table! {
    /// The table `[journal]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct JournalConfig fills "journal" {
        /// The folder in which each node has a folder of its name for its journal, from which it knows again at its start what
        /// it knew at its end. Without it, or `--data-dir`, nothing is kept.
        dir: Option<PathBuf> = "dir", Path {}, "what the nodes know is kept below it";
        /// When changes are brought to the disk: `"commit"`, before a client's report is acknowledged; `"interval"`, each `sync_seconds` and each `sync_bytes`; `"never"`, when the
        /// system sees fit, so that a power cut may lose the last half a minute.
        sync: String = "sync", Word { default: "interval", among: &SYNCS }, "when changes are brought to the disk";
        /// With `"commit"`, how long a client's reports may wait for the disk until its connection is closed unanswered.
        commit_time: Duration = "commit_seconds", Seconds { default: 5.0, min: 0.01, max: 3_600.0 }, "for reports to be on the disk, with sync = \"commit\"";
        /// What a power cut may lose, by time.
        sync_time: Duration = "sync_seconds", Seconds { default: 1.0, min: 0.001, max: 3_600.0 }, "changes are on the disk within this time";
        /// What a power cut may lose, by size.
        sync_bytes: usize = "sync_bytes", Count { default: 16_777_216, min: 1, max: 1_073_741_824 }, "so many of them are brought to it at once";
        /// What may wait in memory while the disk is slow or fails, once for changes that the journal has not taken and once for
        /// those that it has; with `"commit"`, once more while it takes them. Beyond it, changes are in the map only until a
        /// snapshot has them.
        waiting_bytes: usize = "waiting_bytes", Count { default: 67_108_864, min: 131_072, max: 17_179_869_184 }, "may wait for the disk, twice";
        /// A file of changes that has grown this large is followed by another.
        segment_bytes: usize = "segment_bytes", Count { default: 67_108_864, min: 4_096, max: 1_099_511_627_776 }, "a larger file of changes is followed by another";
        /// Once files of changes have this many bytes, and 4 times those of the last snapshot, a new snapshot replaces them.
        snapshot_bytes: usize = "snapshot_bytes", Count { default: 268_435_456, min: 4_096, max: 1_099_511_627_776 }, "of changes before a snapshot replaces them";
        /// A disk that failed is tried again after this time.
        retry_time: Duration = "retry_seconds", Seconds { default: 1.0, min: 0.01, max: 3_600.0 }, "until a disk that failed is tried again";
    }
}

impl JournalConfig {
    /// Whether clients' reports are acknowledged only once they are on the disk.
    pub fn commits(&self) -> bool {
        self.sync == SYNCS[0]
    }

    /// Whether changes are brought to the disk at all.
    pub fn is_synced(&self) -> bool {
        self.sync != SYNCS[2]
    }

    /// The folder of that node's journal.
    pub fn folder(&self, node: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(node))
    }
}
