//! Writes files that nobody ever sees half of: each is written beside its final place, synced, and renamed. What it
//! holds, and what the file beside it is called, is up to its writer.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};

/// The folder that a file is in; the current one for a name alone.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What happens to a file that already exists at the place of a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Existing {
    /// The new file replaces it.
    Replaced,
    /// It stays, and the new file is refused.
    Kept,
}

/// A file that did not exist before. Dropping it removes it, unless it was kept or put in its place.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    file: File,
    is_kept: bool,
}

impl NewFile {
    /// Creates it with this mode, minus what the umask removes.
    pub(crate) fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        Ok(Self { path: path.to_owned(), file, is_kept: false })
    }

    /// The file, to write to and sync.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Leaves the file where it is, once its bytes and its name are on the disk.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        sync_folder(&self.path)?;
        self.is_kept = true;
        Ok(())
    }

    /// Renames the file, which must be synced already. After that the work is done: if the folder cannot be synced
    /// then, that error is in the `Ok`, and a power cut could still undo the renaming.
    pub(crate) fn put(self, place: &Path, existing: Existing) -> io::Result<Option<io::Error>> {
        self.put_with(place, existing, sync_folder)
    }

    fn put_with(
        mut self,
        place: &Path,
        existing: Existing,
        sync: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<Option<io::Error>> {
        match existing {
            Existing::Replaced => fs::rename(&self.path, place)?,
            Existing::Kept => rename_unless_taken(&self.path, place)?,
        }
        self.is_kept = true;
        Ok(sync(place).err())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Renames in one step, which fails if something is at the new place already.
fn rename_unless_taken(from: &Path, to: &Path) -> io::Result<()> {
    let taken = || io::Error::new(io::ErrorKind::AlreadyExists, "another program has made it meanwhile");
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::EXIST) => Err(taken()),
        // Some file systems, such as NFS, do not support this flag. Two steps are the best they allow.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match fs::symlink_metadata(to) {
            Ok(_) => Err(taken()),
            Err(_) => fs::rename(from, to),
        },
        renamed => Ok(renamed?),
    }
}

/// Syncs the names in a file's folder to the disk.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::atomic::{AtomicUsize, Ordering},
        thread,
    };

    use super::*;

    fn written(path: &Path, text: &str) -> NewFile {
        let new = NewFile::create(path, 0o600).unwrap();
        new.file().write_all(text.as_bytes()).unwrap();
        new
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_file_that_was_not_finished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let [new, place] = ["new", "place"].map(|name| folder.path().join(name));
        drop(written(&new, "half"));
        assert!(names(folder.path()).is_empty());
        assert!(written(&new, "half").put(&folder.path().join("none/place"), Existing::Replaced).is_err());
        assert!(names(folder.path()).is_empty());
        written(&new, "whole").keep().unwrap();
        assert_eq!(NewFile::create(&new, 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()), ["new"], "another's file is not removed");
        fs::remove_file(&new).unwrap();
        assert!(written(&new, "whole").put(&place, Existing::Kept).unwrap().is_none());
        assert_eq!(
            (names(folder.path()), fs::read(&place).unwrap()),
            (vec!["place".into()], b"whole".into())
        );
    }

    #[test]
    fn a_file_at_the_place_is_kept_or_replaced_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let [new, place] = ["new", "place"].map(|name| folder.path().join(name));
        fs::write(&place, "old").unwrap();
        let refused = written(&new, "new").put(&place, Existing::Kept).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((names(folder.path()), fs::read(&place).unwrap()), (vec!["place".into()], b"old".into()));
        written(&new, "new").put(&place, Existing::Replaced).unwrap();
        assert_eq!((names(folder.path()), fs::read(&place).unwrap()), (vec!["place".into()], b"new".into()));
    }

    /// Looking first and renaming then would let both through from time to time.
    #[test]
    fn of_two_that_come_at_once_one_is_refused() {
        const ROUNDS: usize = 400;
        let folder = tempfile::tempdir().unwrap();
        let arrived = AtomicUsize::new(0);
        let run = |own: &str| {
            let put = |round: usize| {
                let new = written(&folder.path().join(own), own);
                arrived.fetch_add(1, Ordering::Relaxed);
                while arrived.load(Ordering::Relaxed) < 2 * (round + 1) {
                    std::hint::spin_loop();
                }
                new.put_with(&folder.path().join(round.to_string()), Existing::Kept, |_| Ok(())).is_ok()
            };
            (0..ROUNDS).map(put).collect::<Vec<_>>()
        };
        let [one, other] = thread::scope(|scope| {
            [scope.spawn(|| run("one")), scope.spawn(|| run("other"))].map(|thread| thread.join().unwrap())
        });
        let rounds = one.iter().zip(&other).enumerate();
        let wrong: Vec<_> = rounds.filter(|(_, (one, other))| one == other).map(|(round, _)| round).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_synced_does_not_undo_what_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let [new, place] = ["new", "place"].map(|name| folder.path().join(name));
        let fails = |_: &Path| Err(io::Error::other("no"));
        let synced = written(&new, "new").put_with(&place, Existing::Kept, fails).unwrap();
        assert_eq!(synced.unwrap().to_string(), "no");
        assert_eq!(names(folder.path()), ["place"]);
    }

    #[test]
    fn a_name_alone_is_in_the_current_folder() {
        for (path, folder) in [("a", "."), ("b/a", "b"), ("/a", "/"), ("./a", ".")] {
            assert_eq!(folder_of(Path::new(path)), Path::new(folder));
        }
    }
}
