//! A WebSocket that carries a link: binary messages are frames, one each. The same on both
//! ends, and for the relay's links as for those between members.
//!
//! ```text
//!  another process ◄──WebSocket──► serve ◄──Link──► the relay's task, or the node's
//! ```
//!
//! A socket whose other end fell asleep looks open for minutes. So each end pings, and one that
//! hears nothing for [`SILENCE_MAX`] is done with it.

use std::time::Duration;

use api::frame::{CloseCode, Frame};
use api::{Bytes, limits};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::link::{Event, Link, LinkSender};
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
    let (mut sink, mut stream) = socket.split();
    // Both at once: an end that does not read while it writes would wait for one that does
    // likewise.
    let end = tokio::select! {
        end = read(&mut stream, link.sender()) => end,
        end = write(&mut sink, &mut link) => end,
        () = stop.ordered() => End::Stopped,
    };
    // The task need not wait for the other end's goodbye.
    drop(link);
    let mut socket = sink.reunite(stream).expect("they are of one socket");
    let cut_off = matches!(end, End::CutOff);
    let (code, reason, ended) = match end {
        End::Gone(reason) => return Ended::Lost(reason),
        End::Unwanted(reason) => return Ended::Refused(reason),
        End::Stopped => (GOING_AWAY, stop.reason().into(), Ended::Stopped),
        End::Told { code: code @ CloseCode::Replaced, reason } => {
            (code as u16, reason.clone(), Ended::Lost(reason))
        }
        End::Told { code, reason } => (code as u16, reason.clone(), Ended::Refused(reason)),
        End::Refused { code, reason } => refuse(&mut socket, code, reason).await,
        End::CutOff => {
            let reason = format!("a message of more than {READ_BYTES} bytes");
            refuse(&mut socket, CloseCode::TooLarge, reason).await
        }
    };
    // Whoever is gone meanwhile need not be told.
    let _ = timeout(CLOSE_MAX, close(&mut socket, code, &reason)).await;
    if cut_off {
        // There are unread bytes, and closing now would reset the socket and take our words
        // back.
        sleep(CLOSE_MAX).await;
    }
    ended
}

/// Hands in what comes, until it ends.
async fn read<E: Event>(
    stream: &mut (impl Stream<Item = Result<Message, Error>> + Unpin),
    way_in: LinkSender<E>,
) -> End {
    let (opened, mut spoke) = (Instant::now(), false);
    loop {
        let Ok(message) = timeout(SILENCE_MAX, stream.next()).await else {
            return End::Gone("it is silent".into());
        };
        match frame_of(message) {
            Ok(Some(frame)) => {
                spoke = true;
                if way_in.send(frame).await.is_err() {
                    return End::Stopped;
                }
            }
            // A browser answers pings by itself, also for a page that never attaches.
            Ok(None) if !spoke && opened.elapsed() > SILENCE_MAX => {
                return End::Gone("it does not say who it is".into());
            }
            Ok(None) => {}
            Err(end) => return end,
        }
    }
}

/// Writes what is there, and asks for signs of life, until it ends.
async fn write<E: Event>(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    link: &mut Link<E>,
) -> End {
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let written = tokio::select! {
            next = link.next() => match next {
                None => return End::Stopped,
                Some(next) => write_all(sink, link, next).await,
            },
            _ = ping.tick() => in_time(sink.send(Message::Ping(Bytes::new()))).await,
        };
        if let Err(end) = written {
            return end;
        }
    }
}

/// Writes what is there, in one go.
async fn write_all<E: Event>(
    sink: &mut (impl Sink<Message, Error = Error> + Unpin),
    link: &mut Link<E>,
    first: Outgoing,
) -> Result<(), End> {
    let mut next = Some(first);
    let mut written = 0;
    while let Some(outgoing) = next {
        match outgoing {
            Outgoing::Close { code, reason } => {
                // What was said before must not stay behind; how long that takes is not our care.
                let _ = timeout(CLOSE_MAX, sink.flush()).await;
                return Err(End::Told { code, reason });
            }
            Outgoing::Frame(frame) => in_time(sink.feed(Message::Binary(frame))).await?,
        }
        written += 1;
        next = if written < WRITE_BATCH { link.try_next() } else { None };
    }
    in_time(sink.flush()).await
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

/// Tells by a frame why the socket will close: a close frame may be too short for it.
async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    code: CloseCode,
    reason: String,
) -> (u16, String, Ended) {
    let frame = Frame::Refused { code, reason: reason.clone() }.encode();
    // A socket that takes no frame takes no close either, and that is tried next.
    let _ = timeout(CLOSE_MAX, socket.feed(Message::binary(frame))).await;
    (code as u16, reason.clone(), Ended::Refused(reason))
}

/// Says why and waits for the other end to have heard it.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    code: u16,
    reason: &str,
) {
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES)];
    let close = CloseFrame { code: code.into(), reason: reason.into() };
    if socket.close(Some(close)).await.is_err() {
        return;
    }
    while let Some(Ok(_)) = socket.next().await {}
}
