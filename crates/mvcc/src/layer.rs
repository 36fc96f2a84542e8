//! Changes in memory: the newest part of history, with its own index.

use std::collections::BTreeMap;

use api::Bytes;
use api::kv::KeyValue;

use crate::encode;
use crate::mark::{Mark, Revision};
use crate::span::Span;

/// What a row and its mark take in memory beside key and value, about.
const ROW_OVERHEAD: usize = 256;

/// A run of history: all changes of some revisions that follow each other.
///
/// ```text
///  rows   4.0 a=1   5.0 b=1   5.1 c=1   7.0 a del        by revision
///  keys   a: 4.0 7.0    b: 5.0    c: 5.1                 by key
/// ```
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    /// Invariant: no list is empty; in each `at` ascends.
    keys: BTreeMap<Bytes, Vec<Mark>>,
    /// Invariant: ascends; each row has its mark in `keys` and the other way round.
    rows: Vec<(Revision, KeyValue)>,
    /// Invariant: the sum of `encode::row_bytes` over `rows`.
    bytes: u64,
    /// What it takes in memory, about.
    memory: usize,
}

impl Layer {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of all rows, as etcd encodes them.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// Adds a change behind all others.
    pub(crate) fn push(&mut self, mark: Mark, row: KeyValue) {
        debug_assert!(self.rows.last().is_none_or(|(last, _)| *last < mark.at));
        self.bytes += encode::row_bytes(&row);
        self.memory += memory_of(&row);
        // The key is cloned only when it is new: one allocation serves all its versions.
        match self.keys.get_mut(&row.key) {
            Some(marks) => marks.push(mark),
            None => drop(self.keys.insert(row.key.clone(), vec![mark])),
        }
        self.rows.push((mark.at, row));
    }

    /// Takes the last change back.
    pub(crate) fn pop(&mut self) {
        let Some((_, row)) = self.rows.pop() else { return };
        self.bytes -= encode::row_bytes(&row);
        self.memory -= memory_of(&row);
        if let Some(marks) = self.keys.get_mut(&row.key) {
            marks.pop();
            if marks.is_empty() {
                self.keys.remove(&row.key);
            }
        }
    }

    /// The newest version of a key up to and including `main`, a deletion too.
    pub(crate) fn mark(&self, key: &[u8], main: i64) -> Option<Mark> {
        newest(self.keys.get(key)?, main)
    }

    /// The keys of a span, each with its newest version up to and including `main`, if it has one.
    pub(crate) fn marks(
        &self,
        span: &Span,
        main: i64,
    ) -> impl Iterator<Item = (&Bytes, Option<Mark>)> {
        let keys = self.keys.range::<[u8], _>(span.bounds());
        keys.map(move |(key, marks)| (key, newest(marks, main)))
    }

    /// The versions of a key from revision `main` on.
    pub(crate) fn versions(&self, key: &[u8], main: i64) -> &[Mark] {
        let marks = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        &marks[marks.partition_point(|mark| mark.at.main < main)..]
    }

    /// All keys with all their marks.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&Bytes, &Vec<Mark>)> {
        self.keys.iter()
    }

    /// Those from a key on.
    pub(crate) fn keys_from(&self, first: Bytes) -> impl Iterator<Item = (&Bytes, &Vec<Mark>)> {
        self.keys.range(first..)
    }

    /// Lets go of so many rows and keys. What is left is of no other use.
    pub(crate) fn shed(&mut self, count: usize) {
        for _ in 0..count {
            let (row, key) = (self.rows.pop(), self.keys.pop_last());
            if row.is_none() && key.is_none() {
                return;
            }
        }
    }

    /// The row of a change.
    pub(crate) fn row(&self, at: Revision) -> Option<&KeyValue> {
        let place = self.rows.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        Some(&self.rows[place].1)
    }

    /// The rows from a place on, in order.
    pub(crate) fn rows(&self, from: Revision) -> &[(Revision, KeyValue)] {
        &self.rows[self.rows.partition_point(|(at, _)| *at < from)..]
    }
}

fn newest(marks: &[Mark], main: i64) -> Option<Mark> {
    match marks.last() {
        Some(last) if last.at.main <= main => Some(*last),
        _ => {
            let later = marks.partition_point(|mark| mark.at.main <= main);
            later.checked_sub(1).map(|place| marks[place])
        }
    }
}

fn memory_of(row: &KeyValue) -> usize {
    ROW_OVERHEAD + row.key.len() + row.value.len()
}
