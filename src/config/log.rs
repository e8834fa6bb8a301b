//! What a node logs and how much of it is kept. Writing it is done elsewhere.

use super::settings::{Setting, Slot};

/// The table `[log]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogConfig {
    /// Every line of clients and every AT, in and out. `traffic`: true.
    pub traffic: bool,
    /// Whole JSON replies, rather than their counts and lengths. `bodies`: false.
    pub bodies: bool,
    /// What may wait for the disk, in bytes; beyond it traffic lines are dropped and counted. `buffer_bytes`: 64 MiB;
    /// 64 KiB to 1 GiB.
    pub buffer_bytes: usize,
    /// A file that has grown this large is rotated, in bytes. `file_bytes`: 256 MiB; 64 KiB to 1 TiB.
    pub file_bytes: usize,
    /// Rotated files kept beside the current one. `files_kept`: 4; 0 to 1,000.
    pub files_kept: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { traffic: true, bodies: false, buffer_bytes: 64 << 20, file_bytes: 256 << 20, files_kept: 4 }
    }
}

/// The keys of `[log]`.
#[rustfmt::skip]
pub(super) const SETTINGS: [Setting<LogConfig>; 5] = {
    use Slot::{Count, Flag};
    [
        Setting { key: "traffic", min: 0.0, max: 1.0, slot: Flag(|log| &mut log.traffic), about: "every line of clients and every AT" },
        Setting { key: "bodies", min: 0.0, max: 1.0, slot: Flag(|log| &mut log.bodies), about: "whole JSON replies, not only their sizes" },
        Setting { key: "buffer_bytes", min: 65_536.0, max: 1_073_741_824.0, slot: Count(|log| &mut log.buffer_bytes), about: "waiting for the disk; beyond it traffic is dropped and counted" },
        Setting { key: "file_bytes", min: 65_536.0, max: 1_099_511_627_776.0, slot: Count(|log| &mut log.file_bytes), about: "a larger file is rotated" },
        Setting { key: "files_kept", min: 0.0, max: 1_000.0, slot: Count(|log| &mut log.files_kept), about: "rotated files beside the current one" },
    ]
};
