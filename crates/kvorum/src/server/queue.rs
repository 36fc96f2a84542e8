//! What waits to be written to one link. It never makes the node wait: a link that holds too
//! much is closed as slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::Bytes;
use api::frame::CloseCode;
use tokio::sync::mpsc;

use crate::hub::link::Outgoing;

/// Bytes that wait for one link. A few of the largest bursts that raft has in flight.
const QUEUE_BYTES: usize = 128 * 1024 * 1024;

/// The node's end. Dropping it ends the link.
pub(crate) struct Outbox {
    queue: mpsc::UnboundedSender<Outgoing>,
    waiting: Arc<AtomicUsize>,
}

/// The link's end.
pub(crate) struct Queued {
    queue: mpsc::UnboundedReceiver<Outgoing>,
    waiting: Arc<AtomicUsize>,
}

/// Both ends.
pub(crate) fn queue() -> (Outbox, Queued) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    (Outbox { queue: sender, waiting: waiting.clone() }, Queued { queue: receiver, waiting })
}

impl Outbox {
    /// Queues a frame. False if the link is slow, or gone.
    pub(crate) fn send(&self, frame: Vec<u8>) -> bool {
        let waiting = self.waiting.fetch_add(frame.len(), Ordering::Relaxed) + frame.len();
        let sent = self.queue.send(Outgoing::Frame(Bytes::from(frame)));
        sent.is_ok() && waiting <= QUEUE_BYTES
    }

    /// The last: what was queued before goes first.
    pub(crate) fn close(self, code: CloseCode, reason: String) {
        // A link that has ended needs no close.
        let _ = self.queue.send(Outgoing::Close { code, reason });
    }
}

impl Queued {
    /// What to write next; none when the node has let go of the link.
    pub(crate) async fn next(&mut self) -> Option<Outgoing> {
        let next = self.queue.recv().await?;
        Some(self.taken(next))
    }

    /// What to write next, if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Outgoing> {
        let next = self.queue.try_recv().ok()?;
        Some(self.taken(next))
    }

    fn taken(&self, next: Outgoing) -> Outgoing {
        if let Outgoing::Frame(frame) = &next {
            self.waiting.fetch_sub(frame.len(), Ordering::Relaxed);
        }
        next
    }
}
