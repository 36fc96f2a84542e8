//! raft's view of the log: the entries that are not in the store's base yet, and some more for
//! followers that are behind. The log on disk is behind the host.
//!
//! ```text
//!            anchor     first                       last
//!  ── gone ──┤ 41 ├──────┤ 42 ├── … ────────────────┤ 99 ├
//!               ▲                     ▲ the base holds all up to here
//!      only index and term
//! ```

use std::collections::VecDeque;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

/// An entry's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) index: u64,
    pub(crate) term: u64,
}

impl Place {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { index: entry.index, term: entry.term }
    }
}

/// The raft log from an anchor on.
pub(crate) struct RaftLog {
    state: RaftState,
    /// The last entry that is not here any more; 0 before the first.
    anchor: Place,
    /// Invariant: `entries[i].index == anchor.index + 1 + i`.
    entries: VecDeque<Entry>,
    /// Invariant: the sum of their data.
    bytes: usize,
    /// Where the base stands that a follower would get.
    base: Option<Place>,
    /// The lowest index that changed since the last [`Self::take_changed`].
    #[cfg(feature = "testing")]
    changed: std::cell::Cell<u64>,
}

impl RaftLog {
    /// `entries` follow the anchor.
    pub(crate) fn new(
        hard_state: HardState,
        conf_state: ConfState,
        anchor: Place,
        entries: Vec<Entry>,
    ) -> Self {
        Self {
            state: RaftState { hard_state, conf_state },
            anchor,
            bytes: entries.iter().map(|entry| entry.data.len()).sum(),
            entries: entries.into(),
            base: None,
            #[cfg(feature = "testing")]
            changed: std::cell::Cell::new(1),
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.anchor.index + self.entries.len() as u64
    }

    pub(crate) fn anchor(&self) -> Place {
        self.anchor
    }

    /// How many entries there are, and the bytes of their data.
    pub(crate) fn weight(&self) -> (u64, usize) {
        (self.entries.len() as u64, self.bytes)
    }

    /// Takes entries over as raft gives them: they replace what was at their indexes and after.
    pub(crate) fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        #[cfg(feature = "testing")]
        self.changed.set(self.changed.get().min(first.index));
        let kept = first.index.saturating_sub(self.anchor.index + 1) as usize;
        self.bytes -= self.entries.iter().skip(kept).map(|entry| entry.data.len()).sum::<usize>();
        self.entries.truncate(kept);
        self.bytes += entries.iter().map(|entry| entry.data.len()).sum::<usize>();
        self.entries.extend(entries.iter().cloned());
    }

    /// Lets go of all up to an entry that is here. Gives its place.
    pub(crate) fn cut(&mut self, index: u64) -> Option<Place> {
        let place = Place::of(self.entry(index)?);
        for entry in self.entries.drain(..(index - self.anchor.index) as usize) {
            self.bytes -= entry.data.len();
        }
        self.anchor = place;
        Some(place)
    }

    /// Goes on behind a snapshot: the base is what has arrived.
    pub(crate) fn reset(&mut self, anchor: Place) {
        #[cfg(feature = "testing")]
        self.changed.set(self.changed.get().min(anchor.index));
        (self.anchor, self.base) = (anchor, Some(anchor));
        self.entries.clear();
        self.bytes = 0;
    }

    /// What a follower that is too far behind gets.
    pub(crate) fn set_base(&mut self, base: Place) {
        self.base = Some(base);
    }

    pub(crate) fn set_hard_state(&mut self, hard_state: &HardState) {
        self.state.hard_state = hard_state.clone();
    }

    /// The first entry from an index on at which so many bytes are left, at the most.
    pub(crate) fn within(&self, most_entries: u64, most_bytes: usize) -> u64 {
        let mut bytes = 0;
        let kept = self.entries.iter().rev().take_while(|entry| {
            bytes += entry.data.len();
            bytes <= most_bytes
        });
        self.last() - (kept.count() as u64).min(most_entries)
    }

    /// The lowest index that changed since this was asked the last time.
    #[cfg(feature = "testing")]
    pub(crate) fn take_changed(&self) -> u64 {
        self.changed.replace(u64::MAX)
    }

    pub(crate) fn entry(&self, index: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(index.checked_sub(self.anchor.index + 1)?).ok()?)
    }

    fn missing(&self, index: u64) -> Error {
        Error::Store(match index <= self.anchor.index {
            true => StorageError::Compacted,
            false => StorageError::Unavailable,
        })
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
        if self.entry(low).is_none() || high > self.last() + 1 {
            return Err(self.missing(low));
        }
        let from = (low - self.anchor.index - 1) as usize;
        let most = max_size.into().unwrap_or(u64::MAX);
        let mut bytes = 0;
        let mut entries = Vec::new();
        for entry in self.entries.range(from..(high - self.anchor.index - 1) as usize) {
            // What they take in a message, about; the first goes whatever it takes.
            bytes += entry.data.len() as u64 + ENTRY_BYTES;
            if bytes > most && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.anchor.index {
            return Ok(self.anchor.term);
        }
        self.entry(index).map(|entry| entry.term).ok_or_else(|| self.missing(index))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.anchor.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// The place of the base and nothing of it: the data goes beside raft.
    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        let base = self.base.filter(|base| base.index >= request_index.max(self.anchor.index));
        let Some(Place { index, term }) = base else {
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        };
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        (metadata.index, metadata.term) = (index, term);
        metadata.set_conf_state(self.state.conf_state.clone());
        Ok(snapshot)
    }
}

/// What an entry takes in a message beside its data, at the most.
const ENTRY_BYTES: u64 = 32;

#[cfg(test)]
mod tests {
    use raft::GetEntriesContext;

    use super::*;

    fn entry(index: u64) -> Entry {
        Entry { index, term: index / 3 + 1, data: vec![7; 100], ..Entry::default() }
    }

    fn log(last: u64) -> RaftLog {
        let mut log = RaftLog::new(
            HardState::default(),
            ConfState::default(),
            Place::default(),
            (1..=3).map(entry).collect(),
        );
        log.append(&(4..=last).map(entry).collect::<Vec<_>>());
        log
    }

    #[test]
    fn a_cut_keeps_the_place_of_what_was_before() {
        let mut log = log(9);
        assert_eq!(log.weight(), (9, 900));
        assert_eq!(log.cut(6), Some(Place { index: 6, term: 3 }));
        assert_eq!((log.first_index(), log.last_index()), (Ok(7), Ok(9)));
        assert_eq!((log.term(6), log.term(9)), (Ok(3), Ok(4)));
        assert_eq!(log.term(5), Err(Error::Store(StorageError::Compacted)));
        assert_eq!(log.term(10), Err(Error::Store(StorageError::Unavailable)));
        assert_eq!(log.cut(6), None, "it is not here any more");
        assert_eq!(log.weight(), (3, 300));
        log.append(&[entry(8)]);
        assert_eq!((log.last(), log.weight()), (8, (2, 200)));
        assert_eq!(log.cut(8), Some(Place { index: 8, term: 3 }));
        assert_eq!((log.last(), log.weight()), (8, (0, 0)));
    }

    #[test]
    fn a_reset_goes_on_elsewhere() {
        let mut log = log(9);
        log.reset(Place { index: 20, term: 8 });
        assert_eq!((log.first_index(), log.last_index(), log.term(20)), (Ok(21), Ok(20), Ok(8)));
        log.append(&[entry(21)]);
        assert_eq!(log.last(), 21);
    }

    #[test]
    fn entries_are_given_in_parts() {
        let log = log(9);
        let of = |low, high, most: u64| {
            let entries = log.entries(low, high, most, GetEntriesContext::empty(false));
            entries.map(|entries| entries.iter().map(|e| e.index).collect::<Vec<_>>())
        };
        assert_eq!(of(2, 5, u64::MAX), Ok(vec![2, 3, 4]));
        assert_eq!(of(2, 5, 1), Ok(vec![2]), "at least one");
        assert_eq!(of(2, 9, 300), Ok(vec![2, 3]));
        assert!(of(2, 11, 1).is_err());
        assert_eq!((log.within(4, 10_000), log.within(100, 250), log.within(9, 99)), (5, 7, 9));
    }

    #[test]
    fn a_snapshot_is_where_the_base_is() {
        let mut log = log(9);
        assert!(log.snapshot(0, 2).is_err());
        log.set_base(Place { index: 6, term: 3 });
        assert_eq!(log.snapshot(0, 2).map(|s| s.get_metadata().index), Ok(6));
        assert!(log.snapshot(7, 2).is_err(), "too old for who asks");
    }
}
