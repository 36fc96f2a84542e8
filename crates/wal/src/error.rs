//! Why a batch was not taken, and why a file was not.

use thiserror::Error;

use crate::format::{BATCH_BYTES, FORMAT_VERSION};

/// A batch that the log does not take. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BatchError {
    /// A batch before it is missing, or it came twice.
    #[error("the log's next batch is number {expected}, not {found}")]
    Number {
        /// What the log waits for.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// It is over the limit.
    #[error("a batch of {bytes} bytes is larger than the log's limit of {BATCH_BYTES} bytes")]
    TooLarge {
        /// Its size in the log.
        bytes: usize,
    },
    /// It would leave a hole between entries, replace what was before the first one, or cut what
    /// was cut before.
    #[error("entry {index} does not follow the log's entries {first} to {last}")]
    Index {
        /// The entry that does not fit.
        index: u64,
        /// The log's first entry; 0 if it has none.
        first: u64,
        /// The log's last entry; 0 if it has none.
        last: u64,
    },
}

/// What is wrong with the bytes where a batch should be. At the end of a log that is what a
/// crash leaves; anywhere else it is corruption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// They do not begin like a batch.
    #[error("no batch begins here")]
    NoBatch,
    /// The file ends within the batch.
    #[error("the file ends within the batch")]
    Incomplete,
    /// The batch's header does not match its checksum.
    #[error("the batch's header does not match its checksum")]
    HeaderChecksum,
    /// The batch's records do not match their checksum.
    #[error("the batch's records do not match their checksum")]
    BodyChecksum,
    /// It is a batch of this log, of another place.
    #[error("batch {found} is here")]
    Number {
        /// Its number.
        found: u64,
    },
    /// It has the right number and continues another batch than the one before it.
    #[error("a batch is here that belongs to another run of the log")]
    Chain,
    /// The segment's header was not written to its end.
    #[error("the segment's header is not complete")]
    SegmentHeader,
}

/// Why files are not taken for a log. Nothing of them was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("log refused at byte {at}: {why}")]
pub struct Refused {
    /// In which segment, counted from 0.
    pub segment: usize,
    /// Where in it.
    pub at: u64,
    /// What is there.
    pub why: Refusal,
}

/// What about a segment makes it unusable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Something else's file.
    #[error("this is not a Kvorum log. Check the path; nothing was changed")]
    Foreign,
    /// A segment's header is damaged, and there is something behind it.
    #[error("the segment's header is damaged, and data follows it. {REPLACE}")]
    SegmentHeader,
    /// A segment that continues another log, or another state of this one.
    #[error(
        "this segment begins with batch {found}, and the log goes on with batch {expected}: files \
         of different states are mixed here, or one is missing. {REPLACE}"
    )]
    Segment {
        /// The first batch of the segment.
        found: u64,
        /// The next batch of the log before it.
        expected: u64,
    },
    /// Of a later format.
    #[error(
        "it has format {found}, this program knows up to {FORMAT_VERSION}. Start it with the \
         version of Kvorum that wrote it, or a newer one; nothing was changed"
    )]
    Version {
        /// The format of the segment.
        found: u32,
    },
    /// A record of a kind that this program does not know.
    #[error(
        "a record of kind {kind} is not known to this program. Start it with the version of \
         Kvorum that wrote it, or a newer one; nothing was changed"
    )]
    UnknownRecord {
        /// The kind.
        kind: u8,
    },
    /// A record that passes its checksum and does not parse.
    #[error("a record is malformed although its checksum holds. {REPLACE}")]
    Malformed,
    /// A batch over the limit.
    #[error("a batch of {bytes} bytes is larger than the limit of {BATCH_BYTES} bytes. {REPLACE}")]
    TooLarge {
        /// What its header says.
        bytes: usize,
    },
    /// A synced batch is damaged: one that came later says that it had been synced.
    #[error(
        "batch {number} is damaged ({damage}), and it was once safe on disk: batch {later} at \
         byte {later_at} says so. {REPLACE}"
    )]
    Damaged {
        /// The batch that should be here.
        number: u64,
        /// What is here instead.
        damage: Damage,
        /// The batch that proves that there was one.
        later: u64,
        /// Where that one is.
        later_at: u64,
    },
    /// The first batch of the oldest segment is not there: nothing is left to stand on.
    #[error(
        "batch {number} is missing ({damage}), and what was before it was dropped for it. {REPLACE}"
    )]
    Lost {
        /// Its number.
        number: u64,
        /// What is there instead.
        damage: Damage,
    },
    /// Entries that were in a segment which is gone.
    #[error("entry {index} is missing: a file of the log is gone. Put it back. {REPLACE}")]
    Missing {
        /// The first that is missing.
        index: u64,
    },
    /// Entries that do not follow each other.
    #[error("entry {index} does not follow the entries {first} to {last} before it. {REPLACE}")]
    Hole {
        /// The entry that does not fit.
        index: u64,
        /// The first entry before it; 0 if there is none.
        first: u64,
        /// The last entry before it; 0 if there is none.
        last: u64,
    },
}

/// What one can do about a damaged log.
const REPLACE: &str = "Nothing was changed. The other members hold the data: keep a copy of \
                       this directory and replace this member";

/// Why a log could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecoverError<E> {
    /// The file could not be read; this is its own error.
    #[error("{0}")]
    Read(E),
    /// It was read, and is not a log that this program can go on with.
    #[error(transparent)]
    Refused(#[from] Refused),
}
