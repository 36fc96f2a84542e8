//! The node as one wasm module, for every host that runs JavaScript.
//!
//! A host makes a [`Disk`] out of its [`Files`] (or of memory), starts a [`Member`] on it, and
//! hands in what happens; the member calls back through [`Host`]. The host moves bytes and never
//! looks inside of them.
//!
//! ```text
//!   host.js                                           this module
//!   WebSocket ── frame, linkUp/Room/Down ──►  Member ── Node
//!   user      ── client, leave ────────────►    │
//!   timer     ── tick ─────────────────────►    │ append ──► Journal ──► Disk (files, memory)
//!   ◄── send, reply, report, formed, left, halted
//!   ◄── wantSync … sync ───────────────────►    │ one flush for all batches since the last
//!   ◄── wantWork … work, work, work ───────►    │ step ────► Keeper ───► Disk
//! ```

mod config;
mod disk;
mod host;
mod member;
mod panic;

pub use config::Options;
pub use disk::{Disk, Files};
pub use host::Host;
pub use member::{Member, Work};
pub use panic::last_panic;
