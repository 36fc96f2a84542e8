//! Links straight to the peers: of two members the one whose name is smaller dials.
//!
//! ```text
//!  dial ──► connected ──► serve ──► ended ─┐     pause: 50 ms, doubled up to 2.5 s, and
//!    ▲                                     │     something random, so that members that
//!    └──────────────── pause ◄─────────────┘     lost each other do not meet in step
//! ```

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use http::header::ORIGIN;
use http::{Response, StatusCode};
use node::LinkKind;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request};
use tokio_tungstenite::{accept_hdr_async_with_config, client_async_with_config};

use super::member::Member;
use super::socket::{Ended, Socket, config, serve};
use crate::args::ListenUrl;
use crate::net::stop::Stop;

/// Where members meet on the peer port.
const PATH: &str = "/peer";
/// Connections of peers at once. Nine members need eight; the rest is for those that are not
/// yet known to be gone.
const CONNECTIONS: usize = 64;
/// How long a connection may take until it is a WebSocket.
const HANDSHAKE_MAX: Duration = Duration::from_secs(3);
/// The pause after a first failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(2500);
/// A link that lasted as long as this was a good one: the pauses begin anew.
const GOOD_LINK: Duration = Duration::from_secs(5);
/// Pause after an accept that failed for want of something, such as file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves peers that dial.
pub(crate) async fn accept(listener: TcpListener, member: Member, mut stop: Stop) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.ordered() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                let Ok(place) = room.clone().try_acquire_owned() else {
                    tracing::warn!("{from} is turned away: {CONNECTIONS} peers are connected");
                    continue;
                };
                let (member, stop) = (member.clone(), stop.clone());
                tokio::spawn(async move {
                    match accept_one(stream, member, stop).await {
                        Ok(Ended::Stopped) => {}
                        Ok(Ended::Lost(reason)) => tracing::info!("peer at {from}: {reason}"),
                        Ok(Ended::Refused(reason)) => tracing::warn!("peer at {from}: {reason}"),
                        Err(error) => tracing::info!("peer at {from}: {error:#}"),
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a peer's connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn accept_one(stream: TcpStream, member: Member, stop: Stop) -> Result<Ended> {
    stream.set_nodelay(true)?;
    let accepting = accept_hdr_async_with_config(stream, judge, Some(config()));
    let socket = timeout(HANDSHAKE_MAX, accepting).await.context("no WebSocket in time")??;
    let Ok(link) = member.open(LinkKind::Peer).await else { return Ok(Ended::Stopped) };
    Ok(serve(socket, link, stop).await)
}

/// Members come to one path, and never from a web site.
#[expect(clippy::result_large_err, reason = "the library's own type")]
fn judge(request: &Request, response: Response<()>) -> Result<Response<()>, ErrorResponse> {
    let refuse = |status, text: &str| {
        let mut refusal: ErrorResponse = Response::new(Some(text.to_owned()));
        *refusal.status_mut() = status;
        Err(refusal)
    };
    if request.headers().contains_key(ORIGIN) {
        return refuse(StatusCode::FORBIDDEN, "web sites have no business among members\n");
    }
    if request.uri().path() != PATH {
        return refuse(
            StatusCode::NOT_FOUND,
            "members meet at /peer; clients have their own port\n",
        );
    }
    Ok(response)
}

/// Keeps a link to one peer.
pub(crate) async fn dial(name: String, urls: Vec<ListenUrl>, member: Member, mut stop: Stop) {
    let mut pause = PAUSE_MIN;
    let mut told = String::new();
    loop {
        for url in &urls {
            let since = Instant::now();
            match dial_once(url, &member, &mut stop).await {
                Ok(Ended::Stopped) => return,
                Ok(Ended::Lost(reason)) => {
                    tracing::info!("link to member {name} at {url}: {reason}");
                }
                Ok(Ended::Refused(reason)) => warn(&mut told, &name, url, reason),
                Err(error) => warn(&mut told, &name, url, format!("cannot be reached: {error:#}")),
            }
            if since.elapsed() >= GOOD_LINK {
                pause = PAUSE_MIN;
                told.clear();
            }
        }
        tokio::select! {
            () = sleep(jittered(pause)) => {}
            () = stop.ordered() => return,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// The same again is no news.
fn warn(told: &mut String, name: &str, url: &ListenUrl, reason: String) {
    if *told != reason {
        tracing::warn!("member {name} at {url}: {reason}");
        *told = reason;
    }
}

/// Serves one connection to its end.
async fn dial_once(url: &ListenUrl, member: &Member, stop: &mut Stop) -> Result<Ended> {
    let connected = tokio::select! {
        connected = timeout(HANDSHAKE_MAX, connect(url)) => connected,
        () = stop.ordered() => return Ok(Ended::Stopped),
    };
    let socket = connected.context("no answer in time")??;
    let Ok(link) = member.open(LinkKind::Peer).await else { return Ok(Ended::Stopped) };
    // It hears the order to stop by itself, and says goodbye.
    Ok(serve(socket, link, stop.clone()).await)
}

async fn connect(url: &ListenUrl) -> Result<Socket> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await?;
    stream.set_nodelay(true)?;
    let address = url.to_string().replacen("http://", "ws://", 1) + PATH;
    let (socket, _) = client_async_with_config(address, stream, Some(config())).await?;
    Ok(socket)
}

/// Between half of it and all.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(pause) % 1024;
    pause / 2 + pause / 2 * u32::try_from(random).unwrap_or(0) / 1024
}
