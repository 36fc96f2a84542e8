//! The keys on show: the beginning of a range, kept up to date by a watch.
//!
//! ```text
//!   prefix/a   ┐                       ┐
//!   prefix/b   │ rows, at most `room`  │ the range
//!   prefix/c   ┘                       │
//!   edge ───►  ·  not loaded:          │
//!              ·  only counted         ┘
//! ```
//!
//! No key is missing between two rows. Where rows go, more are [`wanted`](Listing::wanted) from the
//! edge on, and [`fill`](Listing::fill) takes them. A page may be ahead of the watch or behind it:
//! `known` tells which changes it holds already, `passed` which ones it lacks.

use std::collections::BTreeMap;

use api::Bytes;
use api::kv::{KeyValue, RangeResponse};
use api::watch::{Event, EventType};

/// Keys that are shown at first, and that *Show more* adds.
pub const PAGE_KEYS: usize = 200;

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
    /// First key that is not loaded, if the range goes on. Invariant: every row is before it.
    edge: Option<Bytes>,
    /// Rows to hold, if the range has as many.
    room: usize,
    /// Keys from the edge on.
    beyond: i64,
    /// From each of these keys to the next, every change up to its revision is in already.
    known: BTreeMap<Bytes, i64>,
    /// The newest revision of which a change from the edge on was told.
    passed: i64,
    /// The newest revision that was told.
    told: i64,
}

impl Listing {
    /// The first page of the range that begins at `start`.
    pub fn first(start: Bytes, page: RangeResponse) -> Self {
        let mut listing = Self { edge: Some(start.clone()), room: PAGE_KEYS, ..Self::default() };
        listing.fill(&start, page);
        listing
    }

    /// Takes the keys from the edge on, which was `from` when they were asked for. What is of no
    /// use any more is left out; then they are still wanted.
    pub fn fill(&mut self, from: &[u8], page: RangeResponse) {
        let revision = page.header.revision;
        if self.edge.as_deref() != Some(from) || revision < self.passed {
            return;
        }
        let from = Bytes::copy_from_slice(from);
        self.told = self.told.max(revision);
        self.known.retain(|key, _| *key < from);
        self.known.insert(from.clone(), revision);
        let next = page.kvs.last().map_or(from, |kv| super::scope::key_after(&kv.key));
        self.edge = page.more.then_some(next);
        self.beyond = (page.count - page.kvs.len() as i64).max(0);
        let rows = page.kvs.into_iter().map(|kv| (kv.key.clone(), Row { kv, changes: 0 }));
        self.rows.extend(rows);
        self.keep_to_room();
    }

    /// Takes a change of the range.
    pub fn apply(&mut self, event: Event) {
        let kv = event.kv;
        self.told = self.told.max(kv.mod_revision);
        // The watch tells revisions in order: what is known of older ones is of no use any more.
        self.known.retain(|_, at| *at >= kv.mod_revision);
        if self.knows(&kv) {
            return;
        }
        if self.edge.as_ref().is_some_and(|edge| kv.key >= *edge) {
            self.passed = self.passed.max(kv.mod_revision);
            self.tally(event.kind, &kv);
            return;
        }
        match event.kind {
            EventType::Put => self.put(kv),
            EventType::Delete => drop(self.rows.remove(&kv.key)),
        }
    }

    fn knows(&self, kv: &KeyValue) -> bool {
        let known = self.known.range::<Bytes, _>(..=&kv.key).next_back();
        known.is_some_and(|(_, at)| *at >= kv.mod_revision)
    }

    fn tally(&mut self, kind: EventType, kv: &KeyValue) {
        match kind {
            // Version 1 is a key that was not there.
            EventType::Put if kv.version == 1 => self.beyond += 1,
            EventType::Put => {}
            EventType::Delete => self.beyond = (self.beyond - 1).max(0),
        }
    }

    fn put(&mut self, kv: KeyValue) {
        let changes = self.rows.get(&kv.key).map_or(0, |row| row.changes) + 1;
        self.rows.insert(kv.key.clone(), Row { kv, changes });
        self.keep_to_room();
    }

    fn keep_to_room(&mut self) {
        while self.rows.len() > self.room {
            self.edge = self.rows.pop_last().map(|(key, _)| key);
            self.beyond += 1;
        }
    }

    /// Makes room for another page.
    pub fn grow(&mut self) {
        self.room = self.rows.len() + PAGE_KEYS;
    }

    /// Keys that the range has and the rows lack: from which one on, and how many.
    pub fn wanted(&self) -> Option<(Bytes, usize)> {
        let lacking = self.room.saturating_sub(self.rows.len());
        self.edge.clone().filter(|_| lacking > 0).map(|edge| (edge, lacking))
    }

    /// The keys on show, in order.
    pub fn keys(&self) -> Vec<Bytes> {
        self.rows.keys().cloned().collect()
    }

    /// One row.
    pub fn row(&self, key: &[u8]) -> Option<&Row> {
        self.rows.get(key)
    }

    /// The range goes on after the rows.
    pub fn goes_on(&self) -> bool {
        self.edge.is_some()
    }

    /// Keys of the range in all, on show or not.
    pub fn count(&self) -> usize {
        self.rows.len() + usize::try_from(self.beyond).unwrap_or(0)
    }

    /// Keys on show.
    pub fn shown(&self) -> usize {
        self.rows.len()
    }

    /// The newest revision that was told.
    pub fn told(&self) -> i64 {
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::kv::ResponseHeader;
    use std::collections::VecDeque;

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

    fn first(keys: &[&str], revision: i64, more: bool, count: i64) -> Listing {
        Listing::first(Bytes::from_static(b"\0"), page(keys, revision, more, count))
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
        let mut listing = first(&["a", "c"], 3, false, 2);
        listing.apply(put("b", 4, 1));
        listing.apply(put("a", 5, 2));
        listing.apply(delete("c", 6));
        assert_eq!(keys(&listing), ["a", "b"]);
        assert_eq!((listing.count(), listing.told()), (2, 6));
        assert_eq!(listing.row(b"a").map(|r| (r.kv.version, r.changes)), Some((2, 1)));
    }

    #[test]
    fn what_the_page_already_shows_does_not_count_twice() {
        let mut listing = first(&["a"], 3, false, 1);
        listing.apply(put("a", 2, 1));
        listing.apply(delete("gone-before", 3));
        assert_eq!((listing.count(), listing.row(b"a").map(|r| r.changes)), (1, Some(0)));
    }

    #[test]
    fn keys_beyond_the_edge_only_count() {
        let mut listing = first(&["a", "b"], 3, true, 9);
        listing.apply(put("x", 4, 1));
        assert_eq!(keys(&listing), ["a", "b"]);
        assert_eq!(listing.count(), 10);
        assert_eq!(listing.wanted(), Some((Bytes::from_static(b"b\0"), PAGE_KEYS - 2)));
    }

    #[test]
    fn rows_stay_bounded_while_keys_pour_in() {
        let mut listing = first(&[], 1, false, 0);
        for n in 0..10_000 {
            listing.apply(put(&format!("{n:05}"), n + 2, 1));
        }
        assert_eq!((listing.shown(), listing.count()), (PAGE_KEYS, 10_000));
        assert_eq!((listing.goes_on(), listing.wanted()), (true, None));
        listing.grow();
        assert_eq!(listing.wanted(), Some((Bytes::from_static(b"00200"), PAGE_KEYS)));
    }

    #[test]
    fn rows_that_go_are_filled_up_from_the_edge() {
        let mut listing = first(&["a", "b"], 3, true, 4);
        listing.apply(delete("a", 4));
        listing.apply(delete("b", 5));
        let (edge, _) = listing.wanted().expect("two keys lack");
        listing.fill(&edge, page(&["c", "d"], 5, false, 2));
        assert_eq!((keys(&listing), listing.count()), (vec!["c".into(), "d".into()], 2));
        assert_eq!(listing.wanted(), None);
    }

    #[test]
    fn a_page_that_is_ahead_of_the_watch_counts_once() {
        let mut listing = first(&["a", "b"], 3, true, 3);
        // Read after "a" and "c" were deleted, and "d" and "e" were put, "e" not for long.
        listing.fill(b"b\0", page(&["d"], 8, false, 1));
        for event in [put("d", 4, 1), put("e", 5, 1), delete("a", 6), delete("c", 7)] {
            listing.apply(event);
        }
        assert_eq!((keys(&listing), listing.count()), (vec!["b".into(), "d".into()], 2));
        listing.apply(delete("e", 8));
        listing.apply(put("c", 9, 1));
        assert_eq!(keys(&listing), ["b", "c", "d"]);
    }

    #[test]
    fn a_page_that_lacks_what_was_told_beyond_the_edge_is_asked_for_again() {
        let mut listing = first(&["a"], 3, true, 2);
        listing.apply(delete("b", 5));
        listing.fill(b"a\0", page(&["b"], 4, false, 1));
        assert_eq!(keys(&listing), ["a"]);
        assert!(listing.wanted().is_some());
        listing.fill(b"a\0", page(&[], 5, false, 0));
        assert_eq!((listing.count(), listing.wanted()), (1, None));
    }

    #[test]
    fn a_page_from_where_the_edge_was_leaves_no_gap() {
        let names: Vec<String> = (0..PAGE_KEYS).map(|n| format!("k{n:03}")).collect();
        let mut listing =
            first(&names.iter().map(String::as_str).collect::<Vec<_>>(), 3, true, 999);
        let edge = Bytes::from_static(b"k199\0");
        listing.grow();
        assert_eq!(listing.wanted().map(|(edge, _)| edge), Some(edge.clone()));
        listing.room = PAGE_KEYS;
        listing.apply(put("a", 4, 1));
        listing.fill(&edge, page(&["z"], 4, false, 1));
        assert_eq!((listing.row(b"z"), listing.count()), (None, 1000));
    }

    /// The store and what is on its way from it: changes in order, pages in any.
    struct World {
        store: BTreeMap<String, (i64, i64)>,
        revision: i64,
        events: VecDeque<Event>,
        pages: Vec<(Bytes, RangeResponse)>,
        seed: u64,
    }

    impl World {
        fn random(&mut self, below: u64) -> u64 {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.seed >> 33) % below
        }

        fn change(&mut self) {
            let key = format!("{:03}", self.random(2 * PAGE_KEYS as u64));
            self.revision += 1;
            if self.store.contains_key(&key) && self.random(5) > 1 {
                self.store.remove(&key);
                self.events.push_back(delete(&key, self.revision));
            } else {
                let version = self.store.get(&key).map_or(0, |(_, version)| *version) + 1;
                self.store.insert(key.clone(), (self.revision, version));
                self.events.push_back(put(&key, self.revision, version));
            }
        }

        fn read(&mut self, from: &Bytes, limit: usize) -> RangeResponse {
            let start = String::from_utf8_lossy(from).into_owned();
            let all = self.store.range(start..);
            let kvs: Vec<_> = all.clone().take(limit).map(|(k, (r, v))| kv(k, *r, *v)).collect();
            let count = all.count() as i64;
            let header = ResponseHeader { revision: self.revision, ..ResponseHeader::default() };
            RangeResponse { header, more: count > kvs.len() as i64, kvs, count }
        }

        fn step(&mut self, listing: &mut Listing) {
            match self.random(8) {
                0..4 => self.change(),
                4..6 => {
                    if let Some(event) = self.events.pop_front() {
                        listing.apply(event);
                    }
                }
                6 => {
                    if let Some((from, lacking)) = listing.wanted() {
                        let page = self.read(&from, lacking);
                        self.pages.push((from, page));
                    }
                }
                _ => {
                    if !self.pages.is_empty() {
                        let at = self.random(self.pages.len() as u64) as usize;
                        let (from, page) = self.pages.swap_remove(at);
                        listing.fill(&from, page);
                    }
                }
            }
        }
    }

    #[test]
    fn once_all_has_come_the_rows_are_the_beginning_of_the_range() {
        for seed in 0..200 {
            let (store, events, pages) = Default::default();
            let mut world = World { store, revision: 1, events, pages, seed };
            (0..300).for_each(|_| world.change());
            world.events.clear();
            let start = Bytes::from_static(b"\0");
            let mut listing = Listing::first(start.clone(), world.read(&start, PAGE_KEYS));
            (0..600).for_each(|_| world.step(&mut listing));
            while let Some(event) = world.events.pop_front() {
                listing.apply(event);
            }
            while let Some((from, lacking)) = listing.wanted() {
                let page = world.read(&from, lacking);
                listing.fill(&from, page);
            }
            let expected: Vec<_> = world.store.keys().take(PAGE_KEYS).cloned().collect();
            assert_eq!(keys(&listing), expected, "seed {seed}");
            assert_eq!(listing.count(), world.store.len(), "seed {seed}");
        }
    }
}
