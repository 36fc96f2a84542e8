//! New changes, told to the watches that are synced.

use std::collections::BTreeMap;

use api::Result;
use api::watch::Event;

use super::{Behind, WatchKey, Watchers, event};
use crate::mark::Revision;
use crate::store::Store;

/// What one watch gets of this round.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    /// What the events weigh.
    bytes: usize,
    /// The watch gets no more: it reads on from this revision.
    behind: Option<i64>,
}

impl Watchers {
    /// Tells synced watches what is new: to be called after each change. [`step`](Self::step)
    /// does so, too, but comes too late for revisions that were compacted meanwhile: watches
    /// that did not hear of them end.
    pub fn changed(&mut self, store: &Store) -> Result<()> {
        if self.seen == store.revision() {
            return Ok(());
        }
        let first = self.seen + 1;
        self.seen = store.revision();
        if self.rest.is_some() || self.synced.is_empty() {
            return Ok(());
        }
        if first < store.compact_revision() {
            self.all_behind(first);
            return Ok(());
        }
        let (batches, rest) = self.collect(store, first)?;
        for (key, batch) in batches {
            if let Some(last) = batch.events.last() {
                self.send(key, last.kv.mod_revision, batch.events);
            }
            if let Some(next) = batch.behind {
                self.fall_behind(key, next);
            }
        }
        self.rest = rest.map(Revision::first);
        Ok(())
    }

    /// What each watch gets, up to a revision that is too large for now.
    fn collect(
        &self,
        store: &Store,
        first: i64,
    ) -> Result<(BTreeMap<WatchKey, Batch>, Option<i64>)> {
        let mut batches: BTreeMap<WatchKey, Batch> = BTreeMap::new();
        let (mut told, mut rows) = (0, 0);
        for item in store.rows(Revision::first(first), store.revision()) {
            let (at, row) = item?;
            rows += 1;
            if rows > self.pace.live_events {
                for batch in batches.values_mut() {
                    let whole = batch.events.partition_point(|e| e.kv.mod_revision < at.main);
                    batch.events.truncate(whole);
                }
                return Ok((batches, Some(at.main)));
            }
            for key in self.synced.matching(&row.key) {
                let Some(session) = self.sessions.get(&key.0) else { continue };
                let Some(watch) = session.watches.get(&key.1) else { continue };
                let batch = batches.entry(key).or_default();
                if at.main < watch.start || batch.behind.is_some() {
                    continue;
                }
                let within = batch.events.last().is_some_and(|e| e.kv.mod_revision == at.main);
                let full = told >= self.pace.live_events
                    || batch.events.len() >= self.pace.batch_events
                    || batch.bytes >= self.pace.batch_bytes;
                // Only between revisions: one is told whole.
                if !within && (session.held || full) {
                    batch.behind = Some(at.main);
                } else if let Some(event) = event::event(store, watch, &row)? {
                    batch.bytes += event::weight(&event);
                    batch.events.push(event);
                    told += 1;
                }
            }
        }
        Ok((batches, None))
    }

    /// Looks through a slice of what is new and too much for now: whom it concerns reads it from
    /// history.
    pub(super) fn look_through(&mut self, store: &Store) -> Result<()> {
        let Some(from) = self.rest.take() else { return Ok(()) };
        if from.main < store.compact_revision() {
            self.all_behind(from.main);
            return Ok(());
        }
        let mut looks = 0;
        for item in store.rows(from, self.seen) {
            let (at, row) = item?;
            if looks >= self.pace.live_events {
                self.rest = Some(at);
                break;
            }
            let concerned: Vec<WatchKey> = self.synced.matching(&row.key).collect();
            looks += 1 + concerned.len();
            for key in concerned {
                if self.watch(key).is_some_and(|watch| watch.start <= at.main) {
                    self.fall_behind(key, at.main);
                }
            }
        }
        Ok(())
    }

    /// A part of what is new is compacted already: history decides who may go on.
    fn all_behind(&mut self, first: i64) {
        self.synced.clear();
        for (session, state) in &mut self.sessions {
            for (id, watch) in &mut state.watches {
                if watch.behind.is_none() {
                    // One that starts later has lost nothing of what it wants.
                    watch.behind = Some(Behind::at(first.max(watch.start)));
                    if !state.held {
                        self.behind.insert((*session, *id));
                    }
                }
            }
        }
    }
}
