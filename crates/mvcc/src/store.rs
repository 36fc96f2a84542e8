//! The store: history in memory and below it, and the revisions that it is at.

use std::sync::Arc;

use api::kv::{KeyValue, ResponseHeader};
use api::{Bytes, Error, Result};

use crate::base::{FRESH_REVISION, NEVER_COMPACTED, SharedBase, Summary};
use crate::draft::Run;
use crate::encode;
use crate::layer::Layer;
use crate::mark::{Mark, Revision};

/// All keys, all their versions since the last compaction.
///
/// Invariants: `compact_revision <= revision`; base, moving and recent hold parts of history that
/// follow each other.
#[derive(Clone, Debug)]
pub struct Store {
    /// What was moved out of memory, once something was.
    pub(crate) base: Option<SharedBase>,
    /// On its way to the base, until a newer base holds it.
    pub(crate) moving: Option<Run>,
    pub(crate) recent: Layer,
    /// What has arrived in the base, until its memory is free: see [`Store::shed`].
    gone: Vec<Layer>,
    pub(crate) revision: i64,
    pub(crate) compact_revision: i64,
    /// Changes at the revision after its own, by the write that is under way. They are the last
    /// ones of `recent`, and nobody else sees them.
    pub(crate) written: u32,
    /// What was in memory when that write began.
    settled: Weight,
}

/// What of a store is in memory and not on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Changes.
    pub rows: usize,
    /// Bytes, about.
    pub bytes: usize,
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
            base: None,
            moving: None,
            recent: Layer::default(),
            gone: Vec::new(),
            revision: FRESH_REVISION,
            compact_revision: NEVER_COMPACTED,
            written: 0,
            settled: Weight::default(),
        }
    }

    /// The store that a base was moved out of.
    pub fn on(base: SharedBase) -> Self {
        let Summary { revision, compact_revision, .. } = *base.summary();
        Self { base: Some(base), revision, compact_revision, ..Self::new() }
    }

    /// The revision of the last change.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The oldest revision that can be read, or -1 before the first compaction.
    pub fn compact_revision(&self) -> i64 {
        self.compact_revision
    }

    /// Bytes of all versions that are kept of all keys, as etcd encodes them: for status and
    /// quota. What a compaction drops counts until it is dropped, which each member does in its
    /// own time.
    pub fn bytes(&self) -> u64 {
        let base = self.base.as_ref().map_or(0, |base| base.summary().bytes);
        base + self.moving.as_ref().map_or(0, |run| run.layer.bytes()) + self.recent.bytes()
    }

    /// What it rests on.
    pub fn base(&self) -> Option<&SharedBase> {
        self.base.as_ref()
    }

    /// What of it is in memory and not on its way out, but could be: nothing of a write that is
    /// half done.
    pub fn weight(&self) -> Weight {
        match self.written {
            0 => Weight { rows: self.recent.len(), bytes: self.recent.memory() },
            _ => self.settled,
        }
    }

    /// A change of the write that is under way.
    pub(crate) fn change(&mut self, mark: Mark, row: KeyValue) {
        if self.written == 0 {
            self.settled = self.weight();
        }
        self.written = self.written.checked_add(1).expect("memory holds fewer keys than 2^32");
        self.recent.push(mark, row);
    }

    /// Takes what is in memory, to be moved to the base, with the owner's note beside it. Reads
    /// still find it. `None` while an earlier run has not arrived, or a write is half done.
    pub fn freeze(&mut self, note: Bytes) -> Option<Run> {
        if self.moving.is_some() || self.written > 0 {
            return None;
        }
        let run = Run {
            layer: Arc::new(std::mem::take(&mut self.recent)),
            revision: self.revision,
            compact_revision: self.compact_revision,
            note,
        };
        self.moving = Some(run.clone());
        Some(run)
    }

    /// What is on its way to the base.
    pub fn moving(&self) -> Option<&Run> {
        self.moving.as_ref()
    }

    /// There is a newer base. If it holds what was on its way, that leaves memory, by and by.
    pub fn rest_on(&mut self, base: SharedBase) {
        let arrived = self.moving.take_if(|run| run.revision <= base.summary().revision);
        // Whoever else still holds it lets go of it.
        self.gone.extend(arrived.and_then(|run| Arc::into_inner(run.layer)));
        self.base = Some(base);
    }

    /// Frees memory of up to so many changes that have left it. It takes time, too.
    pub fn shed(&mut self, rows: usize) {
        let Some(layer) = self.gone.last_mut() else { return };
        layer.shed(rows.max(1));
        self.gone.pop_if(|layer| layer.is_empty());
    }

    /// Whether there is memory to free.
    pub fn is_shedding(&self) -> bool {
        !self.gone.is_empty()
    }

    /// The row of a version that the index names.
    pub(crate) fn row(&self, mark: Mark) -> Result<KeyValue> {
        let Revision { main, sub } = mark.at;
        self.find_row(mark.at)?.ok_or_else(|| {
            Error::Damaged(format!("the index names revision {main}.{sub}, which is not there"))
        })
    }

    /// The row of a change, if it is kept.
    pub(crate) fn find_row(&self, at: Revision) -> Result<Option<KeyValue>> {
        let moving = || self.moving.as_ref().and_then(|run| run.layer.row(at));
        if let Some(row) = self.recent.row(at).or_else(moving) {
            return Ok(Some(row.clone()));
        }
        let Some(base) = &self.base else { return Ok(None) };
        let row = base.row(at)?;
        Ok(row.map(|bytes| encode::read_row(at, bytes)).transpose()?)
    }
}

/// A header with nothing but its revision.
pub(crate) fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..ResponseHeader::default() }
}
