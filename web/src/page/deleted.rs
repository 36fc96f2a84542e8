//! Deleting keys, and taking that back.

use api::Bytes;
use api::kv::{DeleteRangeRequest, KeyValue};
use api::session::{Request, Response};
use leptos::prelude::*;

use super::{PATIENCE, Page};
use crate::browser::time;
use crate::rules::fate::{Answered, Fate, Waits};
use crate::rules::{bytes, text, undo};

/// What was deleted here, the newest last. Copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct Deleted {
    page: Page,
    /// What can be put back.
    pairs: RwSignal<Vec<KeyValue>>,
    /// The last deletion, or the last thing that was put back.
    pub(crate) fate: RwSignal<Option<Fate>>,
    /// Counts deletions that are done.
    pub(crate) count: RwSignal<u32>,
}

impl Deleted {
    pub(crate) fn new(page: Page) -> Self {
        let (pairs, fate, count) = (RwSignal::default(), RwSignal::default(), RwSignal::default());
        Self { page, pairs, fate, count }
    }

    /// The key that `undo` puts back.
    pub(crate) fn last(self) -> Option<Bytes> {
        self.pairs.with(|pairs| pairs.last().map(|kv| kv.key.clone()))
    }

    /// Deletes a key. `fate` is told until it is done.
    pub(crate) fn delete(self, key: Bytes, fate: RwSignal<Option<Fate>>) {
        let name = name(&key);
        let what = format!("Delete {name}");
        fate.set(Some(waits(what.clone())));
        let request = DeleteRangeRequest { key, prev_kv: true, ..DeleteRangeRequest::default() };
        self.page.call(&Request::DeleteRange(request), PATIENCE, move |answer| {
            // The row may have gone meanwhile, and its fate with it.
            match answer.result {
                Ok(response) => {
                    fate.try_set(None);
                    let answered = self.page.answered(&response, answer.millis);
                    if let Response::DeleteRange(deleted) = response {
                        self.is_gone(&name, deleted.prev_kvs, answered);
                    }
                }
                Err(error) => drop(fate.try_set(Some(Fate::of_write(&what, &error)))),
            }
        });
    }

    fn is_gone(self, name: &str, pairs: Vec<KeyValue>, answered: Answered) {
        let what = match pairs.is_empty() {
            true => format!("{name} was gone already"),
            false => format!("Deleted {name}"),
        };
        self.pairs.update(|all| {
            all.extend(pairs);
            let excess = all.len().saturating_sub(undo::KEPT);
            drop(all.drain(..excess));
        });
        self.fate.set(Some(Fate::Done(what, answered)));
        self.count.update(|n| *n = n.wrapping_add(1));
    }

    /// Puts the last key back.
    pub(crate) fn undo(self) {
        let busy =
            self.fate.with_untracked(|fate| fate.as_ref().is_some_and(|f| f.waits().is_some()));
        let last = self.pairs.with_untracked(|pairs| pairs.last().cloned());
        let Some(kv) = last.filter(|_| !busy) else { return };
        let name = name(&kv.key);
        let what = format!("Put back {name}");
        self.fate.set(Some(waits(what.clone())));
        self.page.call(&Request::Txn(undo::put_back(&kv)), PATIENCE, move |answer| {
            let fate = match answer.result {
                Ok(response) => {
                    self.pairs.update(|pairs| pairs.retain(|pair| *pair != kv));
                    let answered = self.page.answered(&response, answer.millis);
                    let done = matches!(&response, Response::Txn(txn) if txn.succeeded);
                    let words =
                        if done { what } else { format!("{name} was put again since, and stays") };
                    Fate::Done(words, answered)
                }
                Err(error) => Fate::of_write(&what, &error),
            };
            self.fate.set(Some(fate));
        });
    }

    /// Forgets all of it.
    pub(crate) fn dismiss(self) {
        self.pairs.update(Vec::clear);
        self.fate.set(None);
    }
}

fn name(key: &[u8]) -> String {
    format!("“{}”", text::short(&bytes::readable_key(key).text))
}

fn waits(what: String) -> Fate {
    Fate::Waits(Waits { what, since: time::now_ms() })
}
