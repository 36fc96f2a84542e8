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

use anyhow::Result;
use axum::routing::any;
use axum::{Router, middleware};
use relay::{Config, Guests};

use self::bindings::Bindings;
use crate::args::HubArgs;
use crate::doors::{self, Way};
use crate::net::origin::{self, Addresses};
use crate::net::relay::{Entrance, RelayHandle, enter};
use crate::net::{listen, site, stop};

/// Serves until a signal ends it.
pub(crate) async fn run(args: HubArgs) -> Result<()> {
    let build = site::build(args.site.as_deref())?;
    // A port that is taken must leave nothing behind.
    let (urls, listeners) = listen::bind("--listen-client-urls", &args.listen_client_urls).await?;
    let mut bindings = Bindings::open(&args.data_dir)?;
    let addresses = Addresses::new(urls);
    let page = addresses.page();
    let config = Config { build, page: page.clone(), bindings: bindings.names().clone() };
    let save = Box::new(move |name: &str, cluster| bindings.save(name, cluster));
    let relay = RelayHandle::start(config, Some(save));

    let (stopper, stop) = stop::stop("the hub stops");
    let entrance = Entrance { relay: relay.clone(), guests: Guests::All, stop: stop.clone() };
    let router = Router::new()
        .route("/relay", any(enter).with_state(entrance))
        .merge(doors::router(Way::Relay(relay), &page, stop.clone()))
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
