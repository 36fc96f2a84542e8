//! A file of keys becomes the content of a new cluster.
//!
//! The file is read twice: first to its end, to see that it is whole, then to put what it holds.

use api::kv::RangeRequest;
use api::session::{Request, Response};
use api::{Bytes, Code, Error};
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::File;

use super::{Page, course};
use crate::browser::{files, time};
use crate::rules::course::Course;
use crate::rules::export::Reader;
use crate::rules::import::{self, Pair, Waiting};
use crate::rules::text;

/// Bytes of the file that are read at once.
const PIECE_BYTES: f64 = 1024.0 * 1024.0;

/// A cluster that has no leader for a moment is asked again.
const TRIES: u32 = 5;
const TRY_PAUSE_MS: u32 = 1000;

/// The import of this page. Copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct Import {
    page: Page,
    /// How it goes.
    pub(crate) course: RwSignal<Course>,
    /// The file that was begun and not ended, by name and size: it may go on where it stopped.
    begun: StoredValue<Option<(String, f64)>>,
}

impl Import {
    pub(crate) fn new(page: Page) -> Self {
        Self { page, course: RwSignal::default(), begun: StoredValue::new(None) }
    }

    /// Puts the file's keys, if the cluster is new.
    pub(crate) fn start(self, file: File) {
        spawn_local(course::follow(self.course, "Looking at the file…", self.run(file)));
    }

    async fn run(self, file: File) -> Result<String, String> {
        let all = self.read(&file, async |_| Ok(())).await?;
        let mark = Some((file.name(), file.size()));
        if self.begun.get_value() != mark {
            self.is_new().await?;
        }
        self.begun.set_value(mark);
        let (mut waiting, mut done) = (Waiting::default(), 0);
        let put = async |pairs: Option<Vec<Pair>>| {
            let last = pairs.is_none();
            waiting.push(pairs.unwrap_or_default());
            while let Some(batch) = waiting.next(last) {
                self.put(&batch).await.map_err(|why| {
                    format!("{why} {done} of {all} keys are in. Choose the same file to go on.")
                })?;
                done += batch.len();
                self.course.set(Course::Busy(format!("{done} of {all} keys are in.")));
            }
            Ok(())
        };
        let keys = self.read(&file, put).await?;
        self.begun.set_value(None);
        Ok(format!("{} imported.", text::keys(keys)))
    }

    /// Reads the file from its beginning, and gives its pairs away; in the end, nothing.
    async fn read(
        self,
        file: &File,
        mut each: impl AsyncFnMut(Option<Vec<Pair>>) -> Result<(), String>,
    ) -> Result<u64, String> {
        let (mut reader, mut at) = (Reader::default(), 0.0);
        while at < file.size() {
            let piece = files::read(file, at, at + PIECE_BYTES).await?;
            each(Some(reader.take(&piece)?)).await?;
            at += PIECE_BYTES;
        }
        each(None).await?;
        reader.end()
    }

    /// A file never goes into a cluster that lives.
    async fn is_new(self) -> Result<(), String> {
        let any = RangeRequest {
            key: Bytes::from_static(&[0]),
            range_end: Bytes::from_static(&[0]),
            count_only: true,
            ..RangeRequest::default()
        };
        let answer = self.ask(&Request::Range(any)).await?;
        match answer.header().revision {
            1 => Ok(()),
            revision => Err(format!(
                "This cluster is not new: it is at revision {revision}. A file becomes a new \
                 cluster and overwrites none."
            )),
        }
    }

    async fn put(self, pairs: &[Pair]) -> Result<(), String> {
        match self.ask(&Request::Txn(import::txn(pairs))).await? {
            Response::Txn(answer) => import::are_in(pairs, &answer),
            _ => Err("The answer is of another kind than the request.".into()),
        }
    }

    async fn ask(self, request: &Request) -> Result<Response, String> {
        let mut tries = 1;
        loop {
            match self.page.ask(request).await.result {
                Ok(response) => return Ok(response),
                Err(error) if tries < TRIES && may_pass(&error) => {
                    tries += 1;
                    time::sleep(TRY_PAUSE_MS).await;
                }
                Err(error) => return Err(format!("It stopped: {}.", error.text())),
            }
        }
    }
}

fn may_pass(error: &Error) -> bool {
    error.code() == Code::Unavailable
}
