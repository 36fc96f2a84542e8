//! What clients say on a watch stream.

use api::watch::{WatchCreateRequest, WatchRequest, WatchResponse};
use api::{Bytes, Error, Result, limits};

use super::{Behind, Session, Watch, Watchers};
use crate::span::Span;
use crate::store::{Store, header};

/// The id of an answer that is about no watch, or about all of a session.
const NO_WATCH: i64 = -1;

impl Watchers {
    /// Takes what a client says. Answers come from [`Watchers::step`].
    pub fn request(&mut self, store: &Store, session: u64, request: &WatchRequest) -> Result<()> {
        // What happened before belongs to the watches that were there before.
        self.changed(store)?;
        match request {
            WatchRequest::Create(create) => self.create(store, session, create),
            WatchRequest::Cancel(id) => self.cancel(store, session, *id),
            WatchRequest::Progress => self.progress(store, session),
        }
        Ok(())
    }

    fn create(&mut self, store: &Store, session: u64, request: &WatchCreateRequest) {
        let (watch_id, reason) = match self.try_create(store, session, request) {
            Ok(id) => (id, None),
            Err(error) => (NO_WATCH, Some(error.text().to_owned())),
        };
        self.answer(
            store,
            session,
            WatchResponse {
                watch_id,
                created: true,
                canceled: reason.is_some(),
                cancel_reason: reason.unwrap_or_default(),
                ..WatchResponse::default()
            },
        );
    }

    fn try_create(
        &mut self,
        store: &Store,
        session: u64,
        request: &WatchCreateRequest,
    ) -> Result<i64> {
        let span = span(request)?;
        // One session may take all that a member has.
        let full = self.count >= limits::WATCHES_PER_SESSION;
        let state = self.sessions.entry(session).or_default();
        let id = state.free_id(request.watch_id)?;
        if full {
            return Err(Error::TooManyRequests);
        }

        let start = request.start_revision;
        let new = store.revision() + 1;
        let behind = match start {
            // What came before it is still being looked through.
            0 if self.rest.is_some() => Some(Behind::at(new)),
            0 => None,
            start => (start < new || self.rest.is_some()).then(|| Behind::at(start)),
        };
        let key = (session, id);
        match behind {
            None => self.synced.insert(&span, key),
            Some(_) if state.held => {}
            Some(_) => {
                self.behind.insert(key);
            }
        }
        let watch = Watch {
            span,
            start,
            no_put: request.no_put,
            no_delete: request.no_delete,
            prev_kv: request.prev_kv,
            fragment: request.fragment,
            progress_notify: request.progress_notify,
            quiet: true,
            behind,
        };
        state.watches.insert(id, watch);
        self.count += 1;
        Ok(id)
    }

    fn cancel(&mut self, store: &Store, session: u64, watch_id: i64) {
        if self.remove((session, watch_id)).is_some() {
            let canceled = WatchResponse { watch_id, canceled: true, ..WatchResponse::default() };
            self.answer(store, session, canceled);
        }
    }

    /// Answers only if the whole session is told everything up to the store's revision, and
    /// no watch of it begins later.
    fn progress(&mut self, store: &Store, session: u64) {
        let Some(state) = self.sessions.get(&session) else { return };
        let done = |watch: &Watch| watch.behind.is_none() && watch.start <= store.revision();
        if self.rest.is_none() && !state.watches.is_empty() && state.watches.values().all(done) {
            let progress = WatchResponse { watch_id: NO_WATCH, ..WatchResponse::default() };
            self.answer(store, session, progress);
        }
    }

    fn answer(&mut self, store: &Store, session: u64, response: WatchResponse) {
        let header = header(store.revision());
        self.out.push_back((session, WatchResponse { header, ..response }));
    }
}

impl Session {
    /// The id for a new watch: the one asked for, or the next free one from 0 on.
    fn free_id(&mut self, asked: i64) -> Result<i64> {
        if asked != 0 {
            return match self.watches.contains_key(&asked) {
                true => Err(Error::WatchDuplicateId),
                false => Ok(asked),
            };
        }
        while self.watches.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Ok(self.next_id - 1)
    }
}

/// The keys to watch. No key at all means the smallest one there can be, `\0`.
///
/// To etcd a revision below zero is one that was compacted.
fn span(request: &WatchCreateRequest) -> Result<Span> {
    if request.start_revision < 0 {
        return Err(Error::Compacted);
    }
    let smallest = Bytes::from_static(&[0]);
    let key = if request.key.is_empty() { &smallest } else { &request.key };
    let span = Span::new(key, &request.range_end);
    if span.is_empty() { Err(Error::WatchEmptyRange) } else { Ok(span) }
}
