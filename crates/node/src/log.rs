//! raft's view of the log: all entries, in memory. The log on disk is behind the host.

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

/// The raft log since the beginning of the cluster.
pub(crate) struct RaftLog {
    state: RaftState,
    /// Invariant: `entries[i].index == i + 1`.
    entries: Vec<Entry>,
    /// The lowest index that changed since the last [`Self::take_changed`].
    #[cfg(feature = "testing")]
    changed: std::cell::Cell<u64>,
}

impl RaftLog {
    pub(crate) fn new(hard_state: HardState, conf_state: ConfState, entries: Vec<Entry>) -> Self {
        Self {
            state: RaftState { hard_state, conf_state },
            entries,
            #[cfg(feature = "testing")]
            changed: std::cell::Cell::new(1),
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Takes entries over as raft gives them: they replace what was at their indexes and after.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        #[cfg(feature = "testing")]
        self.changed.set(self.changed.get().min(first.index));
        self.entries.truncate((first.index - 1) as usize);
        self.entries.extend_from_slice(entries);
    }

    pub(crate) fn set_hard_state(&mut self, hard_state: &HardState) {
        self.state.hard_state = hard_state.clone();
    }

    /// The lowest index that changed since this was asked the last time.
    #[cfg(feature = "testing")]
    pub(crate) fn take_changed(&self) -> u64 {
        self.changed.replace(u64::MAX)
    }

    #[cfg(feature = "testing")]
    pub(crate) fn entry(&self, index: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(index.checked_sub(1)?).ok()?)
    }

    fn at(&self, index: u64) -> raft::Result<usize> {
        if index == 0 || index > self.last() {
            return Err(Error::Store(StorageError::Unavailable));
        }
        Ok((index - 1) as usize)
    }
}

impl Storage for RaftLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.state.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let (from, to) = (self.at(low)?, self.at(high - 1)? + 1);
        let mut entries = self.entries[from..to].to_vec();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == 0 {
            return Ok(0);
        }
        Ok(self.entries[self.at(index)?].term)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// The log is never cut, so nobody is ever too far behind for it.
    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
    }
}
