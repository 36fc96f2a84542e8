//! Places in history, and what the index says of a version.

use api::Bytes;
use api::kv::KeyValue;

/// The place of one change: its transaction, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// Shared by everything that one request changes.
    pub main: i64,
    /// Counts the changes of that request, from 0.
    pub sub: u32,
}

impl Revision {
    /// Where the changes of `main` begin.
    #[must_use]
    pub fn first(main: i64) -> Self {
        Self { main, sub: 0 }
    }

    /// Where the changes of `main` end.
    #[must_use]
    pub fn last(main: i64) -> Self {
        Self { main, sub: u32::MAX }
    }
}

/// One version of a key, without its value: what the index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When it was written.
    pub at: Revision,
    /// When the life that it belongs to began; 0 for a deletion.
    pub create: i64,
    /// Its number in that life, from 1; 0 for a deletion.
    pub version: i64,
}

impl Mark {
    /// The mark of a deletion.
    pub(crate) fn tombstone(at: Revision) -> Self {
        Self { at, create: 0, version: 0 }
    }

    /// The mark of a row.
    #[must_use]
    pub fn of(at: Revision, row: &KeyValue) -> Self {
        Self { at, create: row.create_revision, version: row.version }
    }

    /// The pair of this version as far as the index knows it: without value and lease.
    pub(crate) fn bare(self, key: Bytes) -> KeyValue {
        KeyValue {
            key,
            create_revision: self.create,
            mod_revision: self.at.main,
            version: self.version,
            ..KeyValue::default()
        }
    }

    /// True unless it is a deletion.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.version != 0
    }
}

/// True for the row of a deletion. It holds the key and `mod_revision` alone.
pub(crate) fn is_tombstone(row: &KeyValue) -> bool {
    row.version == 0
}
