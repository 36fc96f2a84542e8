//! One running member of a cluster, without a clock, a socket or a file of its own.
//!
//! ```text
//!                      ┌─────────────────────── Node ───────────────────────┐
//!  Input ── handle ──► │ sessions ─► propose ─┐                              │
//!   tick, link, frame, │          └► read ────┤► raft_node ─► apply ─► mvcc  │ ── poll ──► Output
//!   client, persisted  │ greeting ─► peers ───┘        │                     │   send, persist,
//!                      └───────────────────────────────┴─ batches for the log┘   reply, report
//! ```
//!
//! A host hands in what happened with [`Node::handle`], as often as it likes, then drains
//! [`Node::poll`] until it gives nothing. Handing in a burst before draining makes one batch of
//! it: one sync, one frame to each peer. Time is milliseconds of the host's own clock.
//!
//! Persist before reveal: what depends on a [`Batch`](wal::Batch) being durable is held back
//! until the host says [`Input::Persisted`]. If a sync fails, the host must drop the node.
//!
//! The way of one put, in order: `propose.rs`, `raft_node.rs`, `apply.rs`.

mod alarms;
mod apply;
mod backlog;
mod broken;
mod command;
mod config;
mod greeting;
mod guard;
mod identity;
mod intake;
mod life;
mod links;
mod log;
mod mover;
mod node;
mod outbox;
mod peers;
mod propose;
mod raft_node;
mod read;
mod requests;
mod seed;
mod sessions;
mod slot;
mod snapshots;
mod space;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod time;
mod unsynced;
mod window;

pub use config::{Config, LinkId, LinkKind, Pace, StartError, Timing, Urls};
pub use identity::generation;
pub use node::{Input, Node, Output};
