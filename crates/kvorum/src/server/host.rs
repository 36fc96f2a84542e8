//! The task that owns the node, and the ways to it.
//!
//! ```text
//!  links ───────Frame────┐                       ┌─► their queues
//!  doors ───────Client───┼─► inbox ─► one task   ┼─► replies of the doors
//!  signal ──────Leave────┘  (short)    Node      └─► log thread, store thread
//!                                       ▲               │
//!                                       └─ durable, done┘
//! ```
//!
//! A burst of inputs is handed in before the node is drained, so it makes one batch. The inbox
//! is short and makes its senders wait, but nothing makes the node's task wait, and no disk: a
//! node whose disk hangs takes no more writes, and answers what needs no disk. It is no thread
//! of its own: the doors' tasks, which ask it and hear from it, mostly run on the same one, and
//! a switch costs as much as a put.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use api::frame::CloseCode;
use api::report::{MemberReport, Role};
use node::{Input, LinkId, LinkKind, Node, Output};
use storage::{Done, Room};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::yield_now;
use tokio::time::sleep;

use super::disk::{Disk, News};
use super::metrics::Metrics;
use crate::net::link::{Ended, Link, LinkEvent, Links};
use crate::net::queue::{Fill, Queue};

/// Events that wait for the node before their senders have to wait.
const INBOX_EVENTS: usize = 256;
/// Bytes that wait for one link before its clients get nothing large.
const FULL_BYTES: usize = 4 * 1024 * 1024;
/// Inputs that are handed in before the node is drained.
const BURST: usize = 256;

/// What to do about a full disk.
const ROOM: &str = "No write is taken until there is room: delete keys and compact, or make room \
                    on the disk, then `etcdctl alarm disarm`";

/// What the node's task hears.
pub(crate) enum Event {
    Up { link: u64, kind: LinkKind, queue: Queue },
    Link(LinkEvent),
    Client { session: u64, body: Vec<u8> },
    Leave,
}

impl From<LinkEvent> for Event {
    fn from(event: LinkEvent) -> Self {
        Self::Link(event)
    }
}

/// A message to a client at the doors: its session and the body.
pub(crate) type Reply = (u64, Vec<u8>);

/// The way to the node.
#[derive(Clone)]
pub(crate) struct NodeHandle {
    inbox: mpsc::Sender<Event>,
    links: Links<Event>,
    report: watch::Receiver<Option<MemberReport>>,
}

/// A link of the node's.
pub(crate) type NodeLink = Link<Event>;

/// Whatever ends the node's task: it has left in order, or not.
pub(crate) type End = oneshot::Receiver<Result<()>>;

impl NodeHandle {
    /// Starts the task. Answers to clients at the doors go to `replies`.
    pub(crate) fn start(
        node: Node,
        started: Instant,
        disk: Disk,
        metrics: Metrics,
        replies: mpsc::UnboundedSender<Reply>,
    ) -> (Self, End) {
        let (inbox, events) = mpsc::channel(INBOX_EVENTS);
        let (tell, end) = oneshot::channel();
        let (shown, report) = watch::channel(None);
        let (queues, last) = (BTreeMap::new(), disk.last());
        let (written, durable) = (last, last);
        let run = Host { node, started, disk, metrics, replies, shown, queues, written, durable };
        tokio::spawn(async move {
            // Whoever does not wait for the end is ending, too.
            let _ = tell.send(run.until_end(events).await);
        });
        (Self { links: Links::new(inbox.clone(), FULL_BYTES), inbox, report }, end)
    }

    /// A new link.
    pub(crate) async fn open(&self, kind: LinkKind) -> Result<NodeLink, Ended> {
        self.links.open(|link, queue| Event::Up { link, kind, queue }).await
    }

    /// A client at the doors says something.
    pub(crate) async fn client(&self, session: u64, body: Vec<u8>) -> Result<(), Ended> {
        self.inbox.send(Event::Client { session, body }).await.map_err(|_| Ended)
    }

    /// How the member is, once it has said so.
    pub(crate) fn report(&self) -> watch::Receiver<Option<MemberReport>> {
        self.report.clone()
    }

    /// Asks the node to hand over and end.
    pub(crate) async fn leave(&self) {
        // One that has ended has left.
        let _ = self.inbox.send(Event::Leave).await;
    }
}

/// What drives the node.
struct Host {
    node: Node,
    started: Instant,
    disk: Disk,
    metrics: Metrics,
    replies: mpsc::UnboundedSender<Reply>,
    shown: watch::Sender<Option<MemberReport>>,
    queues: BTreeMap<LinkId, Queue>,
    /// The last batch that went to the log.
    written: u64,
    /// The last one that is durable.
    durable: u64,
}

impl Host {
    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn until_end(mut self, mut events: mpsc::Receiver<Event>) -> Result<()> {
        loop {
            if self.drain()? {
                // The store's file is closed when nobody reads it any more.
                drop(self.node);
                self.disk.close().await;
                return Ok(());
            }
            let wait = Duration::from_millis(self.node.wake_at().saturating_sub(self.now()));
            tokio::select! {
                news = self.disk.next() => self.hear(news?),
                event = events.recv() => {
                    self.take(event.context("nobody holds the member any more")?);
                    if self.written > self.durable {
                        // A batch of its own would wait for the log anyway.
                        yield_now().await;
                    }
                    self.take_burst(&mut events);
                }
                () = sleep(wait) => self.handle(Input::Tick),
            }
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Durable(number) => {
                self.durable = number;
                self.handle(Input::Persisted { number });
            }
            News::Room(Room { bytes, low }) => {
                if low {
                    tracing::warn!(
                        "the disk is full, or nearly so: the log has {bytes} bytes left. {ROOM}"
                    );
                }
                self.handle(Input::Room { bytes, low });
            }
            News::Done(done) => {
                if let Done::NoSpace { why, .. } = &done {
                    tracing::warn!("no room for the store: {why}. {ROOM}");
                }
                self.handle(Input::Done(done));
            }
        }
    }

    fn take_burst(&mut self, events: &mut mpsc::Receiver<Event>) {
        for _ in 1..BURST {
            let Ok(event) = events.try_recv() else { return };
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Up { link, kind, queue } => {
                let link = id(link);
                self.queues.insert(link, queue);
                self.handle(Input::LinkUp { link, kind });
            }
            Event::Link(LinkEvent::Room { link }) => {
                let link = id(link);
                if self.queues.get(&link).is_some_and(Queue::has_room) {
                    self.handle(Input::LinkRoom { link });
                }
            }
            Event::Link(LinkEvent::Down { link }) => self.down(id(link)),
            Event::Link(LinkEvent::Frame { link, bytes }) => {
                self.handle(Input::Frame { link: id(link), bytes: &bytes });
            }
            Event::Client { session, body } => self.handle(Input::Client { session, body: &body }),
            Event::Leave => self.handle(Input::Leave),
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        self.node.handle(self.now(), input);
    }

    fn down(&mut self, link: LinkId) {
        if self.queues.remove(&link).is_some() {
            self.handle(Input::LinkDown { link });
        }
    }

    /// Does what the node wants done. True when it has left.
    fn drain(&mut self) -> Result<bool> {
        while let Some(output) = self.node.poll() {
            match output {
                Output::Send { link, frame } => self.send(link, frame),
                Output::Close { link, code, reason } => self.close(link, code, reason),
                Output::Persist(batch) => {
                    self.written = batch.number;
                    self.disk.write(batch);
                }
                Output::Job(job) => self.disk.begin(job),
                Output::Reply { session, body } => {
                    // The doors end only with the process.
                    let _ = self.replies.send((session, body));
                }
                Output::Report(report) => self.report(report),
                Output::Formed(cluster) => tracing::info!("this is cluster {cluster}"),
                Output::Left => return Ok(true),
                Output::Halt(reason) => return Err(anyhow!("the member stopped: {reason}")),
            }
        }
        Ok(false)
    }

    fn send(&mut self, link: LinkId, frame: Vec<u8>) {
        match self.queues.get(&link).map(|queue| queue.send(frame.into())) {
            None | Some(Fill::Room) => {}
            Some(Fill::Full) => self.handle(Input::LinkFull { link }),
            Some(Fill::Slow) => {
                let reason = "the connection reads too slowly for what is sent to it";
                self.close(link, CloseCode::Slow, reason.into());
            }
        }
    }

    fn close(&mut self, link: LinkId, code: CloseCode, reason: String) {
        let Some(queue) = self.queues.remove(&link) else { return };
        match code {
            // Nothing is wrong with the other end, and it need not be told so.
            CloseCode::Replaced => queue.close(code, reason),
            _ => queue.refuse(code, reason),
        }
        self.handle(Input::LinkDown { link });
    }

    /// Says what people want to know of the member.
    fn report(&mut self, report: MemberReport) {
        self.metrics.reported(&report);
        let last = self.shown.send_replace(Some(report.clone()));
        if last.is_some_and(|last| last.role == report.role) {
            return;
        }
        match &report.role {
            Role::Refused(reason) => tracing::error!("this member is refused: {reason}"),
            Role::Halted(reason) => tracing::error!("this member has halted: {reason}"),
            Role::Waiting { awaited } if awaited.is_empty() => {}
            Role::Waiting { awaited } => {
                tracing::info!("the cluster has not formed; awaited: {}", awaited.join(", "));
            }
            role => tracing::info!(term = report.term, "this member is {role:?}"),
        }
    }
}

/// A link as the node numbers it: no number comes again while its link is up.
fn id(link: u64) -> LinkId {
    link as LinkId
}

#[cfg(test)]
mod tests;
