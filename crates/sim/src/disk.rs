//! A member's directory, in memory, with all that can happen to it.

use std::collections::BTreeMap;

use storage::{
    Crash, Directory as _, Fault, Faults, FaultyDirectory, KeeperOptions, LogOptions, MemDirectory,
    Opened,
};

/// Small, so that a disk costs little; the code that grows files and goes on in others runs often.
const LOG: LogOptions =
    LogOptions { log_id: 0, preallocate: 4096, reserve: 2048, segment_bytes: 16 * 1024 };

/// Small, so that every job takes several steps.
const KEEPER: KeeperOptions = KeeperOptions {
    cache_bytes: 256 * 1024,
    step_rows: 16,
    job_steps: 3,
    reserve_bytes: 64 * 1024,
};

/// The directory of a member here.
pub(crate) type DiskDirectory = FaultyDirectory<MemDirectory>;

/// What is in a directory: files and their bytes.
pub type Image = BTreeMap<String, Vec<u8>>;

/// A directory.
#[derive(Clone, Debug)]
pub struct Disk {
    directory: DiskDirectory,
    /// What it is like when nothing is wrong with it.
    sound: Faults,
}

impl Disk {
    /// One that holds what an [`Self::image`] held, and perhaps `lies`: it says that it has
    /// synced and has not.
    #[must_use]
    pub fn new(image: Image, lies: bool) -> Self {
        let sound = Faults { lies, ..Faults::default() };
        let directory = FaultyDirectory::new(MemDirectory::with_files(image), sound.clone());
        Self { directory, sound }
    }

    /// What is in it, as a copying program sees it.
    #[must_use]
    pub fn image(&self) -> Image {
        self.directory.inner().image()
    }

    /// The process on it ends: it does nothing more to it.
    pub(crate) fn end(&mut self) {
        self.directory.end();
        let faults = self.directory.faults();
        self.directory = FaultyDirectory::new(self.directory.inner().clone(), faults);
    }

    /// The process on it dies, and perhaps the machine with it.
    pub fn crash(&self, crash: Crash) {
        self.directory.inner().crash(crash);
    }

    /// One of the next calls goes wrong: the one after so many that go well.
    pub fn fail(&self, after: u64, fault: Fault) {
        let mut faults = self.sound.clone();
        faults.calls.insert(self.directory.calls() + after, fault);
        self.directory.set(faults);
    }

    /// Only so much more room than there is now.
    pub fn fill(&self, room: u64) {
        let used: usize = self.image().values().map(Vec::len).sum();
        self.directory.set_capacity(Some(used as u64 + room));
    }

    /// No faults any more.
    pub fn mend(&self) {
        self.directory.set(self.sound.clone());
    }

    /// Turns one bit of a file over.
    pub fn flip(&self, file: &str, at: u64, bit: u8) {
        if let Some(file) = self.directory.inner().file(file) {
            file.flip(at, bit);
        }
    }

    /// The oldest file of the log, and how many of its bytes are used.
    #[must_use]
    pub fn oldest_log(&self) -> Option<(String, u64)> {
        let mut names = self.directory.names().ok()?;
        names.retain(|name| name.starts_with("log-"));
        let name = names.into_iter().min()?;
        let bytes = self.directory.inner().file(&name)?.bytes();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        Some((name, used))
    }

    /// Opens what a member needs.
    ///
    /// # Errors
    /// If it is no directory of a member, in words.
    pub(crate) fn open(&self, log_id: u64) -> Result<Opened<DiskDirectory>, String> {
        let log = LogOptions { log_id, ..LOG };
        let opened = Opened::open(self.directory.clone(), log, KEEPER, node::generation);
        opened.map_err(|error| error.to_string())
    }
}
