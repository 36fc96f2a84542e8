//! What one batch says.

use bytes::{BufMut, Bytes};

use crate::error::Refusal;

/// The number of a log's first batch. Each one after it counts up by one, across segments and
/// restarts.
pub const FIRST_NUMBER: u64 = 1;

/// One thing that a batch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The entry at `index` is `payload`, and no entry at `index` or above that was there
    /// before counts any more. Entries of one batch that follow each other are so many
    /// records.
    Append {
        /// At least 1, and at most one above the last entry.
        index: u64,
        /// Not looked into.
        payload: Bytes,
    },
    /// No entry below `index` counts any more.
    Cut {
        /// At least 1; not below that of an earlier cut, and at most one above the last entry.
        index: u64,
    },
    /// No entry counts any more, and the next one is at `index`: what was before it is known
    /// otherwise. What came after it may have been another story.
    Reset {
        /// At least 1; not below that of an earlier cut.
        index: u64,
    },
    /// The value of `slot` is now `value`. Of several the newest counts.
    Set {
        /// Its meaning is the caller's.
        slot: u8,
        /// Not looked into.
        value: Bytes,
    },
}

/// One unit of persistence: after a crash it is there whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its place in the log: [`Recovered::next`](crate::Recovered::next) for the first one
    /// after a start, then one more each time. The log refuses any other, so a batch that
    /// was lost or doubled on its way here is noticed before it is written.
    pub number: u64,
    /// In this order. None at all is allowed.
    pub records: Vec<Record>,
}

// The kinds on disk. A kind is never used again for something else.
const APPEND: u8 = 1;
const SET: u8 = 2;
const CUT: u8 = 3;
const RESET: u8 = 4;

/// Kind and length.
const PREFIX_BYTES: usize = 5;
const INDEX_BYTES: usize = 8;
const SLOT_BYTES: usize = 1;

impl Record {
    /// How many bytes it takes in the log.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        PREFIX_BYTES
            + match self {
                Self::Append { payload, .. } => INDEX_BYTES + payload.len(),
                Self::Set { value, .. } => SLOT_BYTES + value.len(),
                Self::Cut { .. } | Self::Reset { .. } => INDEX_BYTES,
            }
    }

    /// The caller has checked that the batch is within [`BATCH_BYTES`](crate::BATCH_BYTES),
    /// so a length fits its four bytes.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        let length = (self.encoded_bytes() - PREFIX_BYTES) as u32;
        match self {
            Self::Append { index, payload } => {
                into.put_u8(APPEND);
                into.put_u32_le(length);
                into.put_u64_le(*index);
                into.put_slice(payload);
            }
            Self::Set { slot, value } => {
                into.put_u8(SET);
                into.put_u32_le(length);
                into.put_u8(*slot);
                into.put_slice(value);
            }
            Self::Cut { index } => {
                into.put_u8(CUT);
                into.put_u32_le(length);
                into.put_u64_le(*index);
            }
            Self::Reset { index } => {
                into.put_u8(RESET);
                into.put_u32_le(length);
                into.put_u64_le(*index);
            }
        }
    }

    /// Takes one record from the front of `body`. Its bytes have passed their checksum: what
    /// does not parse was written by somebody else's rules.
    pub(crate) fn decode(body: &mut Bytes) -> Result<Self, Refusal> {
        let malformed = || Refusal::Malformed;
        if body.len() < PREFIX_BYTES {
            return Err(malformed());
        }
        let prefix = body.split_to(PREFIX_BYTES);
        let length = u32::from_le_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if body.len() < length {
            return Err(malformed());
        }
        let mut rest = body.split_to(length);
        let mut index = || {
            let index = rest.split_to_checked(INDEX_BYTES).ok_or_else(malformed)?;
            Ok(u64::from_le_bytes(index.as_ref().try_into().map_err(|_| malformed())?))
        };
        match prefix[0] {
            APPEND => Ok(Self::Append { index: index()?, payload: rest }),
            kind @ (CUT | RESET) => match (index()?, rest.is_empty()) {
                (index, true) if kind == CUT => Ok(Self::Cut { index }),
                (index, true) => Ok(Self::Reset { index }),
                _ => Err(malformed()),
            },
            SET => {
                let slot = rest.split_to_checked(SLOT_BYTES).ok_or_else(malformed)?;
                Ok(Self::Set { slot: slot[0], value: rest })
            }
            kind => Err(Refusal::UnknownRecord { kind }),
        }
    }
}

impl Batch {
    /// How many bytes it takes in the log, its header and padding included. Whoever fills a
    /// batch keeps this within [`BATCH_BYTES`](crate::BATCH_BYTES).
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        crate::format::frame_bytes(self.records.iter().map(Record::encoded_bytes).sum())
    }
}

/// `Bytes::split_to` panics where this answers `None`.
trait SplitChecked: Sized {
    fn split_to_checked(&mut self, count: usize) -> Option<Self>;
}

impl SplitChecked for Bytes {
    fn split_to_checked(&mut self, count: usize) -> Option<Self> {
        (self.len() >= count).then(|| self.split_to(count))
    }
}
