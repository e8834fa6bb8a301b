//! Hands the configuration to the nodes' processes, as a path that is valid in any folder. `up` itself reads its configuration once, so that it may be a pipe.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::fs::{MemfdFlags, memfd_create};

use crate::config::{self, Herd};

/// The path, good for as long as this lives.
pub(super) struct Handover {
    /// `None` for the built-in herd.
    pub(super) path: Option<PathBuf>,
    /// What is at the path, where that is no file of the user's.
    memory: Option<OwnedFd>,
}

impl Handover {
    /// `herd` is what was read from `config`.
    pub(super) fn new(config: Option<&Path>, herd: &Herd) -> io::Result<Self> {
        match config {
            None => Ok(Self { path: None, memory: None }),
            Some(config) if config::is_open_file(config) => Self::in_memory(herd),
            Some(config) => Ok(Self { path: Some(std::path::absolute(config)?), memory: None }),
        }
    }

    /// A pipe is empty once it was read, so its text is held for as long as this process runs.
    fn in_memory(herd: &Herd) -> io::Result<Self> {
        let memory = memfd_create("herd.toml", MemfdFlags::CLOEXEC)?;
        File::from(memory.try_clone()?).write_all(herd.to_toml().as_bytes())?;
        let path = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
        Ok(Self { path: Some(path.into()), memory: Some(memory) })
    }

    /// Whether the path leads to this process, and so to nothing once it has ended.
    pub(super) fn is_piped(&self) -> bool {
        self.memory.is_some()
    }

    /// The path as the user may type it in the folder where `up` runs.
    pub(super) fn typed<'t>(&'t self, config: Option<&'t Path>) -> Option<&'t Path> {
        if self.memory.is_some() { self.path.as_deref() } else { config }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_handed_over_by_its_absolute_path() {
        let given = Path::new("some folder/herd.toml");
        let handover = Handover::new(Some(given), &Herd::embedded()).unwrap();
        assert_eq!(handover.path, Some(std::env::current_dir().unwrap().join(given)));
        assert_eq!(handover.typed(Some(given)), Some(given));
        assert_eq!(Handover::new(None, &Herd::embedded()).unwrap().path, None);
    }

    #[test]
    fn what_came_through_a_pipe_can_be_read_again_and_again() {
        let (reader, writer) = io::pipe().unwrap();
        let pipe = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let herd = Herd { name: "piped".to_owned(), ..Herd::embedded() };
        let handover = Handover::new(Some(&pipe), &herd).unwrap();
        let path = handover.path.as_deref().unwrap();
        for _ in 0..2 {
            assert_eq!(Herd::load(path).unwrap(), herd);
        }
        assert_eq!(handover.typed(Some(&pipe)), Some(path));
        drop(writer);
    }
}
