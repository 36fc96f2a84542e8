//! Links, between a task that serves many of them (the relay's, the node's) and whoever carries
//! one: a socket, a console.
//!
//! ```text
//!  carrier: Link ──LinkEvent──► inbox ─┐
//!  carrier: Link ──LinkEvent──► inbox ─┴─► one task ──► Queue ──Outgoing──► carrier: Link
//!                                                 └───► Queue ──Outgoing──► carrier: Link
//! ```
//!
//! The way in is short and makes its senders wait. The way out never makes the task wait: what
//! it says queues up, and a link that holds too much is closed as slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use api::frame::{CloseCode, Frame};
use api::{Bytes, limits};
use tokio::sync::mpsc;

/// What a task hears of a link after it is up.
pub(crate) enum LinkEvent {
    /// A frame came in, unchecked.
    Frame { link: u64, bytes: Bytes },
    /// Nobody carries it any more.
    Down { link: u64 },
}

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

/// What the inbox of such a task holds.
pub(crate) trait Event: From<LinkEvent> + Send + 'static {}

impl<E: From<LinkEvent> + Send + 'static> Event for E {}

/// The task is gone: the process is ending.
#[derive(Debug)]
pub(crate) struct Ended;

/// Opens links to a task.
pub(crate) struct Links<E> {
    inbox: mpsc::Sender<E>,
    next: Arc<AtomicU64>,
}

/// The carrier's end of a link. Dropping it tells the task.
pub(crate) struct Link<E: Event> {
    way_in: LinkSender<E>,
    queue: mpsc::UnboundedReceiver<Outgoing>,
    waiting: Arc<AtomicUsize>,
}

/// The half of a link that brings frames to the task.
pub(crate) struct LinkSender<E> {
    link: u64,
    inbox: mpsc::Sender<E>,
}

/// The task's end of a link. Dropping it ends the link without a word.
pub(crate) struct Queue {
    queue: mpsc::UnboundedSender<Outgoing>,
    /// Bytes of frames that are queued and not written.
    waiting: Arc<AtomicUsize>,
}

impl<E: Event> Links<E> {
    /// Links to the task that reads this inbox.
    pub(crate) fn new(inbox: mpsc::Sender<E>) -> Self {
        Self { inbox, next: Arc::default() }
    }

    /// A new link. `up` makes what the task hears first, of the link's number and queue.
    pub(crate) async fn open(
        &self,
        up: impl FnOnce(u64, Queue) -> E + Send,
    ) -> Result<Link<E>, Ended> {
        let link = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, queue) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let up = up(link, Queue { queue: sender, waiting: waiting.clone() });
        self.inbox.send(up).await.map_err(|_| Ended)?;
        let way_in = LinkSender { link, inbox: self.inbox.clone() };
        Ok(Link { way_in, queue, waiting })
    }
}

impl<E: Event> Link<E> {
    /// The way in, for those who must not borrow the link for it.
    pub(crate) fn sender(&self) -> LinkSender<E> {
        self.way_in.clone()
    }

    /// What to write next; none when the task has let go of the link.
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

impl<E: Event> LinkSender<E> {
    /// Hands a frame to the task, unchecked.
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), Ended> {
        let frame = LinkEvent::Frame { link: self.link, bytes };
        self.inbox.send(frame.into()).await.map_err(|_| Ended)
    }

    /// Tells the task something when nobody is there to wait for it.
    fn tell(&self, event: LinkEvent) {
        let full = self.inbox.try_send(event.into());
        if let Err(mpsc::error::TrySendError::Full(event)) = full {
            let inbox = self.inbox.clone();
            tokio::spawn(async move {
                let _ = inbox.send(event).await;
            });
        }
    }
}

impl Queue {
    /// Queues a frame. False if the link is slow: the task closes it.
    pub(crate) fn send(&self, frame: Bytes) -> bool {
        let size = frame.len();
        let waiting = self.waiting.fetch_add(size, Ordering::Relaxed) + size;
        // A link that has ended tells so by itself.
        let _ = self.queue.send(Outgoing::Frame(frame));
        waiting <= limits::LINK_QUEUE_BYTES
    }

    /// The last, after what was queued before.
    pub(crate) fn close(self, code: CloseCode, reason: String) {
        let _ = self.queue.send(Outgoing::Close { code, reason });
    }

    /// As [`close`](Self::close), and says why by a frame as well: a close frame may be too
    /// short for it.
    pub(crate) fn refuse(self, code: CloseCode, reason: String) {
        self.send(Frame::Refused { code, reason: reason.clone() }.encode().into());
        self.close(code, reason);
    }
}

impl<E: Event> Drop for Link<E> {
    fn drop(&mut self) {
        self.way_in.tell(LinkEvent::Down { link: self.way_in.link });
    }
}

// Of the handles only: an event need not be cloned.
impl<E> Clone for Links<E> {
    fn clone(&self) -> Self {
        Self { inbox: self.inbox.clone(), next: self.next.clone() }
    }
}

impl<E> Clone for LinkSender<E> {
    fn clone(&self) -> Self {
        Self { link: self.link, inbox: self.inbox.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Heard(Option<LinkEvent>);

    impl From<LinkEvent> for Heard {
        fn from(event: LinkEvent) -> Self {
            Self(Some(event))
        }
    }

    /// A link, what its task hears, and its queue.
    async fn open() -> (Link<Heard>, mpsc::Receiver<Heard>, Queue) {
        let (inbox, mut events) = mpsc::channel(1);
        let (links, mut queue) = (Links::new(inbox), None);
        let link = links.open(|_, made| {
            queue = Some(made);
            Heard(None)
        });
        let link = link.await.expect("the task is there");
        events.recv().await.expect("the link is up");
        (link, events, queue.expect("made with the link"))
    }

    #[tokio::test]
    async fn a_link_that_holds_too_much_is_slow() {
        let (mut link, _events, queue) = open().await;
        let half = Bytes::from(vec![0; limits::LINK_QUEUE_BYTES / 2]);
        assert!(queue.send(half.clone()) && queue.send(half.clone()));
        assert!(!queue.send(Bytes::from_static(b"x")));
        // What is written waits no more.
        assert!(matches!(link.next().await, Some(Outgoing::Frame(frame)) if frame == half));
        assert!(queue.send(Bytes::from_static(b"y")));
    }

    #[tokio::test]
    async fn the_last_words_come_last() {
        let (mut link, _events, queue) = open().await;
        queue.send(Bytes::from_static(b"x"));
        queue.refuse(CloseCode::Malformed, "why".into());
        assert!(matches!(link.next().await, Some(Outgoing::Frame(frame)) if frame == "x"));
        let Some(Outgoing::Frame(frame)) = link.try_next() else { panic!("a frame") };
        assert!(matches!(Frame::decode(&frame), Ok(Frame::Refused { .. })));
        assert!(matches!(link.try_next(), Some(Outgoing::Close { .. })));
        assert!(link.next().await.is_none());
    }

    #[tokio::test]
    async fn a_busy_task_hears_of_the_end_as_well() {
        let (link, mut events, _queue) = open().await;
        link.sender().send(Bytes::from_static(b"x")).await.expect("there is room");
        drop(link);
        let mut heard = async || events.recv().await.and_then(|heard| heard.0);
        assert!(matches!(heard().await, Some(LinkEvent::Frame { .. })));
        assert!(matches!(heard().await, Some(LinkEvent::Down { link: 0 })));
    }
}
