//! Links, between a task that serves many of them (the relay's, the node's) and whoever carries
//! one: a socket, a console.
//!
//! ```text
//!  carrier: Link ──LinkEvent──► inbox ─┐           ┌──► Queue ──Outgoing──► carrier: Link
//!                                      ├─► one task┤
//!  carrier: Link ──LinkEvent──► inbox ─┘           └──► Queue ──Outgoing──► carrier: Link
//! ```
//!
//! The way in is short and makes its senders wait. The way out never makes the task wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::Bytes;
use tokio::sync::mpsc;

use super::queue::{Outgoing, Queue, Queued, Taken, queue};

/// What a task hears of a link after it is up.
pub(crate) enum LinkEvent {
    /// A frame came in, unchecked.
    Frame { link: u64, bytes: Bytes },
    /// It was full, and seems to have room again: see [`Queue::has_room`].
    Room { link: u64 },
    /// Nobody carries it any more.
    Down { link: u64 },
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
    full_bytes: usize,
    next: Arc<AtomicU64>,
}

/// The carrier's end of a link. Dropping it tells the task.
pub(crate) struct Link<E: Event> {
    way_in: LinkSender<E>,
    queued: Queued,
}

/// The half of a link that brings frames to the task.
pub(crate) struct LinkSender<E> {
    link: u64,
    inbox: mpsc::Sender<E>,
}

impl<E: Event> Links<E> {
    /// Links to the task that reads this inbox. A link is full beyond so many bytes.
    pub(crate) fn new(inbox: mpsc::Sender<E>, full_bytes: usize) -> Self {
        Self { inbox, full_bytes, next: Arc::default() }
    }

    /// A new link. `up` makes what the task hears first, of the link's number and queue.
    pub(crate) async fn open(
        &self,
        up: impl FnOnce(u64, Queue) -> E + Send,
    ) -> Result<Link<E>, Ended> {
        let link = self.next.fetch_add(1, Ordering::Relaxed);
        let (queue, queued) = queue(self.full_bytes);
        self.inbox.send(up(link, queue)).await.map_err(|_| Ended)?;
        Ok(Link { way_in: LinkSender { link, inbox: self.inbox.clone() }, queued })
    }
}

impl<E: Event> Link<E> {
    /// The way in, for those who must not borrow the link for it.
    pub(crate) fn sender(&self) -> LinkSender<E> {
        self.way_in.clone()
    }

    /// What to write next; none when the task has let go of the link.
    pub(crate) async fn next(&mut self) -> Option<Outgoing> {
        let taken = self.queued.next().await?;
        Some(self.pass_on(taken))
    }

    /// What to write next, if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Outgoing> {
        let taken = self.queued.try_next()?;
        Some(self.pass_on(taken))
    }

    fn pass_on(&self, Taken { next, room }: Taken) -> Outgoing {
        if room {
            self.way_in.tell(LinkEvent::Room { link: self.way_in.link });
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

    /// Tells the task something where nobody may wait for it.
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

impl<E: Event> Drop for Link<E> {
    fn drop(&mut self) {
        self.way_in.tell(LinkEvent::Down { link: self.way_in.link });
    }
}

// Of the handles only: an event need not be cloned.
impl<E> Clone for Links<E> {
    fn clone(&self) -> Self {
        let Self { inbox, full_bytes, next } = self;
        Self { inbox: inbox.clone(), full_bytes: *full_bytes, next: next.clone() }
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

    #[tokio::test]
    async fn a_busy_task_hears_of_room_and_of_the_end_as_well() {
        let (inbox, mut events) = mpsc::channel(1);
        let (links, mut queue) = (Links::new(inbox, 2), None);
        let link = links.open(|_, made| {
            queue = Some(made);
            Heard(None)
        });
        let mut link = link.await.expect("the task is there");
        events.recv().await.expect("the link is up");
        let queue = queue.expect("made with the link");

        link.sender().send(Bytes::from_static(b"x")).await.expect("there is room");
        queue.send(Bytes::from_static(b"xyz"));
        link.next().await.expect("a frame");
        drop(link);
        let mut heard = async || events.recv().await.and_then(|heard| heard.0);
        assert!(matches!(heard().await, Some(LinkEvent::Frame { .. })));
        assert!(matches!(heard().await, Some(LinkEvent::Room { link: 0 })));
        assert!(matches!(heard().await, Some(LinkEvent::Down { link: 0 })));
    }
}
