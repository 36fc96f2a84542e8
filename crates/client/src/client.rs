//! The client: one link, the session on it, and who waits for what.

use std::collections::{BTreeMap, VecDeque};

use api::frame::{decode_body, encode_body};
use api::session::{ClientMessage, Request, Response, ServerMessage};
use api::watch::{WatchCreateRequest, WatchRequest, WatchResponse};
use api::{Error, limits};

use crate::call::{Calls, is_read};
use crate::io::{CallId, Input, Output, Patience, StreamId, WatchId};
use crate::stream::{Streams, unreadable};
use crate::watch::{Heard, Watches, canceled};
use crate::{MESSAGE_BYTES, PAUSE_MAX, PAUSE_MIN, STREAMS, WATCHES};

/// Everything that callers do over one link.
pub struct Client {
    up: bool,
    /// The highest session number used.
    last_session: u64,
    /// The session of calls and watches.
    session: Option<Session>,
    /// How many sessions in a row were lost before any answer.
    losses: u32,
    /// No new session before this.
    pause_until: Option<u64>,
    trouble: Option<Error>,
    calls: Calls,
    watches: Watches,
    streams: Streams,
    /// Answers of which some pieces have come, by session.
    pieces: BTreeMap<u64, Vec<u8>>,
    out: VecDeque<Output>,
}

struct Session {
    number: u64,
    /// A member has said something in it.
    alive: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A client whose link is down.
    pub fn new() -> Self {
        Self {
            up: false,
            last_session: 0,
            session: None,
            losses: 0,
            pause_until: None,
            trouble: Some(Error::Unavailable("not connected yet".into())),
            calls: Calls::default(),
            watches: Watches::default(),
            streams: Streams::default(),
            pieces: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// Takes what happened on the link.
    pub fn handle(&mut self, now: u64, input: Input<'_>) {
        match input {
            Input::Up => self.link_up(now),
            Input::Down { reason } => {
                self.pieces.clear();
                self.link_down(now, reason);
            }
            Input::Leave { reason } => {
                self.pieces.clear();
                self.leave(now, reason);
            }
            Input::Message { session, body } => {
                // Whatever was under way in the session is over, also if it never ended.
                self.pieces.remove(&session);
                self.message(now, session, body);
            }
            Input::Piece { session, last, body } => self.piece(now, session, last, body),
            Input::Wake => {}
        }
        self.expire(now);
        self.flush(now);
    }

    /// Asks for something; its [`Output::Answer`] comes within `patience`.
    pub fn call(&mut self, now: u64, request: &Request, patience: Patience) -> CallId {
        let call = self.calls.next_id();
        if self.calls.is_full() {
            self.fail(call, Error::TooManyRequests);
            return call;
        }
        let message = ClientMessage::Request { id: call.0, request: request.clone() };
        let body = encode_body(&message);
        if body.len() > MESSAGE_BYTES {
            self.fail(call, Error::RequestTooLarge);
            return call;
        }
        self.calls.start(now, call, body, is_read(request), patience);
        // Somebody new asks: whether a member is there may be tried at once.
        self.pause_until = None;
        if !self.up && self.calls.wait(now, call) {
            self.calls.end(call);
            self.fail(call, self.why());
        }
        self.flush(now);
        call
    }

    /// The caller is gone: no answer will come. What was sent may happen all the same.
    pub fn abandon(&mut self, call: CallId) {
        self.calls.end(call);
        self.out.retain(|out| !matches!(out, Output::Answer { call: c, .. } if *c == call));
    }

    /// Starts a watch that goes on over losses without a gap or a doubled event. The client
    /// chooses its own `watch_id`.
    pub fn watch(&mut self, now: u64, create: WatchCreateRequest) -> WatchId {
        let watch = self.watches.next_id();
        let error = if self.watches.len() >= WATCHES {
            Error::TooManyRequests
        } else if create.key.len() + create.range_end.len() > MESSAGE_BYTES / 2 {
            Error::RequestTooLarge
        } else {
            self.watches.start(watch, create);
            self.flush(now);
            return watch;
        };
        self.out.push_back(Output::Watch { watch, response: canceled(watch, error.text()) });
        watch
    }

    /// Ends a watch; nothing more comes of it.
    pub fn unwatch(&mut self, watch: WatchId) {
        if self.watches.end(watch) {
            self.cancel(watch);
        }
        self.out.retain(|out| !matches!(out, Output::Watch { watch: w, .. } if *w == watch));
    }

    /// Opens a raw watch stream, on a session of its own. Without a link it ends at once.
    pub fn open(&mut self) -> StreamId {
        let stream = StreamId(self.next_session());
        let error = if self.streams.len() >= STREAMS {
            Error::TooManyRequests
        } else if !self.up {
            self.why()
        } else {
            self.streams.start(stream);
            return stream;
        };
        self.out.push_back(Output::Stream { stream, result: Err(error) });
        stream
    }

    /// Says something on a raw stream. One that has ended ignores it.
    pub fn say(&mut self, stream: StreamId, request: WatchRequest) {
        let Some(asking) = self.streams.get(stream) else { return };
        let body = encode_body(&ClientMessage::Watch(asking.ask(request)));
        if body.len() > MESSAGE_BYTES {
            return self.end_stream(stream, Error::RequestTooLarge);
        }
        self.out.push_back(Output::Send { session: stream.0, body });
    }

    /// Ends a raw stream; nothing more comes of it.
    pub fn close(&mut self, stream: StreamId) {
        if self.streams.end(stream) {
            self.send(stream.0, &ClientMessage::End);
        }
        self.out.retain(|out| !matches!(out, Output::Stream { stream: s, .. } if *s == stream));
    }

    /// The next thing to do, until there is none.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to say [`Input::Wake`], unless something else comes before.
    #[must_use]
    pub fn wake_at(&self) -> Option<u64> {
        let pause = self.pause_until.filter(|_| self.up && self.has_unsent());
        [self.calls.wake_at(), pause].into_iter().flatten().min()
    }

    /// Why calls fail now: no link, or no member behind it.
    #[must_use]
    pub fn trouble(&self) -> Option<&Error> {
        self.trouble.as_ref()
    }

    fn link_up(&mut self, now: u64) {
        if self.up {
            self.link_down(now, "the connection was replaced by a new one");
        }
        self.up = true;
        self.trouble = None;
    }

    fn link_down(&mut self, now: u64, reason: &str) {
        self.up = false;
        self.session = None;
        self.losses = 0;
        self.pause_until = None;
        let error = Error::Unavailable(reason.to_owned());
        self.trouble = Some(error.clone());
        // What is queued for the old link must not go over the next one.
        self.out.retain(|out| !matches!(out, Output::Send { .. }));
        for stream in self.streams.end_all() {
            self.out.push_back(Output::Stream { stream, result: Err(error.clone()) });
        }
        self.watches.lost();
        for call in self.calls.lost(now, false) {
            self.fail(call, error.clone());
        }
    }

    fn leave(&mut self, now: u64, reason: &str) {
        let session = self.session.as_ref().map(|session| session.number);
        let open: Vec<u64> = session.into_iter().chain(self.streams.numbers()).collect();
        self.link_down(now, reason);
        for session in open {
            self.send(session, &ClientMessage::End);
        }
    }

    fn message(&mut self, now: u64, session: u64, body: &[u8]) {
        if self.session.as_ref().is_some_and(|s| s.number == session) {
            match decode_body(body) {
                Ok(ServerMessage::Response { id, result }) => self.answer(CallId(id), result),
                Ok(ServerMessage::Watch(response)) => self.news(response),
                Ok(ServerMessage::Lost(error)) => self.lost(now, error),
                Err(error) => self.lost(now, unreadable(&error.to_string())),
            }
            return;
        }
        let stream = StreamId(session);
        match self.streams.get(stream).map(|hearing| hearing.hear(body)) {
            Some(Ok(Some(response))) => {
                self.out.push_back(Output::Stream { stream, result: Ok(response) });
            }
            Some(Err(error)) => self.end_stream(stream, error),
            Some(Ok(None)) | None => {}
        }
    }

    /// A part of a message has come.
    fn piece(&mut self, now: u64, session: u64, last: bool, body: &[u8]) {
        let known = self.session.as_ref().is_some_and(|s| s.number == session);
        if !known && !self.streams.has(StreamId(session)) {
            return;
        }
        let whole = self.pieces.entry(session).or_default();
        if whole.len() + body.len() > limits::ANSWER_BYTES {
            // No member sends this: what can be made of it is unreadable.
            whole.clear();
        }
        whole.extend_from_slice(body);
        if last && let Some(whole) = self.pieces.remove(&session) {
            self.message(now, session, &whole);
        }
    }

    /// A member has said something in the session.
    fn alive(&mut self) {
        if let Some(session) = self.session.as_mut().filter(|session| !session.alive) {
            session.alive = true;
            self.losses = 0;
            self.trouble = None;
            self.calls.found();
        }
    }

    fn answer(&mut self, call: CallId, result: Result<Response, Error>) {
        self.alive();
        if self.calls.end(call) {
            self.out.push_back(Output::Answer { call, result });
        }
    }

    fn news(&mut self, response: WatchResponse) {
        self.alive();
        match self.watches.hear(response) {
            Heard::Nothing => {}
            Heard::Tell(watch, response) => self.out.push_back(Output::Watch { watch, response }),
            Heard::GiveUp(watch, response) => {
                self.cancel(watch);
                self.out.push_back(Output::Watch { watch, response });
            }
        }
    }

    /// The member is gone, or there was none.
    fn lost(&mut self, now: u64, error: Error) {
        let Some(session) = self.session.take() else { return };
        // What crossed the news on its way has opened the session again at another member.
        self.send(session.number, &ClientMessage::End);
        self.losses = if session.alive { 0 } else { self.losses.saturating_add(1) };
        // After one that answered, and after one that may have gone as it was opened, another
        // member may be there at once.
        let again = self.losses <= 1;
        self.trouble = Some(error.clone());
        self.watches.lost();
        for call in self.calls.lost(now, again) {
            self.fail(call, error.clone());
        }
        self.pause_until = (!again).then(|| now.saturating_add(pause(self.losses)));
    }

    fn expire(&mut self, now: u64) {
        for (call, error) in self.calls.expire(now, self.trouble.as_ref()) {
            self.fail(call, error);
        }
    }

    /// Sends what waits, if there is a link and no pause.
    fn flush(&mut self, now: u64) {
        if !self.up || self.pause_until.is_some_and(|until| now < until) || !self.has_unsent() {
            return;
        }
        self.pause_until = None;
        let session = match &self.session {
            Some(session) => session.number,
            None => {
                let number = self.next_session();
                self.session = Some(Session { number, alive: false });
                number
            }
        };
        while let Some(create) = self.watches.create_next() {
            self.send(session, &ClientMessage::Watch(create));
        }
        while let Some(body) = self.calls.send_next() {
            self.out.push_back(Output::Send { session, body });
        }
    }

    fn has_unsent(&self) -> bool {
        self.calls.has_unsent() || self.watches.has_pending()
    }

    fn next_session(&mut self) -> u64 {
        self.last_session += 1;
        self.last_session
    }

    fn send(&mut self, session: u64, message: &ClientMessage) {
        self.out.push_back(Output::Send { session, body: encode_body(message) });
    }

    fn cancel(&mut self, watch: WatchId) {
        if let Some(session) = self.session.as_ref().map(|session| session.number) {
            self.send(session, &ClientMessage::Watch(WatchRequest::Cancel(watch.0)));
        }
    }

    fn end_stream(&mut self, stream: StreamId, error: Error) {
        self.streams.end(stream);
        self.send(stream.0, &ClientMessage::End);
        self.out.push_back(Output::Stream { stream, result: Err(error) });
    }

    fn fail(&mut self, call: CallId, error: Error) {
        self.out.push_back(Output::Answer { call, result: Err(error) });
    }

    fn why(&self) -> Error {
        self.trouble.clone().unwrap_or_else(|| Error::Unavailable("not connected".into()))
    }
}

/// The pause after so many sessions in a row that were lost before any answer.
fn pause(losses: u32) -> u64 {
    let doublings = losses.saturating_sub(2).min(10);
    (PAUSE_MIN << doublings).min(PAUSE_MAX)
}
