//! The rows: what was written, by revision. The only place that holds values.
//!
//! The store asks for rows by nothing but revision, in the few ways below, so that another
//! backend can stand behind them.

use std::collections::BTreeMap;

use api::kv::KeyValue;

use crate::encode;

/// One change: its transaction, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Revision {
    /// Shared by everything that one request changes.
    pub(crate) main: i64,
    /// Counts the changes of that request, from 0.
    pub(crate) sub: u32,
}

impl Revision {
    /// Where the changes of `main` begin.
    pub(crate) fn first(main: i64) -> Self {
        Self { main, sub: 0 }
    }
}

/// True for the row of a deletion. It holds the key and `mod_revision` alone.
pub(crate) fn is_tombstone(row: &KeyValue) -> bool {
    row.version == 0
}

/// Rows by revision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    rows: BTreeMap<Revision, KeyValue>,
    /// Invariant: the sum of `encode::row_bytes` over `rows`.
    bytes: u64,
}

impl Rows {
    /// Adds the row of a change.
    pub(crate) fn insert(&mut self, at: Revision, row: KeyValue) {
        self.bytes += encode::row_bytes(&row);
        let old = self.rows.insert(at, row);
        debug_assert!(old.is_none(), "a revision is written once");
    }

    /// The row of a change, unless it is gone.
    pub(crate) fn get(&self, at: Revision) -> Option<KeyValue> {
        self.rows.get(&at).cloned()
    }

    /// Drops a row.
    pub(crate) fn remove(&mut self, at: Revision) {
        if let Some(row) = self.rows.remove(&at) {
            self.bytes -= encode::row_bytes(&row);
        }
    }

    /// The rows from revision `from` on up to and including `to`, in order.
    pub(crate) fn scan(
        &self,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = (Revision, &KeyValue)> + use<'_> {
        let start = Revision::first(from);
        self.rows
            .range(start.min(Revision::first(to.saturating_add(1)))..)
            .take_while(move |(at, _)| at.main <= to)
            .map(|(at, row)| (*at, row))
    }

    /// Bytes of all rows, as etcd encodes them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
