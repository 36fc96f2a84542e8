//! The hub's own console of a cluster: one link to the relay, on which all gRPC calls and watch
//! streams of that cluster travel.
//!
//! ```text
//!  Put ──┐ Ask                        ┌─ Frame::Client ─► relay ─► a member
//!  Range ┼──────► one task: Client ───┤
//!  Watch ┘ ◄───── answers             └◄ Frame::Server ── relay ◄─
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use api::frame::{Attach, Attachee, Frame};
use api::session::{Request, Response};
use api::watch::{WatchRequest, WatchResponse};
use api::{Bytes, Error, Result};
use client::{CallId, Client, Input, Output, Patience, StreamId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::hub::link::{Link, Links, Outgoing};
use crate::hub::stop::Stop;

/// How long a call may take. A member answers within etcd's 7 s and knows best why it is late;
/// this is for one that does not answer at all. Without any member a call fails at once.
const PATIENCE: Patience = Patience { within: 8_000, wait: 0 };
/// Pause before the console attaches again after the relay has let go of it.
const ATTACH_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of answers that wait for one watch stream's client. A slower one must come again.
const STREAM_BYTES: usize = 32 * 1024 * 1024;

/// Asks a cluster for things.
#[derive(Clone)]
pub(crate) struct Console {
    asks: mpsc::UnboundedSender<Ask>,
    next: Arc<AtomicU64>,
}

/// What the console's task is asked. A ticket is the asker's own number.
enum Ask {
    Call { ticket: u64, request: Request, reply: oneshot::Sender<Result<Response>> },
    Abandon { ticket: u64 },
    Open { answers: Answers, opened: oneshot::Sender<StreamId> },
    Say { stream: StreamId, request: WatchRequest },
    Close { stream: StreamId },
}

/// The task's end of a stream.
struct Answers {
    queue: mpsc::UnboundedSender<Result<WatchResponse>>,
    waiting: Arc<AtomicUsize>,
}

/// A raw watch stream. Dropping it ends it.
pub(crate) struct Stream {
    id: StreamId,
    asks: mpsc::UnboundedSender<Ask>,
    answers: mpsc::UnboundedReceiver<Result<WatchResponse>>,
    waiting: Arc<AtomicUsize>,
}

/// Tells the task when the asker has given up.
struct Abandon<'a> {
    ticket: u64,
    asks: &'a mpsc::UnboundedSender<Ask>,
}

impl Console {
    /// A console of this cluster.
    pub(crate) fn start(cluster: String, links: Links, stop: Stop) -> Self {
        let (asks, inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(cluster, links, stop, inbox));
        Self { asks, next: Arc::default() }
    }

    /// Asks for something. Dropping the future abandons it.
    pub(crate) async fn call(&self, request: Request) -> Result<Response> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Call { ticket, request, reply };
        self.asks.send(ask).map_err(|_| Error::Stopped)?;
        let abandon = Abandon { ticket, asks: &self.asks };
        let answer = answer.await;
        std::mem::forget(abandon);
        answer.map_err(|_| Error::Stopped)?
    }

    /// Opens a watch stream.
    pub(crate) async fn open(&self) -> Result<Stream> {
        let (queue, answers) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let (opened, id) = oneshot::channel();
        let ask = Ask::Open { answers: Answers { queue, waiting: waiting.clone() }, opened };
        self.asks.send(ask).map_err(|_| Error::Stopped)?;
        let id = id.await.map_err(|_| Error::Stopped)?;
        Ok(Stream { id, asks: self.asks.clone(), answers, waiting })
    }
}

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        // A task that is gone has forgotten the call.
        let _ = self.asks.send(Ask::Abandon { ticket: self.ticket });
    }
}

impl Stream {
    /// Says something to the member.
    pub(crate) fn say(&self, request: WatchRequest) {
        // A task that is gone has ended the stream; `next` tells.
        let _ = self.asks.send(Ask::Say { stream: self.id, request });
    }

    /// What the member says next. An error is the last.
    pub(crate) async fn next(&mut self) -> Result<WatchResponse> {
        // The task ends streams with an error. Without a word it ends only with the hub.
        let response = self.answers.recv().await.unwrap_or(Err(Error::Stopped))?;
        self.waiting.fetch_sub(size(&response), Ordering::Relaxed);
        Ok(response)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.asks.send(Ask::Close { stream: self.id });
    }
}

/// About what an answer takes in memory.
fn size(response: &WatchResponse) -> usize {
    let pair = |kv: &api::kv::KeyValue| size_of_val(kv) + kv.key.len() + kv.value.len();
    let events = response.events.iter();
    size_of_val(response)
        + events.map(|e| pair(&e.kv) + e.prev_kv.as_ref().map_or(0, pair)).sum::<usize>()
}

/// What the task does for whom.
struct Desk {
    client: Client,
    started: Instant,
    calls: BTreeMap<CallId, (u64, oneshot::Sender<Result<Response>>)>,
    tickets: BTreeMap<u64, CallId>,
    streams: BTreeMap<StreamId, Answers>,
    /// The relay has let the link in.
    attached: bool,
    /// Why the relay lets go of the link, as it says before it does.
    refusal: Option<String>,
}

async fn run(
    cluster: String,
    links: Links,
    mut stop: Stop,
    mut asks: mpsc::UnboundedReceiver<Ask>,
) {
    let mut desk = Desk::new();
    while let Some(mut link) = attach(&links, &cluster).await {
        loop {
            tokio::select! {
                // Until the relay has answered, asks wait in the channel.
                ask = asks.recv(), if desk.attached => match ask {
                    Some(ask) => desk.take(ask),
                    None => return,
                },
                out = link.next() => match out {
                    Some(Outgoing::Frame(frame)) => desk.heard(&frame),
                    Some(Outgoing::Close { reason, .. }) => {
                        desk.down(&reason);
                        break;
                    }
                    None => return,
                },
                () = desk.wake() => desk.wake_up(),
                () = stop.ordered() => return,
            }
            if !desk.carry_out(&link).await {
                return;
            }
        }
        // Without a link asks end at once, with the relay's reason.
        let mut pause = std::pin::pin!(sleep(ATTACH_PAUSE));
        loop {
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => desk.take(ask),
                    None => return,
                },
                () = pause.as_mut() => break,
            }
            desk.answer_all();
        }
    }
}

/// A link whose attach is on its way; none when the hub is ending.
async fn attach(links: &Links, cluster: &str) -> Option<Link> {
    let link = links.open().await.ok()?;
    let attach =
        Attach { cluster: cluster.to_owned(), build: String::new(), who: Attachee::Console };
    link.sender().send(Frame::Attach(attach).encode().into()).await.ok()?;
    Some(link)
}

impl Desk {
    fn new() -> Self {
        Self {
            client: Client::new(),
            started: Instant::now(),
            calls: BTreeMap::new(),
            tickets: BTreeMap::new(),
            streams: BTreeMap::new(),
            attached: false,
            refusal: None,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until the client wants to be woken; for ever if it does not.
    async fn wake(&self) {
        match self.client.wake_at() {
            Some(at) => sleep(Duration::from_millis(at.saturating_sub(self.now()))).await,
            None => std::future::pending().await,
        }
    }

    fn wake_up(&mut self) {
        self.client.handle(self.now(), Input::Wake);
    }

    fn down(&mut self, reason: &str) {
        self.attached = false;
        let reason = self.refusal.take().unwrap_or_else(|| reason.to_owned());
        self.client.handle(self.now(), Input::Down { reason: &reason });
        self.answer_all();
    }

    fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Call { ticket, request, reply } => {
                let call = self.client.call(self.now(), &request, PATIENCE);
                self.calls.insert(call, (ticket, reply));
                self.tickets.insert(ticket, call);
            }
            Ask::Abandon { ticket } => {
                if let Some(call) = self.tickets.remove(&ticket) {
                    self.calls.remove(&call);
                    self.client.abandon(call);
                }
            }
            Ask::Open { answers, opened } => {
                let stream = self.client.open();
                self.streams.insert(stream, answers);
                if opened.send(stream).is_err() {
                    self.close(stream);
                }
            }
            Ask::Say { stream, request } => self.client.say(stream, request),
            Ask::Close { stream } => self.close(stream),
        }
    }

    fn close(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        self.client.close(stream);
    }

    /// Takes what the relay has sent.
    fn heard(&mut self, frame: &[u8]) {
        match Frame::decode(frame) {
            Ok(Frame::Attached(_)) => {
                self.attached = true;
                self.client.handle(self.now(), Input::Up);
            }
            Ok(Frame::Server { session, body }) => {
                self.client.handle(self.now(), Input::Message { session, body });
            }
            Ok(Frame::Piece { session, last, body }) => {
                self.client.handle(self.now(), Input::Piece { session, last, body });
            }
            Ok(Frame::Refused { reason, .. }) => self.refusal = Some(reason),
            // Who is there and how they are is for pages.
            Ok(_) => {}
            Err(error) => tracing::error!("the relay sent what is no frame: {error}"),
        }
    }

    /// Does what the client wants done; false when the hub is ending.
    async fn carry_out(&mut self, link: &Link) -> bool {
        while let Some(output) = self.client.poll() {
            if let Output::Send { session, body } = output {
                let frame = Frame::Client { session, body: &body }.encode();
                if link.sender().send(Bytes::from(frame)).await.is_err() {
                    return false;
                }
            } else {
                self.answer(output);
            }
        }
        true
    }

    /// Answers those who wait, when there is no link to send by.
    fn answer_all(&mut self) {
        while let Some(output) = self.client.poll() {
            self.answer(output);
        }
    }

    fn answer(&mut self, output: Output) {
        match output {
            Output::Answer { call, result } => {
                if let Some((ticket, reply)) = self.calls.remove(&call) {
                    self.tickets.remove(&ticket);
                    // Whoever is gone meanwhile has said so; it is on its way.
                    let _ = reply.send(result);
                }
            }
            Output::Stream { stream, result } => self.answer_stream(stream, result),
            // This console starts no watches of the other kind, and sends elsewhere.
            Output::Watch { .. } | Output::Send { .. } => {}
        }
    }

    fn answer_stream(&mut self, stream: StreamId, result: Result<WatchResponse>) {
        let Some(answers) = self.streams.get(&stream) else { return };
        match result {
            Ok(response) => {
                let size = size(&response);
                let before = answers.waiting.fetch_add(size, Ordering::Relaxed);
                if before + size > STREAM_BYTES && before > 0 {
                    let text = "the watch stream is read too slowly; watch again from the last \
                                revision seen";
                    let _ = answers.queue.send(Err(Error::Unavailable(text.into())));
                    self.close(stream);
                } else {
                    let _ = answers.queue.send(Ok(response));
                }
            }
            Err(error) => {
                let _ = answers.queue.send(Err(error));
                self.streams.remove(&stream);
            }
        }
    }
}
