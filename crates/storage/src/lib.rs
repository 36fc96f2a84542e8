//! The file interface, the log on files, and the store below memory.
//!
//! A host brings a [`Directory`] of [`File`]s: `std::fs` (feature `std-fs`), OPFS handles in a
//! browser, `node:fs`, or memory ([`MemDirectory`]). [`Log`] keeps batches in it: it appends, it
//! syncs, and after a start it gives back what was synced. [`FaultyDirectory`] goes around any
//! and makes it fail as disks do.
//!
//! Everything is synchronous and does only what it is told: no thread, no clock, no retry.

mod backing;
mod directory;
mod faulty;
mod file;
mod generation;
mod journal;
mod keeper;
mod log;
mod memory;
mod opened;
#[cfg(feature = "std-fs")]
pub mod std_fs;
mod tables;
#[cfg(feature = "testing")]
pub mod testing;

pub use directory::Directory;
pub use faulty::{Fault, Faults, Faulty, FaultyDirectory};
pub use file::{File, FileError, FileErrorKind};
pub use journal::{Journal, Room};
pub use keeper::{Keeper, KeeperOptions, Progress};
pub use log::{FIRST_FILE, Log, LogError, LogOptions, LogUsage};
pub use memory::{Crash, MemDirectory, MemFile};
pub use mvcc::base::SharedBase;
pub use mvcc::job::{Done, Job};
pub use opened::{OpenError, Opened};
pub use wal::{Batch, Recovered};
