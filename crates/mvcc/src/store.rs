//! The store: the index and the rows, and the revisions that they are at.

use api::kv::{DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, ResponseHeader};
use api::{Error, Result};

use crate::index::Index;
use crate::rows::Rows;
use crate::write::Writer;

/// Revision of a store that nothing was written to.
const FRESH_REVISION: i64 = 1;

/// Compact revision of a store that was never compacted.
const NEVER_COMPACTED: i64 = -1;

/// All keys, all their versions since the last compaction.
///
/// Invariants: `compact_revision <= revision`; each mark in `index` has its row in `rows` and
/// the other way round.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) index: Index,
    pub(crate) rows: Rows,
    pub(crate) revision: i64,
    pub(crate) compact_revision: i64,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store, at revision 1.
    pub fn new() -> Self {
        Self {
            index: Index::default(),
            rows: Rows::default(),
            revision: FRESH_REVISION,
            compact_revision: NEVER_COMPACTED,
        }
    }

    /// The revision of the last change.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The oldest revision that can be read, or -1 before the first compaction.
    pub fn compact_revision(&self) -> i64 {
        self.compact_revision
    }

    /// Bytes of all versions of all keys, as etcd encodes them. For status and quota.
    pub fn bytes(&self) -> u64 {
        self.rows.bytes()
    }

    /// Writes a key, at a new revision.
    pub fn put(&mut self, request: &PutRequest) -> Result<PutResponse> {
        // etcd looks at the lease first here, and last inside of a transaction.
        self.check_lease(request.lease)?;
        self.write(|writer| writer.put(request))
    }

    /// Deletes the keys of a range, at a new revision if there are any.
    pub fn delete_range(&mut self, request: &DeleteRangeRequest) -> Result<DeleteRangeResponse> {
        self.write(|writer| Ok(writer.delete_range(request)))
    }

    /// Refuses a lease that does not exist. No lease exists yet.
    pub(crate) fn check_lease(&self, lease: i64) -> Result<()> {
        if lease == 0 { Ok(()) } else { Err(Error::LeaseNotFound) }
    }

    /// Runs `change` at one new revision. If it fails, nothing has changed.
    pub(crate) fn write<T>(
        &mut self,
        change: impl FnOnce(&mut Writer<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut writer = Writer::new(self);
        let result = change(&mut writer);
        match result {
            Ok(_) => writer.commit(),
            Err(_) => writer.roll_back(),
        }
        result
    }
}

/// A header with nothing but its revision.
pub(crate) fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..ResponseHeader::default() }
}
