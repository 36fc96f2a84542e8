//! The client.

use std::collections::VecDeque;

use api::Error;
use api::session::Request;
use api::watch::{WatchCreateRequest, WatchRequest};

use crate::io::{CallId, Input, Output, Patience, StreamId, WatchId};

/// Everything that callers do over one link.
#[derive(Default)]
pub struct Client {
    out: VecDeque<Output>,
}

impl Client {
    /// A client whose link is down.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what happened on the link.
    pub fn handle(&mut self, _now: u64, _input: Input<'_>) {}

    /// Asks for something; its [`Output::Answer`] comes within `patience`.
    pub fn call(&mut self, _now: u64, _request: &Request, _patience: Patience) -> CallId {
        CallId(0)
    }

    /// The caller is gone: no answer will come.
    pub fn abandon(&mut self, _call: CallId) {}

    /// Starts a watch that goes on over losses without a gap or a doubled event. The client
    /// chooses its own `watch_id`.
    pub fn watch(&mut self, _now: u64, _create: WatchCreateRequest) -> WatchId {
        WatchId(0)
    }

    /// Ends a watch; nothing more comes of it.
    pub fn unwatch(&mut self, _watch: WatchId) {}

    /// Opens a raw watch stream, on a session of its own. Without a link it ends at once.
    pub fn open(&mut self) -> StreamId {
        StreamId(0)
    }

    /// Says something on a raw stream. One that has ended ignores it.
    pub fn say(&mut self, _stream: StreamId, _request: WatchRequest) {}

    /// Ends a raw stream; nothing more comes of it.
    pub fn close(&mut self, _stream: StreamId) {}

    /// The next thing to do, until there is none.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to say [`Input::Wake`], unless something else comes before.
    #[must_use]
    pub fn wake_at(&self) -> Option<u64> {
        None
    }

    /// Why calls fail now: no link, or no member behind it.
    #[must_use]
    pub fn trouble(&self) -> Option<&Error> {
        None
    }
}
