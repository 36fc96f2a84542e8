//! The doors' own console of a cluster: one line, to the relay or to the member here, on which
//! all gRPC calls and watch streams of that cluster travel.
//!
//! ```text
//!  Put ──┐ Ask                        ┌─ Frame::Client ─► relay ─► a member
//!  Range ┼──────► one task: Client ───┤
//!  Watch ┘ ◄───── answers             └◄ Frame::Server ── relay ◄─
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use api::session::{Request, Response};
use api::watch::{WatchRequest, WatchResponse};
use api::{Error, Result};
use client::StreamId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::desk::{Answers, Ask, Desk, size};
use super::line::{Heard, Way};
use crate::net::stop::Stop;

/// Pause before the console attaches again after the relay has let go of it.
const ATTACH_PAUSE: Duration = Duration::from_millis(100);

/// Asks a cluster for things.
#[derive(Clone)]
pub(crate) struct Console {
    asks: mpsc::UnboundedSender<Ask>,
    next: Arc<AtomicU64>,
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
    pub(crate) fn start(cluster: String, way: Way, stop: Stop) -> Self {
        let (asks, inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(cluster, way, stop, inbox));
        Self { asks, next: Arc::default() }
    }

    /// Asks for something, at once or never if it wants a `leader` and there is none. Dropping
    /// the future abandons it.
    pub(crate) async fn call(&self, request: Request, leader: bool) -> Result<Response> {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let ask = Ask::Call { ticket, request, leader, reply };
        self.asks.send(ask).map_err(|_| Error::Stopped)?;
        let abandon = Abandon { ticket, asks: &self.asks };
        let answer = answer.await;
        std::mem::forget(abandon);
        answer.map_err(|_| Error::Stopped)?
    }

    /// Opens a watch stream. If it wants a `leader` it ends without one.
    pub(crate) async fn open(&self, leader: bool) -> Result<Stream> {
        let (queue, answers) = mpsc::unbounded_channel();
        let waiting = Arc::<AtomicUsize>::default();
        let (opened, id) = oneshot::channel();
        let ours = Answers { queue, waiting: waiting.clone(), leader };
        self.asks.send(Ask::Open { answers: ours, opened }).map_err(|_| Error::Stopped)?;
        let id = id.await.map_err(|_| Error::Stopped)??;
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

async fn run(cluster: String, way: Way, mut stop: Stop, mut asks: mpsc::UnboundedReceiver<Ask>) {
    let mut desk = Desk::new();
    let mut look = interval(way.election_timeout());
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Some(mut line) = way.open(&cluster).await {
        if line.is_attached() {
            desk.up();
        }
        line.report().into_iter().for_each(|report| desk.reported(report));
        loop {
            tokio::select! {
                // Until the relay has answered, asks wait in the channel.
                ask = asks.recv(), if desk.attached => match ask {
                    Some(ask) => desk.take(ask),
                    None => return,
                },
                heard = line.next() => match heard {
                    // Members go away because all ends, and that is what callers are told.
                    _ if stop.is_ordered() => return,
                    Some(Heard::Frame(frame)) => desk.heard(&frame),
                    Some(Heard::Message { session, body }) => desk.message(session, &body),
                    Some(Heard::Report(report)) => desk.reported(report),
                    Some(Heard::Closed(reason)) => {
                        desk.down(&reason);
                        break;
                    }
                    None => return,
                },
                () = desk.wake() => desk.wake_up(),
                _ = look.tick() => desk.look_for_leader(),
                () = stop.ordered() => return,
            }
            if !desk.carry_out(&line).await {
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
