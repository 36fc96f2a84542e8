//! History, read in slices by the watches that are behind.

use std::ops::Bound;

use api::kv::KeyValue;
use api::watch::{Event, WatchResponse};

use super::{Pace, Watch, WatchKey, Watchers, event};
use crate::span::Span;
use crate::store::Store;

/// A part of history, as one watch sees it.
struct Slice {
    /// Whole revisions.
    events: Vec<Event>,
    /// Rows that were read.
    rows: usize,
    /// Where to read on; nothing if the watch has caught up.
    next: Option<i64>,
}

impl Watchers {
    /// Lets the watches that are behind read on, in turn, until this step's rows are read.
    pub(super) fn catch_up(&mut self, store: &Store) {
        let mut rows = 0;
        // Each at most once: whoever has many events waits for the next step.
        for _ in 0..self.behind.len() {
            if rows >= self.pace.step_rows {
                break;
            }
            let Some(key) = self.next_turn() else { break };
            rows += self.read_on(store, key, self.pace.step_rows - rows);
        }
    }

    fn next_turn(&mut self) -> Option<WatchKey> {
        let later = self.behind.range((Bound::Excluded(self.turn), Bound::Unbounded)).next();
        let key = *later.or_else(|| self.behind.first())?;
        self.turn = key;
        Some(key)
    }

    /// Lets one watch read on; says how many rows it read, at least 1.
    fn read_on(&mut self, store: &Store, key: WatchKey, budget: usize) -> usize {
        let (seen, pace) = (self.seen, Pace { step_rows: budget, ..self.pace });
        let Some(watch) = self.watch(key) else { return 1 };
        let Some(next) = watch.behind else { return 1 };
        if next < store.compact_revision() {
            self.compacted(store, key);
            return 1;
        }
        let slice = slice(store, watch, next, seen, pace);
        watch.behind = slice.next;
        if slice.next.is_none() {
            let span = watch.span.clone();
            self.behind.remove(&key);
            self.synced.insert(&span, key);
        }
        if !slice.events.is_empty() {
            self.send(key, store.revision(), slice.events);
        }
        slice.rows.max(1)
    }

    /// Ends a watch whose next revision is gone. As in etcd the header stays empty.
    fn compacted(&mut self, store: &Store, key: WatchKey) {
        self.remove(key);
        self.out.push((
            key.0,
            WatchResponse {
                watch_id: key.1,
                canceled: true,
                compact_revision: store.compact_revision(),
                ..WatchResponse::default()
            },
        ));
    }
}

/// Reads history from `next` up to `seen`, or until a revision ends and it is enough.
fn slice(store: &Store, watch: &Watch, next: i64, seen: i64, pace: Pace) -> Slice {
    let mut slice = Slice { events: Vec::new(), rows: 0, next: None };
    let mut bytes = 0;
    let mut revision = next;
    // One key's revisions are known to the index, a range's are found among all rows.
    let (of_key, of_range) = match &watch.span {
        Span::Key(key) => (store.index.get(key).map(|history| history.since(next)), None),
        span => (None, Some(store.rows.scan(next, seen).map(|(at, row)| (at, wanted(span, row))))),
    };
    let marks = of_key.into_iter().flatten().filter(|mark| mark.at.main <= seen);
    let of_key = marks.map(|mark| (mark.at, store.rows.get(mark.at)));
    for (at, row) in of_key.chain(of_range.into_iter().flatten()) {
        let enough = slice.events.len() >= pace.batch_events
            || bytes >= pace.batch_bytes
            || slice.rows >= pace.step_rows;
        if at.main != revision && enough {
            slice.next = Some(at.main);
            break;
        }
        revision = at.main;
        slice.rows += 1;
        if let Some(event) = row.and_then(|row| event::event(store, watch, &row)) {
            bytes += event::weight(&event);
            slice.events.push(event);
        }
    }
    slice
}

fn wanted(span: &Span, row: &KeyValue) -> Option<KeyValue> {
    span.contains(&row.key).then(|| row.clone())
}
