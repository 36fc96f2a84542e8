//! etcd's way of naming keys: one key, or a half-open range of them.

use std::ops::Bound;

use api::Bytes;

/// Which keys a request means.
///
/// ```text
///  key  range_end   means
///  a    (empty)     a
///  a    c           a <= k < c          nothing if range_end <= key
///  a    \0          a <= k
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Span {
    /// One key.
    Key(Bytes),
    /// From the first key up to, not including, the second.
    Range(Bytes, Bytes),
    /// From a key to the end of all keys.
    From(Bytes),
}

impl Span {
    /// Reads a request's pair.
    pub fn new(key: &Bytes, range_end: &Bytes) -> Self {
        match range_end.as_ref() {
            [] => Self::Key(key.clone()),
            [0] => Self::From(key.clone()),
            _ => Self::Range(key.clone(), range_end.clone()),
        }
    }

    /// What of it is left from a key on that is in it.
    pub(crate) fn from(&self, key: Bytes) -> Self {
        match self {
            Self::Key(_) => Self::Key(key),
            Self::Range(_, end) => Self::Range(key, end.clone()),
            Self::From(_) => Self::From(key),
        }
    }

    /// True if no key can be in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Range(start, end) if start >= end)
    }

    /// True if `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::Key(only) => only == key,
            Self::Range(start, end) => key >= start.as_ref() && key < end.as_ref(),
            Self::From(start) => key >= start.as_ref(),
        }
    }

    /// For `BTreeMap::range`, which panics on a range that ends before it starts.
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        match self {
            Self::Key(key) => (Bound::Included(key), Bound::Included(key)),
            Self::Range(start, end) if start < end => {
                (Bound::Included(start), Bound::Excluded(end))
            }
            // Start included and end excluded at one point is the empty range.
            Self::Range(start, _) => (Bound::Included(start), Bound::Excluded(start)),
            Self::From(start) => (Bound::Included(start), Bound::Unbounded),
        }
    }

    /// What all keys in it begin with.
    pub(crate) fn common_prefix(&self) -> &[u8] {
        match self {
            Self::Key(key) => key,
            Self::Range(start, end) => {
                let same = start.iter().zip(end.iter()).take_while(|(a, b)| a == b).count();
                &start[..same]
            }
            Self::From(_) => &[],
        }
    }
}
