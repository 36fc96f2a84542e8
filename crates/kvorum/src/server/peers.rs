//! Links straight to the peers: of two members the one whose name is smaller dials. The other one
//! does when it has missed it for a while: it may not be reachable itself, or its directory be a
//! copy, whose peers dial the original.
//!
//! ```text
//!  missed ──► dial ──► connected ──► serve ──► ended ─┐     pause: 50 ms, doubled up to 2.5 s, and
//!     ▲                                               │     something random, so that members that
//!     └───────────────────── pause ◄──────────────────┘     lost each other do not meet in step
//! ```

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use api::report::{LinkState, MemberReport};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Extension, Router};
use http::StatusCode;
use http::header::ORIGIN;
use node::LinkKind;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::host::NodeHandle;
use crate::net::listen::Caller;
use crate::net::socket::{Ended, config, serve};
use crate::net::stop::Stop;
use crate::net::upgrade::upgrade;
use crate::net::url::ListenUrl;

/// Where members meet on the peer port.
const PATH: &str = "/peer";
/// Connections of peers at once. Nine members need eight; the rest is for those that are not
/// yet known to be gone.
const CONNECTIONS: usize = 64;
/// How long a dialed connection may take until it is a WebSocket.
const HANDSHAKE_MAX: Duration = Duration::from_secs(3);
/// The pause after a first failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(2500);
/// So long a peer is out of reach before this member dials though that is the other's to do.
const MISSED: Duration = Duration::from_secs(5);
/// A link that lasted as long as this was a good one: the pauses begin anew.
const GOOD_LINK: Duration = Duration::from_secs(5);

/// Where peers come in.
#[derive(Clone)]
struct Entrance {
    node: NodeHandle,
    room: Arc<Semaphore>,
    stop: Stop,
}

/// The peer port: members come to one path, and never from a web site.
pub(crate) fn router(node: NodeHandle, stop: Stop) -> Router {
    let entrance = Entrance { node, room: Arc::new(Semaphore::new(CONNECTIONS)), stop };
    let elsewhere = async || {
        let text = "members meet at /peer; clients have their own port\n";
        (StatusCode::NOT_FOUND, text)
    };
    Router::new()
        .route(PATH, any(accept))
        .with_state(entrance)
        .fallback(elsewhere)
        .layer(middleware::from_fn(no_site))
}

async fn no_site(request: Request, next: Next) -> Response {
    if request.headers().contains_key(ORIGIN) {
        let text = "web sites have no business among members\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    next.run(request).await
}

/// A peer that dials.
async fn accept(
    State(Entrance { node, room, stop }): State<Entrance>,
    Extension(Caller(from)): Extension<Caller>,
    request: Request,
) -> Response {
    let Ok(place) = room.try_acquire_owned() else {
        let text = format!("{CONNECTIONS} peers are connected already\n");
        tracing::warn!("{from} is turned away: {text}");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    upgrade(request, async move |socket| {
        // Otherwise the process is ending.
        let Ok(link) = node.open(LinkKind::Peer).await else { return };
        match serve(socket, link, stop).await {
            Ended::Stopped => {}
            Ended::Lost(reason) => tracing::info!("peer at {from}: {reason}"),
            Ended::Refused(reason) => tracing::warn!("peer at {from}: {reason}"),
        }
        drop(place);
    })
}

/// Keeps a link to one peer. If `first` that is this member's to do.
pub(crate) async fn dial(
    (name, urls): (String, Vec<ListenUrl>),
    first: bool,
    node: NodeHandle,
    mut stop: Stop,
) {
    let mut pause = PAUSE_MIN;
    let mut told = String::new();
    loop {
        if !first {
            tokio::select! {
                () = missed(&name, &node) => {}
                () = stop.ordered() => return,
            }
        }
        for url in &urls {
            let since = Instant::now();
            let ended = dial_once(url, &node, &mut stop).await;
            let served = ended.is_ok();
            match ended {
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
            if served && !first {
                // The peer may have come by itself, and be missed no more.
                break;
            }
        }
        tokio::select! {
            () = sleep(jittered(pause)) => {}
            () = stop.ordered() => return,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Waits until a peer has been out of reach for some time, or there is no node any more.
async fn missed(name: &str, node: &NodeHandle) {
    let mut report = node.report();
    let is_down = |report: &Option<MemberReport>| {
        let peers = report.iter().flat_map(|report| &report.peers);
        peers.into_iter().any(|peer| peer.name == name && peer.link == LinkState::Down)
    };
    while report.wait_for(is_down).await.is_ok() {
        let came = report.wait_for(|report| !is_down(report));
        if timeout(MISSED, came).await.is_err() {
            return;
        }
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
async fn dial_once(url: &ListenUrl, node: &NodeHandle, stop: &mut Stop) -> Result<Ended> {
    let connected = tokio::select! {
        connected = timeout(HANDSHAKE_MAX, connect(url)) => connected,
        () = stop.ordered() => return Ok(Ended::Stopped),
    };
    let socket = connected.context("no answer in time")??;
    let Ok(link) = node.open(LinkKind::Peer).await else { return Ok(Ended::Stopped) };
    // It hears the order to stop by itself, and says goodbye.
    Ok(serve(socket, link, stop.clone()).await)
}

async fn connect(url: &ListenUrl) -> Result<WebSocketStream<TcpStream>> {
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
