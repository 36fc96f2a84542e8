//! A file of ours as redb wants it.
//!
//! redb overwrites nothing that counts but its header, the first page. A crash may leave anything
//! of a write, so that page is here twice, with a checksum each, and only the one is overwritten
//! that the last sync has made obsolete.
//!
//! ```text
//!  0           4096      8192        12288     16384
//!  ┌───────────┬─────────┬───────────┬─────────┬────────────┬──
//!  │ header    │ trailer │ header    │ trailer │ page 1     │ …
//!  └───────────┴─────────┴───────────┴─────────┴────────────┴──
//!  trailer: 'K' 'V' 'R' 'M' 'S' 'T' 'O' '\n' │ format, 4 bytes │ count, 8 │ CRC-32C of all before
//! ```
//!
//! The valid one with the higher count is the header. redb writes to a file as soon as it opens it:
//! so the format is in the trailer, where it is read before that.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mvcc::base::Damage;

use crate::file::{self, File, FileError, FileErrorKind};

const PAGE: usize = 4096;
const MAGIC: [u8; 8] = *b"KVRMSTO\n";
/// The format of a generation that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;
const FORMAT_AT: usize = PAGE + MAGIC.len();
const COUNT_AT: usize = FORMAT_AT + 4;
const CHECKSUM_AT: usize = COUNT_AT + 8;
const COPY_BYTES: usize = CHECKSUM_AT + 4;
/// From one copy of the header to the next, and from the second to page 1.
const STRIDE: u64 = 2 * PAGE as u64;
/// A page is so much further back in the file than redb thinks.
const SHIFT: u64 = 2 * STRIDE - PAGE as u64;

/// What is known of a generation's file beside what redb says.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// redb asked for more room than there is. What it writes now must not be committed.
    full: AtomicBool,
    length: AtomicU64,
    /// So much of it is room for when there is none.
    reserved: AtomicU64,
    /// Why the file failed last.
    error: Mutex<Option<FileError>>,
}

impl Gauge {
    /// Whether there was too little room since the last time that this was asked.
    pub(crate) fn take_full(&self) -> bool {
        self.full.swap(false, Ordering::Relaxed)
    }

    /// An error as soon as there is too little room. What redb has no memory for it writes before
    /// any commit, where nothing is.
    pub(crate) fn check(&self) -> Result<(), Damage> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(Damage("there is no room".into())),
            false => Ok(()),
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    pub(crate) fn reserved(&self) -> u64 {
        self.reserved.load(Ordering::Relaxed)
    }

    pub(crate) fn set_reserved(&self, bytes: u64) {
        self.reserved.store(bytes, Ordering::Relaxed);
    }

    /// Why the file failed, if it did.
    pub(crate) fn error(&self) -> Option<FileError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// There is no way back from it. A lack of room where there was some is no exception.
    fn fail(&self, error: FileError) -> io::Error {
        let text = error.to_string();
        let error = FileError { kind: FileErrorKind::Other, ..error };
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        io::Error::other(text)
    }
}

/// A file under redb.
///
/// An error makes redb refuse everything from then on, reads too. A lack of room is none that
/// should: so the file only pretends to grow then, and whoever writes takes all back, which makes
/// redb shrink it again, before anything is written where nothing is.
pub(crate) struct Backing<F> {
    file: F,
    pub(crate) gauge: Arc<Gauge>,
    header: Mutex<Header>,
}

/// redb's header, as it reads it.
struct Header {
    page: Vec<u8>,
    /// Of the file.
    format: u32,
    /// Counts the times that it was written.
    count: u64,
    /// Which copy was safe at the last sync.
    safe: u64,
    /// The other one was written since.
    written: bool,
}

impl<F: File> Backing<F> {
    /// A file that holds a generation, or nothing.
    pub(crate) fn new(file: F) -> Result<Self, FileError> {
        let length = file.len()?;
        let page = vec![0; PAGE];
        let mut header = Header { page, format: FORMAT, count: 0, safe: 1, written: false };
        if length > 0 {
            // What is read may have come out of a cache, and one copy will be overwritten.
            file.sync()?;
            header = read_header(&file)?;
        }
        let gauge = Arc::<Gauge>::default();
        // A crash may have left a part of a page, in which nothing counts.
        let pages = length.saturating_sub(SHIFT) / PAGE as u64;
        gauge.length.store(pages * PAGE as u64, Ordering::Relaxed);
        Ok(Self { file, gauge, header: Mutex::new(header) })
    }

    fn header(&self) -> MutexGuard<'_, Header> {
        // Nothing panics while it holds the lock.
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_header(&self, offset: usize, data: &[u8]) -> Result<(), FileError> {
        let mut header = self.header();
        header.page[offset..offset + data.len()].copy_from_slice(data);
        header.count += 1;
        header.written = true;
        let copy = header.encode();
        self.file.write_at((1 - header.safe) * STRIDE, &copy)
    }

    fn sync(&self) -> Result<(), FileError> {
        let mut header = self.header();
        self.file.sync()?;
        if std::mem::take(&mut header.written) {
            header.safe = 1 - header.safe;
        }
        Ok(())
    }
}

fn read_header(file: &impl File) -> Result<Header, FileError> {
    let copy = |number: u64| {
        let mut copy = vec![0; COPY_BYTES];
        file::read_exact(file, number * STRIDE, &mut copy).ok()?;
        Header::decode(copy, number)
    };
    let newest = copy(0).into_iter().chain(copy(1)).max_by_key(|header| header.count);
    match newest {
        Some(header) if header.format <= FORMAT => Ok(header),
        Some(header) => Err(FileError::other(format!(
            "the store's file has format {}, this program knows up to {FORMAT}. Start it with the \
             version of Kvorum that wrote it, or a newer one; nothing was changed",
            header.format
        ))),
        None => Err(FileError::other(
            "the store's file has no header that holds: it is damaged, or something else's. \
             Nothing was changed; keep a copy of this directory and replace this member",
        )),
    }
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut copy = self.page.clone();
        copy.extend(MAGIC);
        copy.extend(self.format.to_le_bytes());
        copy.extend(self.count.to_le_bytes());
        copy.extend(crc32c::crc32c(&copy).to_le_bytes());
        copy
    }

    fn decode(mut copy: Vec<u8>, number: u64) -> Option<Self> {
        let (rest, checksum) = copy.split_at(CHECKSUM_AT);
        if crc32c::crc32c(rest).to_le_bytes() != *checksum || rest[PAGE..FORMAT_AT] != MAGIC {
            return None;
        }
        let format = u32::from_le_bytes(rest[FORMAT_AT..COUNT_AT].try_into().ok()?);
        let count = u64::from_le_bytes(rest[COUNT_AT..].try_into().ok()?);
        copy.truncate(PAGE);
        Some(Self { page: copy, format, count, safe: number, written: false })
    }
}

impl<F> fmt::Debug for Backing<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing").finish_non_exhaustive()
    }
}

/// How much of so many bytes at a place is in the header.
fn in_header(offset: u64, count: usize) -> usize {
    (PAGE as u64).saturating_sub(offset).min(count as u64) as usize
}

impl<F: File + Send + Sync + 'static> redb::StorageBackend for Backing<F> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.gauge.length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (head, rest) = out.split_at_mut(in_header(offset, out.len()));
        if !head.is_empty() {
            let at = offset as usize;
            head.copy_from_slice(&self.header().page[at..at + head.len()]);
        }
        if rest.is_empty() {
            return Ok(());
        }
        let at = offset + head.len() as u64 + SHIFT;
        file::read_exact(&self.file, at, rest).map_err(|error| self.gauge.fail(error))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        match self.file.set_len(length + SHIFT) {
            Err(error) if error.kind == FileErrorKind::NoSpace => {
                self.gauge.full.store(true, Ordering::Relaxed);
            }
            set => set.map_err(|error| self.gauge.fail(error))?,
        }
        self.gauge.length.store(length, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync().map_err(|error| self.gauge.fail(error))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (head, rest) = data.split_at(in_header(offset, data.len()));
        if !head.is_empty() {
            let written = self.write_header(offset as usize, head);
            written.map_err(|error| self.gauge.fail(error))?;
        }
        if rest.is_empty() {
            return Ok(());
        }
        let at = offset + head.len() as u64 + SHIFT;
        self.file.write_at(at, rest).map_err(|error| self.gauge.fail(error))
    }
}
