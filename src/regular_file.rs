//! Files that a node reads when it starts, whole and within a bound: regular ones only, so that a pipe without a writer
//! does not block the start and an endless device does not fill the memory.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// Why a file was not opened or read.
#[derive(Debug)]
pub(crate) enum RegularFileError {
    /// It is missing, or may not be read.
    Unreadable(io::Error),
    /// A folder, a pipe, a device or a socket.
    NotAFile,
}

impl From<RegularFileError> for io::Error {
    fn from(fault: RegularFileError) -> Self {
        match fault {
            RegularFileError::Unreadable(error) => error,
            RegularFileError::NotAFile => Self::other("it is not a regular file"),
        }
    }
}

/// Opens a regular file for reading.
pub(crate) fn open(path: &Path) -> Result<File, RegularFileError> {
    // Only an open file can be asked what it is; opening a pipe must not wait for its writer.
    let no_wait = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(no_wait)
        .open(path)
        .map_err(RegularFileError::Unreadable)?;
    match file.metadata().map_err(RegularFileError::Unreadable)?.is_file() {
        true => Ok(file),
        false => Err(RegularFileError::NotAFile),
    }
}

/// Reads a whole file; `None` if it has more than `bytes_max` bytes.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    read_within(open(path)?, bytes_max)
}

/// Reads to the end; `None` if that is more than `bytes_max` bytes away.
pub(crate) fn read_within(from: impl Read, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= bytes_max))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_a_regular_file_within_its_bound_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "four").unwrap();
        assert_eq!(read(&path, 4).unwrap().as_deref(), Some(&b"four"[..]));
        assert_eq!(read(&path, 3).unwrap(), None);
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        for irregular in [folder.path(), &pipe, Path::new("/dev/zero")] {
            let error = read(irregular, 4).unwrap_err().to_string();
            assert_eq!(error, "it is not a regular file", "{}", irregular.display());
        }
        assert_eq!(read(&folder.path().join("none"), 4).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
