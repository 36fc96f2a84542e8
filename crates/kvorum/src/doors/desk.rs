//! What the console's task keeps: its client, and who waits for what.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::frame::Frame;
use api::report::MemberReport;
use api::session::{Request, Response};
use api::watch::{WatchRequest, WatchResponse};
use api::{Error, Result};
use client::{CallId, Client, Input, Output, Patience, StreamId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::leader::Leaders;
use super::line::Line;

/// How long a call may take. A member answers within etcd's 7 s and knows best why it is late;
/// this is for one that does not answer at all. Without any member a call fails at once.
const PATIENCE: Patience = Patience { within: 8_000, wait: 0 };
/// Bytes of answers that wait for one watch stream's client. A slower one must come again.
const STREAM_BYTES: usize = 32 * 1024 * 1024;

/// What the console's task is asked. A ticket is the asker's own number; `leader` says that it
/// wants none of this without a leader.
pub(super) enum Ask {
    Call { ticket: u64, request: Request, leader: bool, reply: oneshot::Sender<Result<Response>> },
    Abandon { ticket: u64 },
    Open { answers: Answers, opened: oneshot::Sender<Result<StreamId>> },
    Say { stream: StreamId, request: WatchRequest },
    Close { stream: StreamId },
}

/// The task's end of a stream.
pub(super) struct Answers {
    pub(super) queue: mpsc::UnboundedSender<Result<WatchResponse>>,
    pub(super) waiting: Arc<AtomicUsize>,
    /// It ends when there is no leader.
    pub(super) leader: bool,
}

/// What the task does for whom.
pub(super) struct Desk {
    client: Client,
    started: Instant,
    calls: BTreeMap<CallId, (u64, oneshot::Sender<Result<Response>>)>,
    tickets: BTreeMap<u64, CallId>,
    streams: BTreeMap<StreamId, Answers>,
    leaders: Leaders,
    /// The relay has let the link in.
    pub(super) attached: bool,
    /// Why the relay lets go of the link, as it says before it does.
    refusal: Option<String>,
}

impl Desk {
    /// A desk whose client has no link yet.
    pub(super) fn new() -> Self {
        Self {
            client: Client::new(),
            started: Instant::now(),
            calls: BTreeMap::new(),
            tickets: BTreeMap::new(),
            streams: BTreeMap::new(),
            leaders: Leaders::default(),
            attached: false,
            refusal: None,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits until the client wants to be woken; for ever if it does not.
    pub(super) async fn wake(&self) {
        match self.client.wake_at() {
            Some(at) => sleep(Duration::from_millis(at.saturating_sub(self.now()))).await,
            None => std::future::pending().await,
        }
    }

    /// That time has come.
    pub(super) fn wake_up(&mut self) {
        self.client.handle(self.now(), Input::Wake);
    }

    /// The relay has let go of the link.
    pub(super) fn down(&mut self, reason: &str) {
        self.attached = false;
        self.leaders.forget();
        let reason = self.refusal.take().unwrap_or_else(|| reason.to_owned());
        self.client.handle(self.now(), Input::Down { reason: &reason });
        self.answer_all();
    }

    /// Takes what somebody asks.
    pub(super) fn take(&mut self, ask: Ask) {
        match ask {
            Ask::Call { leader: true, reply, .. } if self.leaders.is_none() => {
                // Whoever is gone meanwhile has said so; it is on its way.
                let _ = reply.send(Err(Error::NoLeader));
            }
            Ask::Call { ticket, request, reply, .. } => {
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
            Ask::Open { answers, opened } if answers.leader && self.leaders.is_none() => {
                let _ = opened.send(Err(Error::NoLeader));
            }
            Ask::Open { answers, opened } => {
                let stream = self.client.open();
                self.streams.insert(stream, answers);
                if opened.send(Ok(stream)).is_err() {
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

    /// An election timeout has passed: streams that want a leader end when there was none for
    /// long.
    pub(super) fn look_for_leader(&mut self) {
        if !self.leaders.look() {
            return;
        }
        let wanting = self.streams.iter().filter(|(_, answers)| answers.leader);
        for stream in wanting.map(|(stream, _)| *stream).collect::<Vec<_>>() {
            self.answer_stream(stream, Err(Error::NoLeader));
            self.client.close(stream);
        }
    }

    /// A member says how it is.
    pub(super) fn reported(&mut self, report: MemberReport) {
        self.leaders.reported(report);
    }

    /// A member is there, or may be.
    pub(super) fn up(&mut self) {
        self.attached = true;
        self.client.handle(self.now(), Input::Up);
    }

    /// Takes what a member says.
    pub(super) fn message(&mut self, session: u64, body: &[u8]) {
        self.client.handle(self.now(), Input::Message { session, body });
    }

    /// Takes what the relay has sent.
    pub(super) fn heard(&mut self, frame: &[u8]) {
        match Frame::decode(frame) {
            Ok(Frame::Attached(_)) => self.up(),
            Ok(Frame::Server { session, body }) => self.message(session, body),
            Ok(Frame::Piece { session, last, body }) => {
                self.client.handle(self.now(), Input::Piece { session, last, body });
            }
            Ok(Frame::Refused { reason, .. }) => self.refusal = Some(reason),
            Ok(Frame::Present(presence)) => self.leaders.present(presence.name),
            Ok(Frame::Gone(presence)) => self.leaders.gone(&presence.name),
            Ok(Frame::Report(report)) => self.reported(report),
            // The rest is not for consoles.
            Ok(_) => {}
            Err(error) => tracing::error!("the relay sent what is no frame: {error}"),
        }
    }

    /// Does what the client wants done; false when the hub is ending.
    pub(super) async fn carry_out(&mut self, line: &Line) -> bool {
        while let Some(output) = self.client.poll() {
            if let Output::Send { session, body } = output {
                if line.say(session, body).await.is_err() {
                    return false;
                }
            } else {
                self.answer(output);
            }
        }
        true
    }

    /// Answers those who wait, when there is no link to send by.
    pub(super) fn answer_all(&mut self) {
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

/// About what an answer takes in memory.
pub(super) fn size(response: &WatchResponse) -> usize {
    let pair = |kv: &api::kv::KeyValue| size_of_val(kv) + kv.key.len() + kv.value.len();
    let events = response.events.iter();
    size_of_val(response)
        + events.map(|e| pair(&e.kv) + e.prev_kv.as_ref().map_or(0, pair)).sum::<usize>()
}
