//! Sockets that listen, and the connections that come in by them.
//!
//! One port speaks everything: HTTP/1 for the page and WebSockets, HTTP/2 in clear text for
//! gRPC.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::time::sleep;
use tower::Layer;

use super::stop::Stop;
use crate::net::url::ListenUrl;

/// How long a client may take to send the head of a request.
const HEAD_MAX: Duration = Duration::from_secs(10);
/// Calls at once on one HTTP/2 connection. etcd has no limit; its clients share a connection.
const STREAMS_MAX: u32 = 100_000;
/// Bytes that a call may send before they are read. One largest request fits.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
/// As above, for all calls of a connection.
const CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// HTTP/2 has its own ping for ends that fell asleep.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Pause after an accept that failed for want of something, such as file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) SocketAddr);

/// Listens wherever the URLs of this flag say. Gives each URL with the port that it got.
pub(crate) async fn bind(
    flag: &str,
    urls: &[ListenUrl],
) -> Result<(Vec<ListenUrl>, Vec<TcpListener>)> {
    let mut bound = Vec::new();
    let mut listeners = Vec::new();
    for url in urls {
        let ip = resolve(flag, url).await?;
        let listener = TcpListener::bind(SocketAddr::new(ip, url.port))
            .await
            .map_err(|error| explain(flag, &error, url))?;
        let port = listener.local_addr()?.port();
        listeners.push(listener);
        bound.push(ListenUrl { host: url.host.clone(), port });
        if ip == Ipv4Addr::LOCALHOST {
            listeners.extend(bind_v6_loopback(port).await);
        }
    }
    Ok((bound, listeners))
}

/// `localhost` may mean `::1` to a browser, so that answers, too, where it can.
async fn bind_v6_loopback(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok()
}

async fn resolve(flag: &str, url: &ListenUrl) -> Result<IpAddr> {
    if let Some(ip) = url.ip() {
        return Ok(ip);
    }
    let found = lookup_host((url.host.as_str(), url.port))
        .await
        .with_context(|| format!("cannot find {} of {flag}", url.host))?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    let v4 = addresses.iter().find(|ip| ip.is_ipv4());
    v4.or(addresses.first())
        .copied()
        .ok_or_else(|| anyhow!("{} of {flag} has no address", url.host))
}

fn explain(flag: &str, error: &io::Error, url: &ListenUrl) -> anyhow::Error {
    let (host, port) = (&url.host, url.port);
    match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "port {port} on {host} is in use; end what uses it or choose another one with \
             {flag} http://{host}:PORT"
        ),
        _ => anyhow!("cannot listen on {host} port {port} ({flag}): {error}"),
    }
}

/// Serves what comes in until the order to stop; then lets calls end.
pub(crate) async fn accept(listener: TcpListener, router: Router, mut stop: Stop) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.ordered() => return,
        };
        match accepted {
            Ok((stream, from)) => {
                tokio::spawn(serve(stream, Caller(from), router.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, caller: Caller, router: Router, mut stop: Stop) {
    // Frames are small and wait for each other; it fails only on a socket that is gone.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEP_ALIVE);
    let service = TowerToHyperService::new(Extension(caller).layer(router));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.ordered() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("connection ended: {error}");
    }
}
