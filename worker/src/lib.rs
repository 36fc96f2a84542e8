//! The node as one wasm module, for every host that runs JavaScript.
//!
//! A host makes a [`Disk`] out of a file handle (or of memory), starts a [`Member`] on it,
//! and hands in what happens; the member calls back through [`Host`]. The host moves bytes and
//! never looks inside of them.
//!
//! ```text
//!   browser.js (dedicated Worker)                     this module
//!   WebSocket ── frame, linkUp/Room/Down ──►  Member ── Node
//!   page      ── client, leave ────────────►    │
//!   timer     ── tick ─────────────────────►    │ append ──► Log ──► Disk (OPFS handle, memory)
//!   ◄── send, reply, report, formed, left, halted
//!   ◄── wantSync … sync ───────────────────►    │ one flush for all batches since the last
//! ```

mod config;
mod disk;
mod host;
mod member;
mod panic;

pub use disk::Disk;
pub use host::Host;
pub use member::Member;
pub use panic::last_panic;
