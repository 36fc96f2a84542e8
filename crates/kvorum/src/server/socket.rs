//! A WebSocket between two members: binary messages are frames, one each.
//!
//! Limits, pings and close codes are those of the hub's sockets. What a frame may say is the
//! node's to judge; it closes the link of a member that says something else.

use api::frame::{CloseCode, Frame};
use api::{Bytes, limits};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, error::CapacityError};

use super::member::Link;
use crate::hub::link::Outgoing;
use crate::hub::socket::{
    CLOSE_MAX, CLOSE_REASON_BYTES, GOING_AWAY, PING_EVERY, READ_BYTES, SILENCE_MAX, WRITE_BATCH,
    WRITE_MAX,
};
use crate::net::stop::Stop;

/// A WebSocket to a member.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Why a socket has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// This member ends.
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
    /// The other end is told.
    Told { code: u16, reason: String },
    /// The other end is told twice: by a frame and by the close.
    Refused { code: CloseCode, reason: String },
    /// This member ends.
    Stopped,
}

/// The limits of a socket.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(READ_BYTES)).max_frame_size(Some(READ_BYTES))
}

/// Serves one socket until it ends.
pub(crate) async fn serve(mut socket: Socket, mut link: Link, mut stop: Stop) -> Ended {
    let end = exchange(&mut socket, &mut link, &mut stop).await;
    // The node need not wait for the other end's goodbye.
    drop(link);
    let (code, reason, ended) = match end {
        End::Gone(reason) => return Ended::Lost(reason),
        End::Unwanted(reason) => return Ended::Refused(reason),
        End::Stopped => (GOING_AWAY, "the member stops".into(), Ended::Stopped),
        End::Told { code, reason } => (code, reason.clone(), Ended::Lost(reason)),
        End::Refused { code, reason } => {
            let frame = Frame::Refused { code, reason: reason.clone() }.encode();
            // A socket that takes no frame takes no close either, and that is tried next.
            let _ = timeout(CLOSE_MAX, socket.feed(Message::binary(frame))).await;
            (code as u16, reason.clone(), Ended::Refused(reason))
        }
    };
    // Whoever is gone meanwhile need not be told.
    let _ = timeout(CLOSE_MAX, close(&mut socket, code, &reason)).await;
    ended
}

async fn exchange(socket: &mut Socket, link: &mut Link, stop: &mut Stop) -> End {
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            message = socket.next() => {
                heard = Instant::now();
                match frame_of(message) {
                    Ok(None) => {}
                    Ok(Some(frame)) => {
                        if link.frame(frame).await.is_err() {
                            return End::Stopped;
                        }
                    }
                    Err(end) => return end,
                }
            }
            next = link.outbox.next() => match next {
                None => return End::Stopped,
                Some(next) => if let Err(end) = write(socket, link, next).await {
                    return end;
                },
            },
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE_MAX {
                    return End::Gone("it is silent".into());
                }
                if let Err(end) = in_time(socket.send(Message::Ping(Bytes::new()))).await {
                    return end;
                }
            }
            () = stop.ordered() => return End::Stopped,
        }
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
                Err(End::Unwanted(format!("it refuses this member ({code:?}): {reason}")))
            }
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
        Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => {
            let reason = format!("a message of more than {READ_BYTES} bytes");
            refused(CloseCode::TooLarge, reason)
        }
        Some(Err(error)) => Err(End::Gone(error.to_string())),
    }
}

/// Writes what is there, in one go.
async fn write(socket: &mut Socket, link: &mut Link, first: Outgoing) -> Result<(), End> {
    let mut next = Some(first);
    let mut written = 0;
    while let Some(outgoing) = next {
        match outgoing {
            Outgoing::Close { code: code @ CloseCode::Replaced, reason } => {
                return Err(End::Told { code: code as u16, reason });
            }
            Outgoing::Close { code, reason } => return Err(End::Refused { code, reason }),
            Outgoing::Frame(frame) => in_time(socket.feed(Message::Binary(frame))).await?,
        }
        written += 1;
        next = if written < WRITE_BATCH { link.outbox.try_next() } else { None };
    }
    in_time(socket.flush()).await
}

async fn in_time(work: impl Future<Output = Result<(), Error>>) -> Result<(), End> {
    match timeout(WRITE_MAX, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(End::Gone(error.to_string())),
        Err(_) => Err(End::Gone("it does not read".into())),
    }
}

/// Says why and waits for the other end to have heard it.
async fn close(socket: &mut Socket, code: u16, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES)];
    let close = CloseFrame { code: code.into(), reason: reason.into() };
    if socket.close(Some(close)).await.is_err() {
        return;
    }
    while let Some(Ok(_)) = socket.next().await {}
}
