//! A model of a log: what a prefix of its batches says.

use std::collections::BTreeMap;

use bytes::Bytes;
use wal::{Batch, Record, Recovered};

/// A record before its batch gives it a place: an entry goes `back` entries below the end.
#[derive(Clone, Debug)]
pub(crate) enum Draft {
    Append { back: u64, bytes: usize, fill: u8 },
    Set { slot: u8, bytes: usize, fill: u8 },
}

/// All batches that were appended, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) batches: Vec<Batch>,
}

impl Model {
    /// The next batch, made of `drafts`.
    pub(crate) fn next_batch(&self, drafts: &[Draft]) -> Batch {
        let mut last = self.state(self.batches.len()).1.last().map_or(0, |(index, _)| *index);
        let records = drafts.iter().map(|draft| match *draft {
            Draft::Append { back, bytes, fill } => {
                let index = (last + 1).saturating_sub(back).max(1);
                last = index;
                Record::Append { index, payload: Bytes::from(vec![fill; bytes]) }
            }
            Draft::Set { slot, bytes, fill } => {
                Record::Set { slot, value: Bytes::from(vec![fill; bytes]) }
            }
        });
        Batch { number: self.batches.len() as u64 + 1, records: records.collect() }
    }

    /// What the first `count` batches say, computed without any of the log's code.
    pub(crate) fn state(&self, count: usize) -> (BTreeMap<u8, Bytes>, Vec<(u64, Bytes)>) {
        let mut slots = BTreeMap::new();
        let mut entries = BTreeMap::new();
        for record in self.batches[..count].iter().flat_map(|batch| &batch.records) {
            match record {
                Record::Append { index, payload } => {
                    entries.split_off(index);
                    entries.insert(*index, payload.clone());
                }
                Record::Set { slot, value } => {
                    slots.insert(*slot, value.clone());
                }
            }
        }
        (slots, entries.into_iter().collect())
    }

    /// How many batches `recovered` holds; panics if it holds anything else than a prefix.
    pub(crate) fn prefix(&self, recovered: &Recovered) -> usize {
        let count = usize::try_from(recovered.next - 1).expect("a small number");
        assert!(count <= self.batches.len(), "batch {count} was never written");
        let (slots, entries) = self.state(count);
        assert_eq!(recovered.slots, slots);
        assert_eq!(recovered.entries, entries);
        count
    }
}
