//! Watches are ordered, unique, atomic and reliable (etcd's watch guarantees): a watch from a
//! revision on is told every event of its keys from there on, once, in order, a revision whole,
//! and goes on after a lost session where it was.

use std::collections::BTreeMap;

use api::Bytes;
use api::watch::{Event, WatchCreateRequest, WatchResponse};

use super::{Check, Violation, ensure};
use crate::truth::Truth;

const NAME: &str = "watch_reliable";

/// A watch, as its client knows it.
#[derive(Clone, Debug)]
pub struct Watch {
    key: Bytes,
    range_end: Bytes,
    prev_kv: bool,
    /// The first revision that it has not been told of; nothing before it is created.
    next: Option<i64>,
}

/// All watches, by client and id.
#[derive(Debug, Default)]
pub struct Watches {
    watches: BTreeMap<(String, i64), Watch>,
    last: i64,
    ended: Vec<Watch>,
    /// Events that were told.
    pub events: u64,
}

impl Watches {
    /// A new watch, or one that goes on at another session: what to ask for.
    pub fn create(&mut self, client: &str, watch: Watch) -> WatchCreateRequest {
        self.last += 1;
        let request = WatchCreateRequest {
            key: watch.key.clone(),
            range_end: watch.range_end.clone(),
            start_revision: watch.next.unwrap_or(0),
            prev_kv: watch.prev_kv,
            watch_id: self.last,
            ..WatchCreateRequest::default()
        };
        self.watches.insert((client.into(), self.last), watch);
        request
    }

    /// The session of a client is over: its watches, to go on elsewhere.
    pub fn lost(&mut self, client: &str) -> Vec<Watch> {
        let range = (client.to_string(), i64::MIN)..=(client.to_string(), i64::MAX);
        let keys: Vec<_> = self.watches.range(range).map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| self.watches.remove(key)).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.watches.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// A member says something on a watch.
    ///
    /// # Errors
    /// If it is not what comes next.
    pub fn told(&mut self, client: &str, response: &WatchResponse, truth: &Truth) -> Check {
        let id = response.watch_id;
        let Some(watch) = self.watches.get_mut(&(client.to_string(), id)) else {
            return ensure(false, NAME, || format!("{client} knows no watch {id}: {response:?}"));
        };
        if response.canceled {
            return self.ended(client, response, truth);
        }
        if response.created {
            watch.next = watch.next.or(Some(response.header.revision + 1));
        }
        let (Some(next), Some(last)) = (watch.next, response.events.last()) else {
            return Ok(());
        };
        let last = last.kv.mod_revision;
        let mut right: Vec<Event> = watch.expected(next, last, truth);
        self.events += response.events.len() as u64;
        // What was there before an event may be compacted when it is told.
        let compacted = truth.model().compacted();
        for (event, told) in right.iter_mut().zip(&response.events) {
            if told.prev_kv.is_none() && event.kv.mod_revision <= compacted {
                event.prev_kv = None;
            }
        }
        ensure(right == response.events, NAME, || {
            format!(
                "watch {id} of {client}, told up to {}, was told {:?} and not {right:?}",
                next - 1,
                response.events
            )
        })?;
        watch.next = Some(last + 1);
        Ok(())
    }

    /// A watch is ended: it may be if what it is to be told next is compacted, and goes on where
    /// history begins.
    fn ended(&mut self, client: &str, response: &WatchResponse, truth: &Truth) -> Check {
        let (id, at) = (response.watch_id, response.compact_revision);
        let Some(watch) = self.watches.remove(&(client.to_string(), id)) else { return Ok(()) };
        let compacted = at > 0 && at <= truth.model().compacted();
        ensure(compacted && watch.next.is_none_or(|next| next < at), NAME, || {
            format!("watch {id} of {client} was ended: {response:?}, it was at {:?}", watch.next)
        })?;
        self.ended.push(Watch { next: Some(at), ..watch });
        Ok(())
    }

    /// The watches that were ended since the last time, to go on.
    pub fn take_ended(&mut self) -> Vec<Watch> {
        std::mem::take(&mut self.ended)
    }

    /// Everybody must have been told everything by now.
    ///
    /// # Errors
    /// If a watch waits for something.
    pub fn complete(&self, truth: &Truth) -> Check {
        for ((client, id), watch) in &self.watches {
            let right = watch.next.map(|next| watch.expected(next, i64::MAX, truth));
            ensure(right.as_ref().is_some_and(Vec::is_empty), NAME, || {
                format!("watch {id} of {client} was not told {right:?}")
            })?;
        }
        Ok(())
    }
}

impl Watch {
    /// A watch of `[key, range_end)` from a revision on, or from now.
    #[must_use]
    pub fn new(key: Bytes, range_end: Bytes, prev_kv: bool, from: Option<i64>) -> Self {
        Self { key, range_end, prev_kv, next: from }
    }

    fn expected(&self, from: i64, to: i64, truth: &Truth) -> Vec<Event> {
        let events = truth.model().events(&self.key, &self.range_end, from, to);
        let show = |event: &Event| Event {
            prev_kv: event.prev_kv.clone().filter(|_| self.prev_kv),
            ..event.clone()
        };
        events.into_iter().map(show).collect()
    }
}

/// A watch that could not be created, in words of this property.
#[must_use]
pub fn refused(client: &str, response: &WatchResponse) -> Violation {
    Violation { property: NAME, text: format!("{client} may not watch: {response:?}") }
}
