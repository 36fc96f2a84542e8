//! The keys on show: pages of a range, kept up to date by a watch.
//!
//! ```text
//!   prefix/a   ┐                       ┐
//!   prefix/b   │ rows, at most `room`  │ the range of the prefix
//!   prefix/c   ┘                       │
//!   ...         edge: not loaded       ┘
//! ```
//!
//! Rows are a whole beginning of the range: no key is missing between two rows. A change beyond
//! what is loaded only counts.

use std::collections::BTreeMap;

use api::Bytes;
use api::kv::{KeyValue, RangeResponse};
use api::watch::{Event, EventType};

/// Keys of one page.
pub const PAGE_KEYS: i64 = 200;

/// A key on show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its pair.
    pub kv: KeyValue,
    /// Changed while it was on show: how often.
    pub changes: u32,
}

/// The keys on show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    rows: BTreeMap<Bytes, Row>,
    /// First key of the range that is not loaded. Invariant: every row is before it.
    edge: Option<Bytes>,
    /// Rows to hold at most.
    room: usize,
    /// Keys of the range in all.
    count: i64,
    /// `count` holds all changes up to this revision.
    counted: i64,
    /// The first page was read at this revision.
    base: i64,
}

impl Listing {
    /// The first page.
    pub fn first(page: RangeResponse) -> Self {
        let mut listing = Self { base: page.header.revision, ..Self::default() };
        listing.add(page);
        listing
    }

    /// The next page. It may be newer than the rows: what the watch tells later of its keys is
    /// known already.
    pub fn add(&mut self, page: RangeResponse) {
        if page.header.revision >= self.counted {
            self.counted = page.header.revision;
            // A later page counts from its own first key on.
            let before = page
                .kvs
                .first()
                .map_or(self.rows.len(), |kv| self.rows.range::<Bytes, _>(..&kv.key).count());
            self.count = page.count + before as i64;
        }
        let last = page.kvs.last().map(|kv| super::text::key_after(&kv.key));
        self.edge = if page.more { last } else { None };
        for kv in page.kvs {
            let known =
                self.rows.get(&kv.key).is_some_and(|r| r.kv.mod_revision >= kv.mod_revision);
            if !known {
                self.rows.insert(kv.key.clone(), Row { kv, changes: 0 });
            }
        }
        self.room = self.rows.len().max(PAGE_KEYS as usize);
    }

    /// Takes a change of the range. One that is known already is left out.
    pub fn apply(&mut self, event: Event) {
        let kv = event.kv;
        let row = self.rows.get(&kv.key);
        if kv.mod_revision <= self.base || row.is_some_and(|r| r.kv.mod_revision >= kv.mod_revision)
        {
            return;
        }
        self.tally(event.kind, &kv);
        if self.edge.as_ref().is_some_and(|edge| kv.key >= *edge) {
            return;
        }
        match event.kind {
            EventType::Put => self.put(kv),
            EventType::Delete => {
                self.rows.remove(&kv.key);
            }
        }
    }

    fn tally(&mut self, kind: EventType, kv: &KeyValue) {
        if kv.mod_revision <= self.counted {
            return;
        }
        match kind {
            // Version 1 is a key that was not there.
            EventType::Put if kv.version == 1 => self.count += 1,
            EventType::Put => {}
            EventType::Delete => self.count -= 1,
        }
    }

    fn put(&mut self, kv: KeyValue) {
        let changes = self.rows.get(&kv.key).map_or(0, |row| row.changes) + 1;
        self.rows.insert(kv.key.clone(), Row { kv, changes });
        if self.rows.len() > self.room {
            self.edge = self.rows.pop_last().map(|(key, _)| key);
        }
    }

    /// The keys on show, in order.
    pub fn keys(&self) -> Vec<Bytes> {
        self.rows.keys().cloned().collect()
    }

    /// One row.
    pub fn row(&self, key: &[u8]) -> Option<&Row> {
        self.rows.get(key)
    }

    /// Where the next page begins, if there is one.
    pub fn next_page(&self) -> Option<Bytes> {
        self.edge.clone()
    }

    /// Keys of the range in all, on show or not.
    pub fn count(&self) -> i64 {
        self.count.max(self.rows.len() as i64)
    }

    /// Keys on show.
    pub fn shown(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::kv::ResponseHeader;

    fn kv(key: &str, mod_revision: i64, version: i64) -> KeyValue {
        let key = Bytes::copy_from_slice(key.as_bytes());
        KeyValue { key, mod_revision, version, ..KeyValue::default() }
    }

    fn page(keys: &[&str], revision: i64, more: bool, count: i64) -> RangeResponse {
        RangeResponse {
            header: ResponseHeader { revision, ..ResponseHeader::default() },
            kvs: keys.iter().map(|k| kv(k, 2, 1)).collect(),
            more,
            count,
        }
    }

    fn put(key: &str, revision: i64, version: i64) -> Event {
        Event { kind: EventType::Put, kv: kv(key, revision, version), prev_kv: None }
    }

    fn delete(key: &str, revision: i64) -> Event {
        Event { kind: EventType::Delete, kv: kv(key, revision, 0), prev_kv: None }
    }

    fn keys(listing: &Listing) -> Vec<String> {
        listing.keys().iter().map(|k| String::from_utf8_lossy(k).into_owned()).collect()
    }

    #[test]
    fn changes_come_in_and_are_counted() {
        let mut listing = Listing::first(page(&["a", "c"], 3, false, 2));
        listing.apply(put("b", 4, 1));
        listing.apply(put("a", 5, 2));
        listing.apply(delete("c", 6));
        assert_eq!(keys(&listing), ["a", "b"]);
        assert_eq!(listing.count(), 2);
        assert_eq!(listing.row(b"a").map(|r| (r.kv.version, r.changes)), Some((2, 1)));
    }

    #[test]
    fn what_the_page_already_shows_does_not_count_twice() {
        let mut listing = Listing::first(page(&["a"], 3, false, 1));
        listing.apply(put("a", 2, 1));
        listing.apply(delete("gone-before", 3));
        assert_eq!((listing.count(), listing.row(b"a").map(|r| r.changes)), (1, Some(0)));
    }

    #[test]
    fn keys_beyond_the_last_page_only_count() {
        let mut listing = Listing::first(page(&["a", "b"], 3, true, 9));
        listing.apply(put("x", 4, 1));
        assert_eq!(keys(&listing), ["a", "b"]);
        assert_eq!(listing.count(), 10);
        assert_eq!(listing.next_page(), Some(Bytes::from_static(b"b\0")));
    }

    #[test]
    fn rows_stay_bounded_while_keys_pour_in() {
        let mut listing = Listing::first(page(&[], 1, false, 0));
        for n in 0..10_000 {
            listing.apply(put(&format!("{n:05}"), n + 2, 1));
        }
        assert_eq!(listing.shown(), PAGE_KEYS as usize);
        assert_eq!(listing.count(), 10_000);
        assert_eq!(listing.next_page(), Some(Bytes::from_static(b"00200")));
    }

    #[test]
    fn deleting_all_that_is_shown_leaves_the_next_page_reachable() {
        let mut listing = Listing::first(page(&["a", "b"], 3, true, 4));
        listing.apply(delete("a", 4));
        listing.apply(delete("b", 5));
        assert_eq!((listing.shown(), listing.count()), (0, 2));
        assert_eq!(listing.next_page(), Some(Bytes::from_static(b"b\0")));
    }

    #[test]
    fn a_page_that_is_ahead_of_the_watch_counts_once() {
        let mut listing = Listing::first(page(&["a", "b"], 3, true, 3));
        // Read after "d" was put and "c" was deleted; the watch tells both later.
        listing.add(page(&["d"], 6, false, 1));
        listing.apply(put("d", 2, 1));
        listing.apply(delete("c", 6));
        assert_eq!(
            (keys(&listing), listing.count()),
            (vec!["a".into(), "b".into(), "d".into()], 3)
        );
    }

    #[test]
    fn a_later_page_goes_on_without_a_gap_and_keeps_newer_rows() {
        let mut listing = Listing::first(page(&["a", "b"], 3, true, 4));
        listing.apply(put("b", 7, 2));
        listing.add(page(&["b", "c", "d"], 6, false, 3));
        assert_eq!(keys(&listing), ["a", "b", "c", "d"]);
        assert_eq!(listing.row(b"b").map(|r| r.kv.mod_revision), Some(7));
        assert_eq!(listing.next_page(), None);
    }
}
