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
pub(crate) mod listen;
pub(crate) mod origin;
pub(crate) mod site;
pub(crate) mod socket;
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
use self::socket::Guests;
use self::stop::Stop;
use crate::args::HubArgs;
use crate::doors;

/// How long sockets and calls may take to end in order.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(2);

/// What every handler of a socket needs.
#[derive(Clone)]
pub(crate) struct Sockets {
    pub(crate) links: Links,
    pub(crate) stop: Stop,
    /// Held by each socket: when all are dropped, all sockets have ended.
    pub(crate) open: mpsc::Sender<()>,
    /// Whom they let in.
    pub(crate) guests: Guests,
}

/// Serves until a signal ends it.
pub(crate) async fn run(args: HubArgs) -> Result<()> {
    let build = site::build(args.site.as_deref())?;
    let bindings = Bindings::open(&args.data_dir)?;
    let (urls, listeners) = listen::bind("--listen-client-urls", &args.listen_client_urls).await?;
    let addresses = Addresses::new(urls);
    let page = addresses.page();
    let links = Links::start(build, page.clone(), Some(bindings));

    let (stopper, stop) = stop::stop();
    let (open, mut ended) = mpsc::channel(1);
    let sockets = Sockets { links: links.clone(), stop: stop.clone(), open, guests: Guests::All };
    let router = Router::new()
        .route("/relay", any(relay).with_state(sockets))
        .merge(doors::router(doors::Way::Relay(links), stop.clone()))
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

/// A socket at the relay.
pub(crate) async fn relay(State(sockets): State<Sockets>, upgrade: WebSocketUpgrade) -> Response {
    let Sockets { links, stop, open, guests } = sockets;
    let Ok(link) = links.open().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the hub stops\n").into_response();
    };
    upgrade.max_message_size(socket::READ_BYTES).max_frame_size(socket::READ_BYTES).on_upgrade(
        async move |socket| {
            socket::serve(socket, link, guests, stop).await;
            drop(open);
        },
    )
}

/// Until somebody wants the process to end.
pub(crate) async fn wait_for_signal() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
