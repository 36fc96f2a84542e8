//! Raw watch streams: each a session that is passed through, for clients that resume themselves.
//!
//! Members are always asked for fragments: an answer of very many events would hold one up while it
//! is put into bytes. For clients that did not ask they are put together again here.

use std::collections::{BTreeMap, VecDeque};

use api::error::Error;
use api::frame::decode_body;
use api::limits::ANSWER_BYTES;
use api::session::ServerMessage;
use api::watch::{Event, WatchRequest, WatchResponse};

use crate::io::StreamId;

/// All streams that have not ended. A stream's id is the number of its session.
#[derive(Default)]
pub(crate) struct Streams(BTreeMap<StreamId, Stream>);

/// One stream.
#[derive(Default)]
pub(crate) struct Stream {
    /// Creations without an answer, in order: whether the client takes fragments.
    creating: VecDeque<bool>,
    /// Watches of clients that do not, and the fragments that have come of their next answer.
    whole: BTreeMap<i64, Fragments>,
}

/// What has come of an answer.
#[derive(Default)]
struct Fragments {
    events: Vec<Event>,
    /// On the way here.
    bytes: usize,
}

impl Streams {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn start(&mut self, id: StreamId) {
        self.0.insert(id, Stream::default());
    }

    pub(crate) fn has(&self, id: StreamId) -> bool {
        self.0.contains_key(&id)
    }

    pub(crate) fn get(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.0.get_mut(&id)
    }

    /// It has ended; false if it had before.
    pub(crate) fn end(&mut self, id: StreamId) -> bool {
        self.0.remove(&id).is_some()
    }

    /// The sessions of all streams.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.keys().map(|stream| stream.0)
    }

    /// The link is gone, and all streams with it.
    pub(crate) fn end_all(&mut self) -> impl Iterator<Item = StreamId> + use<> {
        std::mem::take(&mut self.0).into_keys()
    }
}

impl Stream {
    /// What a member is asked for when the client asks for this.
    pub(crate) fn ask(&mut self, mut request: WatchRequest) -> WatchRequest {
        if let WatchRequest::Create(create) = &mut request {
            let fragment = std::mem::replace(&mut create.fragment, true);
            self.creating.push_back(fragment);
        }
        request
    }

    /// What the client hears when a member says this in the stream's session, if that is anything.
    /// Nothing was asked that has a `Response`.
    pub(crate) fn hear(&mut self, body: &[u8]) -> Result<Option<WatchResponse>, Error> {
        match decode_body(body) {
            Ok(ServerMessage::Watch(response)) => self.join(response, body.len()),
            Ok(ServerMessage::Lost(error)) => Err(error),
            Ok(ServerMessage::Response { .. }) => {
                Err(unreadable("an answer that nobody asked for"))
            }
            Err(error) => Err(unreadable(&error.to_string())),
        }
    }

    fn join(
        &mut self,
        mut response: WatchResponse,
        bytes: usize,
    ) -> Result<Option<WatchResponse>, Error> {
        let id = response.watch_id;
        let fragments = response.created.then(|| self.creating.pop_front()).flatten();
        if response.canceled {
            self.whole.remove(&id);
        } else if fragments == Some(false) {
            self.whole.insert(id, Fragments::default());
        }
        let Some(before) = self.whole.get_mut(&id) else { return Ok(Some(response)) };
        before.events.append(&mut response.events);
        before.bytes += bytes;
        if before.bytes > ANSWER_BYTES {
            return Err(Error::Invalid(format!(
                "kvorum: one answer has more than {ANSWER_BYTES} bytes of events; watch with \
                 fragments"
            )));
        }
        if response.fragment {
            return Ok(None);
        }
        response.events = std::mem::take(before).events;
        Ok(Some(response))
    }
}

pub(crate) fn unreadable(what: &str) -> Error {
    Error::Unavailable(format!("the member sent something that makes no sense: {what}"))
}
