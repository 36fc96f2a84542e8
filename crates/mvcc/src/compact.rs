//! Compaction: history up to a revision goes, the state at that revision stays.

use api::{Error, Result};

use crate::store::Store;

impl Store {
    /// Drops what is older than the state at `revision`. Reads and watches at that revision
    /// still work, below it they are refused.
    pub fn compact(&mut self, revision: i64) -> Result<()> {
        if revision <= self.compact_revision {
            return Err(Error::Compacted);
        }
        if revision > self.revision {
            return Err(Error::FutureRev);
        }
        let rows = &mut self.rows;
        self.index.compact(revision, |at| rows.remove(at));
        self.compact_revision = revision;
        Ok(())
    }
}
