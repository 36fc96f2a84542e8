//! A WebSocket that carries a link: binary messages are frames, one each. The same on both
//! ends, and for the relay's links as for those between members.
//!
//! ```text
//!  another process ◄──WebSocket──► serve ◄──Link──► the relay's task, or the node's
//! ```
//!
//! A socket whose other end fell asleep looks open for minutes. So each end pings, and one that
//! hears nothing for [`SILENCE_MAX`] ends it.

use std::time::Duration;

use api::frame::{CloseCode, Frame};
use api::{Bytes, limits};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::link::{Event, Link};
use super::queue::Outgoing;
use super::stop::Stop;

/// How often an end asks whether the other one is there.
const PING_EVERY: Duration = Duration::from_secs(2);
/// Silence after which it is not. Browsers answer a ping at once, also for a hidden tab.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// How long the socket may take for one frame.
const WRITE_MAX: Duration = Duration::from_secs(8);
/// How long the other end may take to answer a close.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Bytes of one message that are still read, to refuse it in order. A larger one is cut off.
const READ_BYTES: usize = 2 * limits::FRAME_BYTES;
/// Frames that are handed to the socket before it is flushed.
const WRITE_BATCH: usize = 128;
/// Bytes of text that a close frame holds.
const CLOSE_REASON_BYTES: usize = 123;
/// This process ends: WebSocket's own code for "going away".
const GOING_AWAY: u16 = 1001;

/// Why a socket has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// This process ends.
    Stopped,
    /// It was lost, or replaced, or the other end stops: in words.
    Lost(String),
    /// One end does not want the other: in words.
    Refused(String),
}

/// How a socket ends.
enum End {
    /// It is gone, or as good as that.
    Gone(String),
    /// The other end has refused this one.
    Unwanted(String),
    /// The other end is told by the close.
    Told { code: CloseCode, reason: String },
    /// The other end is told twice: by a frame and by the close.
    Refused { code: CloseCode, reason: String },
    /// It sends a message that is not read to its end.
    CutOff,
    /// This process ends.
    Stopped,
}

/// The limits of a socket.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(READ_BYTES)).max_frame_size(Some(READ_BYTES))
}

/// Serves one socket until it ends.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin, E: Event>(
    socket: WebSocketStream<S>,
    mut link: Link<E>,
    mut stop: Stop,
) -> Ended {
    let mut socket = Socket(socket);
    let end = socket.exchange(&mut link, &mut stop).await;
    // The task need not wait for the other end's goodbye.
    drop(link);
    let cut_off = matches!(end, End::CutOff);
    let (code, reason, ended) = match end {
        End::Gone(reason) => return Ended::Lost(reason),
        End::Unwanted(reason) => return Ended::Refused(reason),
        End::Stopped => (GOING_AWAY, stop.reason().into(), Ended::Stopped),
        End::Told { code: code @ CloseCode::Replaced, reason } => {
            (code as u16, reason.clone(), Ended::Lost(reason))
        }
        End::Told { code, reason } => (code as u16, reason.clone(), Ended::Refused(reason)),
        End::Refused { code, reason } => socket.refuse(code, reason).await,
        End::CutOff => {
            let reason = format!("a message of more than {READ_BYTES} bytes");
            socket.refuse(CloseCode::TooLarge, reason).await
        }
    };
    // Whoever is gone meanwhile need not be told.
    let _ = timeout(CLOSE_MAX, socket.close(code, &reason)).await;
    if cut_off {
        // There are unread bytes, and closing now would reset the socket and take our words
        // back.
        sleep(CLOSE_MAX).await;
    }
    ended
}

struct Socket<S>(WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    async fn exchange<E: Event>(&mut self, link: &mut Link<E>, stop: &mut Stop) -> End {
        let way_in = link.sender();
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let (opened, mut spoke) = (heard, false);
        loop {
            tokio::select! {
                message = self.0.next() => {
                    heard = Instant::now();
                    match frame_of(message) {
                        Ok(None) => {}
                        Ok(Some(frame)) => {
                            spoke = true;
                            if way_in.send(frame).await.is_err() {
                                return End::Stopped;
                            }
                        }
                        Err(end) => return end,
                    }
                }
                next = link.next() => match next {
                    None => return End::Stopped,
                    Some(next) => if let Err(end) = self.write(link, next).await {
                        return end;
                    },
                },
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE_MAX {
                        return End::Gone("it is silent".into());
                    }
                    // A browser answers pings by itself, also for a page that never attaches.
                    if !spoke && opened.elapsed() > SILENCE_MAX {
                        return End::Gone("it does not say who it is".into());
                    }
                    if let Err(end) = in_time(self.0.send(Message::Ping(Bytes::new()))).await {
                        return end;
                    }
                }
                () = stop.ordered() => return End::Stopped,
            }
        }
    }

    /// Writes what is there, in one go.
    async fn write<E: Event>(&mut self, link: &mut Link<E>, first: Outgoing) -> Result<(), End> {
        let mut next = Some(first);
        let mut written = 0;
        while let Some(outgoing) = next {
            match outgoing {
                Outgoing::Close { code, reason } => return Err(End::Told { code, reason }),
                Outgoing::Frame(frame) => in_time(self.0.feed(Message::Binary(frame))).await?,
            }
            written += 1;
            next = if written < WRITE_BATCH { link.try_next() } else { None };
        }
        in_time(self.0.flush()).await
    }

    /// Tells by a frame why the socket will close: a close frame may be too short for it.
    async fn refuse(&mut self, code: CloseCode, reason: String) -> (u16, String, Ended) {
        let frame = Frame::Refused { code, reason: reason.clone() }.encode();
        // A socket that takes no frame takes no close either, and that is tried next.
        let _ = timeout(CLOSE_MAX, self.0.feed(Message::binary(frame))).await;
        (code as u16, reason.clone(), Ended::Refused(reason))
    }

    /// Says why and waits for the other end to have heard it.
    async fn close(&mut self, code: u16, reason: &str) {
        let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES)];
        let close = CloseFrame { code: code.into(), reason: reason.into() };
        if self.0.close(Some(close)).await.is_err() {
            return;
        }
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

/// The frame that a message is, or nothing if it is one of WebSocket's own.
fn frame_of(message: Option<Result<Message, Error>>) -> Result<Option<Bytes>, End> {
    let refused = |code, reason| Err(End::Refused { code, reason });
    match message {
        Some(Ok(Message::Binary(frame))) if frame.len() > limits::FRAME_BYTES => {
            let (found, max) = (frame.len(), limits::FRAME_BYTES);
            refused(CloseCode::TooLarge, format!("frame of {found} bytes; the limit is {max}"))
        }
        Some(Ok(Message::Binary(frame))) => match Frame::decode(&frame) {
            Ok(Frame::Refused { code, reason }) => {
                Err(End::Unwanted(format!("it refuses this end ({code:?}): {reason}")))
            }
            // Anything else is for whoever serves the link to judge.
            _ => Ok(Some(frame)),
        },
        Some(Ok(Message::Text(_))) => {
            refused(CloseCode::Malformed, "a text message; frames are binary".into())
        }
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Close(Some(close)))) => {
            Err(End::Gone(format!("closed ({}): {}", u16::from(close.code), close.reason)))
        }
        Some(Ok(Message::Close(None))) | None => Err(End::Gone("closed".into())),
        Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => Err(End::CutOff),
        Some(Err(error)) => Err(End::Gone(error.to_string())),
    }
}

async fn in_time(work: impl Future<Output = Result<(), Error>>) -> Result<(), End> {
    match timeout(WRITE_MAX, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Gone(error.to_string())),
        Err(_) => Err(End::Gone("it does not read".into())),
    }
}
