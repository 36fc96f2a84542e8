//! The file interface, and the log on files.
//!
//! A host brings a [`File`]: `std::fs` (feature `std-fs`), a browser's OPFS handle, or
//! memory ([`MemFile`]). [`Log`] keeps batches in one such file: it appends, it syncs, and
//! after a start it gives back what was synced. [`Faulty`] goes around any file and makes it
//! fail as disks do.
//!
//! Everything is synchronous and does only what it is told: no thread, no clock, no retry.

mod faulty;
mod file;
mod log;
mod memory;
#[cfg(feature = "std-fs")]
pub mod std_fs;
#[cfg(feature = "testing")]
pub mod testing;

pub use faulty::{Fault, Faults, Faulty};
pub use file::{File, FileError, FileErrorKind};
pub use log::{Log, LogError, Options, PREALLOCATE_BYTES};
pub use memory::{Crash, MemFile};
pub use wal::{Batch, Recovered};
