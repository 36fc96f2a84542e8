//! Which watches a key concerns.
//!
//! Watches of one key are found by it. A range is filed under what all its keys begin with, so
//! that a changed key meets only the files of its own prefixes:
//!
//! ```text
//!  range              common prefix         the key  app/db/1  looks under
//!  [app/db/, app/db0) "app/db"              ""  "a"  …  "app/db"  …  (lengths in use only)
//!  [a, c)             ""
//! ```

use std::collections::{BTreeMap, BTreeSet};

use api::Bytes;

use crate::span::Span;

/// Watches by the keys that they are about.
#[derive(Clone, Debug)]
pub(crate) struct Lookup<W> {
    keys: BTreeMap<Bytes, BTreeSet<W>>,
    /// By common prefix. Invariant: no empty map or set.
    ranges: BTreeMap<Bytes, BTreeMap<Span, BTreeSet<W>>>,
    /// How many prefixes in `ranges` have each length.
    lengths: BTreeMap<usize, usize>,
}

impl<W> Default for Lookup<W> {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), ranges: BTreeMap::new(), lengths: BTreeMap::new() }
    }
}

impl<W: Copy + Ord> Lookup<W> {
    /// Adds a watch.
    pub(crate) fn insert(&mut self, span: &Span, watch: W) {
        if let Span::Key(key) = span {
            self.keys.entry(key.clone()).or_default().insert(watch);
            return;
        }
        let prefix = Bytes::copy_from_slice(span.common_prefix());
        if !self.ranges.contains_key(&prefix) {
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        let spans = self.ranges.entry(prefix).or_default();
        spans.entry(span.clone()).or_default().insert(watch);
    }

    /// Removes a watch that was added with this span.
    pub(crate) fn remove(&mut self, span: &Span, watch: W) {
        if let Span::Key(key) = span {
            remove_from(&mut self.keys, key.as_ref(), watch);
            return;
        }
        let prefix = span.common_prefix();
        let Some(spans) = self.ranges.get_mut(prefix) else { return };
        remove_from(spans, span, watch);
        if spans.is_empty() {
            self.ranges.remove(prefix);
            if let Some(count) = self.lengths.get_mut(&prefix.len()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&prefix.len());
                }
            }
        }
    }

    /// The watches that `key` concerns, each once.
    pub(crate) fn matching(&self, key: &[u8]) -> impl Iterator<Item = W> {
        let prefixes = self.lengths.keys().map_while(|len| key.get(..*len));
        let spans = prefixes.filter_map(|prefix| self.ranges.get(prefix)).flatten();
        let ranges = spans.filter(|(span, _)| span.contains(key)).flat_map(|(_, set)| set);
        self.keys.get(key).into_iter().flatten().chain(ranges).copied()
    }

    /// Takes all watches out.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Removes from a map of sets, and the set if it was the last.
fn remove_from<K, Q, W>(map: &mut BTreeMap<K, BTreeSet<W>>, key: &Q, watch: W)
where
    K: std::borrow::Borrow<Q> + Ord,
    Q: Ord + ?Sized,
    W: Ord,
{
    if let Some(set) = map.get_mut(key) {
        set.remove(&watch);
        if set.is_empty() {
            map.remove(key);
        }
    }
}
