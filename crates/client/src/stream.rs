//! Raw watch streams: each a session that is passed through, for clients that resume themselves.

use std::collections::BTreeSet;

use api::error::Error;
use api::frame::decode_body;
use api::session::ServerMessage;
use api::watch::WatchResponse;

use crate::io::StreamId;

/// All streams that have not ended. A stream's id is the number of its session.
#[derive(Default)]
pub(crate) struct Streams(BTreeSet<StreamId>);

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn start(&mut self, id: StreamId) {
        self.0.insert(id);
    }

    pub(crate) fn has(&self, id: StreamId) -> bool {
        self.0.contains(&id)
    }

    /// It has ended; false if it had before.
    pub(crate) fn end(&mut self, id: StreamId) -> bool {
        self.0.remove(&id)
    }

    /// The sessions of all streams.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|stream| stream.0)
    }

    /// The link is gone, and all streams with it.
    pub(crate) fn end_all(&mut self) -> BTreeSet<StreamId> {
        std::mem::take(&mut self.0)
    }
}

/// What a member says in a stream's session. Nothing was asked that has a `Response`.
pub(crate) fn hear(body: &[u8]) -> Result<WatchResponse, Error> {
    match decode_body(body) {
        Ok(ServerMessage::Watch(response)) => Ok(response),
        Ok(ServerMessage::Lost(error)) => Err(error),
        Ok(ServerMessage::Response { .. }) => Err(unreadable("an answer that nobody asked for")),
        Err(error) => Err(unreadable(&error.to_string())),
    }
}

pub(crate) fn unreadable(what: &str) -> Error {
    Error::Unavailable(format!("the member sent something that makes no sense: {what}"))
}
