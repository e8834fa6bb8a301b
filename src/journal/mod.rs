//! What survives a stop: the changes of a node's map as frames in files of its own folder, appended by one thread and
//! read before the node serves.
//!
//! A map that merges has no use for a database: reading a record twice, or in another order, gives the same map. So a
//! journal is a row of **segments**, which are only appended to, and now and then a **snapshot** of the whole map, which
//! replaces all segments before it. The files tell everything themselves; there is no list of them.
//!
//! `disk` is all that is asked of a file system, so that tests can have disks that fail. `header` says whose a file is,
//! `frame` makes a torn or damaged piece known as such, `names` which file is which. `writer` appends, syncs, and goes on
//! in another file when that fails; `snapshot` writes the map; `recovery` reads it all again, with `unsynced` what it may
//! still lose, and `inspection` does so for those who only look. `keeper` says when each of these is to be done.

mod condition;
mod disk;
pub mod fake_disk;
mod frame;
mod header;
mod inspection;
mod keeper;
mod lines;
mod names;
mod recovery;
mod rules;
mod snapshot;
#[cfg(test)]
mod tests;
mod unsynced;
mod writer;

pub use condition::{JournalCondition, JournalLack, RecoveryCondition};
pub use disk::{Disk, DiskFile, Folder, FolderLock, LookersLock};
pub use header::Owner;
pub use inspection::{Dismissed, Inspection, dismiss, inspect, is_journal};
pub use keeper::{Keeper, KeeperEvent, SnapshotBounds};
pub use lines::{LinesRead, store_lines};
pub use recovery::{BytesRead, Damage, Recovered, RecoveryError, recover};
pub use rules::JournalRules;
pub use snapshot::Snapshot;
pub use writer::{JournalBounds, JournalWriter};
