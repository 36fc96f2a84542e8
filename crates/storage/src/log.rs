//! The log on one file.

use thiserror::Error;
use wal::{Batch, BatchError, RecoverError, Recovered, Refused, Tail, Torn};

use crate::file::{self, File, FileError, FileErrorKind};

/// The log's file grows by this much at once, so that an append overwrites bytes that are
/// there: a sync then need not also write the file's new length.
pub const PREALLOCATE_BYTES: u64 = 1024 * 1024;

/// The buffer of the largest batch is not kept for ever.
const BUFFER_KEPT_BYTES: usize = 1024 * 1024;

/// How to open a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// For a new log only, drawn at random by the host: see [`wal::file_header`].
    pub log_id: u64,
    /// [`PREALLOCATE_BYTES`], or less in a test. At least 1.
    pub preallocate: u64,
}

impl Options {
    /// The usual options, with a number that the host has drawn at random.
    #[must_use]
    pub fn new(log_id: u64) -> Self {
        Self { log_id, preallocate: PREALLOCATE_BYTES }
    }
}

/// Why a log could not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The file is not a log that this program can go on with. Nothing of it was changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The batch does not fit here. Nothing of it was written; the log is as it was.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// There is no room for the batch. Nothing of it was written; the log is as it was, and
    /// the same batch, or a smaller one, may be tried again.
    #[error("no space left for the log: {0}")]
    NoSpace(String),
    /// The file failed. Nobody knows what is on the disk now, so the log does nothing more:
    /// every later call ends with this same error.
    #[error("the log's file failed, and the log stopped: {0}")]
    File(FileError),
}

/// A log on one file.
///
/// ```text
///   append ──► written ──► sync ──► durable      several appends share one sync
///      │                     │
///      └──── file failed ────┴────► stopped      for good, with one and the same error
///
///   0        32                    durable            end              reserved
///   │ header │ batches … batch m │ … batch n │ zeros …      │ (end of file)
/// ```
///
/// Invariant: `durable <= tail.next() - 1`, `tail.position() <= reserved`; the file holds
/// zeros from `tail.position()` to `reserved`.
#[derive(Debug)]
pub struct Log<F> {
    file: F,
    tail: Tail,
    /// The last batch known to be synced; 0 if none is.
    durable: u64,
    /// The file's length as far as the log has filled it.
    reserved: u64,
    preallocate: u64,
    /// One batch's bytes, kept from batch to batch.
    buffer: Vec<u8>,
    failure: Option<FileError>,
}

impl<F: File> Log<F> {
    /// Opens the log in `file`, or begins one if nothing was ever finished there.
    ///
    /// What a crash left unfinished is filled with zeros and reported. All that is given back
    /// is synced first: it may have come out of a cache that a crash of the machine empties.
    ///
    /// # Errors
    /// If the file fails, or is not a log that this program can go on with; then nothing of
    /// it was changed.
    pub fn open(file: F, options: Options) -> Result<(Self, Recovered), LogError> {
        let length = file.len().map_err(LogError::File)?;
        let read = |at: u64, into: &mut [u8]| file::read_exact(&file, at, into);
        let (recovered, tail) = wal::recover(length, read).map_err(|error| match error {
            RecoverError::Read(error) => LogError::File(error),
            RecoverError::Refused(refused) => LogError::Refused(refused),
        })?;
        let fresh = tail.is_none();
        let mut log = Self {
            file,
            tail: tail.unwrap_or_else(|| Tail::new(options.log_id)),
            durable: 0,
            reserved: length,
            preallocate: options.preallocate.max(1),
            buffer: Vec::new(),
            failure: None,
        };
        if let Some(torn) = recovered.torn {
            log.cut(torn)?;
        }
        if fresh {
            log.begin(options.log_id)?;
        }
        log.sync_file()?;
        Ok((log, recovered))
    }

    /// Writes a batch behind the last one. It is safe only after the next
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`LogError::Batch`] and [`LogError::NoSpace`] leave the log as it was; any other error
    /// is its last.
    pub fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
        self.check()?;
        self.buffer.clear();
        let tail = self.tail.encode(batch, self.durable, &mut self.buffer)?;
        self.reserve(tail.position())?;
        let written = self.file.write_at(self.tail.position(), &self.buffer);
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        written.map_err(|error| self.fail(error))?;
        self.tail = tail;
        Ok(())
    }

    /// Makes all that was appended safe, and answers the number of the last safe batch. It
    /// costs nothing when nothing was appended.
    ///
    /// # Errors
    /// If the file fails, now or before. It is the log's last error.
    pub fn sync(&mut self) -> Result<u64, LogError> {
        self.check()?;
        if self.durable + 1 < self.tail.next() {
            self.sync_file()?;
        }
        Ok(self.durable)
    }

    /// The number of the next batch.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.tail.next()
    }

    /// The last batch that is safe; 0 if none is.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable
    }

    /// Bytes of the file that the log uses.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.tail.position()
    }

    /// Bytes that the file takes on the disk, with what is written ahead.
    #[must_use]
    pub fn reserved_bytes(&self) -> u64 {
        self.reserved
    }

    /// Why the log stopped, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&FileError> {
        self.failure.as_ref()
    }

    /// Gives the file back, as it is.
    #[must_use]
    pub fn into_file(self) -> F {
        self.file
    }

    fn sync_file(&mut self) -> Result<(), LogError> {
        self.file.sync().map_err(|error| self.fail(error))?;
        self.durable = self.tail.next() - 1;
        Ok(())
    }

    fn check(&self) -> Result<(), LogError> {
        self.failure.clone().map_or(Ok(()), |error| Err(LogError::File(error)))
    }

    fn fail(&mut self, error: FileError) -> LogError {
        self.failure = Some(error.clone());
        LogError::File(error)
    }

    /// Fills the file with zeros so that it reaches at least to `end`. They are written, not
    /// only promised by a length: a disk that is full says so here, before any byte of the
    /// batch, and an append then overwrites blocks that the file already owns.
    fn reserve(&mut self, end: u64) -> Result<(), LogError> {
        if end <= self.reserved {
            return Ok(());
        }
        let target = end.next_multiple_of(self.preallocate);
        match file::write_zeros(&self.file, self.reserved, target) {
            Ok(()) => {
                self.reserved = target;
                Ok(())
            }
            Err(error) if error.kind == FileErrorKind::NoSpace => {
                Err(LogError::NoSpace(error.text))
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Fills what a crash left unfinished with zeros, before anything is written over it: a
    /// later batch of the old run must not come to lie behind a batch of the new one.
    fn cut(&mut self, torn: Torn) -> Result<(), LogError> {
        let Torn { at, bytes, .. } = torn;
        file::write_zeros(&self.file, at, at + bytes).map_err(|error| self.fail(error))?;
        self.sync_file()
    }

    fn begin(&mut self, log_id: u64) -> Result<(), LogError> {
        let header = wal::file_header(log_id);
        self.reserve(header.len() as u64)?;
        self.file.write_at(0, &header).map_err(|error| self.fail(error))
    }
}
