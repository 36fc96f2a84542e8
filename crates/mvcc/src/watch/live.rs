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

/// What is told in a round.
#[derive(Default)]
struct Round {
    batches: BTreeMap<WatchKey, Batch>,
    /// From this revision on it is too much for now.
    rest: Option<i64>,
    /// Rows, and watches of them, that were looked at.
    looks: usize,
}

impl Watchers {
    /// Tells synced watches what is new: to be called after each change. [`step`](Self::step)
    /// does so, too, but comes too late for revisions that were compacted meanwhile: watches
    /// that did not hear of them end. Says how much work it was, in rows and watches.
    ///
    /// # Errors
    /// As all methods that read history: if what the store rests on is damaged.
    pub fn changed(&mut self, store: &Store) -> Result<usize> {
        if self.seen == store.revision() {
            return Ok(0);
        }
        let first = self.seen + 1;
        self.seen = store.revision();
        if self.rest.is_some() || self.synced.is_empty() {
            return Ok(0);
        }
        if first < store.compact_revision() {
            self.all_behind(first);
            return Ok(0);
        }
        let Round { batches, rest, looks } = self.collect(store, first)?;
        for (key, batch) in batches {
            if let Some(last) = batch.events.last() {
                self.send(key, last.kv.mod_revision, batch.events);
            }
            if let Some(next) = batch.behind {
                self.fall_behind(key, next);
            }
        }
        self.rest = rest.map(Revision::first);
        Ok(looks)
    }

    /// What each watch gets, up to a revision that is too much for now.
    fn collect(&self, store: &Store, first: i64) -> Result<Round> {
        let mut round = Round::default();
        let batches = &mut round.batches;
        let mut told = 0;
        for item in store.rows(Revision::first(first), store.revision()) {
            let (at, row) = item?;
            if round.looks >= self.pace.live_events {
                // Revisions are told whole.
                for batch in batches.values_mut() {
                    let whole = batch.events.partition_point(|e| e.kv.mod_revision < at.main);
                    batch.events.truncate(whole);
                }
                round.rest = Some(at.main);
                break;
            }
            round.looks += 1;
            for key in self.synced.matching(&row.key) {
                round.looks += 1;
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
                // Only between revisions.
                if !within && (session.held || full) {
                    batch.behind = Some(at.main);
                } else if let Some(event) = event::event(store, watch, &row)? {
                    batch.bytes += event::weight(&event);
                    batch.events.push(event);
                    told += 1;
                }
            }
        }
        Ok(round)
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
            if self.synced.is_empty() {
                break;
            }
            if looks >= self.pace.live_events {
                self.rest = Some(at);
                break;
            }
            let concerned: Vec<WatchKey> = self.synced.matching(&row.key).collect();
            looks += 1 + concerned.len();
            for key in concerned {
                // One that starts later has lost nothing of what it wants, and is met once.
                let start = self.watch(key).map_or(0, |watch| watch.start);
                self.fall_behind(key, at.main.max(start));
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
