//! Files that fail as disks do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::directory::Directory;
use crate::file::{File, FileError};
use crate::memory::Random;

/// What goes wrong with one call that changes the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and does nothing.
    Fail,
    /// A write does its first so many bytes, then fails. Any other call fails.
    Torn(usize),
    /// It succeeds and does nothing. Of a sync: the disk lies.
    Ignore,
    /// One bit of what is written is turned over, drawn by this number. Any other call goes
    /// well.
    Flip(u64),
    /// There is no room; nothing is done.
    NoSpace,
}

/// Which calls go wrong. Writes, changes of length and syncs are counted together, from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// By the number of the call.
    pub calls: BTreeMap<u64, Fault>,
    /// All files together may not grow beyond this: a full disk, until it is changed.
    pub capacity: Option<u64>,
    /// No sync does anything, and all say that they did.
    pub lies: bool,
}

impl Faults {
    /// Faults drawn from a seed: of the next `calls` calls about one in `one_in` goes wrong.
    /// Only a disk that `lies` says that all went well when it did not.
    #[must_use]
    pub fn drawn(seed: u64, calls: u64, one_in: u64, lies: bool) -> Self {
        let mut random = Random(seed);
        let mut drawn = Self::default();
        for call in 0..calls {
            if !random.next().is_multiple_of(one_in.max(1)) {
                continue;
            }
            let size = random.next();
            let fault = match random.next() % if lies { 5 } else { 3 } {
                0 => Fault::Fail,
                1 => Fault::Torn((size % 4096) as usize),
                2 => Fault::NoSpace,
                3 => Fault::Ignore,
                _ => Fault::Flip(size),
            };
            drawn.calls.insert(call, fault);
        }
        drawn
    }
}

/// Any directory, on a disk with faults. A clone is another handle to the same disk.
#[derive(Clone, Debug)]
pub struct FaultyDirectory<D> {
    directory: D,
    disk: Disk,
}

/// A file of it.
#[derive(Clone, Debug)]
pub struct Faulty<F> {
    file: F,
    name: String,
    disk: Disk,
}

/// What all files on a disk share.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    calls: u64,
    ended: bool,
    /// The files' lengths.
    lengths: BTreeMap<String, u64>,
}

impl<D: Directory> FaultyDirectory<D> {
    /// `directory`, with `faults`.
    #[must_use]
    pub fn new(directory: D, faults: Faults) -> Self {
        let disk = Disk::default();
        disk.state().faults = faults;
        Self { directory, disk }
    }

    /// Other faults from now on. The count of calls goes on.
    pub fn set(&self, faults: Faults) {
        self.disk.state().faults = faults;
    }

    /// The faults that are still to come.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.disk.state().faults.clone()
    }

    /// The next call goes wrong, beside all others that will.
    pub fn next(&self, fault: Fault) {
        let mut state = self.disk.state();
        let call = state.calls;
        state.faults.calls.insert(call, fault);
    }

    /// No more room than this, or no limit.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.disk.state().faults.capacity = capacity;
    }

    /// The process that has these files open ends: what it still does with them is not done, and
    /// it does not see what becomes of them.
    pub fn end(&self) {
        self.disk.state().ended = true;
    }

    /// How many calls there were that could have gone wrong.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.disk.state().calls
    }

    /// Bytes of all files that were opened.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.disk.state().used()
    }

    /// The directory without its faults.
    #[must_use]
    pub fn inner(&self) -> &D {
        &self.directory
    }
}

impl<D: Directory> Directory for FaultyDirectory<D> {
    type File = Faulty<D::File>;

    fn names(&self) -> Result<Vec<String>, FileError> {
        self.directory.names()
    }

    fn open(&self, name: &str) -> Result<Option<Self::File>, FileError> {
        self.check_room_for(name)?;
        let Some(file) = self.directory.open(name)? else { return Ok(None) };
        let (name, disk) = (name.to_string(), self.disk.clone());
        disk.state().lengths.insert(name.clone(), file.len()?);
        Ok(Some(Faulty { file, name, disk }))
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        self.disk.state().lengths.remove(name);
        self.directory.remove(name)
    }
}

impl<D: Directory> FaultyDirectory<D> {
    /// On a full disk there is no room for a new name.
    fn check_room_for(&self, name: &str) -> Result<(), FileError> {
        let state = self.disk.state();
        let is_full = state.faults.capacity.is_some_and(|capacity| state.used() >= capacity);
        match is_full && !self.directory.names()?.iter().any(|known| known == name) {
            true => Err(full()),
            false => Ok(()),
        }
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_running(&self) -> Result<(), FileError> {
        match self.ended {
            true => Err(FileError::other("the process has ended (injected)")),
            false => Ok(()),
        }
    }

    fn used(&self) -> u64 {
        self.lengths.values().sum()
    }
}

impl<F: File> Faulty<F> {
    /// Counts a call that may make the file at least `length` long.
    fn count(&self, length: u64) -> Result<Option<Fault>, FileError> {
        let mut state = self.disk.state();
        state.check_running()?;
        let call = state.calls;
        state.calls += 1;
        let old = state.lengths.get(&self.name).copied().unwrap_or_default();
        let grown = state.used() - old + old.max(length);
        if length > old && state.faults.capacity.is_some_and(|capacity| grown > capacity) {
            return Err(full());
        }
        match state.faults.calls.remove(&call) {
            Some(Fault::Fail) => Err(failed()),
            Some(Fault::NoSpace) => Err(full()),
            fault => Ok(fault),
        }
    }

    /// The file is as long as it is.
    fn measure(&self) {
        if let (Ok(length), Some(known)) =
            (self.file.len(), self.disk.state().lengths.get_mut(&self.name))
        {
            *known = length;
        }
    }
}

fn failed() -> FileError {
    FileError::other("input/output error (injected)")
}

fn full() -> FileError {
    FileError::no_space("the disk is full (injected)")
}

impl<F: File> File for Faulty<F> {
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        self.disk.state().check_running()?;
        self.file.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        let written = match self.count(at.saturating_add(bytes.len() as u64))? {
            Some(Fault::Ignore) => Ok(()),
            Some(Fault::Torn(kept)) => {
                self.file.write_at(at, &bytes[..kept.min(bytes.len())])?;
                Err(failed())
            }
            Some(Fault::Flip(draw)) if !bytes.is_empty() => {
                let mut flipped = bytes.to_vec();
                flipped[draw as usize / 8 % bytes.len()] ^= 1 << (draw % 8);
                self.file.write_at(at, &flipped)
            }
            _ => self.file.write_at(at, bytes),
        };
        self.measure();
        written
    }

    fn set_len(&self, length: u64) -> Result<(), FileError> {
        let set = match self.count(length)? {
            Some(Fault::Ignore) => Ok(()),
            Some(Fault::Torn(_)) => Err(failed()),
            _ => self.file.set_len(length),
        };
        self.measure();
        set
    }

    fn len(&self) -> Result<u64, FileError> {
        self.file.len()
    }

    fn sync(&self) -> Result<(), FileError> {
        match self.count(0)? {
            Some(Fault::Ignore) => Ok(()),
            Some(Fault::Torn(_)) => Err(failed()),
            _ if self.disk.state().faults.lies => Ok(()),
            _ => self.file.sync(),
        }
    }
}
