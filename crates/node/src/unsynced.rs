//! What was given out to be stored and is not durable, in bytes: a disk that hangs must not
//! fill the memory.

use std::collections::VecDeque;

/// Bytes that wait for their sync before the log is given no more of what can wait. Twice what
/// a leader has in flight to one follower, so a disk that is only slow is not meant.
pub(crate) const UNSYNCED_BYTES: usize =
    2 * api::limits::PEER_INFLIGHT_MESSAGES * api::limits::RAFT_BATCH_BYTES;

/// Batches that wait for the disk.
#[derive(Default)]
pub(crate) struct Unsynced {
    /// Number and bytes. Invariant: numbers grow.
    batches: VecDeque<(u64, usize)>,
    /// Invariant: their sum.
    bytes: usize,
}

impl Unsynced {
    /// This batch is given out.
    pub(crate) fn add(&mut self, batch: u64, bytes: usize) {
        self.batches.push_back((batch, bytes));
        self.bytes += bytes;
    }

    /// Batches up to this one are durable.
    pub(crate) fn persisted(&mut self, batch: u64) {
        while let Some((_, bytes)) = self.batches.pop_front_if(|(number, _)| *number <= batch) {
            self.bytes -= bytes;
        }
    }

    /// So much waits.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// So much waits that no more may.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= UNSYNCED_BYTES
    }
}
