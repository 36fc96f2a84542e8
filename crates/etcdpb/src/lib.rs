//! etcd's protobuf forms, the gRPC services, and the way between them and [`api`].
//!
//! The only crate that knows prost. Conversions are [`From`] where nothing can go wrong and
//! [`TryFrom`] with an [`api::Error`] where a message can say what `api` cannot hold; both take
//! every field apart by name, so that a new field breaks the build instead of being lost.
//!
//! ```text
//!  bytes ──prost──► pb::…Request ──TryFrom──► api::…Request      what a client asks
//!  bytes ◄──prost── pb::…Response ◄──From──── api::…Response     what it is told
//! ```
//!
//! The definitions in `proto/` hold etcd's names, numbers and types (v3.7).

mod cluster;
mod error;
mod kv;
mod maintenance;
mod txn;
mod watch;

pub use error::to_status;

/// What prost and tonic make of etcd's definitions.
pub mod pb {
    /// Requests, answers and services.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    #[allow(clippy::use_self, clippy::redundant_closure_for_method_calls)]
    pub mod etcdserverpb {
        tonic::include_proto!("etcdserverpb");
    }
    /// Pairs and events.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    #[allow(clippy::use_self)]
    pub mod mvccpb {
        tonic::include_proto!("mvccpb");
    }
    /// Parts of users and roles.
    #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
    #[allow(clippy::use_self)]
    pub mod authpb {
        tonic::include_proto!("authpb");
    }
}

/// A message without the part that gives it meaning. No etcd sends one.
fn incomplete(what: &str) -> api::Error {
    api::Error::Invalid(format!("a message without its {what}"))
}
