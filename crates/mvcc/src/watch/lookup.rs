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

use std::collections::BTreeMap;

use api::Bytes;
use litemap::LiteMap;

use crate::span::Span;

/// Watches by the keys that they are about.
#[derive(Clone, Debug)]
pub(crate) struct Lookup<W> {
    keys: Files<W>,
    ranges: Files<W>,
    /// How many prefixes in `ranges` have each length.
    lengths: LiteMap<usize, usize>,
}

/// Watches by what they are filed under, and by their span; those of a span in order.
///
/// Invariant: no file and no list is empty.
type Files<W> = BTreeMap<Bytes, LiteMap<Span, Vec<W>>>;

impl<W> Default for Lookup<W> {
    fn default() -> Self {
        Self { keys: Files::new(), ranges: Files::new(), lengths: LiteMap::new() }
    }
}

impl<W: Copy + Ord> Lookup<W> {
    /// Adds a watch.
    pub(crate) fn insert(&mut self, span: &Span, watch: W) {
        let (files, name) = match span {
            Span::Key(key) => (&mut self.keys, key.clone()),
            span => {
                let prefix = Bytes::copy_from_slice(span.common_prefix());
                if !self.ranges.contains_key(&prefix) {
                    *self.lengths.entry(prefix.len()).or_default() += 1;
                }
                (&mut self.ranges, prefix)
            }
        };
        let file = files.entry(name).or_default();
        let list = file.entry(span.clone()).or_default();
        if let Err(at) = list.binary_search(&watch) {
            list.insert(at, watch);
        }
    }

    /// Removes a watch that was added with this span.
    pub(crate) fn remove(&mut self, span: &Span, watch: W) {
        if let Span::Key(key) = span {
            remove_from(&mut self.keys, key, span, watch);
            return;
        }
        let prefix = span.common_prefix();
        if remove_from(&mut self.ranges, prefix, span, watch)
            && let Some(count) = self.lengths.get_mut(&prefix.len())
        {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&prefix.len());
            }
        }
    }

    /// The watches that `key` concerns, each once.
    pub(crate) fn matching(&self, key: &[u8]) -> impl Iterator<Item = W> {
        let prefixes = self.lengths.keys().map_while(|len| key.get(..*len));
        let ranges = prefixes.filter_map(|prefix| self.ranges.get(prefix));
        let spans = self.keys.get(key).into_iter().chain(ranges).flat_map(LiteMap::iter);
        spans.filter(|(span, _)| span.contains(key)).flat_map(|(_, list)| list).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty()
    }

    /// Takes all watches out.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Removes a watch, and its file if it was the last in it: true then.
fn remove_from<W: Ord>(files: &mut Files<W>, name: &[u8], span: &Span, watch: W) -> bool {
    let Some(file) = files.get_mut(name) else { return false };
    if let Some(list) = file.get_mut(span) {
        list.retain(|other| *other != watch);
        if list.is_empty() {
            file.remove(span);
        }
    }
    if !file.is_empty() {
        return false;
    }
    files.remove(name);
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Short keys of two letters: prefixes of equal length that differ are frequent.
    fn key() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(prop::sample::select(vec![b'a', b'b']), 1..4).prop_map(Bytes::from)
    }

    fn range_end() -> impl Strategy<Value = Bytes> {
        prop_oneof![Just(Bytes::new()), Just(Bytes::from_static(b"\0")), key()]
    }

    proptest! {
        #[test]
        fn finds_what_contains_the_key(
            changes in prop::collection::vec((0..6_u8, key(), range_end()), 1..30),
            looked_up in prop::collection::vec(key(), 10),
        ) {
            let mut lookup = Lookup::default();
            let mut naive: BTreeMap<u8, Span> = BTreeMap::new();
            for (watch, key, range_end) in &changes {
                // A watch that is there is removed, one that is not is added.
                match naive.remove(watch) {
                    Some(span) => lookup.remove(&span, *watch),
                    None => {
                        let span = Span::new(key, range_end);
                        lookup.insert(&span, *watch);
                        naive.insert(*watch, span);
                    }
                }
                for key in &looked_up {
                    let mut found: Vec<u8> = lookup.matching(key).collect();
                    found.sort_unstable();
                    let expected = naive.iter().filter(|(_, span)| span.contains(key));
                    prop_assert_eq!(found, expected.map(|(watch, _)| *watch).collect::<Vec<_>>());
                }
            }
            for (watch, span) in naive {
                lookup.remove(&span, watch);
            }
            prop_assert!(lookup.keys.is_empty() && lookup.ranges.is_empty());
            prop_assert!(lookup.lengths.is_empty());
        }
    }
}
