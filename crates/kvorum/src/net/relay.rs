//! The task that owns the [`Relay`].
//!
//! ```text
//!  links ──Frame──► inbox ──► one task: Relay ──► their queues
//!                     ▲             │ SaveBinding
//!                     └── Saved ── saver, a thread
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use api::identity::ClusterId;
use api::limits::LINK_QUEUE_BYTES;
use axum::extract::{Request, State};
use axum::response::Response;
use relay::{Config, Guests, Input, Output, Relay};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::link::{Ended, Link, LinkEvent, Links};
use super::queue::{Fill, Queue};
use super::socket;
use super::stop::Stop;
use super::upgrade::upgrade;

/// Events that wait for the relay before their senders have to wait.
const INBOX_EVENTS: usize = 64;

/// Bytes that wait for one link before it is full. More than one console may ask of a member at
/// once, and less than what makes a link slow.
const FULL_BYTES: usize = LINK_QUEUE_BYTES / 4 * 3;

/// How often the relay looks for members that have fallen silent. They answer their peers within
/// a heartbeat, and are replaced as leaders within an election timeout; one that a busy machine has
/// held up is still let be.
const LOOK_EVERY: Duration = Duration::from_millis(1500);

/// Makes durable which cluster owns a name.
pub(crate) type Save = Box<dyn FnMut(&str, Option<ClusterId>) -> Result<()> + Send>;

/// A link to the relay.
pub(crate) type RelayLink = Link<Event>;

/// The way to the relay.
#[derive(Clone)]
pub(crate) struct RelayHandle(Links<Event>);

/// What the relay's task hears.
pub(crate) enum Event {
    Up {
        link: u64,
        guests: Guests,
        queue: Queue,
    },
    Link(LinkEvent),
    /// A binding is saved, or not.
    Saver(Input),
}

impl From<LinkEvent> for Event {
    fn from(event: LinkEvent) -> Self {
        Self::Link(event)
    }
}

impl RelayHandle {
    /// Starts the task. Without `save` a name's owner is forgotten with the process.
    pub(crate) fn start(config: Config, save: Option<Save>) -> Self {
        let (inbox, events) = mpsc::channel(INBOX_EVENTS);
        let task = RelayTask {
            relay: Relay::new(config),
            queues: BTreeMap::new(),
            saver: save.map(|save| start_saver(save, inbox.downgrade())),
        };
        tokio::spawn(task.run(events));
        Self(Links::new(inbox, FULL_BYTES))
    }

    /// A new link.
    pub(crate) async fn open(&self, guests: Guests) -> Result<RelayLink, Ended> {
        self.0.open(|link, queue| Event::Up { link, guests, queue }).await
    }
}

/// Where sockets come in to the relay.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub(crate) relay: RelayHandle,
    /// Who may come in by it.
    pub(crate) guests: Guests,
    pub(crate) stop: Stop,
}

/// Lets a socket in.
pub(crate) async fn enter(State(entrance): State<Entrance>, request: Request) -> Response {
    let Entrance { relay, guests, stop } = entrance;
    upgrade(request, async move |socket| {
        // Otherwise the process is ending.
        if let Ok(link) = relay.open(guests).await {
            let ended = socket::serve(socket, link, stop).await;
            tracing::info!("a socket at the relay has ended: {ended:?}");
        }
    })
}

struct Binding {
    name: String,
    cluster: Option<ClusterId>,
}

/// Syncing takes its time, so it has a thread of its own.
fn start_saver(mut save: Save, inbox: mpsc::WeakSender<Event>) -> mpsc::UnboundedSender<Binding> {
    let (saver, mut bindings) = mpsc::unbounded_channel::<Binding>();
    std::thread::spawn(move || {
        while let Some(Binding { name, cluster }) = bindings.blocking_recv() {
            let done = match save(&name, cluster) {
                Ok(()) => Input::Saved { name },
                Err(error) => {
                    tracing::error!("{error:#}");
                    Input::NotSaved { name, reason: format!("{error:#}") }
                }
            };
            let Some(inbox) = inbox.upgrade() else { break };
            if inbox.blocking_send(Event::Saver(done)).is_err() {
                break;
            }
        }
    });
    saver
}

struct RelayTask {
    relay: Relay,
    queues: BTreeMap<u64, Queue>,
    saver: Option<mpsc::UnboundedSender<Binding>>,
}

impl RelayTask {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut look = interval(LOOK_EVERY);
        // After a computer has slept members get the time that they always get.
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                _ = look.tick() => {
                    self.handle(Input::Look);
                    continue;
                }
            };
            let Some(event) = event else { return };
            match event {
                Event::Up { link, guests, queue } => {
                    self.queues.insert(link, queue);
                    self.handle(Input::Opened { conn: link, guests });
                }
                Event::Link(LinkEvent::Frame { link, bytes }) => {
                    self.handle(Input::Frame { conn: link, bytes });
                }
                Event::Link(LinkEvent::Room { link }) => {
                    if self.queues.get(&link).is_some_and(Queue::has_room) {
                        self.handle(Input::Room { conn: link });
                    }
                }
                Event::Link(LinkEvent::Down { link }) => {
                    self.queues.remove(&link);
                    self.handle(Input::Closed { conn: link });
                }
                Event::Saver(done) => self.handle(done),
            }
        }
    }

    fn handle(&mut self, input: Input) {
        let mut inputs = vec![input];
        // A link is found full or slow while another one's frame is carried out; the relay hears
        // of it when that one is done.
        while let Some(input) = inputs.pop() {
            self.relay.handle(input);
            while let Some(output) = self.relay.poll() {
                inputs.extend(self.carry_out(output));
            }
        }
    }

    /// Does what the relay wants done; tells when a link turns out to be full or slow, and what
    /// is done at once.
    fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Send { conn, frame } => match self.queues.get(&conn)?.send(frame) {
                Fill::Room => None,
                Fill::Full => Some(Input::Full { conn }),
                Fill::Slow => Some(Input::Slow { conn }),
            },
            Output::Close { conn, code, reason } => {
                tracing::info!(conn, ?code, reason, "link closed");
                if let Some(queue) = self.queues.remove(&conn) {
                    queue.close(code, reason);
                }
                None
            }
            Output::SaveBinding { name, cluster } => {
                let Some(saver) = &self.saver else { return Some(Input::Saved { name }) };
                // The saver ends only with this task.
                let _ = saver.send(Binding { name, cluster });
                None
            }
        }
    }
}
