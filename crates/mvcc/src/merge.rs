//! Reading history through its parts: base below, moving above it, recent on top.
//!
//! A key's newest version is in the topmost part that has one. History by revision is the parts
//! one after the other.

use std::iter::Peekable;

use api::kv::KeyValue;
use api::{Bytes, Result};

use crate::base::Items;
use crate::encode;
use crate::layer::Layer;
use crate::mark::{Mark, Revision};
use crate::span::Span;
use crate::store::Store;

impl Store {
    /// The parts that are in memory, the newest first.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        [Some(&self.recent), self.moving.as_ref().map(|run| &*run.layer)].into_iter().flatten()
    }

    /// The newest version of a key up to and including `main`, a deletion too.
    pub(crate) fn mark(&self, key: &[u8], main: i64) -> Result<Option<Mark>> {
        if let Some(mark) = self.layers().find_map(|layer| layer.mark(key, main)) {
            return Ok(Some(mark));
        }
        match &self.base {
            Some(base) => Ok(base.mark(key, Revision::last(main))?),
            None => Ok(None),
        }
    }

    /// What a key is at revision `main`: nothing if it did not exist or was deleted.
    pub(crate) fn live_mark(&self, key: &[u8], main: i64) -> Result<Option<Mark>> {
        Ok(self.mark(key, main)?.filter(Mark::is_live))
    }

    /// What a key is now, with what is being written.
    pub(crate) fn now(&self, key: &[u8]) -> Result<Option<Mark>> {
        self.live_mark(key, i64::MAX)
    }

    /// The keys of a span, in order, and what each is at revision `main`: nothing if it does not
    /// exist then. Those are there so that who looks for others can count what it passes.
    pub(crate) fn keys(
        &self,
        span: &Span,
        main: i64,
    ) -> impl Iterator<Item = Result<(Bytes, Option<Mark>)>> {
        let empty = || Box::new(std::iter::empty()) as Items<'_, _>;
        let base = self.base.as_ref().filter(|_| !span.is_empty());
        let base = base.map_or_else(empty, |base| base.marks(span, Revision::last(main)));
        let moving = self.moving.as_ref().map(|run| run.layer.marks(span, main).peekable());
        let parts = Parts {
            base: base.peekable(),
            moving,
            recent: self.recent.marks(span, main).peekable(),
        };
        parts.map(|item| item.map(|(key, mark)| (key, mark.filter(Mark::is_live))))
    }

    /// The versions of a key from revision `main` on, in order.
    pub(crate) fn versions(&self, key: &[u8], main: i64) -> impl Iterator<Item = Result<Mark>> {
        let base = self.base.iter().flat_map(move |base| base.versions(key, Revision::first(main)));
        let of = move |layer: &Layer| layer.versions(key, main).to_vec();
        let moving = self.moving.iter().flat_map(move |run| of(&run.layer));
        let memory = moving.chain(of(&self.recent));
        base.map(|mark| Ok(mark?)).chain(memory.map(Ok))
    }

    /// The rows from a place on up to and including revision `to`, in order.
    pub(crate) fn rows(
        &self,
        from: Revision,
        to: i64,
    ) -> impl Iterator<Item = Result<(Revision, KeyValue)>> {
        // What is in the base need not be looked for there when it begins above.
        let below = self.base.iter().filter(move |base| from.main <= base.summary().revision);
        let base = below.flat_map(move |base| base.rows(from)).map(|item| {
            let (at, bytes) = item?;
            Ok((at, encode::read_row(at, bytes)?))
        });
        let moving = self.moving.iter().flat_map(move |run| run.layer.rows(from));
        let memory = moving.chain(self.recent.rows(from)).cloned().map(Ok);
        base.chain(memory)
            .take_while(move |item| item.as_ref().map_or(true, |(at, _)| at.main <= to))
    }
}

/// The newest versions of keys, of three parts in the order of keys.
struct Parts<'a, M: Iterator, R: Iterator> {
    base: Peekable<Items<'a, (Bytes, Option<Mark>)>>,
    moving: Option<Peekable<M>>,
    recent: Peekable<R>,
}

impl<'a, M, R> Iterator for Parts<'a, M, R>
where
    M: Iterator<Item = (&'a Bytes, Option<Mark>)>,
    R: Iterator<Item = (&'a Bytes, Option<Mark>)>,
{
    type Item = Result<(Bytes, Option<Mark>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let below = match self.base.peek() {
            None => None,
            Some(Ok((key, _))) => Some(key.clone()),
            Some(Err(_)) => return self.base.next().map(|item| Ok(item?)),
        };
        let moving = self.moving.as_mut().and_then(|moving| moving.peek()).map(|item| item.0);
        let recent = self.recent.peek().map(|item| item.0);
        let first = [recent, moving, below.as_ref()].into_iter().flatten().min()?.clone();
        // All of this key are taken; the topmost counts.
        let below = self.base.next_if(|item| item.as_ref().is_ok_and(|(key, _)| *key == first));
        let below = below.and_then(Result::ok).and_then(|(_, mark)| mark);
        let moving = self.moving.as_mut().and_then(|part| part.next_if(|(key, _)| **key == first));
        let recent = self.recent.next_if(|(key, _)| **key == first);
        let above = [recent, moving].into_iter().flatten().find_map(|(_, mark)| mark);
        Some(Ok((first, above.or(below))))
    }
}
