//! A disk in memory that fails as real ones do: an operation fails, there is no more room, or the power is cut, and then
//! what was not synced is lost in part, in any order, and torn between sectors. No node uses it. It is public so that the
//! simulation, which is outside this crate, has the very disk that the journal's own tests have.

use std::{
    cell::{RefCell, RefMut},
    collections::BTreeMap,
    io,
    rc::Rc,
};

use rustix::io::Errno;

use super::disk::{Disk, DiskFile};

/// What a power cut leaves is whole in pieces of this size. Real ones are larger; but then short frames, as of tests, would
/// seldom be lost one without another.
const SECTOR: usize = 64;

/// What happens to one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFault {
    /// It does nothing and fails.
    Error(Errno),
    /// A write is cut short; another operation fails.
    Short,
    /// This one and all that follow fail, as if the process had been killed before it.
    Crash,
}

/// A folder with files in memory. Its clones are the same folder.
#[derive(Clone, Debug)]
pub struct FakeDisk(Rc<RefCell<State>>);

#[derive(Clone, Debug, Default)]
struct State {
    /// What a power cut leaves is whole in pieces of so many bytes.
    sector: usize,
    files: Vec<FakeFileState>,
    names: BTreeMap<String, usize>,
    /// Names as they are on the disk, and what has changed since.
    synced_names: BTreeMap<String, usize>,
    changes: Vec<NameChange>,
    operations: usize,
    fault: Option<(usize, DiskFault)>,
    /// How many more bytes fit.
    room: Option<usize>,
    is_crashed: bool,
}

#[derive(Clone, Debug, Default)]
struct FakeFileState {
    bytes: Vec<u8>,
    /// How many of them are on the disk.
    synced: usize,
    /// From there on they count as clean since a sync failed, and never get there.
    lost_from: Option<usize>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Named(String, usize),
    Removed(String),
    Renamed(String, String, usize),
}

/// A file of it that is open.
#[derive(Debug)]
pub struct FakeFile {
    disk: FakeDisk,
    index: usize,
    read: usize,
}

/// Numbers that are the same for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Those of that seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of so many.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % sides.max(1)
    }
}

impl Default for FakeDisk {
    /// An empty one.
    fn default() -> Self {
        Self::with_sectors(SECTOR)
    }
}

impl FakeDisk {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty one, of which a power cut leaves pieces of so many bytes.
    pub fn with_sectors(sector: usize) -> Self {
        Self(Rc::new(RefCell::new(State { sector, ..State::default() })))
    }

    /// The operation of that number, from 0, and no other, gets the fault.
    pub fn fail_at(&self, number: usize, fault: DiskFault) {
        self.0.borrow_mut().fault = Some((number, fault));
    }

    /// How many operations there were.
    pub fn operations(&self) -> usize {
        self.0.borrow().operations
    }

    /// So many more bytes fit; `None` for any number.
    pub fn set_room(&self, room: Option<usize>) {
        self.0.borrow_mut().room = room;
    }

    /// Whether a [`DiskFault::Crash`] has come: whoever uses the disk counts as dead.
    pub fn is_crashed(&self) -> bool {
        self.0.borrow().is_crashed
    }

    /// The disk as the next start finds it after the process was killed.
    pub fn after_kill(&self) -> Self {
        let mut state = self.0.borrow().clone();
        (state.fault, state.is_crashed, state.room) = (None, false, None);
        Self(Rc::new(RefCell::new(state)))
    }

    /// The disk as the next start may find it after the power was cut. Of what was not synced, any part of a file may be
    /// there without what was written before it, and any change of names without those before it.
    pub fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let mut state = self.after_kill().0.borrow().clone();
        let sector = state.sector;
        for file in &mut state.files {
            let FakeFileState { bytes, synced, lost_from } = file;
            let kept = *synced + dice.roll(bytes.len() - *synced + 1);
            bytes.truncate(kept);
            for begin in (*synced..kept).step_by(sector) {
                let end = (begin + sector).min(kept);
                let is_lost = lost_from.is_some_and(|from| end > from);
                if is_lost || dice.roll(2) == 0 {
                    // The file was made longer, and its sector was not written.
                    bytes[begin..end].fill(0);
                }
            }
            (file.synced, file.lost_from) = (file.bytes.len(), None);
        }
        let mut names = state.synced_names.clone();
        for change in state.changes.drain(..) {
            if dice.roll(2) == 0 {
                continue;
            }
            match change {
                NameChange::Named(name, index) => drop(names.insert(name, index)),
                NameChange::Removed(name) => drop(names.remove(&name)),
                NameChange::Renamed(from, to, index) => {
                    names.remove(&from);
                    names.insert(to, index);
                }
            }
        }
        state.synced_names.clone_from(&names);
        state.names = names;
        Self(Rc::new(RefCell::new(state)))
    }

    /// A file's bytes, to damage them.
    pub fn bytes(&self, name: &str) -> RefMut<'_, Vec<u8>> {
        RefMut::map(self.0.borrow_mut(), |state| {
            let index = state.names[name];
            &mut state.files[index].bytes
        })
    }

    /// Counts an operation, and returns whether it is cut short.
    fn operate(&self) -> io::Result<bool> {
        let mut state = self.0.borrow_mut();
        let number = state.operations;
        state.operations += 1;
        if state.is_crashed {
            return Err(Errno::IO.into());
        }
        match state.fault.filter(|(at, _)| *at == number) {
            None => Ok(false),
            Some((_, DiskFault::Error(error))) => Err(error.into()),
            Some((_, DiskFault::Short)) => Ok(true),
            Some((_, DiskFault::Crash)) => {
                state.is_crashed = true;
                Err(Errno::IO.into())
            }
        }
    }

    fn operate_whole(&self) -> io::Result<()> {
        if self.operate()? { Err(Errno::IO.into()) } else { Ok(()) }
    }

    fn opened(&self, index: usize) -> FakeFile {
        FakeFile { disk: self.clone(), index, read: 0 }
    }
}

impl Disk for FakeDisk {
    type File = FakeFile;

    fn names(&self) -> io::Result<Vec<String>> {
        self.operate_whole()?;
        Ok(self.0.borrow().names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<FakeFile> {
        self.operate_whole()?;
        let mut state = self.0.borrow_mut();
        if state.names.contains_key(name) {
            return Err(Errno::EXIST.into());
        }
        let index = state.files.len();
        state.files.push(FakeFileState::default());
        state.names.insert(name.to_owned(), index);
        state.changes.push(NameChange::Named(name.to_owned(), index));
        Ok(self.opened(index))
    }

    fn open(&self, name: &str) -> io::Result<FakeFile> {
        self.operate_whole()?;
        let index = self.0.borrow().names.get(name).copied().ok_or(Errno::NOENT)?;
        Ok(self.opened(index))
    }

    fn bytes(&self, name: &str) -> io::Result<u64> {
        self.operate_whole()?;
        let state = self.0.borrow();
        let index = state.names.get(name).copied().ok_or(Errno::NOENT)?;
        Ok(state.files[index].bytes.len() as u64)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.operate_whole()?;
        let mut state = self.0.borrow_mut();
        let index = state.names.remove(from).ok_or(Errno::NOENT)?;
        state.names.insert(to.to_owned(), index);
        state.changes.push(NameChange::Renamed(from.to_owned(), to.to_owned(), index));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.operate_whole()?;
        let mut state = self.0.borrow_mut();
        state.names.remove(name).ok_or(Errno::NOENT)?;
        state.changes.push(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.operate_whole()?;
        let mut state = self.0.borrow_mut();
        state.synced_names = state.names.clone();
        state.changes.clear();
        Ok(())
    }
}

impl DiskFile for FakeFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_short = self.disk.operate()?;
        let mut state = self.disk.0.borrow_mut();
        let room = state.room.unwrap_or(usize::MAX);
        let count = bytes.len().min(room).min(if is_short { bytes.len().div_ceil(2) } else { usize::MAX });
        if count == 0 {
            return Err(Errno::NOSPC.into());
        }
        state.room = state.room.map(|room| room - count);
        state.files[self.index].bytes.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn sync(&mut self) -> io::Result<()> {
        let done = self.disk.operate_whole();
        let mut state = self.disk.0.borrow_mut();
        let is_crashed = state.is_crashed;
        let file = &mut state.files[self.index];
        if done.is_err() && !is_crashed {
            // The pages are clean now, and what was in them is not on the disk.
            file.lost_from.get_or_insert(file.synced);
        } else if done.is_ok() && file.lost_from.is_none() {
            file.synced = file.bytes.len();
        }
        done
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let is_short = self.disk.operate()?;
        let state = self.disk.0.borrow();
        let rest = &state.files[self.index].bytes[self.read..];
        let count = rest.len().min(into.len()).min(if is_short { 1 } else { usize::MAX });
        into[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }
}
