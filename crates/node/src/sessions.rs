//! Clients: who asked, and how an answer gets back.

use api::frame::encode_body;
use api::session::ServerMessage;
use api::{Error, limits};
use litemap::LiteMap;

use crate::backlog::{Backlog, server};
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
    numbers: LiteMap<(Origin, u64), u64>,
    origins: LiteMap<u64, (Origin, u64)>,
    last: u64,
    backlog: Backlog,
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
        self.backlog.end(origin, session);
        Some(number)
    }

    /// The link is gone, and with it its sessions.
    pub(crate) fn end_link(&mut self, link: LinkId) -> Vec<u64> {
        self.backlog.end_link(link);
        let gone: Vec<u64> = self.of_link(link).map(|(session, _)| session).collect();
        gone.iter().filter_map(|&session| self.end(Origin::Link(link), session)).collect()
    }

    /// The sessions of a link, each with its number.
    fn of_link(&self, link: LinkId) -> impl Iterator<Item = (u64, u64)> {
        let of = move |origin: Origin| origin == Origin::Link(link);
        let sessions = self.numbers.iter().filter(move |((origin, _), _)| of(*origin));
        sessions.map(|((_, session), number)| (*session, *number))
    }

    /// The link has become full, or has room again. The numbers of its sessions.
    pub(crate) fn hold(&mut self, link: LinkId, full: bool) -> Vec<u64> {
        self.backlog.hold(link, full);
        self.of_link(link).map(|(_, number)| number).collect()
    }

    /// Whether clients there get nothing large for now.
    pub(crate) fn is_held(&self, origin: Origin) -> bool {
        self.backlog.is_held(origin)
    }

    /// Whether clients there may be given what they have read.
    pub(crate) fn takes(&self, origin: Origin) -> bool {
        self.backlog.takes(origin)
    }

    /// Whether something waits for the next turn alone.
    pub(crate) fn is_due(&self) -> bool {
        self.backlog.is_due()
    }

    /// A new turn: what had to wait for it.
    pub(crate) fn release(&mut self) -> Vec<Output> {
        self.backlog.release()
    }

    /// Where the client of a session is. Nothing if the session is over.
    pub(crate) fn origin(&self, number: u64) -> Option<Origin> {
        self.origins.get(&number).map(|(origin, _)| *origin)
    }

    /// The way of a message to a session. Nothing if it is over.
    pub(crate) fn deliver(&mut self, number: u64, message: &ServerMessage) -> Vec<Output> {
        let Some(&(origin, session)) = self.origins.get(&number) else { return Vec::new() };
        let mut body = encode_body(message);
        if let Some(error) = self.refuses(origin, message, body.len()) {
            body = encode_body(&instead_of(message, error));
        }
        self.backlog.send(origin, session, body)
    }

    /// Why a message does not go: no link carries it, or this one takes nothing large now. Reads
    /// and watches have waited for room; an answer that does not fit then is that of a write.
    fn refuses(&self, origin: Origin, message: &ServerMessage, bytes: usize) -> Option<Error> {
        if origin == Origin::Host {
            return None;
        }
        if bytes > limits::ANSWER_BYTES {
            return Some(Error::Invalid(format!(
                "kvorum: the answer has {bytes} bytes, and a link carries at most {}; read it in \
                 parts, with a limit",
                limits::ANSWER_BYTES
            )));
        }
        let answer = matches!(message, ServerMessage::Response { .. });
        (answer && bytes > limits::PIECE_BYTES && !self.takes(origin)).then(|| {
            Error::Unavailable(format!(
                "kvorum: done, but its answer of {bytes} bytes found no room on the way back; ask \
                 for less at once"
            ))
        })
    }
}

/// The way of a message to a client that has no number.
pub(crate) fn deliver_to(origin: Origin, session: u64, message: &ServerMessage) -> Vec<Output> {
    let body = encode_body(message);
    vec![match origin {
        Origin::Host => Output::Reply { session, body },
        Origin::Link(link) => Output::Send { link, frame: server(session, &body) },
    }]
}

/// What is said instead of an answer that does not go.
fn instead_of(message: &ServerMessage, error: Error) -> ServerMessage {
    match message {
        ServerMessage::Response { id, .. } => {
            ServerMessage::Response { id: *id, result: Err(error) }
        }
        ServerMessage::Watch(_) | ServerMessage::Lost(_) => ServerMessage::Lost(error),
    }
}
