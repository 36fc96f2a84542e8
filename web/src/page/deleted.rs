//! Deleting keys.

use api::Bytes;
use api::kv::DeleteRangeRequest;
use api::session::Request;
use leptos::prelude::*;

use super::{PATIENCE, Page};
use crate::browser::time;
use crate::rules::fate::{Fate, Waits};
use crate::rules::{bytes, text};

/// Deletes what it is told to. Copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct Deleted {
    page: Page,
}

impl Deleted {
    pub(crate) fn new(page: Page) -> Self {
        Self { page }
    }

    /// Deletes a key. `fate` is told until it is done.
    pub(crate) fn delete(self, key: Bytes, fate: RwSignal<Option<Fate>>) {
        let what = format!("Delete {}", name(&key));
        fate.set(Some(waits(what.clone())));
        let request = DeleteRangeRequest { key, ..DeleteRangeRequest::default() };
        self.page.call(&Request::DeleteRange(request), PATIENCE, move |answer| {
            // The row may have gone meanwhile, and its fate with it.
            fate.try_set(answer.result.err().map(|error| Fate::of_write(&what, &error)));
        });
    }
}

fn name(key: &[u8]) -> String {
    format!("“{}”", text::short(&bytes::readable_key(key).text))
}

fn waits(what: String) -> Fate {
    Fate::Waits(Waits { what, since: time::now_ms() })
}
