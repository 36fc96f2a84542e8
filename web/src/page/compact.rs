//! Dropping the history.

use api::Error;
use api::kv::{CompactRequest, RangeRequest};
use api::session::Request;
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{Page, course};
use crate::rules::compact;
use crate::rules::course::Course;

/// A compaction at the newest revision. Copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct Compact {
    page: Page,
    /// How it goes.
    pub(crate) course: RwSignal<Course>,
}

impl Compact {
    pub(crate) fn new(page: Page) -> Self {
        Self { page, course: RwSignal::default() }
    }

    /// Compacts.
    pub(crate) fn start(self) {
        spawn_local(course::follow(self.course, "Compacting…", self.run()));
    }

    async fn run(self) -> Result<String, String> {
        // No key is like this; what is wanted is the revision.
        let none = RangeRequest { key: [0].as_slice().into(), ..RangeRequest::default() };
        let newest = self.page.ask(&Request::Range(none)).await.result;
        let revision = newest.map_err(|error| format!("Compact: {}", error.text()))?;
        let revision = revision.header().revision;
        let mut result = self.compact(revision).await;
        if compact::is_unknown(result.as_ref().copied()) {
            result = self.compact(revision).await;
        }
        self.page.look_at_alarms().await;
        compact::words(revision, result.as_ref().copied())
    }

    /// Until what it drops is dropped by the member that answers, as `etcdctl compact --physical`.
    async fn compact(self, revision: i64) -> Result<(), Error> {
        let request = CompactRequest { revision, physical: true };
        self.page.ask(&Request::Compact(request)).await.result.map(drop)
    }
}
