//! The log in a directory.

use std::collections::VecDeque;

use bytes::Bytes;
use litemap::LiteMap;
use thiserror::Error;
use wal::{Batch, BatchError, FIRST_NUMBER, Record, RecoverError, Recovered, Refused, Tail};

use crate::directory::{Directory, name_of, numbered};
use crate::file::{self, File, FileError, FileErrorKind};

/// The log's files are `log-00000001` and so on.
const KIND: &str = "log";

/// The first file of a new directory. A host that cannot open files at once opens it before it
/// starts a member.
pub const FIRST_FILE: &str = "log-00000001";

/// What the first versions called their log. They were never released.
const OLD_LOG: &str = "log";

/// The buffer of the largest batch is not kept for ever.
const BUFFER_KEPT_BYTES: usize = 1024 * 1024;

/// How to keep a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// For a new log only, drawn at random by the host: it makes the log's bytes its own.
    pub log_id: u64,
    /// A segment's file grows by this much at once, so that an append overwrites bytes that are
    /// there: a sync then need not also write the file's new length. At least 1.
    pub preallocate: u64,
    /// So much is written ahead at the least while there is room. When there is none any more,
    /// the log goes on in it: what is under way by then fits, and raft's own records.
    pub reserve: u64,
    /// The log goes on in another file beyond about this size.
    pub segment_bytes: u64,
}

impl LogOptions {
    /// The usual options, with a number that the host has drawn at random.
    #[must_use]
    pub fn new(log_id: u64, reserve: u64) -> Self {
        Self { log_id, preallocate: 1024 * 1024, reserve, segment_bytes: 16 * 1024 * 1024 }
    }
}

/// Why a log could not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// A file is not one of a log that this program can go on with. Nothing was changed.
    #[error("{file}: {refused}")]
    Refused {
        /// The file's name.
        file: String,
        /// What is there.
        refused: Refused,
    },
    /// The directory holds what this program does not go on with. Nothing was changed.
    #[error("{0}")]
    Directory(String),
    /// The batch does not fit here. Nothing of it was written; the log is as it was.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// There is no room for the batch. Nothing of it was written; the log is as it was, and
    /// the same batch, or a smaller one, may be tried again.
    #[error("no space left for the log: {0}")]
    NoSpace(String),
    /// A file failed. Nobody knows what is on the disk now, so the log does nothing more:
    /// every later call ends with this same error.
    #[error("the log's file failed, and the log stopped: {0}")]
    File(FileError),
}

/// A part of the log: one file.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// In the file's name.
    number: u64,
    /// The first batch in it. Once that is safe nothing but entries of earlier segments counts.
    first: u64,
    /// The highest index of an entry in it since the last reset, or 0.
    highest: u64,
}

/// A log in a directory.
///
/// ```text
///   append ──► written ──► sync ──► durable      several appends share one sync
///      │                     │
///      └──── file failed ────┴────► stopped      for good, with one and the same error
///
///   log-00000003      log-00000004             durable            end              reserved
///   │ batches … │     │ slots │ batches … batch m │ … batch n │ zeros …      │ (end of file)
///    no entry of it
///    counts: removed
/// ```
///
/// Each segment's first batch states all slots anew, and the cut: so a segment whose entries
/// are all cut off is needed no more.
///
/// Invariant: `durable <= tail.next() - 1`, `tail.position() <= reserved`; the last file holds
/// zeros from `tail.position()` to `reserved`.
#[derive(Debug)]
pub struct Log<D: Directory> {
    directory: D,
    options: LogOptions,
    /// Oldest first; never empty. The last one is written to.
    segments: VecDeque<Segment>,
    /// The last segment's.
    file: D::File,
    tail: Tail,
    /// The last batch known to be synced; 0 if none is.
    durable: u64,
    /// The last file's length as far as the log has filled it.
    reserved: u64,
    /// There was no room to keep the reserve.
    low: bool,
    /// The next segment's file, opened ahead.
    spare: Option<D::File>,
    /// The newest value of each slot.
    slots: LiteMap<u8, Bytes>,
    /// The batch that holds the newest cut or reset. Its index is the tail's.
    cut_in: u64,
    /// One batch's bytes, kept from batch to batch.
    buffer: Vec<u8>,
    failure: Option<FileError>,
}

impl<D: Directory> Log<D> {
    /// Opens the log in `directory`, or begins one if nothing was ever finished there.
    ///
    /// What a crash left unfinished is filled with zeros and reported. All that is given back
    /// is synced first: it may have come out of a cache that a crash of the machine empties.
    ///
    /// # Errors
    /// If a file fails, or they are no log that this program can go on with; then nothing of
    /// them was changed.
    pub fn open(directory: D, options: LogOptions) -> Result<(Self, Recovered), LogError> {
        let options = LogOptions { preallocate: options.preallocate.max(1), ..options };
        let Found { stale, numbers, mut files, recovered, tail } = find(&directory)?;
        let used = recovered.segments.len();
        // Removed before a crash, or opened ahead. In a new log the first is begun once more.
        for number in stale.iter().chain(numbers.iter().skip(used.max(1))) {
            directory.remove(&name_of(KIND, *number)).map_err(LogError::File)?;
        }
        files.truncate(used.max(1));
        let segments = numbers.iter().zip(&recovered.segments).map(|(number, segment)| Segment {
            number: *number,
            first: segment.first,
            highest: segment.highest,
        });
        let segments: VecDeque<Segment> = segments.collect();
        if let Some(torn) = recovered.torn.filter(|torn| torn.segment < used) {
            // Before anything is written over it: a later batch of the old run must not come to
            // lie behind a batch of the new one.
            let file = &files[torn.segment];
            file::write_zeros(file, torn.at, torn.at + torn.bytes).map_err(LogError::File)?;
            file.sync().map_err(LogError::File)?;
        }
        let number = numbers.first().copied().unwrap_or(1);
        let (file, tail) = match (files.pop(), tail) {
            (Some(file), Some(tail)) => (file, tail),
            (file, _) => return Ok((Self::begin(directory, options, number, file)?, recovered)),
        };
        let mut log = Self {
            reserved: file.len().map_err(LogError::File)?,
            file,
            durable: 0,
            low: false,
            spare: None,
            slots: recovered.slots.clone(),
            cut_in: 0,
            buffer: Vec::new(),
            failure: None,
            directory,
            options,
            segments,
            tail,
        };
        log.sync_file()?;
        log.drop_segments();
        Ok((log, recovered))
    }

    fn begin(
        directory: D,
        options: LogOptions,
        number: u64,
        file: Option<D::File>,
    ) -> Result<Self, LogError> {
        let first = FIRST_NUMBER;
        let file = match file {
            Some(file) => file,
            None => open_now(&directory, number).map_err(LogError::File)?,
        };
        // Whatever is there was never finished.
        file.set_len(0).map_err(LogError::File)?;
        let (header, tail) = Tail::begin(options.log_id);
        let mut log = Self {
            segments: VecDeque::from([Segment { number, first, highest: 0 }]),
            file,
            tail,
            durable: 0,
            reserved: 0,
            low: false,
            spare: None,
            slots: LiteMap::new(),
            cut_in: 0,
            buffer: Vec::new(),
            failure: None,
            directory,
            options,
        };
        log.reserve(header.len() as u64)?;
        log.file.write_at(0, &header).map_err(|error| log.fail(error))?;
        log.sync_file()?;
        Ok(log)
    }

    /// Writes a batch behind the last one. It is safe only after the next
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`LogError::Batch`] and [`LogError::NoSpace`] leave the log as it was; any other error
    /// is its last.
    pub fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
        self.check()?;
        if self.tail.position() >= self.options.segment_bytes {
            self.next_segment()?;
        }
        self.buffer.clear();
        let tail = match self.states_all_slots() {
            false => self.tail.encode(batch, self.durable, &mut self.buffer)?,
            true => self.tail.encode(&self.with_slots(batch), self.durable, &mut self.buffer)?,
        };
        self.reserve(tail.position())?;
        let written = self.file.write_at(self.tail.position(), &self.buffer);
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        written.map_err(|error| self.fail(error))?;
        self.tail = tail;
        self.note(batch);
        self.open_ahead();
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
            self.drop_segments();
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

    /// Bytes of batches for which there is surely room.
    #[must_use]
    pub fn room(&self) -> u64 {
        self.reserved - self.tail.position()
    }

    /// There was no room to keep the reserve: what is appended now eats it up.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.low
    }

    /// Fills the reserve up again, if there is room by now.
    ///
    /// # Errors
    /// If the log fails.
    pub(crate) fn look_for_room(&mut self) -> Result<(), LogError> {
        match self.low {
            true => self.reserve(self.tail.position()),
            false => Ok(()),
        }
    }

    /// What the log takes on the disk.
    #[must_use]
    pub fn usage(&self) -> LogUsage {
        LogUsage {
            segments: self.segments.len(),
            end: self.tail.position(),
            reserved: self.reserved,
        }
    }

    /// Why the log stopped, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&FileError> {
        self.failure.as_ref()
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

    /// Whether the next batch has to say all that the log says beside entries: it is the first
    /// one of its segment, and others were before it.
    fn states_all_slots(&self) -> bool {
        self.tail.is_at_front() && self.tail.next() > FIRST_NUMBER
    }

    fn with_slots(&self, batch: &Batch) -> Batch {
        let slots = self.slots.iter();
        let slots = slots.map(|(&slot, value)| Record::Set { slot, value: value.clone() });
        let cut = Record::Cut { index: self.tail.first_index().max(1) };
        let records = slots.chain([cut]).chain(batch.records.iter().cloned()).collect();
        Batch { number: batch.number, records }
    }

    /// Notes what was appended, for the segments to come.
    fn note(&mut self, batch: &Batch) {
        for record in &batch.records {
            match record {
                Record::Set { slot, value } => drop(self.slots.insert(*slot, value.clone())),
                Record::Cut { .. } => self.cut_in = batch.number,
                Record::Reset { .. } => {
                    self.cut_in = batch.number;
                    self.segments.iter_mut().for_each(|segment| segment.highest = 0);
                }
                Record::Append { index, .. } => {
                    if let Some(last) = self.segments.back_mut() {
                        last.highest = last.highest.max(*index);
                    }
                }
            }
        }
    }

    /// Fills the file with zeros so that it reaches at least to `end`, and the reserve beyond.
    /// They are written, not only promised by a length: a disk that is full says so here, before
    /// any byte of the batch, and an append then overwrites blocks that the file already owns.
    fn reserve(&mut self, end: u64) -> Result<(), LogError> {
        let wanted = end + self.options.reserve;
        if wanted <= self.reserved {
            self.low = false;
            return Ok(());
        }
        let target = wanted.next_multiple_of(self.options.preallocate);
        match file::write_zeros(&self.file, self.reserved, target) {
            Ok(()) => {
                (self.reserved, self.low) = (target, false);
                Ok(())
            }
            Err(error) if error.kind == FileErrorKind::NoSpace => {
                self.low = true;
                if end <= self.reserved { Ok(()) } else { Err(LogError::NoSpace(error.text)) }
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Opens the file that the log will go on in: some hosts take their time for that.
    fn open_ahead(&mut self) {
        let due = self.tail.position() >= self.options.segment_bytes / 2;
        if due && self.spare.is_none() && !self.low {
            // Where it cannot be opened the log goes on in this file, and tries again.
            self.spare = self.directory.open(&name_of(KIND, self.number() + 1)).ok().flatten();
        }
    }

    /// Goes on in the next file, if it is open and there is room.
    fn next_segment(&mut self) -> Result<(), LogError> {
        let Some(file) = self.spare.take().filter(|_| !self.low) else { return Ok(()) };
        // The header vouches for all that is before it.
        self.sync_file()?;
        let (header, tail) = self.tail.next_segment();
        let (number, first) = (self.number() + 1, tail.next());
        let old = std::mem::replace(&mut self.file, file);
        let old_reserved = std::mem::replace(&mut self.reserved, 0);
        let begun = self.reserve(header.len() as u64).and_then(|()| {
            self.file.write_at(0, &header).map_err(|error| match error.kind {
                FileErrorKind::NoSpace => LogError::NoSpace(error.text),
                FileErrorKind::Other => self.fail(error),
            })
        });
        match begun {
            Ok(()) => {
                self.sync_file()?;
                self.tail = tail;
                self.segments.push_back(Segment { number, first, highest: 0 });
                Ok(())
            }
            Err(LogError::NoSpace(_)) => {
                // No part of a header may stay: the log does not go on there.
                self.file.set_len(0).map_err(|error| self.fail(error))?;
                self.spare = Some(std::mem::replace(&mut self.file, old));
                // What is reserved in the old file is still there. When it is eaten up the log is
                // low, and finds out with each batch whether there is room again.
                (self.reserved, self.low) = (old_reserved, false);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The number of the last segment.
    fn number(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.number)
    }

    /// Removes the segments in which nothing counts any more, oldest first, once that is safe.
    fn drop_segments(&mut self) {
        if self.cut_in > self.durable {
            return;
        }
        let cut = self.tail.first_index();
        while let (Some(oldest), Some(next)) = (self.segments.front(), self.segments.get(1)) {
            if oldest.highest >= cut || next.first > self.durable {
                return;
            }
            // One that stays is removed at the next start.
            if self.directory.remove(&name_of(KIND, oldest.number)).is_err() {
                return;
            }
            self.segments.pop_front();
        }
    }
}

/// What a log takes on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogUsage {
    /// Files.
    pub segments: usize,
    /// Bytes of the last one that are in use.
    pub end: u64,
    /// Bytes of the last one, with what is written ahead.
    pub reserved: u64,
}

/// What is in a directory.
struct Found<F> {
    /// Of files that count no more.
    stale: Vec<u64>,
    /// Of the segments' files.
    numbers: Vec<u64>,
    files: Vec<F>,
    recovered: Recovered,
    tail: Option<Tail>,
}

fn find<D: Directory>(directory: &D) -> Result<Found<D::File>, LogError> {
    let names = directory.names().map_err(LogError::File)?;
    if names.iter().any(|name| name == OLD_LOG) {
        return Err(LogError::Directory(format!(
            "the directory holds a file {OLD_LOG:?}, the log of a version of Kvorum from before \
             its first release, which this one cannot read. Give the member another directory; \
             nothing was changed"
        )));
    }
    let (stale, numbers) = without_stale(numbered(directory, KIND).map_err(LogError::File)?);
    let files = numbers.iter().map(|number| open_now(directory, *number));
    let files = files.collect::<Result<Vec<_>, _>>().map_err(LogError::File)?;
    let lengths = files.iter().map(File::len).collect::<Result<Vec<_>, _>>();
    let lengths = lengths.map_err(LogError::File)?;
    let read =
        |segment: usize, at: u64, into: &mut [u8]| file::read_exact(&files[segment], at, into);
    let (recovered, tail) = wal::recover(&lengths, read).map_err(|error| match error {
        RecoverError::Read(error) => LogError::File(error),
        RecoverError::Refused(refused) => {
            let number = numbers.get(refused.segment).copied().unwrap_or_default();
            LogError::Refused { file: name_of(KIND, number), refused }
        }
    })?;
    Ok(Found { stale, numbers, files, recovered, tail })
}

/// Of files that were removed a crash may bring some back and not others. Behind a gap is all that
/// counts: if one were missing that still does, the entries behind it would not fit together.
fn without_stale(mut numbers: Vec<u64>) -> (Vec<u64>, Vec<u64>) {
    let gap = numbers.windows(2).rposition(|pair| pair[0] + 1 != pair[1]);
    let kept = numbers.split_off(gap.map_or(0, |gap| gap + 1));
    (numbers, kept)
}

fn open_now<D: Directory>(directory: &D, number: u64) -> Result<D::File, FileError> {
    let name = name_of(KIND, number);
    let file = directory.open(&name)?;
    file.ok_or_else(|| FileError::other(format!("{name}: the host has not opened this file")))
}
