//! One number for all rows, to see if two members hold the same.

use api::{Error, Result};

use crate::encode;
use crate::rows::is_tombstone;
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
        let mut hash = crc32c::crc32c(b"key");
        let mut bytes = Vec::new();
        for (at, row) in self.rows.scan(0, revision) {
            // Releases of etcd differ in whether they keep this one, so none of them counts it.
            if at.main == self.compact_revision && is_tombstone(row) {
                continue;
            }
            bytes.clear();
            encode::row(at, row, &mut bytes);
            hash = crc32c::crc32c_append(hash, &bytes);
        }
        Ok(Hash { hash, revision, compact_revision: self.compact_revision })
    }
}
