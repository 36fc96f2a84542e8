//! The doors for etcd's clients: gRPC.
//!
//! Each service turns protobuf into `api`, asks the [`console`] of the cluster that the caller
//! means, and turns the answer back. What this version does not have answers Unimplemented and
//! names the RPC.

mod console;
mod desk;
mod health;
mod kv;
mod leader;
mod line;
mod members;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use api::limits::{NAME_CHARS, REQUEST_BYTES, REQUEST_OVERHEAD_BYTES};
use api::session::{Request, Response};
use axum::Router;
use axum::middleware::{self, Next};
use axum::routing::get;
use etcdpb::pb::etcdserverpb::cluster_server::ClusterServer;
use etcdpb::pb::etcdserverpb::kv_server::KvServer;
use etcdpb::pb::etcdserverpb::maintenance_server::MaintenanceServer;
use etcdpb::pb::etcdserverpb::watch_server::WatchServer;
use etcdpb::to_status;
use http::header::CONTENT_TYPE;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use self::console::Console;
pub(crate) use self::line::{Home, Way};
use crate::net::stop::Stop;

/// The cluster that is served unless the caller names another one.
const DEFAULT_CLUSTER: &str = "default";
/// The metadata that names it.
const CLUSTER_KEY: &str = "kvorum-cluster";
/// The metadata by which a caller wants nothing without a leader, and its value.
const LEADER_KEY: &str = "hasleader";
const LEADER_WANTED: &str = "true";
/// Clusters that are served at once.
const CONSOLES: usize = 64;
/// Bytes of one gRPC message from a client. Beyond it etcd's transport refuses, too.
const RECEIVE_BYTES: usize = REQUEST_BYTES + REQUEST_OVERHEAD_BYTES;

/// Finds the console of the cluster that a call is for.
#[derive(Clone)]
struct Doors {
    way: Way,
    /// Where this process is reached: so is, by way of it, a member without an address.
    url: Arc<str>,
    stop: Stop,
    consoles: Arc<Mutex<BTreeMap<String, Console>>>,
}

/// Serves etcd's gRPC services, and its `/health` and `/version`. The page's address is `page`.
pub(crate) fn router(way: Way, page: &str, stop: Stop) -> Router {
    let url = page.trim_end_matches('/').into();
    let doors = Doors { way, url, stop, consoles: Arc::default() };
    let probes = Router::new()
        .route("/health", get(health::health))
        .route("/version", get(health::version))
        .with_state(doors.clone());
    let kv = KvServer::new(doors.clone())
        .max_decoding_message_size(RECEIVE_BYTES)
        .max_encoding_message_size(usize::MAX);
    let watch = WatchServer::new(doors.clone())
        .max_decoding_message_size(RECEIVE_BYTES)
        .max_encoding_message_size(usize::MAX);
    let cluster = ClusterServer::new(doors.clone()).max_decoding_message_size(RECEIVE_BYTES);
    let maintenance = MaintenanceServer::new(doors).max_decoding_message_size(RECEIVE_BYTES);
    Router::new()
        .route_service("/etcdserverpb.KV/{rpc}", kv)
        .route_service("/etcdserverpb.Watch/{rpc}", watch)
        .route_service("/etcdserverpb.Cluster/{rpc}", cluster)
        .route_service("/etcdserverpb.Maintenance/{rpc}", maintenance)
        .layer(middleware::map_response(too_large))
        .merge(probes)
}

/// Answers gRPC calls that nothing else has taken; other requests go on.
pub(crate) async fn unknown(
    request: axum::extract::Request,
    next: Next,
) -> http::Response<axum::body::Body> {
    let is_grpc = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        let rpc = request.uri().path().trim_start_matches('/').to_owned();
        return unimplemented(&rpc).into_http();
    }
    next.run(request).await
}

/// What this version does not have.
fn unimplemented(rpc: &str) -> Status {
    Status::unimplemented(format!("{rpc} is not in this version of Kvorum"))
}

/// tonic's words for a message beyond the limit become those that etcd's clients know.
async fn too_large(response: http::Response<axum::body::Body>) -> http::Response<axum::body::Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::OutOfRange => in_etcds_words(status).into_http(),
        _ => response,
    }
}

fn in_etcds_words(status: Status) -> Status {
    match status.message().split_once("decoded message length too large: found ") {
        Some((_, rest)) if status.code() == Code::OutOfRange => {
            let found = rest.split(' ').next().unwrap_or_default();
            Status::resource_exhausted(format!(
                "grpc: received message larger than max ({found} vs. {RECEIVE_BYTES})"
            ))
        }
        _ => status,
    }
}

impl Doors {
    /// The console that a call is for.
    fn console(&self, metadata: &MetadataMap) -> Result<Console, Status> {
        let cluster = match metadata.get(CLUSTER_KEY) {
            None => DEFAULT_CLUSTER,
            Some(name) => name.to_str().map_err(|_| bad_name())?,
        };
        if cluster.is_empty() || cluster.chars().count() > NAME_CHARS {
            return Err(bad_name());
        }
        if let Way::Node(home) = &self.way
            && home.cluster != cluster
        {
            let text = format!("this server is a member of cluster {:?} only", home.cluster);
            return Err(Status::not_found(text));
        }
        let mut consoles = self.consoles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(console) = consoles.get(cluster) {
            return Ok(console.clone());
        }
        // The default cluster has its place whatever else was asked for.
        if consoles.len() >= CONSOLES && cluster != DEFAULT_CLUSTER {
            let text = format!("this hub serves {CONSOLES} clusters already");
            return Err(Status::resource_exhausted(text));
        }
        let console = Console::start(cluster.to_owned(), self.way.clone(), self.stop.clone());
        consoles.insert(cluster.to_owned(), console.clone());
        Ok(console)
    }

    /// Asks the cluster that the caller means.
    async fn call(&self, metadata: &MetadataMap, request: Request) -> Result<Response, Status> {
        let console = self.console(metadata)?;
        console.call(request, wants_leader(metadata)).await.map_err(|error| to_status(&error))
    }
}

/// etcd's clients say so by `WithRequireLeader`.
fn wants_leader(metadata: &MetadataMap) -> bool {
    metadata.get(LEADER_KEY).is_some_and(|value| value == LEADER_WANTED)
}

fn bad_name() -> Status {
    Status::invalid_argument(format!(
        "{CLUSTER_KEY} must name a cluster in 1 to {NAME_CHARS} characters"
    ))
}

/// A member that answers something else than it was asked.
fn mismatch() -> Status {
    Status::internal("the member's answer is of another kind than the request")
}
