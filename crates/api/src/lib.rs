//! The etcd v3 data model, the error catalogue, and the frames between processes.
//!
//! Shapes and nothing else: no behaviour that needs a store, a clock or a socket. Every other
//! crate speaks these types, so there is one of each; protobuf and JSON live in `etcdpb`.
//!
//! * [`kv`], [`watch`], [`cluster`], [`maintenance`]: what etcd's clients say and hear.
//! * [`error`]: etcd's errors, each with its code and text, and Kvorum's own.
//! * [`session`]: the messages between a client and the member that serves it.
//! * [`identity`]: who a member is, across wipes, copies and restarts.
//! * [`frame`]: how all of it travels between processes.
//! * [`report`]: what a member shows of itself.
//! * [`limits`]: the size of everything.

pub mod cluster;
pub mod error;
pub mod frame;
pub mod identity;
pub mod kv;
pub mod limits;
pub mod maintenance;
mod nested;
pub mod report;
pub mod session;
pub mod watch;

pub use bytes::Bytes;
pub use error::{Code, Error, Result};

/// The etcd whose API and behaviour this is.
pub const ETCD_VERSION: &str = "3.7.3";
/// The version that a cluster of such members has: its minor version.
pub const ETCD_CLUSTER_VERSION: &str = "3.7.0";
