//! How a log is opened. A file is made with its folder where it is not there, for its owner only, and never through a link;
//! one that others may open is closed to them, for it holds everyone's locations. Standard output is taken as it is.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Seek, SeekFrom},
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::whole_file::folder_of;

/// What groups and others may do.
const NOT_OWNERS: u32 = 0o077;

/// What a log is written to. Displays as what follows "the log".
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Target {
    File(PathBuf),
    StandardOutput,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::StandardOutput => write!(f, "on standard output"),
        }
    }
}

impl Target {
    /// Why a write to it does not return.
    pub(super) fn stall(&self) -> &'static str {
        match self {
            Self::File(_) => "the disk does not end a write",
            Self::StandardOutput => "its reader takes nothing",
        }
    }

    /// Why lines found no room in the buffer.
    pub(super) fn slowness(&self) -> &'static str {
        match self {
            Self::File(_) => "the disk is slower than they came, or full",
            Self::StandardOutput => "its reader is slower than they came, or gone",
        }
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[error("the log {target} cannot be opened: {fault}; {}", fault.cure())]
pub struct LogError {
    pub(super) target: Target,
    pub(super) fault: LogFault,
}

/// What is in the way of a log. Displays as the reason, without a path or a cure.
#[derive(Debug, thiserror::Error)]
pub(super) enum LogFault {
    #[error("{0}")]
    System(#[from] io::Error),
    #[error("it is a symbolic link, and what that leads to may be anybody's")]
    Link,
    #[error("it is a disk")]
    Disk,
    #[error("{} is not a folder", .0.display())]
    NotAFolder(PathBuf),
    #[error("{} is a link that leads nowhere", .0.display())]
    LostLink(PathBuf),
    #[error("others may open it (mode {mode:03o}), and this user cannot change that: {error}")]
    Open { mode: u32, error: io::Error },
}

impl LogFault {
    fn cure(&self) -> &'static str {
        match self {
            Self::System(_) => "choose a folder this user may write to with --log-dir",
            Self::Link => "remove it, or have --log-dir name the folder that the log is to be in",
            Self::Disk | Self::NotAFolder(_) => "choose another folder with --log-dir",
            Self::LostLink(_) => "remove it, or choose another folder with --log-dir",
            Self::Open { .. } => "move it away, or choose another folder with --log-dir",
        }
    }
}

/// The file, open for appending, or standard output.
#[derive(Debug)]
pub(super) struct OpenedFile {
    pub(super) file: File,
    pub(super) size: u64,
    /// Whether it is a file: no pipe, no device, which have no size and are not rotated.
    pub(super) is_file: bool,
    /// Whether it ends with a line that a killed process left half written.
    pub(super) is_mid_line: bool,
}

/// Standard output, by a descriptor of the log's own: what the log is told of is then in no other buffer.
pub(super) fn standard_output() -> io::Result<OpenedFile> {
    let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Where it leads to a file, that is the shell's: neither its size nor its last line is this log's.
    Ok(OpenedFile { file, size: 0, is_file: false, is_mid_line: false })
}

/// Opens the file, and makes it and its folder where they are not there. What an operator should know is added to
/// `remarks`.
pub(super) fn open(path: &Path, remarks: &mut Vec<String>) -> Result<OpenedFile, LogFault> {
    make_folder(path)?;
    let no_link = OFlags::NOFOLLOW.bits() as i32;
    let mut options = OpenOptions::new();
    options.append(true).read(true).create(true).mode(0o600).custom_flags(no_link);
    let mut file = options.open(path).map_err(|error| match is_link(path) {
        true => LogFault::Link,
        false => LogFault::System(error),
    })?;
    let about = file.metadata()?;
    let kind = about.file_type();
    if kind.is_block_device() {
        return Err(LogFault::Disk);
    }
    let mode = about.mode() & 0o777;
    let is_private = kind.is_file() || kind.is_fifo();
    let was_open =
        is_private && close_to_others(&file, mode).map_err(|error| LogFault::Open { mode, error })?;
    let (size, is_mid_line) = if kind.is_file() { end_of(&mut file)? } else { (0, false) };
    if was_open {
        remarks.push(format!("the log was open to others (mode {mode:03o}); now only its owner may open it"));
    }
    if is_private && about.uid() != rustix::process::geteuid().as_raw() {
        remarks.push(format!("the log belongs to another user ({}), who can read it", about.uid()));
    }
    Ok(OpenedFile { file, size, is_file: kind.is_file(), is_mid_line })
}

/// Makes the folder of a log, for its owner only, where it is not there.
fn make_folder(path: &Path) -> Result<(), LogFault> {
    let folder = folder_of(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| in_the_way(folder, error))
}

/// Why a folder cannot be made: the system does not say which part of its path is in the way.
fn in_the_way(folder: &Path, error: io::Error) -> LogFault {
    for part in folder.ancestors() {
        let Ok(there) = fs::symlink_metadata(part) else { continue };
        return match fs::metadata(part) {
            Ok(about) if !about.is_dir() => LogFault::NotAFolder(part.to_owned()),
            Ok(_) => LogFault::System(error),
            Err(error) if there.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
                LogFault::LostLink(part.to_owned())
            }
            Err(error) => LogFault::System(error),
        };
    }
    LogFault::System(error)
}

/// What an operator should know of the log's folder.
pub(super) fn look_at_folder(path: &Path, remarks: &mut Vec<String>) {
    let folder = folder_of(path);
    let Ok(about) = fs::metadata(folder) else { return };
    let mode = about.mode() & 0o7777;
    // In a folder with the sticky bit, such as /tmp, each may remove only what is his.
    if mode & 0o1002 == 0o002 {
        remarks.push(format!(
            "anyone may replace or remove the log: its folder {} is open to all (mode {mode:03o})",
            folder.display()
        ));
    }
}

/// Closes an older log, which was rotated, to others.
pub(super) fn close_older(path: &Path, remarks: &mut Vec<String>) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    let mode = about.mode() & 0o777;
    if !about.is_file() || mode & NOT_OWNERS == 0 {
        return Ok(());
    }
    let no_link = OFlags::NOFOLLOW.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(no_link).open(path);
    let name = path.display();
    remarks.push(match file.and_then(|file| close_to_others(&file, mode)) {
        Ok(_) => format!("the older log {name} was open to others (mode {mode:03o}); now only its owner may open it"),
        Err(error) => {
            format!("others may open the older log {name} (mode {mode:03o}), and this user cannot change that: {error}")
        }
    });
    Ok(())
}

/// Takes from groups and others what they may do with a file; whether there was something to take.
fn close_to_others(file: &File, mode: u32) -> io::Result<bool> {
    let is_open = mode & NOT_OWNERS != 0;
    if is_open {
        file.set_permissions(Permissions::from_mode(mode & !NOT_OWNERS))?;
    }
    Ok(is_open)
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink())
}

/// A file's size, and whether its last line has no end.
fn end_of(file: &mut File) -> io::Result<(u64, bool)> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut last = *b"\n";
    if size > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    Ok((size, last != *b"\n"))
}
