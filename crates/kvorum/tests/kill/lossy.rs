//! A disk that keeps nothing that was not synced.
//!
//! SIGKILL alone loses nothing: what was written and never synced is with the kernel, which goes
//! on. Here it is in the memory of the process that is killed. A kill in the midst of a sync
//! leaves any part of it on the disk, in no order, as a disk that loses its power does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storage::std_fs::{StdDirectory, StdFile};
use storage::{Directory, File, FileError};

const PAGE: u64 = 4096;

/// A directory on such a disk.
#[derive(Clone, Debug)]
pub(crate) struct LossyDirectory {
    below: Arc<StdDirectory>,
    /// Removed, and not safely so.
    removed: Arc<Mutex<BTreeSet<String>>>,
    /// Syncs that are still to do something; those that come later only say so.
    syncs: Arc<AtomicU64>,
}

impl LossyDirectory {
    /// The directory at `path`, where only the first `syncs` syncs of all files do anything.
    pub(crate) fn open(path: &Path, syncs: u64) -> Result<Self, FileError> {
        let below = Arc::new(StdDirectory::open(path)?);
        Ok(Self { below, removed: Arc::default(), syncs: Arc::new(syncs.into()) })
    }
}

impl Directory for LossyDirectory {
    type File = LossyFile;

    fn names(&self) -> Result<Vec<String>, FileError> {
        let mut names = self.below.names()?;
        let removed = lock(&self.removed);
        names.retain(|name| !removed.contains(name));
        Ok(names)
    }

    fn open(&self, name: &str) -> Result<Option<LossyFile>, FileError> {
        // That a new name is safe makes all that was done to names before safe.
        for name in std::mem::take(&mut *lock(&self.removed)) {
            self.below.remove(&name)?;
        }
        let Some(below) = self.below.open(name)? else { return Ok(None) };
        let length = below.len()?;
        let held = Held { pages: BTreeMap::new(), length, kept: length };
        Ok(Some(LossyFile { below, held: Mutex::new(held), syncs: self.syncs.clone() }))
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        lock(&self.removed).insert(name.into());
        Ok(())
    }
}

/// A file of it.
#[derive(Debug)]
pub(crate) struct LossyFile {
    below: StdFile,
    held: Mutex<Held>,
    syncs: Arc<AtomicU64>,
}

/// What is not synced.
#[derive(Debug)]
struct Held {
    /// Whole ones, by their number.
    pages: BTreeMap<u64, Vec<u8>>,
    length: u64,
    /// Of the file below all that lies behind was cut off since the last sync.
    kept: u64,
}

impl LossyFile {
    /// Reads bytes of one page.
    fn read(&self, held: &Held, at: u64, into: &mut [u8]) -> Result<(), FileError> {
        if let Some(page) = held.pages.get(&(at / PAGE)) {
            let from = (at % PAGE) as usize;
            into.copy_from_slice(&page[from..from + into.len()]);
            return Ok(());
        }
        into.fill(0);
        let there = held.kept.saturating_sub(at).min(into.len() as u64) as usize;
        let mut done = 0;
        while done < there {
            match self.below.read_at(at + done as u64, &mut into[done..there])? {
                0 => break,
                read => done += read,
            }
        }
        Ok(())
    }

    fn write_back(&self, held: &mut Held) -> Result<(), FileError> {
        if self.below.len()? > held.kept {
            self.below.set_len(held.kept)?;
        }
        self.below.set_len(held.length)?;
        let mut pages: Vec<_> = std::mem::take(&mut held.pages).into_iter().collect();
        pages.sort_by_key(|(number, _)| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for (number, page) in pages {
            let at = number * PAGE;
            let count = held.length.saturating_sub(at).min(PAGE) as usize;
            self.below.write_at(at, &page[..count])?;
        }
        held.kept = held.length;
        self.below.sync()
    }
}

/// The parts of so many bytes at a place that lie in one page each: where, and which of them.
fn parts(at: u64, count: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let place = at + done as u64;
        let size = ((PAGE - place % PAGE) as usize).min(count - done);
        let part = done..done + size;
        done = part.end;
        (size > 0).then_some((place, part))
    })
}

impl File for LossyFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        let held = lock(&self.held);
        let count = held.length.saturating_sub(at).min(into.len() as u64) as usize;
        for (at, part) in parts(at, count) {
            self.read(&held, at, &mut into[part])?;
        }
        Ok(count)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        let mut held = lock(&self.held);
        for (at, part) in parts(at, bytes.len()) {
            let (number, from) = (at / PAGE, (at % PAGE) as usize);
            let mut page = vec![0; PAGE as usize];
            if part.len() < page.len() {
                self.read(&held, number * PAGE, &mut page)?;
            }
            page[from..from + part.len()].copy_from_slice(&bytes[part]);
            held.pages.insert(number, page);
        }
        held.length = held.length.max(at + bytes.len() as u64);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), FileError> {
        let mut held = lock(&self.held);
        held.pages.retain(|number, _| number * PAGE < length);
        if let Some(page) = held.pages.get_mut(&(length / PAGE)) {
            page[(length % PAGE) as usize..].fill(0);
        }
        held.kept = held.kept.min(length);
        held.length = length;
        Ok(())
    }

    fn len(&self) -> Result<u64, FileError> {
        Ok(lock(&self.held).length)
    }

    fn sync(&self) -> Result<(), FileError> {
        let mut held = lock(&self.held);
        let left = self
            .syncs
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.write_back(&mut held),
            Err(_) => Ok(()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// It loses what was not synced, and nothing else.
pub(crate) fn check() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = |syncs| {
        let directory = LossyDirectory::open(dir.path(), syncs).expect("opens");
        let file = directory.open("file").expect("opens").expect("is there");
        (directory, file)
    };
    let all = |file: &LossyFile| {
        let mut bytes = vec![0; file.len().expect("has a length") as usize];
        assert_eq!(file.read_at(0, &mut bytes), Ok(bytes.len()));
        bytes
    };
    let (directory, file) = open(1);
    file.write_at(0, &[1; 10_000]).expect("writes");
    file.set_len(5000).expect("cuts");
    file.set_len(6000).expect("grows");
    let safe = [vec![1; 5000], vec![0; 1000]].concat();
    assert_eq!(all(&file), safe);
    file.sync().expect("syncs");
    file.write_at(5999, &[2; 4000]).expect("writes");
    file.set_len(7000).expect("cuts");
    assert_eq!(all(&file)[5998..], [vec![0], vec![2; 1001]].concat());
    file.sync().expect("says that it does");
    directory.remove("file").expect("removes");
    assert!(directory.names().expect("lists").is_empty());
    drop((directory, file));
    let (_directory, file) = open(0);
    assert_eq!(all(&file), safe);
}
