//! All keys of the cluster at one revision, saved as a file.

use api::kv::{RangeRequest, RangeResponse};
use api::session::{Request, Response};
use api::{Bytes, Error};
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{Page, course};
use crate::browser::files::Draft;
use crate::rules::course::Course;
use crate::rules::export::Writer;
use crate::rules::text;

/// Keys that are asked for at first.
const PAGE_KEYS: i64 = 1000;

/// The export of this page. Copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct Export {
    page: Page,
    /// How it goes.
    pub(crate) course: RwSignal<Course>,
}

impl Export {
    pub(crate) fn new(page: Page) -> Self {
        Self { page, course: RwSignal::default() }
    }

    /// Reads everything and has it saved.
    pub(crate) fn start(self) {
        spawn_local(course::follow(self.course, "Reading…", self.run()));
    }

    async fn run(self) -> Result<String, String> {
        let cluster = self.page.address().cluster;
        let id = self.page.cluster_id().map(|id| id.to_string()).unwrap_or_default();
        let (mut writer, draft) = (Writer::default(), Draft::new());
        let (mut start, mut revision, mut limit) = (Bytes::from_static(&[0]), 0, PAGE_KEYS);
        loop {
            let page = match self.range(start.clone(), revision, limit).await {
                // Large values: a page of them may be more than a link carries.
                Err(Error::Invalid(_)) if limit > 1 => {
                    limit = (limit / 4).max(1);
                    continue;
                }
                page => page.map_err(|e| sorry(&e))?,
            };
            if revision == 0 {
                revision = page.header.revision;
                draft.push(&writer.head(&cluster, &id, revision))?;
            }
            let lines: String = page.kvs.iter().map(|kv| writer.pair(kv)).collect();
            draft.push(&lines)?;
            match page.kvs.last().filter(|_| page.more) {
                Some(last) => start = after(&last.key),
                None => break,
            }
            let words = format!("{} of {} keys read.", writer.keys(), page.count);
            self.course.set(Course::Busy(words));
        }
        let keys = writer.keys();
        draft.push(&writer.end())?;
        let name = format!("kvorum-{cluster}-{revision}.jsonl");
        draft.save(&name)?;
        Ok(format!("{} at revision {revision} saved as {name}.", text::keys(keys)))
    }

    async fn range(self, key: Bytes, revision: i64, limit: i64) -> Result<RangeResponse, Error> {
        let range_end = Bytes::from_static(&[0]);
        let range = RangeRequest { key, range_end, revision, limit, ..RangeRequest::default() };
        match self.page.ask(&Request::Range(range)).await.result? {
            Response::Range(page) => Ok(page),
            _ => Err(Error::Unavailable("the answer is of another kind".into())),
        }
    }
}

fn sorry(error: &Error) -> String {
    match error {
        Error::Compacted => "The history was compacted while it was read. Export once more.".into(),
        error => format!("Not exported: {}", error.text()),
    }
}

/// The first key behind this one.
fn after(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}
