//! Files that nobody sees half of: each is written beside its place, and renamed into it.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

/// A file that is being written. Dropped before it is put in its place, it leaves nothing.
#[derive(Debug)]
pub enum WholeFile {
    /// A regular file, and where it will be.
    Beside(NamedTempFile, PathBuf),
    /// A terminal, a pipe or a device, which takes what it is given at once.
    Direct(File),
}

impl WholeFile {
    /// Fails where the file could not be put in its place later. A link stays; what it leads to is replaced.
    pub fn create(path: &Path) -> io::Result<Self> {
        let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if place.exists() && !place.is_file() {
            return File::options().write(true).open(place).map(Self::Direct);
        }
        let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
        // The umask takes its share of this mode.
        let mode = Permissions::from_mode(0o666);
        let file = Builder::new()
            .prefix(".herd-load-")
            .permissions(mode)
            .tempfile_in(folder.unwrap_or(Path::new(".")))?;
        Ok(Self::Beside(file, place))
    }

    /// Renames it into its place, once its bytes are on the disk.
    pub fn put(self) -> io::Result<()> {
        let Self::Beside(file, place) = self else { return Ok(()) };
        file.as_file().sync_all()?;
        file.persist(place).map(drop).map_err(|refused| refused.error)
    }

    /// Writes all of a file.
    pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let mut file = Self::create(path)?;
        file.write_all(bytes.as_ref())?;
        file.put()
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Beside(file, _) => file.write(bytes),
            Self::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
