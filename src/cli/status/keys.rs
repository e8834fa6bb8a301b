//! The keys of a terminal, each as soon as it is pressed, and none of them shown; the terminal's modes are as they were once
//! this is over, however it ends. Ctrl-C and Ctrl-Z stay the signals they are.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::{
    io::{Errno, read},
    process::getpgrp,
    termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr},
};

/// The keys, until this is dropped.
pub(super) struct Keys<T: AsFd> {
    terminal: T,
    /// The modes it is to have again; `None` while it has them.
    before: Option<Termios>,
}

/// What was pressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pressed {
    /// What ends it.
    Quit,
    Other,
    /// The terminal is gone, and says so whenever it is asked.
    Nothing,
}

impl<T: AsFd> Keys<T> {
    /// `None` where this is no terminal: what is there is not for us to read.
    pub(super) fn take(terminal: T) -> Option<Self> {
        let mut keys = Self { terminal, before: None };
        keys.take_again().then_some(keys)
    }

    /// Has each key come at once and unseen; whether the terminal does that. Only in the foreground, where it is not
    /// somebody else's.
    pub(super) fn take_again(&mut self) -> bool {
        let Ok(before) = tcgetattr(&self.terminal) else { return false };
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        let is_set = tcsetattr(&self.terminal, OptionalActions::Now, &modes).is_ok();
        if is_set {
            self.before = Some(before);
        }
        is_set
    }

    /// Gives the terminal its modes back.
    pub(super) fn give_back(&mut self) {
        let Some(before) = self.before.take() else { return };
        // In the background it has those of another program, and setting them would stop this one.
        if is_in_foreground(&self.terminal) {
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &before);
        }
    }

    /// What can be read without waiting, where this can be read at all. What is typed after it is left to whoever comes next.
    pub(super) fn pressed(&self) -> Pressed {
        let mut key = [0];
        match read(&self.terminal, &mut key) {
            Ok(1..) if matches!(key, [b'q' | b'Q']) => Pressed::Quit,
            Ok(1..) | Err(Errno::INTR | Errno::AGAIN) => Pressed::Other,
            Ok(0) | Err(_) => Pressed::Nothing,
        }
    }
}

impl<T: AsFd> AsFd for Keys<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.terminal.as_fd()
    }
}

impl<T: AsFd> Drop for Keys<T> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Whether this process may use the terminal. One that is not this process's own has no foreground to be in.
pub(super) fn is_in_foreground(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).map_or(true, |foreground| foreground == getpgrp())
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsString,
        fs::File,
        io::Write,
        os::{fd::OwnedFd, unix::ffi::OsStringExt},
        panic::{AssertUnwindSafe, catch_unwind},
    };

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    fn terminal() -> (File, File) {
        let outer: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&outer).unwrap();
        unlockpt(&outer).unwrap();
        let name = OsString::from_vec(ptsname(&outer, Vec::new()).unwrap().into_bytes());
        let inner = File::options().read(true).write(true).open(name).unwrap();
        (File::from(outer), inner)
    }

    fn modes(terminal: &File) -> (LocalModes, u8) {
        let modes = tcgetattr(terminal).unwrap();
        (modes.local_modes, modes.special_codes[SpecialCodeIndex::VMIN])
    }

    #[test]
    fn keys_come_one_by_one_and_the_modes_come_back_however_it_ends() {
        let (mut outer, inner) = terminal();
        let before = modes(&inner);
        assert!(before.0.contains(LocalModes::ICANON | LocalModes::ECHO));
        let mut keys = Keys::take(&inner).unwrap();
        assert!(!modes(&inner).0.intersects(LocalModes::ICANON | LocalModes::ECHO));
        assert!(modes(&inner).0.contains(LocalModes::ISIG));
        outer.write_all(b"xQq").unwrap();
        assert_eq!([(); 3].map(|()| keys.pressed()), [Pressed::Other, Pressed::Quit, Pressed::Quit]);
        keys.give_back();
        assert_eq!(modes(&inner), before);
        assert!(keys.take_again());
        drop(keys);
        assert_eq!(modes(&inner), before);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _keys = Keys::take(&inner).unwrap();
            assert_eq!(modes(&inner), before, "so it panics here");
        }));
        assert!(panicked.is_err());
        assert_eq!(modes(&inner), before);
    }

    #[test]
    fn what_is_no_terminal_is_left_alone_and_one_that_is_gone_has_no_keys() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert!(Keys::take(&reader).is_none());
        let (outer, inner) = terminal();
        let keys = Keys::take(&inner).unwrap();
        drop(outer);
        assert_eq!(keys.pressed(), Pressed::Nothing);
    }
}
