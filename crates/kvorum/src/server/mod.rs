//! `kvorum server`: a member that keeps its data in a directory, with the doors of a hub.
//!
//! ```text
//!                 client port                                       peer port
//!             ┌── Host and Origin ──┐                            ┌─────────────┐
//!  etcdctl ──►│ doors ─ console ────┼─► host ───► log thread     │             │
//!  browser ──►│ site, /metrics      │     ▲ │                    │             │
//!  console ──►│ /relay ─► Relay ────┼─────┘ └── links of peers ──┼─ /peer   ◄──┼── dial
//!             └─────────────────────┘                            └─────────────┘
//! ```

mod attend;
mod disk;
pub(crate) mod flags;
pub(crate) mod host;
mod metrics;
mod peers;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use api::identity::Incarnation;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use axum::{Router, middleware};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use node::{Config, Node};
use relay::Guests;
use serde_json::json;
use storage::{Directory, FileError, Opened};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use self::disk::Disk;
use self::flags::{ServerArgs, Settings};
use self::host::{End, NodeHandle};
use self::metrics::Metrics;
use crate::doors::{self, Home, Way};
use crate::net::origin::{self, Addresses};
use crate::net::relay::{Entrance, RelayHandle, enter};
use crate::net::stop::{self, Stop};
use crate::net::{listen, site};

/// The name under which clients and consoles find the cluster of a server.
const CLUSTER: &str = "default";
/// How long the member may take to hand over and leave.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// Serves until a signal ends it, or the member cannot go on.
pub(crate) async fn run<D>(
    args: ServerArgs,
    open: impl FnOnce(&Path) -> Result<D, FileError>,
) -> Result<()>
where
    D: Directory + Clone + Send + 'static,
    D::File: Send + Sync + 'static,
{
    let settings = args.settings()?;
    let build = site::build(args.site.as_deref())?;
    let (urls, clients) = listen::bind("--listen-client-urls", &settings.listen_client).await?;
    let (_, peers) = listen::bind("--listen-peer-urls", &settings.listen_peer).await?;
    let metrics = Metrics::new();
    let (home, mut end) = start_member(&settings, open, metrics.clone())?;
    let node = home.node.clone();

    let addresses = Addresses::of_server([urls, settings.advertise_client.clone()].concat());
    let page = addresses.page();
    let config = relay::Config { build: build.clone(), page: page.clone(), ..Default::default() };
    let relay = RelayHandle::start(config, None);
    let (stopper, stop) = stop::stop("the member stops");
    let entrance = Entrance { relay: relay.clone(), guests: Guests::Consoles, stop: stop.clone() };
    let site = site::router(args.site.as_deref()).layer(middleware::from_fn(doors::unknown));
    let mut router = Router::new()
        .route("/relay", any(enter).with_state(entrance))
        .route("/metrics", get(async |State(metrics): State<Metrics>| metrics.page()))
        .with_state(metrics)
        .merge(doors::router(Way::Node(home), &page, stop.clone()));
    if args.site.is_some() {
        let file = build_file(&build);
        router = router.route("/build.json", get(async || file));
    }
    let router = router
        .fallback_service(site)
        .layer(middleware::from_fn_with_state(addresses, origin::check));
    for listener in clients {
        tokio::spawn(listen::accept(listener, router.clone(), stop.clone()));
    }
    tokio::spawn(attend::attend(node.clone(), relay));
    meet_peers(&settings, peers, &node, &stop);
    // Nobody waits for these.
    drop((router, stop));
    eprintln!("kvorum server: {page}");

    let result = tokio::select! {
        signal = stop::wait_for_signal() => match signal {
            Ok(()) => leave(&node, end).await,
            Err(error) => Err(error),
        },
        ended = &mut end => ended
            .unwrap_or_else(|_| Err(anyhow!("the member's task is gone")))
            .with_context(|| format!("the data directory {}", settings.data_dir.display())),
    };
    stopper.stop().await;
    result
}

/// Reads the directory and starts the node on it.
fn start_member<D>(
    settings: &Settings,
    open: impl FnOnce(&Path) -> Result<D, FileError>,
    metrics: Metrics,
) -> Result<(Home, End)>
where
    D: Directory + Clone + Send + 'static,
    D::File: Send + Sync + 'static,
{
    let (dir, cache_bytes) = (&settings.data_dir, settings.cache_bytes);
    let opened = disk::open(dir, open, settings.state, random()?, cache_bytes)?;
    let started = Instant::now();
    let config = config(settings)?;
    let Opened { journal, keeper, recovered, base } = opened;
    let node = Node::new(config, 0, &recovered, base).with_context(|| {
        format!("cannot use the data directory {}", settings.data_dir.display())
    })?;
    drop(recovered);
    let disk = Disk::start(journal, keeper, metrics.clone())?;
    let (replies, answers) = mpsc::unbounded_channel();
    let (node, end) = NodeHandle::start(node, started, disk, metrics, replies);
    let home = Home {
        cluster: CLUSTER.into(),
        node,
        replies: Arc::new(Mutex::new(answers)),
        election_timeout: Duration::from_millis(settings.timing.election_ms),
    };
    Ok((home, end))
}

fn config(settings: &Settings) -> Result<Config> {
    Ok(Config {
        cluster: CLUSTER.into(),
        token: settings.token.clone(),
        name: settings.name.clone(),
        initial: settings.initial.keys().cloned().collect(),
        learners: Vec::new(),
        incarnation: Incarnation(u128::from(random()?) << 64 | u128::from(random()?)),
        nonce: random()?,
        seed: random()?,
        build: String::new(),
        urls: settings.urls(),
        timing: settings.timing,
        pace: settings.pace,
    })
}

fn meet_peers(settings: &Settings, listeners: Vec<TcpListener>, node: &NodeHandle, stop: &Stop) {
    let router = peers::router(node.clone(), stop.clone());
    for listener in listeners {
        tokio::spawn(listen::accept(listener, router.clone(), stop.clone()));
    }
    for (name, urls) in settings.others() {
        let (first, peer) = (settings.name < *name, (name.clone(), urls.clone()));
        tokio::spawn(peers::dial(peer, first, node.clone(), stop.clone()));
    }
}

/// Hands over what is to be handed over.
async fn leave(node: &NodeHandle, end: End) -> Result<()> {
    // Asking, too, has its limit: a disk that hangs leaves the node's events unread.
    let left = async {
        node.leave().await;
        end.await
    };
    match timeout(LEAVE_MAX, left).await {
        Ok(Ok(ended)) => ended,
        Ok(Err(_)) => Err(anyhow!("the member's task is gone")),
        // The others notice by themselves; what was acknowledged is durable.
        Err(_) => Ok(()),
    }
}

/// As the page's own file, and that this page hosts no member.
fn build_file(build: &str) -> impl IntoResponse + Clone + use<> {
    let file = json!({ "build": build, "members": false });
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], format!("{file}\n"))
}

/// From the system.
fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the system gives no randomness: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}
