//! Clients: who asked, and how an answer gets back.

use std::collections::BTreeMap;

use api::frame::{Frame, encode_body};
use api::session::ServerMessage;
use api::{Error, limits};

use crate::config::LinkId;
use crate::node::Output;

/// Where a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// At a port of this member's host.
    Host,
    /// Behind a relay.
    Link(LinkId),
}

/// One request of one session, until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) session: u64,
    pub(crate) id: u64,
}

/// All clients. Inside of the node each has one number, wherever it is.
#[derive(Default)]
pub(crate) struct Sessions {
    numbers: BTreeMap<(Origin, u64), u64>,
    origins: BTreeMap<u64, (Origin, u64)>,
    last: u64,
}

impl Sessions {
    /// The session's number; a new session begins by being named. `None` if there are too many.
    pub(crate) fn number(&mut self, origin: Origin, session: u64) -> Option<u64> {
        if let Some(&number) = self.numbers.get(&(origin, session)) {
            return Some(number);
        }
        if self.numbers.len() >= limits::SESSIONS {
            return None;
        }
        self.last += 1;
        self.numbers.insert((origin, session), self.last);
        self.origins.insert(self.last, (origin, session));
        Some(self.last)
    }

    /// The session is over. Its number, if there was one.
    pub(crate) fn end(&mut self, origin: Origin, session: u64) -> Option<u64> {
        let number = self.numbers.remove(&(origin, session))?;
        self.origins.remove(&number);
        Some(number)
    }

    /// The link is gone, and with it its sessions.
    pub(crate) fn end_link(&mut self, link: LinkId) -> Vec<u64> {
        let gone = (Origin::Link(link), 0)..=(Origin::Link(link), u64::MAX);
        let gone: Vec<u64> = self.numbers.range(gone).map(|((_, session), _)| *session).collect();
        gone.iter().filter_map(|&session| self.end(Origin::Link(link), session)).collect()
    }

    /// The way of a message to a session. Nothing if it is over.
    pub(crate) fn deliver(&self, number: u64, message: &ServerMessage) -> Vec<Output> {
        match self.origins.get(&number) {
            Some(&(origin, session)) => deliver_to(origin, session, message),
            None => Vec::new(),
        }
    }
}

/// The way of a message to a client that has no number.
pub(crate) fn deliver_to(origin: Origin, session: u64, message: &ServerMessage) -> Vec<Output> {
    let body = encode_body(message);
    let link = match origin {
        Origin::Host => return vec![Output::Reply { session, body }],
        Origin::Link(link) => link,
    };
    let send = |frame: Frame<'_>| Output::Send { link, frame: frame.encode() };
    if body.len() <= limits::PIECE_BYTES {
        return vec![send(Frame::Server { session, body: &body })];
    }
    if body.len() > limits::ANSWER_BYTES {
        let body = encode_body(&too_large(message, body.len()));
        return vec![send(Frame::Server { session, body: &body })];
    }
    let pieces = body.chunks(limits::PIECE_BYTES);
    let count = pieces.len();
    pieces
        .enumerate()
        .map(|(at, body)| send(Frame::Piece { session, last: at + 1 == count, body }))
        .collect()
}

/// What is said instead of an answer that no link carries.
fn too_large(message: &ServerMessage, bytes: usize) -> ServerMessage {
    let error = Error::Invalid(format!(
        "kvorum: the answer has {bytes} bytes, and a link carries at most {}; read it in parts, \
         with a limit",
        limits::ANSWER_BYTES
    ));
    match message {
        ServerMessage::Response { id, .. } => {
            ServerMessage::Response { id: *id, result: Err(error) }
        }
        ServerMessage::Watch(_) | ServerMessage::Lost(_) => ServerMessage::Lost(error),
    }
}
