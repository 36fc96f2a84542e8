//! A deterministic cluster: real nodes, a real relay, real logs on disks of memory, in one
//! thread, under virtual time, from one seed.
//!
//! ```text
//!   script.rs / a test ──► Cluster ─┬─ Place "1": Node + Log + Disk ──┐
//!                                   ├─ Place "2"                      ├─ Agenda (what comes when)
//!                                   ├─ Hub: Relay, consoles           │
//!                                   └─ Net: rules and faults ─────────┘
//! ```
//!
//! A *place* is a directory and what runs on it. It usually has its member's name; a copied
//! directory is another place with the same member.

pub mod clock;
pub mod cluster;
mod direct;
pub mod disk;
mod hub;
pub mod invariants;
pub mod model;
pub mod net;
mod place;
pub mod random;
mod request;
pub mod script;
pub mod trace;
pub mod truth;
pub mod vopr;

pub use cluster::{Cluster, Settings};
pub use place::Started;
