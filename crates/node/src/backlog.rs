//! Answers on their way out: what is large leaves in pieces, as the host takes them and as there
//! is room on its link. So what members say to each other never waits behind it for long, and
//! one answer for each link, beside what its watches are told in a step, is all that takes memory.
//!
//! ```text
//!  answer ──► pieces ──► one a turn, while the link is not full ──► host
//!  small answer of another session ────────────────────────────────►
//! ```

use litemap::LiteMap;
use std::collections::VecDeque;

use api::frame::Frame;
use api::limits::PIECE_BYTES;

use crate::config::LinkId;
use crate::node::Output;
use crate::sessions::Origin;

/// Bytes that the clients of one origin are given in a turn before they have to wait for the
/// next.
const TURN_BYTES: usize = PIECE_BYTES;

/// What waits, and for what.
#[derive(Default)]
pub(crate) struct Backlog {
    /// Links that take nothing large for now.
    full: LiteMap<LinkId, ()>,
    /// Bytes given out in this turn.
    given: LiteMap<Origin, usize>,
    /// Frames that wait, each with its session. Invariant: none without a frame.
    waiting: LiteMap<LinkId, VecDeque<(u64, Vec<u8>)>>,
}

impl Backlog {
    /// The link has become full, or has room again.
    pub(crate) fn hold(&mut self, link: LinkId, full: bool) {
        match full {
            true => self.full.insert(link, ()),
            false => self.full.remove(&link),
        };
    }

    /// Clients there get nothing large for now.
    pub(crate) fn is_held(&self, origin: Origin) -> bool {
        matches!(origin, Origin::Link(link) if self.full.contains_key(&link))
    }

    /// Whether something waits for the next turn alone.
    pub(crate) fn is_due(&self) -> bool {
        self.waiting.keys().any(|link| !self.full.contains_key(link))
    }

    /// Clients there may be given one more answer, of any size.
    pub(crate) fn takes(&self, origin: Origin) -> bool {
        let waits = matches!(origin, Origin::Link(link) if self.waiting.contains_key(&link));
        let given = self.given.get(&origin).copied().unwrap_or(0);
        !self.is_held(origin) && !waits && given < TURN_BYTES
    }

    /// Takes in a message; gives what of it leaves at once.
    pub(crate) fn send(&mut self, origin: Origin, session: u64, body: Vec<u8>) -> Vec<Output> {
        let Origin::Link(link) = origin else {
            self.give(origin, body.len());
            return vec![Output::Reply { session, body }];
        };
        let waits = self.waiting.get(&link);
        let follows = waits.is_some_and(|waits| waits.iter().any(|(other, _)| *other == session));
        if body.len() <= PIECE_BYTES && !follows {
            self.give(origin, body.len());
            return vec![Output::Send { link, frame: server(session, &body) }];
        }
        let frames = frames(session, &body).map(|frame| (session, frame));
        self.waiting.entry(link).or_default().extend(frames);
        self.release_some(link)
    }

    /// A new turn: the host has taken what it was given. Gives what leaves now.
    pub(crate) fn release(&mut self) -> Vec<Output> {
        self.given.clear();
        let links: Vec<LinkId> = self.waiting.keys().copied().collect();
        links.into_iter().flat_map(|link| self.release_some(link)).collect()
    }

    fn release_some(&mut self, link: LinkId) -> Vec<Output> {
        let mut out = Vec::new();
        while !self.full.contains_key(&link)
            && self.given.get(&Origin::Link(link)).is_none_or(|given| *given < TURN_BYTES)
            && let Some(frame) = self.next(link)
        {
            self.give(Origin::Link(link), frame.len());
            out.push(Output::Send { link, frame });
        }
        out
    }

    fn next(&mut self, link: LinkId) -> Option<Vec<u8>> {
        let waits = self.waiting.get_mut(&link)?;
        let next = waits.pop_front();
        if waits.is_empty() {
            self.waiting.remove(&link);
        }
        next.map(|(_, frame)| frame)
    }

    fn give(&mut self, origin: Origin, bytes: usize) {
        *self.given.entry(origin).or_default() += bytes;
    }

    /// A session is over.
    pub(crate) fn end(&mut self, origin: Origin, session: u64) {
        let Origin::Link(link) = origin else { return };
        let Some(waits) = self.waiting.get_mut(&link) else { return };
        waits.retain(|(other, _)| *other != session);
        if waits.is_empty() {
            self.waiting.remove(&link);
        }
    }

    /// A link is gone.
    pub(crate) fn end_link(&mut self, link: LinkId) {
        self.full.remove(&link);
        self.waiting.remove(&link);
    }
}

/// A message in one frame.
pub(crate) fn server(session: u64, body: &[u8]) -> Vec<u8> {
    Frame::Server { session, body }.encode()
}

/// A message in as many frames as it takes.
fn frames(session: u64, body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let (count, whole) = (body.len().div_ceil(PIECE_BYTES), body.len() <= PIECE_BYTES);
    body.chunks(PIECE_BYTES).enumerate().map(move |(at, piece)| match whole {
        true => server(session, piece),
        false => Frame::Piece { session, last: at + 1 == count, body: piece }.encode(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Origin = Origin::Link(7);

    /// What outputs bring: session, bytes of its message, and whether it is complete.
    fn show(outputs: &[Output]) -> Vec<(u64, usize, bool)> {
        let frame = |output: &Output| match output {
            Output::Send { link: 7, frame } => match Frame::decode(frame) {
                Ok(Frame::Server { session, body }) => (session, body.len(), true),
                Ok(Frame::Piece { session, last, body }) => (session, body.len(), last),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        outputs.iter().map(frame).collect()
    }

    #[test]
    fn a_large_answer_leaves_piece_by_piece() {
        let mut backlog = Backlog::default();
        let out = backlog.send(LINK, 1, vec![0; 2 * PIECE_BYTES + 5]);
        assert_eq!(show(&out), [(1, PIECE_BYTES, false)]);
        assert!(!backlog.takes(LINK) && backlog.takes(Origin::Link(8)));
        // Another session's overtakes it, its own does not.
        assert_eq!(show(&backlog.send(LINK, 2, vec![0; 3])), [(2, 3, true)]);
        assert_eq!(show(&backlog.send(LINK, 1, vec![0; 4])), []);
        assert_eq!(show(&backlog.release()), [(1, PIECE_BYTES, false)]);
        assert_eq!(show(&backlog.release()), [(1, 5, true), (1, 4, true)]);
        assert!(backlog.release().is_empty() && backlog.takes(LINK));
    }

    #[test]
    fn a_full_link_is_left_alone() {
        let mut backlog = Backlog::default();
        backlog.hold(7, true);
        assert_eq!(show(&backlog.send(LINK, 1, vec![0; PIECE_BYTES + 1])), []);
        assert_eq!(show(&backlog.send(LINK, 2, vec![0; PIECE_BYTES])), [(2, PIECE_BYTES, true)]);
        assert!(backlog.release().is_empty() && !backlog.takes(LINK));
        backlog.hold(7, false);
        assert_eq!(show(&backlog.release()), [(1, PIECE_BYTES, false)]);
        backlog.end(LINK, 1);
        assert!(backlog.release().is_empty() && backlog.takes(LINK));
    }

    #[test]
    fn a_turn_gives_so_much_and_no_more() {
        let mut backlog = Backlog::default();
        for origin in [LINK, Origin::Host] {
            backlog.send(origin, 1, vec![0; TURN_BYTES - 1]);
            assert!(backlog.takes(origin));
            backlog.send(origin, 2, vec![0; 1]);
            assert!(!backlog.takes(origin));
        }
        backlog.release();
        assert!(backlog.takes(LINK) && backlog.takes(Origin::Host));
    }
}
