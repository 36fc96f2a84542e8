//! The task that owns the [`Relay`], and the links that others hold to it.
//!
//! ```text
//!  socket ──Frame──┐                      ┌──► outbox ──► socket
//!  socket ──Frame──┼─► one task: Relay ───┼──► outbox ──► socket
//!  console ─Frame──┘        │             └──► outbox ──► console
//!                           ▼ SaveBinding
//!                     bindings.json, then Saved
//! ```
//!
//! The way in is short and makes its senders wait. The way out never makes the relay wait: each
//! link has an outbox, and one that holds too much is closed as slow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use api::frame::CloseCode;
use api::{Bytes, limits};
use relay::{Config, Input, Output, Relay};
use tokio::sync::mpsc;

use super::bindings::Bindings;

/// Frames that wait for the relay before their senders have to wait.
const INBOX_FRAMES: usize = 64;

/// What a link has to write.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// A frame.
    Frame(Bytes),
    /// The last: the link is refused or replaced.
    Close {
        /// The WebSocket's close code.
        code: CloseCode,
        /// In words.
        reason: String,
    },
}

/// Opens links to the relay.
#[derive(Clone)]
pub(crate) struct Links {
    inbox: mpsc::Sender<Event>,
    next: Arc<AtomicU64>,
}

/// One link: a socket's or a console's. Dropping it tells the relay.
pub(crate) struct Link {
    to_relay: LinkSender,
    outbox: mpsc::UnboundedReceiver<Outgoing>,
    waiting: Arc<AtomicUsize>,
}

/// The half of a link that brings frames to the relay.
#[derive(Clone)]
pub(crate) struct LinkSender {
    conn: u64,
    inbox: mpsc::Sender<Event>,
}

/// The relay is gone: the hub is ending.
#[derive(Debug)]
pub(crate) struct Ended;

enum Event {
    Open { conn: u64, outbox: Outbox },
    Relay(Input),
}

struct Outbox {
    queue: mpsc::UnboundedSender<Outgoing>,
    /// Bytes of frames that are queued and not written.
    waiting: Arc<AtomicUsize>,
}

impl Links {
    /// Starts the relay's task.
    ///
    /// Without `bindings` a name's owner is forgotten with the process.
    pub(crate) fn start(build: String, page: String, bindings: Option<Bindings>) -> Self {
        let (inbox, events) = mpsc::channel(INBOX_FRAMES);
        let names = bindings.as_ref().map(|bindings| bindings.names().clone());
        let config = Config { build, page, bindings: names.unwrap_or_default() };
        let task = RelayTask {
            relay: Relay::new(config),
            outboxes: BTreeMap::new(),
            saver: bindings.map(|bindings| start_saver(bindings, inbox.downgrade())),
        };
        tokio::spawn(task.run(events));
        Self { inbox, next: Arc::default() }
    }

    /// A new link.
    pub(crate) async fn open(&self) -> Result<Link, Ended> {
        let conn = self.next.fetch_add(1, Ordering::Relaxed);
        let (queue, outbox) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let open = Event::Open { conn, outbox: Outbox { queue, waiting: waiting.clone() } };
        self.inbox.send(open).await.map_err(|_| Ended)?;
        let to_relay = LinkSender { conn, inbox: self.inbox.clone() };
        Ok(Link { to_relay, outbox, waiting })
    }
}

impl Link {
    /// The way to the relay.
    pub(crate) fn sender(&self) -> LinkSender {
        self.to_relay.clone()
    }

    /// What to write next; none when the relay has let go of the link.
    pub(crate) async fn next(&mut self) -> Option<Outgoing> {
        let next = self.outbox.recv().await?;
        Some(self.taken(next))
    }

    /// What to write next, if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<Outgoing> {
        let next = self.outbox.try_recv().ok()?;
        Some(self.taken(next))
    }

    fn taken(&self, next: Outgoing) -> Outgoing {
        if let Outgoing::Frame(frame) = &next {
            self.waiting.fetch_sub(frame.len(), Ordering::Relaxed);
        }
        next
    }
}

impl LinkSender {
    /// Hands a frame to the relay, unchecked.
    pub(crate) async fn send(&self, bytes: Bytes) -> Result<(), Ended> {
        let frame = Input::Frame { conn: self.conn, bytes };
        self.inbox.send(Event::Relay(frame)).await.map_err(|_| Ended)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let LinkSender { conn, inbox } = self.to_relay.clone();
        let closed = Event::Relay(Input::Closed { conn });
        if let Err(mpsc::error::TrySendError::Full(closed)) = inbox.try_send(closed) {
            // Nobody is left to wait here, and it must be told.
            tokio::spawn(async move {
                let _ = inbox.send(closed).await;
            });
        }
    }
}

struct Save {
    name: String,
    cluster: Option<api::identity::ClusterId>,
}

/// Syncing takes its time, so it has a thread of its own.
fn start_saver(
    mut bindings: Bindings,
    inbox: mpsc::WeakSender<Event>,
) -> mpsc::UnboundedSender<Save> {
    let (saver, mut saves) = mpsc::unbounded_channel::<Save>();
    std::thread::spawn(move || {
        while let Some(Save { name, cluster }) = saves.blocking_recv() {
            let done = match bindings.save(&name, cluster) {
                Ok(()) => Input::Saved { name },
                Err(error) => {
                    tracing::error!("{error:#}");
                    Input::NotSaved { name, reason: format!("{error:#}") }
                }
            };
            let Some(inbox) = inbox.upgrade() else { break };
            if inbox.blocking_send(Event::Relay(done)).is_err() {
                break;
            }
        }
    });
    saver
}

struct RelayTask {
    relay: Relay,
    outboxes: BTreeMap<u64, Outbox>,
    saver: Option<mpsc::UnboundedSender<Save>>,
}

impl RelayTask {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            match event {
                Event::Open { conn, outbox } => {
                    self.outboxes.insert(conn, outbox);
                    self.handle(Input::Opened { conn });
                }
                Event::Relay(input) => self.handle(input),
            }
        }
    }

    fn handle(&mut self, input: Input) {
        if let Input::Closed { conn } = input {
            self.outboxes.remove(&conn);
        }
        let mut inputs = vec![input];
        // A connection is found slow while another one's frame is carried out; the relay hears
        // of it when that one is done.
        while let Some(input) = inputs.pop() {
            self.relay.handle(input);
            while let Some(output) = self.relay.poll() {
                inputs.extend(self.carry_out(output));
            }
        }
    }

    /// Does what the relay wants done; tells when a link turns out to be too slow, and what is
    /// done at once.
    fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Send { conn, frame } => {
                let outbox = self.outboxes.get(&conn)?;
                let size = frame.len();
                let before = outbox.waiting.fetch_add(size, Ordering::Relaxed);
                // A link that has ended tells so by itself.
                let _ = outbox.queue.send(Outgoing::Frame(frame));
                let was_slow = before > limits::RELAY_QUEUE_BYTES;
                let is_slow = before + size > limits::RELAY_QUEUE_BYTES;
                (is_slow && !was_slow).then_some(Input::Slow { conn })
            }
            Output::Close { conn, code, reason } => {
                tracing::info!(conn, ?code, reason, "link closed");
                if let Some(outbox) = self.outboxes.remove(&conn) {
                    let _ = outbox.queue.send(Outgoing::Close { code, reason });
                }
                None
            }
            Output::SaveBinding { name, cluster } => {
                let Some(saver) = &self.saver else { return Some(Input::Saved { name }) };
                // The saver ends only with this task.
                let _ = saver.send(Save { name, cluster });
                None
            }
        }
    }
}
