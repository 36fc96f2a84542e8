//! One number for all rows, to see if two members hold the same.

use api::kv::{KeyValue, RangeRequest};
use api::{Bytes, Error, Result};

use crate::draft::SLICE_BYTES;
use crate::encode;
use crate::mark::{Mark, Revision, is_tombstone};
use crate::store::Store;

/// The hash of a store. Comparable only with one of equal revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash {
    /// CRC-32C over the word `key` and the rows, as etcd's HashKV.
    pub hash: u32,
    /// The newest revision that is in it.
    pub revision: i64,
    /// The store's compact revision.
    pub compact_revision: i64,
}

/// A hash that is made in slices, so that it stops nobody, whatever is written meanwhile.
#[derive(Clone, Debug)]
pub struct Hashing {
    /// The revision as it was asked for.
    asked: i64,
    /// The hash of the rows before `next`.
    hash: Hash,
    next: Revision,
    /// The revision at whose state the versions count that are not above the compact revision.
    state: i64,
}

impl Hashing {
    /// Begins to hash all rows up to `revision`; 0 is the newest.
    pub fn new(store: &Store, asked: i64) -> Result<Self> {
        let revision = if asked == 0 { store.revision } else { asked };
        let compact_revision = store.compact_revision;
        if revision < compact_revision {
            return Err(Error::Compacted);
        }
        if revision > store.revision {
            return Err(Error::FutureRev);
        }
        let state = if store.has_key_at(revision)? { revision } else { compact_revision };
        let hash = Hash { hash: crc32c::crc32c(b"key"), revision, compact_revision };
        Ok(Self { asked, hash, next: Revision::first(0), state })
    }

    /// Takes up to `rows` rows more in. The hash, once there are no more.
    ///
    /// # Errors
    /// [`Error::Compacted`] if the revision was compacted meanwhile. Other compactions make it
    /// begin again.
    pub fn step(&mut self, store: &Store, rows: usize) -> Result<Option<Hash>> {
        if store.compact_revision != self.hash.compact_revision {
            *self = Self::new(store, self.asked)?;
        }
        let Hash { hash, revision, compact_revision } = &mut self.hash;
        let (mut seen, mut size, mut bytes) = (0, 0, Vec::new());
        for item in store.rows(self.next, *revision) {
            let (at, row) = item?;
            if seen >= rows || size >= SLICE_BYTES {
                self.next = at;
                return Ok(None);
            }
            (seen, size) = (seen + 1, size + row.value.len());
            let mark = Mark::of(at, &row);
            if at.main <= *compact_revision && !store.counts(mark, &row, self.state)? {
                continue;
            }
            bytes.clear();
            encode::row_key(mark, &mut bytes);
            encode::row_value(&row, &mut bytes);
            *hash = crc32c::crc32c_append(*hash, &bytes);
        }
        Ok(Some(self.hash))
    }
}

impl Store {
    /// Hashes all rows up to `revision` at once; 0 is the newest.
    pub fn hash(&self, revision: i64) -> Result<Hash> {
        let mut hashing = Hashing::new(self, revision)?;
        loop {
            if let Some(hash) = hashing.step(self, usize::MAX)? {
                return Ok(hash);
            }
        }
    }

    /// Whether a version that is not above the compact revision counts: if it is a part of the
    /// state at a revision. What else is there is dropped sooner or later, by each member in its
    /// own time. etcd asks for the state at the revision of the hash; where that state is empty it
    /// counts all versions that it still holds, which in the end are those of the state at the
    /// compact revision. (A deletion exactly there is kept for watches, and counted by none.)
    fn counts(&self, mark: Mark, row: &KeyValue, state: i64) -> Result<bool> {
        if is_tombstone(row) {
            return Ok(false);
        }
        let newest = self.mark(&row.key, state)?;
        Ok(newest.is_some_and(|newest| newest.at == mark.at))
    }

    fn has_key_at(&self, revision: i64) -> Result<bool> {
        // All keys.
        let (key, range_end) = (Bytes::from_static(&[0]), Bytes::from_static(&[0]));
        let first = RangeRequest { key, range_end, revision, limit: 1, ..RangeRequest::default() };
        Ok(!self.range(&RangeRequest { keys_only: true, ..first })?.kvs.is_empty())
    }
}
