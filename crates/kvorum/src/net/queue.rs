//! What waits to be written to one link. Putting in never waits, so what is in it has marks:
//!
//! ```text
//!  0 ────────── full / 2 ────────── full ────────── LINK_QUEUE_BYTES
//!      has room again   │     who puts in gives     │   slow: the link
//!      (`Taken::room`)  │     less (`Fill::Full`)   │   is to be closed
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::frame::{CloseCode, Frame};
use api::{Bytes, limits};
use tokio::sync::mpsc;

/// What is to be written to a link.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A frame.
    Frame(Bytes),
    /// The last: the link ends.
    Close {
        /// The WebSocket's close code.
        code: CloseCode,
        /// In words.
        reason: String,
    },
}

/// How a queue took a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Nothing to think of.
    Room,
    /// It has become full, and will be told of room.
    Full,
    /// It holds too much.
    Slow,
}

/// The end that is put into. Dropping it ends the link without a word.
pub(crate) struct Queue {
    way_in: mpsc::UnboundedSender<Outgoing>,
    waiting: Waiting,
}

/// The end that is taken from.
pub(super) struct Queued {
    way_out: mpsc::UnboundedReceiver<Outgoing>,
    waiting: Waiting,
}

/// Something from a queue.
pub(super) struct Taken {
    pub(super) next: Outgoing,
    /// Whoever puts in is to be told that there is room.
    pub(super) room: bool,
}

/// What is queued and not written, as both ends know it.
#[derive(Clone)]
struct Waiting(Arc<Mutex<Amount>>);

struct Amount {
    bytes: usize,
    full_bytes: usize,
    /// Who puts in knows that it was more than that, and not yet that it is half of it again.
    full: bool,
    /// That is on its way.
    told: bool,
}

/// Both ends. The queue is full beyond so many bytes.
pub(super) fn queue(full_bytes: usize) -> (Queue, Queued) {
    let (way_in, way_out) = mpsc::unbounded_channel();
    let amount = Amount { bytes: 0, full_bytes, full: false, told: false };
    let waiting = Waiting(Arc::new(Mutex::new(amount)));
    (Queue { way_in, waiting: waiting.clone() }, Queued { way_out, waiting })
}

impl Queue {
    /// Puts in a frame.
    pub(crate) fn send(&self, frame: Bytes) -> Fill {
        let fill = self.waiting.add(frame.len());
        // A link that has ended tells so by itself.
        let _ = self.way_in.send(Outgoing::Frame(frame));
        fill
    }

    /// Whether a queue that was full is so no more. The news of it may be old; then more follows.
    pub(crate) fn has_room(&self) -> bool {
        let mut amount = self.waiting.lock();
        amount.told = false;
        amount.full = amount.full && !amount.is_low();
        !amount.full
    }

    /// The last, after what was put in before.
    pub(crate) fn close(self, code: CloseCode, reason: String) {
        let _ = self.way_in.send(Outgoing::Close { code, reason });
    }

    /// As [`close`](Self::close), and says why by a frame as well: a close frame may be too
    /// short for it.
    pub(crate) fn refuse(self, code: CloseCode, reason: String) {
        self.send(Frame::Refused { code, reason: reason.clone() }.encode().into());
        self.close(code, reason);
    }
}

impl Queued {
    /// The next; none when nobody puts in any more.
    pub(super) async fn next(&mut self) -> Option<Taken> {
        let next = self.way_out.recv().await?;
        Some(self.taken(next))
    }

    /// The next, if it is there already.
    pub(super) fn try_next(&mut self) -> Option<Taken> {
        let next = self.way_out.try_recv().ok()?;
        Some(self.taken(next))
    }

    fn taken(&self, next: Outgoing) -> Taken {
        let room = match &next {
            Outgoing::Frame(frame) => self.waiting.take(frame.len()),
            Outgoing::Close { .. } => false,
        };
        Taken { next, room }
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Amount> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, bytes: usize) -> Fill {
        let mut amount = self.lock();
        amount.bytes += bytes;
        if amount.bytes > limits::LINK_QUEUE_BYTES {
            Fill::Slow
        } else if amount.bytes > amount.full_bytes && !amount.full {
            amount.full = true;
            Fill::Full
        } else {
            Fill::Room
        }
    }

    /// True if there is room, and nobody knows it yet.
    fn take(&self, bytes: usize) -> bool {
        let mut amount = self.lock();
        amount.bytes -= bytes;
        let tell = amount.full && !amount.told && amount.is_low();
        amount.told |= tell;
        tell
    }
}

impl Amount {
    fn is_low(&self) -> bool {
        self.bytes <= self.full_bytes / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: usize = 1000;

    fn bytes(count: usize) -> Bytes {
        vec![0; count].into()
    }

    #[test]
    fn what_holds_too_much_is_slow() {
        let (queue, mut queued) = queue(FULL);
        let half = bytes(limits::LINK_QUEUE_BYTES / 2);
        assert_eq!(queue.send(half.clone()), Fill::Full);
        assert_eq!(queue.send(half.clone()), Fill::Room, "it is known to be full");
        assert_eq!(queue.send(bytes(1)), Fill::Slow);
        // What is written waits no more.
        queued.try_next().expect("a frame");
        assert_eq!(queue.send(bytes(1)), Fill::Room);
    }

    #[test]
    fn what_was_full_tells_when_it_has_room_again() {
        let (queue, mut queued) = queue(FULL);
        let mut room = || queued.try_next().expect("a frame").room;
        assert_eq!(queue.send(bytes(FULL / 2)), Fill::Room);
        assert_eq!(queue.send(bytes(FULL / 2)), Fill::Room, "at the edge");
        assert_eq!(queue.send(bytes(1)), Fill::Full);
        assert!(!room(), "more than half is there");
        assert!(room() && !room(), "told once");

        // What came meanwhile makes it old news.
        assert_eq!(queue.send(bytes(FULL)), Fill::Room, "nobody has looked yet");
        assert!(!queue.has_room());
        assert!(room() && queue.has_room());
        assert_eq!(queue.send(bytes(FULL + 1)), Fill::Full);
    }

    #[test]
    fn the_last_words_come_last() {
        let (queue, mut queued) = queue(FULL);
        queue.send(Bytes::from_static(b"x"));
        queue.refuse(CloseCode::Malformed, "why".into());
        let mut next = || queued.try_next().map(|taken| taken.next);
        assert!(matches!(next(), Some(Outgoing::Frame(frame)) if frame == "x"));
        let Some(Outgoing::Frame(frame)) = next() else { panic!("a frame") };
        assert!(matches!(Frame::decode(&frame), Ok(Frame::Refused { .. })));
        assert!(matches!(next(), Some(Outgoing::Close { .. })) && next().is_none());
    }
}
