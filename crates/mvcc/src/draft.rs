//! What jobs do to a base: they move runs into it, drop what compactions left, and fill a new one.
//!
//! Whatever keeps a base offers a [`Draft`] of it, which becomes the next base all at once. Work
//! is done in slices, so that it can be done where nothing may take long.
//!
//! ```text
//!  Run ────────► Move::step  (rows, then marks by key, a slice at a time) ──► Summary
//!  compact ────► scrub       (rows from `scrubbed` on) ─────────────────────► Summary
//!  rows of ────► fill        (a peer's snapshot, or an older base)
//!  another base
//! ```

use std::sync::Arc;

use api::Bytes;

use crate::base::{Damage, Scrub, Summary};
use crate::encode;
use crate::layer::Layer;
use crate::mark::{Mark, Revision, is_tombstone};

type Result<T> = std::result::Result<T, Damage>;

/// A base that is being changed.
pub trait Draft {
    /// The first change at or after a place.
    ///
    /// # Errors
    /// As all methods here: if what is kept cannot be read or written.
    fn row_from(&self, from: Revision) -> Result<Option<(Revision, Bytes)>>;

    /// The newest version of a key before a place.
    #[allow(missing_docs)]
    fn mark_before(&self, key: &[u8], before: Revision) -> Result<Option<Mark>>;

    /// Adds a change.
    #[allow(missing_docs)]
    fn insert_row(&mut self, at: Revision, row: &[u8]) -> Result<()>;

    /// Adds a version to the index.
    #[allow(missing_docs)]
    fn insert_mark(&mut self, key: &[u8], mark: Mark) -> Result<()>;

    /// Drops a change. How many bytes it had, if it was there.
    #[allow(missing_docs)]
    fn remove_row(&mut self, at: Revision) -> Result<Option<usize>>;

    /// Drops a version from the index.
    #[allow(missing_docs)]
    fn remove_mark(&mut self, key: &[u8], at: Revision) -> Result<()>;
}

/// A part of memory on its way to the base.
#[derive(Clone, Debug)]
pub struct Run {
    pub(crate) layer: Arc<Layer>,
    pub(crate) revision: i64,
    pub(crate) compact_revision: i64,
    pub(crate) note: Bytes,
}

impl Run {
    /// How many changes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layer.len()
    }

    /// Whether it is this very one.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.layer, &other.layer)
    }

    /// Whether it holds none: then only its summary is new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layer.is_empty()
    }

    /// The summary of a base with `before` once this run is in it.
    #[must_use]
    pub fn summary(&self, before: &Summary) -> Summary {
        Summary {
            revision: self.revision,
            compact_revision: self.compact_revision,
            scrub: before.scrub,
            bytes: before.bytes + self.layer.bytes(),
            note: self.note.clone(),
        }
    }
}

/// Bytes of rows that one slice writes, about.
pub(crate) const SLICE_BYTES: usize = 1024 * 1024;

/// A run that is being moved, slice by slice.
#[derive(Clone, Debug)]
pub struct Move {
    run: Run,
    rows: usize,
    /// The next mark: a key, and the place among its marks. They are written by key, so that the
    /// index is written from its beginning to its end. Nothing after the last.
    mark: Option<(Bytes, usize)>,
    buffer: Vec<u8>,
}

impl Move {
    /// Begins with a run.
    #[must_use]
    pub fn new(run: Run) -> Self {
        let mark = run.layer.keys().next().map(|(key, _)| (key.clone(), 0));
        Self { run, rows: 0, mark, buffer: Vec::new() }
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Whether all rows and marks are written.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.mark.is_none()
    }

    /// Writes up to `limit` rows and marks.
    ///
    /// # Errors
    /// If the draft cannot be written.
    pub fn step(&mut self, draft: &mut impl Draft, limit: usize) -> Result<()> {
        let rows = self.run.layer.rows(Revision::first(0));
        let (mut left, mut bytes) = (limit, 0);
        while let Some((at, row)) = rows.get(self.rows).filter(|_| left > 0) {
            self.buffer.clear();
            encode::row_value(row, &mut self.buffer);
            draft.insert_row(*at, &self.buffer)?;
            (self.rows, left, bytes) = (self.rows + 1, left - 1, bytes + self.buffer.len());
            if bytes >= SLICE_BYTES {
                return Ok(());
            }
        }
        let Some((first, mut from)) = self.mark.clone() else { return Ok(()) };
        for (key, marks) in self.run.layer.keys_from(first) {
            for (at, mark) in marks.iter().enumerate().skip(std::mem::take(&mut from)) {
                if left == 0 {
                    self.mark = Some((key.clone(), at));
                    return Ok(());
                }
                draft.insert_mark(key, *mark)?;
                left -= 1;
            }
        }
        self.mark = None;
        Ok(())
    }
}

/// Looks at up to `limit` changes, drops what no read and no watch can see any more since the
/// last compaction, and brings the summary up to date.
///
/// Of the versions of a key up to the compact revision only the newest stays; a deletion goes,
/// too, except one exactly there, which a watch from that revision must still see. So what goes
/// is found from what came after it: the work is in proportion to the changes since the last
/// compaction, not to the keys.
///
/// ```text
///  compact 9:   4.0 a   5.0 b   6.0 a   7.0 b del   9.0 c
///                 ▲       ▲──────┼──────────┘
///                 └──────────────┘     each row drops the one before it of its key,
///                                      7.0 is a deletion below 9 and goes itself
/// ```
///
/// # Errors
/// If the draft cannot be read or written.
pub fn scrub(draft: &mut impl Draft, summary: &mut Summary, limit: usize) -> Result<()> {
    let Scrub { target, next } = summary.scrub;
    let (target, mut next) = match next {
        Some(next) => (target, next),
        // Deletions exactly at the last compact revision are still there.
        None => (summary.compact_revision, Revision::first(target.max(0))),
    };
    let end = target.min(summary.revision);
    for _ in 0..limit {
        let Some((at, row)) = draft.row_from(next)?.filter(|(at, _)| at.main <= end) else {
            let all = end == target;
            let next = (!all).then(|| Revision::first(end + 1).max(next));
            summary.scrub = Scrub { target, next };
            return Ok(());
        };
        let row = encode::read_row(at, row)?;
        if is_tombstone(&row) && at.main < target {
            drop_version(draft, summary, &row.key, Mark::tombstone(at))?;
        }
        if let Some(before) = draft.mark_before(&row.key, at)? {
            drop_version(draft, summary, &row.key, before)?;
        }
        next = Revision { main: at.main, sub: at.sub + 1 };
    }
    summary.scrub = Scrub { target, next: Some(next) };
    Ok(())
}

fn drop_version(
    draft: &mut impl Draft,
    summary: &mut Summary,
    key: &[u8],
    mark: Mark,
) -> Result<()> {
    draft.remove_mark(key, mark.at)?;
    let bytes = draft.remove_row(mark.at)?.map_or(0, |len| encode::stored_bytes(len, mark));
    summary.bytes = summary.bytes.saturating_sub(bytes);
    Ok(())
}

/// Adds changes of another base, in order.
///
/// # Errors
/// If they are no changes, or the draft cannot be written.
pub fn fill(
    draft: &mut impl Draft,
    summary: &mut Summary,
    rows: impl IntoIterator<Item = (Revision, Bytes)>,
) -> Result<()> {
    for (at, bytes) in rows {
        draft.insert_row(at, &bytes)?;
        let len = bytes.len();
        let row = encode::read_row(at, bytes)?;
        let mark = Mark::of(at, &row);
        summary.bytes += encode::stored_bytes(len, mark);
        draft.insert_mark(&row.key, mark)?;
    }
    Ok(())
}
