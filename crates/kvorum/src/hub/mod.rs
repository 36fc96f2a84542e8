//! `kvorum hub`: the relay, the page and the doors on one port.
//!
//! ```text
//!                     ┌── Host and Origin ──┐
//!  browser ── GET ───►│  site               │
//!  member  ── WS  ───►│  socket ──► link ───┼──► Relay
//!  console ── WS  ───►│  socket ──► link ───┤
//!  etcdctl ── gRPC ──►│  doors ► console ───┘
//!                     └─────────────────────┘
//! ```

mod bindings;
pub(crate) mod link;
mod listen;
mod origin;
mod site;
mod socket;
pub(crate) mod stop;

use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{State, WebSocketUpgrade};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use self::bindings::Bindings;
use self::link::Links;
use self::origin::Addresses;
use self::stop::Stop;
use crate::args::HubArgs;
use crate::doors;

/// How long sockets and calls may take to end in order.
const STOP_MAX: Duration = Duration::from_secs(2);

/// What every handler of a socket needs.
#[derive(Clone)]
struct Sockets {
    links: Links,
    stop: Stop,
    /// Held by each socket: when all are dropped, all sockets have ended.
    open: mpsc::Sender<()>,
}

/// Serves until a signal ends it.
pub(crate) async fn run(args: HubArgs) -> Result<()> {
    let build = site::build(args.site.as_deref())?;
    let bindings = Bindings::open(&args.data_dir)?;
    let (urls, listeners) = listen::bind(&args.listen_client_urls).await?;
    let addresses = Addresses::new(urls);
    let page = addresses.page();
    let links = Links::start(build, page.clone(), bindings);

    let (stopper, stop) = stop::stop();
    let (open, mut ended) = mpsc::channel(1);
    let sockets = Sockets { links: links.clone(), stop: stop.clone(), open };
    let router = Router::new()
        .route("/relay", any(relay).with_state(sockets))
        .merge(doors::router(links, stop.clone()))
        .fallback_service(
            site::router(args.site.as_deref()).layer(middleware::from_fn(doors::unknown)),
        )
        .layer(middleware::from_fn_with_state(addresses, origin::check));
    for listener in listeners {
        tokio::spawn(listen::accept(listener, router.clone(), stop.clone()));
    }
    drop(router);
    eprintln!("kvorum hub: {page}");

    wait_for_signal().await?;
    stopper.stop();
    // What takes longer is cut off.
    let _ = timeout(STOP_MAX, ended.recv()).await;
    Ok(())
}

async fn relay(State(sockets): State<Sockets>, upgrade: WebSocketUpgrade) -> Response {
    let Sockets { links, stop, open } = sockets;
    let Ok(link) = links.open().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the hub stops\n").into_response();
    };
    upgrade.max_message_size(socket::READ_BYTES).max_frame_size(socket::READ_BYTES).on_upgrade(
        async move |socket| {
            socket::serve(socket, link, stop).await;
            drop(open);
        },
    )
}

async fn wait_for_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
