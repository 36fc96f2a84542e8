//! A model of a log: what a prefix of its batches says.

use std::collections::BTreeMap;

use bytes::Bytes;
use wal::{Batch, Record, Recovered};

/// Slots, and entries with their indexes.
pub(crate) type State = (BTreeMap<u8, Bytes>, Vec<(u64, Bytes)>);

/// A record before its batch gives it a place: an entry goes `back` entries below the end.
#[derive(Clone, Debug)]
pub(crate) enum Draft {
    Append {
        back: u64,
        bytes: usize,
        fill: u8,
    },
    Set {
        slot: u8,
        bytes: usize,
        fill: u8,
    },
    /// Cut off all but so many of the newest entries.
    Cut {
        keep: u64,
    },
    /// Go on anew, so far below the end, or beyond it.
    Reset {
        back: u64,
        beyond: u64,
    },
}

/// All batches that were appended, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) batches: Vec<Batch>,
}

impl Model {
    /// The next batch, made of `drafts`.
    pub(crate) fn next_batch(&self, drafts: &[Draft]) -> Batch {
        let (_, mut first, mut next) = self.replay(self.batches.len());
        let records = drafts.iter().map(|draft| match *draft {
            Draft::Append { back, bytes, fill } => {
                let index = next.saturating_sub(back).max(first).max(1);
                (first, next) = (first.max(1), index + 1);
                Record::Append { index, payload: Bytes::from(vec![fill; bytes]) }
            }
            Draft::Set { slot, bytes, fill } => {
                Record::Set { slot, value: Bytes::from(vec![fill; bytes]) }
            }
            Draft::Cut { keep } => {
                first = next.saturating_sub(keep).max(first).max(1);
                Record::Cut { index: first }
            }
            Draft::Reset { back, beyond } => {
                first = (next.saturating_sub(back) + beyond).max(first).max(1);
                next = first;
                Record::Reset { index: first }
            }
        });
        Batch { number: self.batches.len() as u64 + 1, records: records.collect() }
    }

    /// What the first `count` batches say, computed without any of the log's code: the state,
    /// the first index, and the next one.
    fn replay(&self, count: usize) -> (State, u64, u64) {
        let mut slots = BTreeMap::new();
        let mut entries = BTreeMap::new();
        let (mut first, mut next) = (0, 1);
        for record in self.batches[..count].iter().flat_map(|batch| &batch.records) {
            match record {
                Record::Append { index, payload } => {
                    entries.split_off(index);
                    entries.insert(*index, payload.clone());
                    (first, next) = (first.max(1), index + 1);
                }
                Record::Set { slot, value } => {
                    slots.insert(*slot, value.clone());
                }
                Record::Cut { index } => {
                    entries = entries.split_off(index);
                    first = *index;
                }
                Record::Reset { index } => {
                    entries.clear();
                    (first, next) = (*index, *index);
                }
            }
        }
        ((slots, entries.into_iter().collect()), first, next)
    }

    /// What the first `count` batches say.
    pub(crate) fn state(&self, count: usize) -> State {
        self.replay(count).0
    }

    /// How many batches `recovered` holds; panics if it holds anything else than a prefix.
    pub(crate) fn prefix(&self, recovered: &Recovered) -> usize {
        let count = usize::try_from(recovered.next - 1).expect("a small number");
        assert!(count <= self.batches.len(), "batch {count} was never written");
        let (slots, entries) = self.state(count);
        assert!(recovered.slots.iter().eq(&slots));
        assert_eq!(recovered.entries, entries);
        count
    }
}
