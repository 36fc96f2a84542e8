//! A member's directory: one log, in memory, with all that can happen to it.

use storage::{Crash, Fault, Faults, Faulty, Log, LogError, MemFile, Options};
use wal::Recovered;

/// Small, so that a disk costs little; the code that grows a file runs often.
const PREALLOCATE_BYTES: u64 = 4096;

/// The log of a member here.
pub(crate) type DiskLog = Log<Faulty<MemFile>>;

/// A directory.
#[derive(Clone, Debug)]
pub struct Disk {
    file: Faulty<MemFile>,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { file: Faulty::new(MemFile::new(), Faults::default()) }
    }

    /// One that holds what an [`Self::image`] held.
    #[must_use]
    pub fn from_image(bytes: Vec<u8>) -> Self {
        Self { file: Faulty::new(MemFile::with_bytes(bytes), Faults::default()) }
    }

    /// What is in it, as a copying program sees it.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        self.file.inner().bytes()
    }

    /// The process on it dies, and perhaps the machine with it.
    pub fn crash(&self, crash: Crash) {
        self.file.inner().crash(crash);
    }

    /// One of the next calls goes wrong: the one after so many that go well.
    pub fn fail(&self, after: u64, fault: Fault) {
        let mut faults = Faults::default();
        faults.calls.insert(self.file.calls() + after, fault);
        self.file.set(faults);
    }

    /// No more room than there is now.
    pub fn fill(&self) {
        self.file.set_capacity(Some(self.file.inner().bytes().len() as u64));
    }

    /// No faults any more.
    pub fn mend(&self) {
        self.file.set(Faults::default());
    }

    /// Turns one bit over.
    pub fn flip(&self, at: u64, bit: u8) {
        self.file.inner().flip(at, bit);
    }

    /// Opens the log.
    ///
    /// # Errors
    /// If it is not one.
    pub(crate) fn open(&self, log_id: u64) -> Result<(DiskLog, Recovered), LogError> {
        let options = Options { log_id, preallocate: PREALLOCATE_BYTES };
        Log::open(self.file.clone(), options)
    }
}
