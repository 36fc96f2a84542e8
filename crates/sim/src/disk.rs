//! A member's directory: one log, in memory, with all that can happen to it.

use storage::{Crash, Log, LogError, MemFile, Options};
use wal::Recovered;

/// Small, so that a disk costs little; the code that grows a file runs often.
const PREALLOCATE_BYTES: u64 = 4096;

/// A directory.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    file: MemFile,
}

impl Disk {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that holds what an [`Self::image`] held.
    #[must_use]
    pub fn from_image(bytes: Vec<u8>) -> Self {
        Self { file: MemFile::with_bytes(bytes) }
    }

    /// What is in it, as a copying program sees it.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.file.bytes()
    }

    /// The process on it dies, and perhaps the machine with it.
    pub fn crash(&self, crash: Crash) {
        self.file.crash(crash);
    }

    /// Opens the log.
    ///
    /// # Errors
    /// If it is not one.
    pub fn open(&self, log_id: u64) -> Result<(Log<MemFile>, Recovered), LogError> {
        let options = Options { log_id, preallocate: PREALLOCATE_BYTES };
        Log::open(self.file.clone(), options)
    }
}
