//! Where a log ends, and what may follow.

use crate::error::BatchError;
use crate::format::{self, BATCH_BYTES, BATCH_HEADER_BYTES, BatchHeader, FILE_HEADER_BYTES};
use crate::record::{Batch, FIRST_NUMBER, Record};

/// The end of a log: where the next batch goes, and what it has to fit to.
///
/// A value: encoding a batch makes the next tail and leaves this one, so nothing has moved
/// until the bytes are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    pub(crate) log_id: u64,
    /// Invariant: a multiple of `ALIGNMENT`.
    pub(crate) position: u64,
    pub(crate) next: u64,
    /// The checksum in the last header: the file's own, or the last batch's.
    pub(crate) previous: u32,
    pub(crate) indexes: Indexes,
}

impl Tail {
    /// The end of a log that is nothing but its header ([`file_header`](crate::file_header)).
    #[must_use]
    pub fn new(log_id: u64) -> Self {
        let header = format::file_header(log_id);
        let previous = u32::from_le_bytes([header[28], header[29], header[30], header[31]]);
        Self::after_header(log_id, previous)
    }

    pub(crate) fn after_header(log_id: u64, previous: u32) -> Self {
        Self {
            log_id,
            position: FILE_HEADER_BYTES as u64,
            next: FIRST_NUMBER,
            previous,
            indexes: Indexes::default(),
        }
    }

    /// Where in the file the next batch goes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The number of the next batch.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Checks `batch` and puts its bytes, for [`position`](Self::position), at the end of
    /// `into`. `synced` is the number of the last batch that is known to be on disk (0 for
    /// none): it lets a recovery tell a torn end from corruption.
    ///
    /// # Errors
    /// If the batch does not fit here; `into` is then unchanged.
    pub fn encode(
        &self,
        batch: &Batch,
        synced: u64,
        into: &mut Vec<u8>,
    ) -> Result<Self, BatchError> {
        debug_assert!(synced < self.next);
        let indexes = self.check(batch)?;
        let bytes = batch.encoded_bytes();
        let start = into.len();
        into.reserve(bytes);
        into.resize(start + BATCH_HEADER_BYTES, 0);
        for record in &batch.records {
            record.encode(into);
        }
        // Both fit: the batch is within BATCH_BYTES, and a record takes at least five bytes.
        let body_bytes = (into.len() - start - BATCH_HEADER_BYTES) as u32;
        let records = batch.records.len() as u32;
        into.resize(start + bytes, 0);
        let header = BatchHeader {
            body_bytes,
            number: batch.number,
            synced,
            records,
            previous: self.previous,
            body_checksum: crc32c::crc32c(&into[start + BATCH_HEADER_BYTES..]),
        };
        let header = header.encode(self.log_id);
        into[start..start + BATCH_HEADER_BYTES].copy_from_slice(&header);
        let previous = u32::from_le_bytes([header[36], header[37], header[38], header[39]]);
        Ok(self.advance(bytes, previous, indexes))
    }

    pub(crate) fn advance(&self, bytes: usize, previous: u32, indexes: Indexes) -> Self {
        Self {
            log_id: self.log_id,
            position: self.position + bytes as u64,
            next: self.next + 1,
            previous,
            indexes,
        }
    }

    fn check(&self, batch: &Batch) -> Result<Indexes, BatchError> {
        if batch.number != self.next {
            return Err(BatchError::Number { expected: self.next, found: batch.number });
        }
        let bytes = batch.encoded_bytes();
        if bytes > BATCH_BYTES {
            return Err(BatchError::TooLarge { bytes });
        }
        let mut indexes = self.indexes;
        for record in &batch.records {
            if let Record::Append { index, .. } = record {
                let Indexes { first, last } = indexes;
                indexes = indexes.append(*index).ok_or(BatchError::Index {
                    index: *index,
                    first,
                    last,
                })?;
            }
        }
        Ok(indexes)
    }
}

/// The entries of a log, as far as their indexes go. Both are 0 while there is none.
///
/// The first entry may have any index: what comes before it is the caller's to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Indexes {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Indexes {
    /// After an entry was put at `index`; `None` if it may not be.
    pub(crate) fn append(self, index: u64) -> Option<Self> {
        if index == 0 {
            return None;
        }
        if self.first == 0 {
            return Some(Self { first: index, last: index });
        }
        (self.first <= index && index <= self.last.saturating_add(1))
            .then_some(Self { first: self.first, last: index })
    }
}
