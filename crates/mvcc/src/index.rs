//! The index: which revisions each key has. Small enough for memory; values are in the rows.

use std::collections::BTreeMap;

use api::Bytes;
use api::kv::KeyValue;

use crate::rows::Revision;
use crate::span::Span;

/// One version of a key, without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// When it was written.
    pub(crate) at: Revision,
    /// When the life that it belongs to began; 0 for a deletion.
    pub(crate) create: i64,
    /// Its number in that life, from 1; 0 for a deletion.
    pub(crate) version: i64,
}

impl Mark {
    /// The mark of a deletion.
    pub(crate) fn tombstone(at: Revision) -> Self {
        Self { at, create: 0, version: 0 }
    }

    /// The pair of this version as far as the index knows it: without value and lease.
    pub(crate) fn bare(self, key: &Bytes) -> KeyValue {
        KeyValue {
            key: key.clone(),
            create_revision: self.create,
            mod_revision: self.at.main,
            version: self.version,
            ..KeyValue::default()
        }
    }

    /// True unless it is a deletion.
    pub(crate) fn is_live(&self) -> bool {
        self.version != 0
    }
}

/// All versions of one key that are kept.
///
/// ```text
///  at       4.0   7.0   9.0    12.3
///  version  1     2     0      1
///           └─ one life ─┘     └─ the next, from create_revision 12
/// ```
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Invariant: never empty once it is in the index; `at` ascends.
    marks: Vec<Mark>,
}

impl History {
    /// What the key is at revision `main`: nothing if it did not exist or was deleted.
    pub(crate) fn at(&self, main: i64) -> Option<Mark> {
        let newest = match self.marks.last() {
            Some(last) if last.at.main <= main => Some(last),
            _ => {
                let later = self.marks.partition_point(|mark| mark.at.main <= main);
                later.checked_sub(1).map(|place| &self.marks[place])
            }
        };
        newest.filter(|mark| mark.is_live()).copied()
    }

    /// What the key is now.
    pub(crate) fn now(&self) -> Option<Mark> {
        self.marks.last().filter(|mark| mark.is_live()).copied()
    }

    /// The versions from revision `main` on.
    pub(crate) fn since(&self, main: i64) -> &[Mark] {
        &self.marks[self.marks.partition_point(|mark| mark.at.main < main)..]
    }

    /// Splits off what a compaction at `main` drops.
    ///
    /// Of the versions up to `main` only the newest stays, as the state at `main` needs it. A
    /// deletion is no part of any state and goes, except one exactly at `main`: a watch from
    /// that revision must still see it.
    fn compact(&mut self, main: i64) -> impl Iterator<Item = Mark> + use<'_> {
        let later = self.marks.partition_point(|mark| mark.at.main <= main);
        let keep_newest = later
            .checked_sub(1)
            .map(|place| self.marks[place])
            .is_some_and(|newest| newest.is_live() || newest.at.main == main);
        self.marks.drain(..later - usize::from(keep_newest))
    }
}

/// The keys and their versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    keys: BTreeMap<Bytes, History>,
}

impl Index {
    /// The versions of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&History> {
        self.keys.get(key)
    }

    /// What a key is now.
    pub(crate) fn now(&self, key: &[u8]) -> Option<Mark> {
        self.get(key)?.now()
    }

    /// The keys of a span and their versions, deleted keys included, in order.
    pub(crate) fn range(&self, span: &Span) -> impl Iterator<Item = (&Bytes, &History)> {
        self.keys.range::<[u8], _>(span.bounds())
    }

    /// The keys of a span that exist at revision `main`.
    pub(crate) fn live(&self, span: &Span, main: i64) -> impl Iterator<Item = (&Bytes, Mark)> {
        self.range(span).filter_map(move |(key, history)| Some((key, history.at(main)?)))
    }

    /// Adds the newest version of a key.
    pub(crate) fn push(&mut self, key: &Bytes, mark: Mark) {
        // The key is cloned only when it is new: one allocation serves all its versions.
        match self.keys.get_mut(key) {
            Some(history) => {
                debug_assert!(history.marks.last().is_none_or(|last| last.at < mark.at));
                history.marks.push(mark);
            }
            None => {
                self.keys.insert(key.clone(), History { marks: vec![mark] });
            }
        }
    }

    /// Takes the newest version of a key back.
    pub(crate) fn pop(&mut self, key: &[u8]) {
        if let Some(history) = self.keys.get_mut(key) {
            history.marks.pop();
            if history.marks.is_empty() {
                self.keys.remove(key);
            }
        }
    }

    /// Drops what a compaction at `main` drops; `dropped` hears of each version.
    pub(crate) fn compact(&mut self, main: i64, mut dropped: impl FnMut(Revision)) {
        self.keys.retain(|_, history| {
            history.compact(main).for_each(|mark| dropped(mark.at));
            !history.marks.is_empty()
        });
    }
}
