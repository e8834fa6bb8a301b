//! What a node logs and how much of it is kept. Writing it is done elsewhere.

use super::settings::table;

table! {
    /// The table `[log]`.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub struct LogConfig fills "log" {
        /// Logs every line of a client and every AT line, in and out.
        traffic: bool = "traffic", Flag { default: true }, "every line of clients and every AT";
        /// Logs JSON replies whole, rather than the number of their results and their length.
        bodies: bool = "bodies", Flag { default: false }, "whole JSON replies, not only their sizes";
        /// What may wait for the disk. Beyond it, traffic lines are dropped and counted.
        buffer_bytes: usize = "buffer_bytes", Count { default: 67_108_864, min: 65_536, max: 1_073_741_824 }, "waiting for the disk; beyond it traffic is dropped and counted";
        /// A file that has grown this large is rotated.
        file_bytes: usize = "file_bytes", Count { default: 268_435_456, min: 65_536, max: 1_099_511_627_776 }, "a larger file is rotated";
        /// Rotated files that are kept beside the current one.
        files_kept: usize = "files_kept", Count { default: 4, min: 0, max: 1_000 }, "rotated files beside the current one";
    }
}
