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
pub(crate) mod socket;

use anyhow::Result;
use axum::Router;
use axum::extract::{State, WebSocketUpgrade};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::StatusCode;

use self::bindings::Bindings;
use self::link::Links;
use self::socket::Guests;
use crate::args::HubArgs;
use crate::doors;
use crate::net::origin::{self, Addresses};
use crate::net::stop::{self, Stop};
use crate::net::{listen, site};

/// What every handler of a socket needs.
#[derive(Clone)]
pub(crate) struct Sockets {
    pub(crate) links: Links,
    pub(crate) stop: Stop,
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

    let (stopper, stop) = stop::stop("the hub stops");
    let sockets = Sockets { links: links.clone(), stop: stop.clone(), guests: Guests::All };
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
    // Nobody waits for these.
    drop((router, stop));
    eprintln!("kvorum hub: {page}");

    stop::wait_for_signal().await?;
    stopper.stop().await;
    Ok(())
}

/// A socket at the relay.
pub(crate) async fn relay(State(sockets): State<Sockets>, upgrade: WebSocketUpgrade) -> Response {
    let Sockets { links, stop, guests } = sockets;
    let Ok(link) = links.open().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", stop.reason())).into_response();
    };
    upgrade
        .max_message_size(socket::READ_BYTES)
        .max_frame_size(socket::READ_BYTES)
        .on_upgrade(async move |socket| socket::serve(socket, link, guests, stop).await)
}
