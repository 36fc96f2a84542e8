//! One number for all rows, to see if two members hold the same.

use api::kv::{KeyValue, RangeRequest};
use api::{Bytes, Error, Result};

use crate::encode;
use crate::mark::{Mark, is_tombstone};
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

impl Store {
    /// Hashes all rows up to `revision`; 0 is the newest.
    pub fn hash(&self, revision: i64) -> Result<Hash> {
        let revision = if revision == 0 { self.revision } else { revision };
        if revision < self.compact_revision {
            return Err(Error::Compacted);
        }
        if revision > self.revision {
            return Err(Error::FutureRev);
        }
        let state = match self.has_key_at(revision)? {
            true => revision,
            false => self.compact_revision,
        };
        let mut hash = crc32c::crc32c(b"key");
        let mut bytes = Vec::new();
        for item in self.rows(0, revision) {
            let (at, row) = item?;
            let mark = Mark::of(at, &row);
            if at.main <= self.compact_revision && !self.counts(mark, &row, state)? {
                continue;
            }
            bytes.clear();
            encode::row_key(mark, &mut bytes);
            encode::row_value(&row, &mut bytes);
            hash = crc32c::crc32c_append(hash, &bytes);
        }
        Ok(Hash { hash, revision, compact_revision: self.compact_revision })
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
