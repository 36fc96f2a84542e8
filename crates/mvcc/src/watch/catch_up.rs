//! History, read in slices by the watches that are behind.

use std::ops::Bound;

use api::Result;
use api::kv::KeyValue;
use api::watch::{Event, WatchResponse};

use super::{Behind, Pace, Watch, WatchKey, Watchers, event};
use crate::mark::Revision;
use crate::span::Span;
use crate::store::Store;

/// A part of history, as one watch sees it.
struct Part {
    /// Whole revisions.
    events: Vec<Event>,
    /// Rows that were read, and bytes of events.
    rows: usize,
    bytes: usize,
    /// Where to read on; nothing if the watch has caught up.
    behind: Option<Behind>,
}

impl Part {
    /// These make a revision whole.
    fn whole(&mut self, events: &mut Vec<Event>) {
        // A large one alone is not copied.
        match self.events.is_empty() {
            true => self.events = std::mem::take(events),
            false => self.events.append(events),
        }
    }
}

impl Watchers {
    /// Lets the watches that are behind read on, in turn, until this step's rows are read.
    pub(super) fn catch_up(&mut self, store: &Store) -> Result<()> {
        let mut pace = self.pace;
        // Each at most once: whoever has many events waits for the next step.
        for _ in 0..self.behind.len() {
            if pace.step_rows == 0 || pace.step_bytes == 0 {
                break;
            }
            let Some(key) = self.next_turn() else { break };
            let (rows, bytes) = self.read_on(store, key, pace)?;
            pace.step_rows = pace.step_rows.saturating_sub(rows.max(1));
            pace.step_bytes = pace.step_bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    /// One that is in the middle of a revision goes on: what it has gathered takes memory until
    /// the revision is told.
    fn next_turn(&mut self) -> Option<WatchKey> {
        let gathers = |watch: &mut Watch| watch.behind.as_ref().is_some_and(Behind::is_within);
        if self.behind.contains(&self.turn) && self.watch(self.turn).is_some_and(gathers) {
            return Some(self.turn);
        }
        let later = self.behind.range((Bound::Excluded(self.turn), Bound::Unbounded)).next();
        let key = *later.or_else(|| self.behind.first())?;
        self.turn = key;
        Some(key)
    }

    /// Lets one watch read on; says how many rows it read, and how many bytes of events.
    fn read_on(&mut self, store: &Store, key: WatchKey, pace: Pace) -> Result<(usize, usize)> {
        let seen = self.seen;
        let Some(watch) = self.watch(key) else { return Ok((0, 0)) };
        let Some(behind) = watch.behind.take() else { return Ok((0, 0)) };
        if behind.next.main < store.compact_revision() {
            self.compacted(store, key);
            return Ok((0, 0));
        }
        let part = read(store, watch, behind, seen, pace)?;
        watch.behind = part.behind;
        if watch.behind.is_none() {
            let span = watch.span.clone();
            self.behind.remove(&key);
            self.synced.insert(&span, key);
        }
        if !part.events.is_empty() {
            self.send(key, store.revision(), part.events);
        }
        Ok((part.rows, part.bytes))
    }

    /// Ends a watch whose next revision is gone. As in etcd the header stays empty.
    fn compacted(&mut self, store: &Store, key: WatchKey) {
        self.remove(key);
        self.out.push_back((
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

/// Reads history up to `seen`, or until it is enough.
fn read(store: &Store, watch: &Watch, from: Behind, seen: i64, pace: Pace) -> Result<Part> {
    // Those of the revision that is being read are apart until it ends.
    let Behind { next, mut events } = from;
    let mut part = Part { events: Vec::new(), rows: 0, bytes: 0, behind: None };
    let mut revision = next.main;
    for item in changes(store, &watch.span, next) {
        let (at, row) = item?;
        if at.main > seen {
            break;
        }
        if at.main != revision {
            revision = at.main;
            part.whole(&mut events);
        }
        let over = part.rows >= pace.step_rows || part.bytes >= pace.step_bytes;
        let full = part.events.len() >= pace.batch_events || part.bytes >= pace.batch_bytes;
        if over || (full && events.is_empty()) {
            part.behind = Some(Behind { next: at, events });
            return Ok(part);
        }
        part.rows += 1;
        if !watch.span.contains(&row.key) {
            continue;
        }
        if let Some(event) = event::event(store, watch, &row)? {
            part.bytes += event::weight(&event);
            events.push(event);
        }
    }
    part.whole(&mut events);
    Ok(part)
}

/// The changes from a place on, in order, that a span may hold: one key's revisions are known
/// to the index, a range's are found among all.
fn changes<'a>(
    store: &'a Store,
    span: &'a Span,
    from: Revision,
) -> Box<dyn Iterator<Item = Result<(Revision, KeyValue)>> + 'a> {
    match span {
        Span::Key(key) => {
            let marks = store.versions(key, from.main);
            let marks = marks.filter(move |mark| mark.as_ref().map_or(true, |m| m.at >= from));
            Box::new(marks.map(|mark| {
                let mark = mark?;
                Ok((mark.at, store.row(mark)?))
            }))
        }
        _ => Box::new(store.rows(from, i64::MAX)),
    }
}
