//! Files in memory that can crash.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use litemap::LiteMap;

use crate::directory::Directory;
use crate::file::{File, FileError};

/// A directory in memory. A clone is another handle to the same.
#[derive(Clone, Debug, Default)]
pub struct MemDirectory {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    files: LiteMap<String, MemFile>,
    /// Removed since a file was last made: after a crash they may be back.
    removed: Vec<(String, MemFile)>,
}

impl MemDirectory {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One with these files, all synced.
    #[must_use]
    pub fn with_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        let directory = Self::new();
        let files = files.into_iter().map(|(name, bytes)| (name, MemFile::with_bytes(bytes)));
        directory.entries().files = files.collect();
        directory
    }

    /// What is in it, as a reader sees it.
    #[must_use]
    pub fn image(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = self.entries();
        entries.files.iter().map(|(name, file)| (name.clone(), file.bytes())).collect()
    }

    /// The file of this name, if there is one.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<MemFile> {
        self.entries().files.get(name).cloned()
    }

    /// The machine stops and starts again: each file fares by itself.
    pub fn crash(&self, crash: Crash) {
        let mut entries = self.entries();
        let mut random = Random(if let Crash::Scatter(seed) = crash { seed } else { 0 });
        for (name, file) in std::mem::take(&mut entries.removed) {
            let back = match crash {
                Crash::Keep => false,
                Crash::Lose | Crash::KeepBytes(_) => true,
                Crash::Scatter(_) => random.next().is_multiple_of(2),
            };
            if back {
                entries.files.entry(name).or_insert(file);
            }
        }
        for (number, file) in (0..).zip(entries.files.values()) {
            file.crash(match crash {
                Crash::Scatter(seed) => Crash::Scatter(seed.wrapping_add(number)),
                other => other,
            });
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing panics while it holds the lock.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory for MemDirectory {
    type File = MemFile;

    fn names(&self) -> Result<Vec<String>, FileError> {
        Ok(self.entries().files.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Option<MemFile>, FileError> {
        let mut entries = self.entries();
        if let Some(file) = entries.files.get(name) {
            return Ok(Some(file.clone()));
        }
        // That a new name is safe makes all that was done to names before safe.
        entries.removed.clear();
        Ok(Some(entries.files.entry(name.into()).or_default().clone()))
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        let mut entries = self.entries();
        if let Some(file) = entries.files.remove(name) {
            entries.removed.push((name.into(), file));
        }
        Ok(())
    }
}

/// A file in memory. A clone is another handle to the same file, so a test can keep one while
/// a log has the other.
///
/// It knows what was synced: [`crash`](Self::crash) takes it back to that, with as much of
/// the rest as the caller says.
#[derive(Clone, Debug, Default)]
pub struct MemFile {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug, Default)]
struct Disk {
    /// As a reader sees it: all changes made.
    bytes: Vec<u8>,
    /// The changes since the last sync, oldest first.
    changes: Vec<Change>,
    syncs: u64,
}

/// A change that is not synced yet, and how to take it back.
#[derive(Debug)]
struct Change {
    at: usize,
    /// What was at `at` before, as far as the file reached: at most as much as was written;
    /// for a cut all that was cut off.
    old: Vec<u8>,
    old_length: usize,
    new: Vec<u8>,
    /// For a `set_len`: the length after it.
    new_length: Option<usize>,
}

/// How much of what was never synced is there after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Nothing.
    Lose,
    /// All: the process ended, the machine did not. It is still not synced, and the next
    /// crash may lose it.
    Keep,
    /// The first so many bytes in the order of the writes: the last write is torn.
    KeepBytes(u64),
    /// Each sector of each write by itself, drawn from this seed: there, not there, filled
    /// with zeros, or with garbage. Disks write in any order.
    Scatter(u64),
}

/// What a disk writes whole.
const SECTOR_BYTES: usize = 512;

impl MemFile {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A file that holds `bytes`, all synced.
    #[must_use]
    pub fn with_bytes(bytes: Vec<u8>) -> Self {
        let file = Self::new();
        file.disk().bytes = bytes;
        file
    }

    /// All of it, as a reader sees it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.disk().bytes.clone()
    }

    /// How many syncs there were.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    /// Bytes that were written and not synced.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        self.disk().changes.iter().map(|change| change.new.len() as u64).sum()
    }

    /// Turns one bit over, in what is synced too: a disk that forgets.
    pub fn flip(&self, at: u64, bit: u8) {
        if let Some(byte) = self.disk().bytes.get_mut(at as usize) {
            *byte ^= 1 << (bit % 8);
        }
    }

    /// The machine stops and starts again. Handles go on working: they are the new ones.
    pub fn crash(&self, crash: Crash) {
        if crash == Crash::Keep {
            return;
        }
        let disk = &mut *self.disk();
        let changes = std::mem::take(&mut disk.changes);
        for change in changes.iter().rev() {
            change.undo(&mut disk.bytes);
        }
        match crash {
            Crash::Lose | Crash::Keep => {}
            Crash::KeepBytes(bytes) => keep_bytes(&mut disk.bytes, &changes, bytes),
            Crash::Scatter(seed) => scatter(&mut disk.bytes, &changes, seed),
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // Nothing panics while it holds the lock; if it did, the bytes would still be bytes.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn undo(&self, bytes: &mut Vec<u8>) {
        bytes.resize(self.old_length, 0);
        if !self.old.is_empty() {
            bytes[self.at..self.at + self.old.len()].copy_from_slice(&self.old);
        }
    }
}

fn write(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if new.is_empty() {
        return;
    }
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn keep_bytes(bytes: &mut Vec<u8>, changes: &[Change], mut left: u64) {
    for change in changes {
        if let Some(length) = change.new_length {
            bytes.resize(length, 0);
            continue;
        }
        let kept = change.new.len().min(left as usize);
        write(bytes, change.at, &change.new[..kept]);
        left -= kept as u64;
        if kept < change.new.len() {
            return;
        }
    }
}

fn scatter(bytes: &mut Vec<u8>, changes: &[Change], seed: u64) {
    let mut random = Random(seed);
    for change in changes {
        if let Some(length) = change.new_length {
            if random.next().is_multiple_of(2) {
                bytes.resize(length, 0);
            }
            continue;
        }
        let mut skip = 0;
        while skip < change.new.len() {
            let at = change.at + skip;
            let end = (skip + SECTOR_BYTES - at % SECTOR_BYTES).min(change.new.len());
            let new = &change.new[skip..end];
            match random.next() % 8 {
                0..4 => write(bytes, at, new),
                4..6 => {}
                6 => write(bytes, at, &vec![0; new.len()]),
                _ => write(bytes, at, &random.garbage(new.len())),
            }
            skip = end;
        }
    }
}

/// A small generator (splitmix64): the same numbers from the same seed everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn garbage(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

impl File for MemFile {
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        let disk = self.disk();
        let from = usize::try_from(at).map_or(disk.bytes.len(), |at| at.min(disk.bytes.len()));
        let count = into.len().min(disk.bytes.len() - from);
        into[..count].copy_from_slice(&disk.bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        let at = place(at, bytes.len())?;
        let disk = &mut *self.disk();
        let old_length = disk.bytes.len();
        let old_end = old_length.min(at + bytes.len());
        disk.changes.push(Change {
            at,
            old: disk.bytes[at.min(old_end)..old_end].to_vec(),
            old_length,
            new: bytes.to_vec(),
            new_length: None,
        });
        write(&mut disk.bytes, at, bytes);
        Ok(())
    }

    fn set_len(&self, length: u64) -> Result<(), FileError> {
        let length = place(length, 0)?;
        let disk = &mut *self.disk();
        let old_length = disk.bytes.len();
        disk.changes.push(Change {
            at: length,
            old: disk.bytes[length.min(old_length)..].to_vec(),
            old_length,
            new: Vec::new(),
            new_length: Some(length),
        });
        disk.bytes.resize(length, 0);
        Ok(())
    }

    fn len(&self) -> Result<u64, FileError> {
        Ok(self.disk().bytes.len() as u64)
    }

    fn sync(&self) -> Result<(), FileError> {
        let mut disk = self.disk();
        disk.changes.clear();
        disk.syncs += 1;
        Ok(())
    }
}

/// A place that a vector can have.
fn place(at: u64, count: usize) -> Result<usize, FileError> {
    usize::try_from(at)
        .ok()
        .filter(|at| at.checked_add(count).is_some_and(|end| isize::try_from(end).is_ok()))
        .ok_or_else(|| FileError::no_space(format!("byte {at} is out of memory's reach")))
}
