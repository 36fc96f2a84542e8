//! A base in memory, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::Bytes;

use crate::base::{Base, Damage, Items, Summary};
use crate::draft::{Draft, Move, Run, scrub};
use crate::mark::{Mark, Revision};
use crate::span::Span;
use crate::store::Store;

/// A base in memory, and its own draft: a copy is changed, then shared.
#[derive(Clone, Debug)]
pub struct MemBase {
    summary: Summary,
    rows: BTreeMap<Revision, Bytes>,
    marks: BTreeMap<(Bytes, Revision), Mark>,
}

impl Default for MemBase {
    fn default() -> Self {
        Self { summary: Summary::empty(), rows: BTreeMap::new(), marks: BTreeMap::new() }
    }
}

impl MemBase {
    /// Moves a run in, in slices of so many rows and marks.
    fn take_run(&mut self, run: Run, slice: usize) {
        let summary = run.summary(&self.summary);
        let mut moving = Move::new(run);
        while !moving.is_done() {
            moving.step(self, slice).expect("memory does not fail");
        }
        self.summary = summary;
    }
}

/// What a host does for a store, in memory: it moves what is frozen, and drops what compactions
/// left.
#[derive(Clone, Debug, Default)]
pub struct Mover {
    base: MemBase,
    run: Option<Run>,
}

impl Mover {
    /// What is in memory begins its way to the base.
    pub fn freeze(&mut self, store: &mut Store) {
        self.run = store.freeze(Bytes::new()).or(self.run.take());
    }

    /// It arrives, in slices of so many rows and marks.
    pub fn arrive(&mut self, store: &mut Store, slice: usize) {
        if let Some(run) = self.run.take() {
            self.base.take_run(run, slice);
            store.rest_on(Arc::new(self.base.clone()));
        }
    }

    /// One slice of dropping what compactions left. False if there is nothing to drop now.
    pub fn scrub(&mut self, store: &mut Store, slice: usize) -> bool {
        let mut summary = self.base.summary.clone();
        if !summary.wants_scrub() {
            return false;
        }
        scrub(&mut self.base, &mut summary, slice).expect("memory does not fail");
        self.base.summary = summary;
        store.rest_on(Arc::new(self.base.clone()));
        true
    }

    /// All of it, until nothing is left to do.
    pub fn settle(&mut self, store: &mut Store) {
        self.arrive(store, usize::MAX);
        self.freeze(store);
        self.arrive(store, usize::MAX);
        while self.scrub(store, usize::MAX) {}
        assert_eq!(self.base.rows.len(), self.base.marks.len(), "each row has its mark");
    }
}

impl Draft for MemBase {
    fn row_from(&self, from: Revision) -> Result<Option<(Revision, Bytes)>, Damage> {
        Ok(self.rows.range(from..).next().map(|(at, row)| (*at, row.clone())))
    }

    fn mark_before(&self, key: &[u8], before: Revision) -> Result<Option<Mark>, Damage> {
        let key = Bytes::copy_from_slice(key);
        let first = (key.clone(), Revision::first(i64::MIN));
        Ok(self.marks.range(first..(key, before)).next_back().map(|(_, mark)| *mark))
    }

    fn insert_row(&mut self, at: Revision, row: &[u8]) -> Result<(), Damage> {
        let old = self.rows.insert(at, Bytes::copy_from_slice(row));
        assert!(old.is_none(), "a revision is written once");
        Ok(())
    }

    fn insert_mark(&mut self, key: &[u8], mark: Mark) -> Result<(), Damage> {
        self.marks.insert((Bytes::copy_from_slice(key), mark.at), mark);
        Ok(())
    }

    fn remove_row(&mut self, at: Revision) -> Result<Option<usize>, Damage> {
        Ok(self.rows.remove(&at).map(|row| row.len()))
    }

    fn remove_mark(&mut self, key: &[u8], at: Revision) -> Result<(), Damage> {
        self.marks.remove(&(Bytes::copy_from_slice(key), at));
        Ok(())
    }
}

impl Base for MemBase {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn size(&self) -> u64 {
        self.summary.bytes
    }

    fn mark(&self, key: &[u8], at: Revision) -> Result<Option<Mark>, Damage> {
        let key = Bytes::copy_from_slice(key);
        let first = (key.clone(), Revision::first(i64::MIN));
        Ok(self.marks.range(first..=(key, at)).next_back().map(|(_, mark)| *mark))
    }

    fn marks(&self, span: &Span, at: Revision) -> Items<'_, (Bytes, Option<Mark>)> {
        let mut newest: BTreeMap<Bytes, Option<Mark>> = BTreeMap::new();
        for ((key, written), mark) in &self.marks {
            if span.contains(key) {
                let newest = newest.entry(key.clone()).or_default();
                *newest = Some(*mark).filter(|_| *written <= at).or(*newest);
            }
        }
        Box::new(newest.into_iter().map(Ok))
    }

    fn versions(&self, key: &[u8], from: Revision) -> Items<'_, Mark> {
        let key = Bytes::copy_from_slice(key);
        let last = (key.clone(), Revision::last(i64::MAX));
        Box::new(self.marks.range((key, from)..=last).map(|(_, mark)| Ok(*mark)))
    }

    fn row(&self, at: Revision) -> Result<Option<Bytes>, Damage> {
        Ok(self.rows.get(&at).cloned())
    }

    fn rows(&self, from: Revision) -> Items<'_, (Revision, Bytes)> {
        Box::new(self.rows.range(from..).map(|(at, row)| Ok((*at, row.clone()))))
    }
}
