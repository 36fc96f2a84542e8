//! One number for all rows, to see if two members hold the same.

use api::kv::KeyValue;
use api::{Bytes, Error, Result};

use crate::encode;
use crate::mark::{Mark, Revision, is_tombstone};
use crate::slice::Slice;
use crate::span::Span;
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
    /// The revision at whose state the versions count that are not above the compact revision, once
    /// that is known.
    state: Option<i64>,
    /// Where no key is looked for yet that exists at the revision.
    left: Span,
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
        let hash = Hash { hash: crc32c::crc32c(b"key"), revision, compact_revision };
        // All keys.
        let left = Span::new(&Bytes::from_static(&[0]), &Bytes::from_static(&[0]));
        Ok(Self { asked, hash, next: Revision::first(0), state: None, left })
    }

    /// Goes on as far as the slice goes. The hash, once there are no more rows.
    ///
    /// # Errors
    /// [`Error::Compacted`] if the revision was compacted meanwhile. Other compactions make it
    /// begin again.
    pub fn step(&mut self, store: &Store, slice: &mut Slice) -> Result<Option<Hash>> {
        if store.compact_revision != self.hash.compact_revision {
            *self = Self::new(store, self.asked)?;
        }
        let Some(state) = self.state(store, slice)? else { return Ok(None) };
        let Hash { hash, revision, compact_revision } = &mut self.hash;
        let mut bytes = Vec::new();
        for item in store.rows(self.next, *revision) {
            let (at, row) = item?;
            if slice.is_over() {
                self.next = at;
                return Ok(None);
            }
            slice.take(row.value.len());
            let mark = Mark::of(at, &row);
            if at.main <= *compact_revision && !store.counts(mark, &row, state)? {
                continue;
            }
            bytes.clear();
            encode::row_key(mark, &mut bytes);
            encode::row_value(&row, &mut bytes);
            *hash = crc32c::crc32c_append(*hash, &bytes);
        }
        Ok(Some(self.hash))
    }

    /// The revision whose state counts: the one that is hashed, if a key exists at it.
    fn state(&mut self, store: &Store, slice: &mut Slice) -> Result<Option<i64>> {
        if self.state.is_none() {
            let Hash { revision, compact_revision, .. } = self.hash;
            let mut state = compact_revision;
            let left = self.left.clone();
            for item in store.keys(&left, revision) {
                let (key, mark) = item?;
                if slice.is_over() {
                    self.left = left.from(key);
                    return Ok(None);
                }
                slice.take(0);
                if mark.is_some() {
                    state = revision;
                    break;
                }
            }
            self.state = Some(state);
        }
        Ok(self.state)
    }
}

impl Store {
    /// Hashes all rows up to `revision` at once; 0 is the newest.
    pub fn hash(&self, revision: i64) -> Result<Hash> {
        let mut hashing = Hashing::new(self, revision)?;
        loop {
            if let Some(hash) = hashing.step(self, &mut Slice::whole())? {
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
}
