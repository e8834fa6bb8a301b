//! What the files of a journal are called: `segment-0000000007`, `snapshot-0000000007`. A snapshot replaces the segments
//! with lower numbers; one that is being written ends in `.partial`, and what had damage in its middle is kept as
//! `.damaged`.

use std::io;

use super::disk::Disk;

/// Two kinds of files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum FileKind {
    /// Changes in the order in which they came.
    Segment,
    /// The whole map.
    Snapshot,
}

/// Which file: its kind and its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct FileId {
    pub(super) number: u64,
    pub(super) kind: FileKind,
}

/// What a process locks for as long as it uses the folder.
pub(super) const LOCK: &str = "lock";
const PARTIAL: &str = ".partial";
const DAMAGED: &str = ".damaged";

impl FileId {
    pub(super) fn segment(number: u64) -> Self {
        Self { number, kind: FileKind::Segment }
    }

    pub(super) fn snapshot(number: u64) -> Self {
        Self { number, kind: FileKind::Snapshot }
    }

    pub(super) fn name(self) -> String {
        let word = match self.kind {
            FileKind::Segment => "segment",
            FileKind::Snapshot => "snapshot",
        };
        format!("{word}-{:010}", self.number)
    }

    /// What it is called until it is whole.
    pub(super) fn partial_name(self) -> String {
        self.name() + PARTIAL
    }

    /// The file of that name, if it is a journal's and whole.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let (word, digits) = name.split_once('-')?;
        // No journal gets that far; the next number must exist.
        let number = digits.parse().ok().filter(|number| *number < u64::MAX)?;
        let id = match word {
            "segment" => Self::segment(number),
            "snapshot" => Self::snapshot(number),
            _ => return None,
        };
        (id.name() == name).then_some(id)
    }
}

/// Whether it is the name of a file that was not finished.
pub(super) fn is_partial(name: &str) -> bool {
    name.strip_suffix(PARTIAL).is_some_and(|whole| FileId::of_name(whole).is_some())
}

/// Whether it is the name of a damaged file that is kept.
pub(super) fn is_set_aside(name: &str) -> bool {
    name.strip_suffix(DAMAGED).is_some_and(|whole| FileId::of_name(whole).is_some())
}

/// Whether a folder that has a file of this name is a journal's.
pub(super) fn is_of_a_journal(name: &str) -> bool {
    name == LOCK || FileId::of_name(name).is_some() || is_partial(name) || is_set_aside(name)
}

/// Removes the files that a snapshot of that number replaces, the oldest last; those that are damaged only get another
/// name.
pub(super) fn remove_before<D: Disk>(disk: &D, number: u64, damaged: &[FileId]) -> io::Result<()> {
    let mut ids: Vec<_> = disk.names()?.iter().filter_map(|name| FileId::of_name(name)).collect();
    ids.retain(|id| id.number < number);
    ids.sort_unstable();
    ids.iter().rev().try_for_each(|id| match damaged.contains(id) {
        true => disk.rename(&id.name(), &(id.name() + DAMAGED)),
        false => disk.remove(&id.name()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were_written() {
        for id in [FileId::segment(0), FileId::segment(7), FileId::snapshot(12_345_678_901)] {
            assert_eq!(FileId::of_name(&id.name()), Some(id), "{}", id.name());
        }
        assert_eq!(FileId::segment(7).name(), "segment-0000000007");
        for other in ["segment-7", "segment-0000000007.damaged", "snapshot-+000000007", "lock", "segment"] {
            assert_eq!(FileId::of_name(other), None, "{other}");
        }
    }

    #[test]
    fn journals_folder_is_known_by_any_of_its_names() {
        for name in
            ["lock", "segment-0000000007", "snapshot-0000000007.partial", "segment-0000000007.damaged"]
        {
            assert!(is_of_a_journal(name), "{name}");
        }
        for other in ["lock.txt", "notes.damaged", "movie.partial", "segment-7"] {
            assert!(!is_of_a_journal(other), "{other}");
        }
    }

    #[test]
    fn files_are_ordered_by_number_and_segments_first() {
        let mut ids = [FileId::snapshot(2), FileId::segment(10), FileId::segment(2)];
        ids.sort();
        assert_eq!(ids, [FileId::segment(2), FileId::snapshot(2), FileId::segment(10)]);
    }
}
