//! The file that `herd places import` makes: written beside its place and put there whole, or not at all, whatever ends the
//! work.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::super::{CommandError, signals::Interrupts};
use crate::whole_file::{Existing, NewFile, folder_of};

/// A file's place, its links followed. What would fail at the end of a long import should fail at its beginning.
pub(super) fn check(output: &Path, force: bool, files: &[PathBuf]) -> Result<PathBuf, CommandError> {
    let shown = output.display();
    let usage = |text: &str| Err(CommandError::Usage(format!("{shown} {text}")));
    if output.is_dir() || output.file_name().is_none() {
        return usage("is a folder; name a file with -o");
    }
    if !folder_of(output).is_dir() {
        return Err(CommandError::Usage(format!("{shown}: its folder is not there; make it first")));
    }
    if fs::symlink_metadata(output).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return in_writable_folder(output.to_owned());
    }
    // Where the path is a link, what it leads to is replaced. A link of the system, such as /dev/stdout, may lead to what has no
    // path.
    match fs::metadata(output) {
        Ok(about) if !about.is_file() => {
            return usage("is not a regular file, and only such are replaced; name another with -o");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return usage("is a link that leads nowhere; remove it, or name another with -o");
        }
        Err(error) => {
            return usage(&format!("is a link that cannot be followed: {error}; name another with -o"));
        }
        Ok(_) => {}
    }
    let Ok(there) = output.canonicalize() else {
        return usage("is a file that no longer has a path, so nothing can replace it; name another with -o");
    };
    if files.iter().any(|file| file.canonicalize().is_ok_and(|file| file == there)) {
        return usage("would replace what it is made of; name another with -o");
    }
    if !force {
        return usage("is there already; replace it with --force, or name another");
    }
    in_writable_folder(there)
}

fn in_writable_folder(path: PathBuf) -> Result<PathBuf, CommandError> {
    match access(folder_of(&path), Access::WRITE_OK) {
        Ok(()) => Ok(path),
        Err(error) => Err(CommandError::Usage(format!(
            "{}: its folder cannot be written to: {error}; name another with -o",
            path.display()
        ))),
    }
}

/// What a file that is in its place has come to.
#[derive(Debug)]
pub(super) struct Written<T> {
    /// What its writer returned.
    pub(super) value: T,
    /// Why a power cut may still undo it, where the folder could not be synced.
    pub(super) unsynced: Option<io::Error>,
}

/// Writes beside the file, and puts that in its place once all of it is on the disk. Where a signal that ends a process comes
/// meanwhile, what there is is removed, and the process ends as the signal would have ended it.
pub(super) fn write_whole<T>(
    path: &Path,
    force: bool,
    interrupts: &Interrupts,
    write: impl FnOnce(&mut Interruptible<'_>) -> io::Result<T>,
) -> io::Result<Written<T>> {
    let written = write_watched(path, force, interrupts, write);
    if written.is_err() {
        interrupts.end_if_any();
    }
    written
}

fn write_watched<T>(
    path: &Path,
    force: bool,
    interrupts: &Interrupts,
    write: impl FnOnce(&mut Interruptible<'_>) -> io::Result<T>,
) -> io::Result<Written<T>> {
    let beside = new_beside(path)?;
    let mut out = Interruptible { inner: BufWriter::with_capacity(1 << 20, beside.file()), interrupts };
    let value = write(&mut out)?;
    out.flush()?;
    drop(out);
    beside.file().sync_all()?;
    interrupts.check()?;
    let existing = if force { Existing::Replaced } else { Existing::Kept };
    Ok(Written { value, unsynced: beside.put(path, existing)? })
}

/// A new file beside this one. One of the same name may be left from a process that was killed.
fn new_beside(path: &Path) -> io::Result<NewFile> {
    const TRIES: u32 = 100;
    /// What the umask leaves of it.
    const MODE: u32 = 0o666;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let process = std::process::id();
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for number in 0..TRIES {
        let beside = folder_of(path).join(format!(".{name}.{process}.{number}.part"));
        match NewFile::create(&beside, MODE) {
            Ok(file) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Fails once a signal has come.
pub(super) struct Interruptible<'a> {
    inner: BufWriter<&'a File>,
    interrupts: &'a Interrupts,
}

impl Write for Interruptible<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.interrupts.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::{fd::AsRawFd, unix::fs::symlink},
        sync::{Mutex, MutexGuard, PoisonError},
    };

    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use signal_hook::{consts::SIGTERM, low_level::raise};

    use super::*;

    /// A signal comes to all of the process: those who raise one and those who watch take turns.
    static SIGNALS: Mutex<()> = Mutex::new(());

    fn alone() -> MutexGuard<'static, ()> {
        SIGNALS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn failed_write_leaves_what_was_there() {
        let _alone = alone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.bin");
        fs::write(&path, "old").unwrap();
        let failed = write_whole(&path, true, &Interrupts::watch().unwrap(), |out| {
            out.write_all(b"new")?;
            Err::<(), _>(io::Error::other("no"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["places.bin"]);
        assert!(
            write_whole(&path, false, &Interrupts::watch().unwrap(), |out| out.write_all(b"new")).is_err()
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write_whole(&path, true, &Interrupts::watch().unwrap(), |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["places.bin"]);
    }

    #[test]
    fn a_signal_while_it_is_written_leaves_nothing_behind() {
        let _alone = alone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.bin");
        let interrupts = Interrupts::watch().unwrap();
        let failed = write_watched(&path, false, &interrupts, |out| {
            out.write_all(b"some")?;
            assert_eq!(names(folder.path()).len(), 1);
            raise(SIGTERM)?;
            out.write_all(b"more")
        });
        assert_eq!(failed.unwrap_err().to_string(), "a signal came");
        assert!(names(folder.path()).is_empty());
        // One that comes with the last byte counts, too.
        let failed = write_watched(&path, false, &Interrupts::watch().unwrap(), |_| raise(SIGTERM));
        assert!(failed.is_err() && names(folder.path()).is_empty());
    }

    #[test]
    fn what_a_killed_process_has_left_is_in_nobodys_way() {
        let _alone = alone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("places.bin");
        let _left = new_beside(&path).unwrap();
        write_whole(&path, false, &Interrupts::watch().unwrap(), |out| out.write_all(b"new")).unwrap();
        assert!(names(folder.path()).len() == 2 && path.exists());
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        symlink("/dev/null", at("device")).unwrap();
        mknodat(CWD, at("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let descriptor = |fd: &dyn AsRawFd| format!("/proc/self/fd/{}", fd.as_raw_fd());
        let (_reader, writer) = io::pipe().unwrap();
        let gone = tempfile::tempfile().unwrap();
        symlink(descriptor(&writer), at("pipe")).unwrap();
        symlink(descriptor(&gone), at("gone")).unwrap();
        symlink("round", at("round")).unwrap();
        let check = |name: &str, force| {
            let checked = check(&at(name), force, &[at("input")]);
            checked.map_err(|failure| failure.to_string())
        };
        let real = |name: &str| at(name).canonicalize().unwrap();
        assert_eq!(check("new", false).unwrap(), at("new"));
        assert_eq!(
            [check("file", true).unwrap(), check("link", true).unwrap()],
            [real("file"), real("file")]
        );
        for name in ["file", "link"] {
            assert!(check(name, false).unwrap_err().contains("--force"), "{name}");
        }
        for (name, expected) in [
            ("dangling", "a link that leads nowhere"),
            ("device", "is not a regular file"),
            ("fifo", "is not a regular file"),
            ("pipe", "is not a regular file"),
            ("round", "is a link that cannot be followed: Too many levels of symbolic links"),
            ("gone", "is a file that no longer has a path"),
            ("", "is a folder"),
            ("none/file", "its folder is not there"),
        ] {
            for force in [false, true] {
                let said = check(name, force).unwrap_err();
                assert!(said.contains(expected), "{name} {force}: {said}");
            }
        }
        symlink("file", at("input")).unwrap();
        assert!(check("link", true).unwrap_err().contains("what it is made of"));
    }
}
