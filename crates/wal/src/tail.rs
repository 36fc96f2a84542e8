//! Where a log ends, and what may follow.

use crate::error::BatchError;
use crate::format::{
    BATCH_BYTES, BATCH_HEADER_BYTES, BatchHeader, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::record::{Batch, FIRST_NUMBER, Record};

/// The end of a log: where the next batch goes, and what it has to fit to.
///
/// A value: encoding a batch makes the next tail and leaves this one, so nothing has moved
/// until the bytes are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    pub(crate) log_id: u64,
    /// In the last segment. Invariant: a multiple of `ALIGNMENT`.
    pub(crate) position: u64,
    pub(crate) next: u64,
    /// The checksum in the last header: the segment's own, or the last batch's.
    pub(crate) previous: u32,
    pub(crate) indexes: Indexes,
}

impl Tail {
    /// Begins a log: the header of its first segment, to be synced before anything follows it,
    /// and the end behind it.
    #[must_use]
    pub fn begin(log_id: u64) -> ([u8; SEGMENT_HEADER_BYTES], Self) {
        let nothing = Self {
            log_id,
            position: 0,
            next: FIRST_NUMBER,
            previous: 0,
            indexes: Indexes::default(),
        };
        nothing.next_segment()
    }

    /// Begins the next segment: its header, to be written once all batches so far are synced,
    /// and the end behind it.
    #[must_use]
    pub fn next_segment(&self) -> ([u8; SEGMENT_HEADER_BYTES], Self) {
        let entry = self.indexes.next;
        let header = SegmentHeader::new(self.log_id, self.next, entry, self.previous);
        let (bytes, previous) = header.encode();
        let position = SEGMENT_HEADER_BYTES as u64;
        (bytes, Self { position, previous, ..self.clone() })
    }

    /// Whether the segment holds no batch yet.
    #[must_use]
    pub fn is_at_front(&self) -> bool {
        self.position == SEGMENT_HEADER_BYTES as u64
    }

    /// The lowest index that an entry may have; 0 while there is no entry and was no cut.
    #[must_use]
    pub fn first_index(&self) -> u64 {
        self.indexes.first
    }

    /// The last entry's index, or one below the cut if there is none above it.
    #[must_use]
    pub fn last_index(&self) -> u64 {
        self.indexes.last()
    }

    /// Where in the last segment the next batch goes.
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
            let (index, after) = match record {
                Record::Append { index, .. } => (*index, indexes.append(*index)),
                Record::Cut { index } => (*index, indexes.cut(*index)),
                Record::Reset { index } => (*index, indexes.reset(*index)),
                Record::Set { .. } => continue,
            };
            let (first, last) = (indexes.first, indexes.last());
            indexes = after.ok_or(BatchError::Index { index, first, last })?;
        }
        Ok(indexes)
    }
}

/// The entries of a log, as far as their indexes go. Both are 0 while there is none.
///
/// The first entry may have any index: what comes before it is the caller's to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Indexes {
    /// Of the first entry, or where the log was cut or goes on.
    pub(crate) first: u64,
    /// Where the next entry goes. Invariant: first <= next.
    pub(crate) next: u64,
}

impl Indexes {
    pub(crate) fn last(self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// After an entry was put at `index`; `None` if it may not be.
    pub(crate) fn append(self, index: u64) -> Option<Self> {
        let next = index.checked_add(1).filter(|_| index > 0)?;
        if self.next == 0 {
            return Some(Self { first: index, next });
        }
        (self.first <= index && index <= self.next).then_some(Self { next, ..self })
    }

    /// After all below `index` were cut off; `None` if they may not be.
    pub(crate) fn cut(self, index: u64) -> Option<Self> {
        let next = self.next.max(1);
        (index > 0 && self.first <= index && index <= next).then_some(Self { first: index, next })
    }

    /// After all went and the log goes on at `index`; `None` if it may not.
    pub(crate) fn reset(self, index: u64) -> Option<Self> {
        (index > 0 && self.first <= index).then_some(Self { first: index, next: index })
    }
}
