//! A WebSocket's end of a link: binary messages are frames, one each.
//!
//! A socket whose other end fell asleep looks open for minutes. So the hub pings, and one that
//! says nothing for [`SILENCE_MAX`] is gone.

use std::time::Duration;

use api::frame::{Attach, Attachee, CloseCode, Frame};
use api::{Bytes, limits};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::link::{Link, Outgoing};
use crate::net::stop::Stop;

/// How often the hub asks whether the other end is there.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(2);
/// Silence after which it is not. Browsers answer a ping at once, also for a hidden tab.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(8);
/// How long the socket may take for one frame.
pub(crate) const WRITE_MAX: Duration = Duration::from_secs(8);
/// How long the other end may take to answer a close.
pub(crate) const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Bytes of one message that are still read, to refuse it in order. A larger one is cut off.
pub(crate) const READ_BYTES: usize = 2 * limits::FRAME_BYTES;
/// Frames that are handed to the socket before it is flushed.
pub(crate) const WRITE_BATCH: usize = 128;
/// Bytes of text that a close frame holds.
pub(crate) const CLOSE_REASON_BYTES: usize = 123;
/// The hub ends: WebSocket's own code for "going away".
pub(crate) const GOING_AWAY: u16 = 1001;

/// How a socket ends.
enum End {
    /// It is gone, or as good as that.
    Gone,
    /// The other end is told.
    Told { code: u16, reason: String },
    /// The other end is told twice: by a frame and by the close.
    Refused { code: CloseCode, reason: String },
    /// It sends a message that is not read to its end.
    CutOff,
}

/// Who may come in by a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guests {
    /// Members and consoles.
    All,
    /// Consoles: the one member of the room is at home here.
    Consoles,
}

impl Guests {
    fn check(self, frame: &[u8]) -> Result<(), End> {
        if self == Self::All {
            return Ok(());
        }
        match Frame::decode(frame) {
            Ok(Frame::Attach(Attach { who: Attachee::Member(_), .. })) => Err(End::Refused {
                code: CloseCode::Foreign,
                reason: "this server is a member itself, and its page hosts none".into(),
            }),
            _ => Ok(()),
        }
    }
}

/// Serves one socket until it ends.
pub(crate) async fn serve(mut socket: WebSocket, link: Link, guests: Guests, mut stop: Stop) {
    let end = exchange(&mut socket, link, guests, &mut stop).await;
    let cut_off = matches!(end, End::CutOff);
    let (code, reason) = match end {
        End::Gone => return,
        End::Told { code, reason } => (code, reason),
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
}

/// Tells by a frame why the socket will close: a close frame may be too short for it.
async fn refuse(socket: &mut WebSocket, code: CloseCode, reason: String) -> (u16, String) {
    let frame = Frame::Refused { code, reason: reason.clone() }.encode();
    // A socket that takes no frame takes no close either, and that is tried next.
    let _ = timeout(CLOSE_MAX, socket.feed(Message::Binary(frame.into()))).await;
    (code as u16, reason)
}

async fn exchange(socket: &mut WebSocket, mut link: Link, guests: Guests, stop: &mut Stop) -> End {
    let to_relay = link.sender();
    let mut ping = interval(PING_EVERY);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let (opened, mut spoke) = (heard, false);
    loop {
        tokio::select! {
            message = socket.recv() => {
                heard = Instant::now();
                match frame_of(message) {
                    Ok(None) => {}
                    Ok(Some(frame)) => {
                        spoke = true;
                        if let Err(end) = guests.check(&frame) {
                            return end;
                        }
                        if to_relay.send(frame).await.is_err() {
                            return End::Gone;
                        }
                    }
                    Err(end) => return end,
                }
            }
            next = link.next() => match next {
                None => return End::Gone,
                Some(next) => if let Err(end) = write(socket, &mut link, next).await {
                    return end;
                },
            },
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE_MAX {
                    tracing::info!("a socket is silent; closed");
                    return End::Gone;
                }
                // A browser answers pings by itself, also for a page that never attaches.
                if !spoke && opened.elapsed() > SILENCE_MAX {
                    tracing::info!("a socket did not attach; closed");
                    return End::Gone;
                }
                if let Err(end) = in_time(socket.send(Message::Ping(Bytes::new()))).await {
                    return end;
                }
            }
            () = stop.ordered() => {
                return End::Told { code: GOING_AWAY, reason: stop.reason().into() };
            }
        }
    }
}

/// The frame that a message is, or nothing if it is one of WebSocket's own.
fn frame_of(message: Option<Result<Message, axum::Error>>) -> Result<Option<Bytes>, End> {
    match message {
        Some(Ok(Message::Binary(frame))) if frame.len() > limits::FRAME_BYTES => {
            let reason =
                format!("frame of {} bytes; the limit is {}", frame.len(), limits::FRAME_BYTES);
            Err(End::Refused { code: CloseCode::TooLarge, reason })
        }
        Some(Ok(Message::Binary(frame))) => Ok(Some(frame)),
        Some(Ok(Message::Text(_))) => Err(End::Refused {
            code: CloseCode::Malformed,
            reason: "a text message; frames are binary".into(),
        }),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
        Some(Ok(Message::Close(_))) | None => Err(End::Gone),
        Some(Err(error)) if error.to_string().contains("too long") => Err(End::CutOff),
        Some(Err(_)) => Err(End::Gone),
    }
}

/// Writes what is there, in one go.
async fn write(socket: &mut WebSocket, link: &mut Link, first: Outgoing) -> Result<(), End> {
    let mut next = Some(first);
    let mut written = 0;
    while let Some(outgoing) = next {
        match outgoing {
            Outgoing::Close { code, reason } => {
                return Err(End::Told { code: code as u16, reason });
            }
            Outgoing::Frame(frame) => {
                in_time(socket.feed(Message::Binary(frame))).await?;
            }
        }
        written += 1;
        next = if written < WRITE_BATCH { link.try_next() } else { None };
    }
    in_time(socket.flush()).await
}

async fn in_time(work: impl Future<Output = Result<(), axum::Error>>) -> Result<(), End> {
    match timeout(WRITE_MAX, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

/// Says why and waits for the other end to have heard it.
async fn close(socket: &mut WebSocket, code: u16, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES)];
    let close = CloseFrame { code, reason: reason.into() };
    if socket.send(Message::Close(Some(close))).await.is_err() {
        return;
    }
    while let Some(Ok(_)) = socket.recv().await {}
}
