//! Compaction: history up to a revision goes, the state at that revision stays.

use api::{Error, Result};

use crate::store::Store;

impl Store {
    /// Forbids what is older than the state at `revision`. Reads and watches at that revision
    /// still work, below it they are refused. What that makes useless is dropped by
    /// [`scrub`](crate::draft::scrub), once it is in the base.
    pub fn compact(&mut self, revision: i64) -> Result<()> {
        if revision <= self.compact_revision {
            return Err(Error::Compacted);
        }
        if revision > self.revision {
            return Err(Error::FutureRev);
        }
        self.compact_revision = revision;
        Ok(())
    }
}
