//! What a store rests on: the older part of history, wherever it is kept.
//!
//! ```text
//!   writes ──► recent (memory) ──freeze──► moving (memory) ──a job of the host──► base
//!                 │                          │                                     │
//!   reads ────────┴──────────────────────────┴─────────────────────────────────────┘
//!
//!   revision    40 .. 52                    21 .. 39                            2 .. 20
//! ```
//!
//! A [`Base`] never changes: after a job there is a new one. What a job does to it is said in
//! [`draft`](crate::draft).

use std::fmt::Debug;
use std::sync::Arc;

use api::{Bytes, Error, Result};

use crate::mark::{Mark, Revision};
use crate::span::Span;

/// Revision of a store that nothing was written to.
pub(crate) const FRESH_REVISION: i64 = 1;

/// Compact revision of a store that was never compacted.
pub(crate) const NEVER_COMPACTED: i64 = -1;

/// The place of a base in its store's life, and what its owner noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Every change up to this revision is in the base, and none above it.
    pub revision: i64,
    /// As [`Store::compact_revision`](crate::Store::compact_revision) when that was so.
    pub compact_revision: i64,
    /// How far what compactions drop is dropped.
    pub scrub: Scrub,
    /// Bytes of all rows, as etcd encodes them.
    pub bytes: u64,
    /// What the owner of the store has to find again beside it. Not looked into.
    pub note: Bytes,
}

impl Summary {
    /// Of a base in which nothing is.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            revision: FRESH_REVISION,
            compact_revision: NEVER_COMPACTED,
            scrub: Scrub { target: NEVER_COMPACTED, next: None },
            bytes: 0,
            note: Bytes::new(),
        }
    }

    /// Whether compactions left something in the base that can be dropped now.
    #[must_use]
    pub fn wants_scrub(&self) -> bool {
        match self.scrub.next {
            Some(next) => next.main <= self.scrub.target.min(self.revision),
            None => self.scrub.target < self.compact_revision,
        }
    }
}

/// How far what compactions drop is dropped. A compaction is finished before the next one is
/// begun: what is dropped of the changes at its own revision differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrub {
    /// The compact revision that is worked for, or was.
    pub target: i64,
    /// The changes before this one were looked at; nothing once all were.
    pub next: Option<Revision>,
}

/// Items in order, or what went wrong.
pub type Items<'a, T> = Box<dyn Iterator<Item = Result<T, Damage>> + 'a>;

/// The older part of a store's history, as it was when the last job was done. It is read while
/// the next job changes what it was read from.
pub trait Base: Debug + Send + Sync {
    /// Where it is.
    fn summary(&self) -> &Summary;

    /// Bytes that it takes where it is kept.
    fn size(&self) -> u64;

    /// The newest version of a key at or before a place, a deletion too.
    ///
    /// # Errors
    /// If what is kept cannot be read.
    fn mark(&self, key: &[u8], at: Revision) -> Result<Option<Mark>, Damage>;

    /// The keys of a span, in order, each with its newest version at or before a place. One that
    /// has none is there without: who looks for others can count what it passes.
    fn marks(&self, span: &Span, at: Revision) -> Items<'_, (Bytes, Option<Mark>)>;

    /// The versions of a key from a place on, in order.
    fn versions(&self, key: &[u8], from: Revision) -> Items<'_, Mark>;

    /// A change, as [`encode`](crate::encode) lays it out.
    ///
    /// # Errors
    /// If what is kept cannot be read.
    fn row(&self, at: Revision) -> Result<Option<Bytes>, Damage>;

    /// The changes from a place on, in order.
    fn rows(&self, from: Revision) -> Items<'_, (Revision, Bytes)>;
}

/// A base that others hold, too.
pub type SharedBase = Arc<dyn Base>;

/// What is kept cannot be read, in words: the disk failed, or its bytes are not what they were.
/// Whoever owns the store must not go on with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage(pub String);

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage.0)
    }
}
