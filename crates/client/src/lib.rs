//! A client's end of the conversation with members, sans-IO.
//!
//! One [`Client`] speaks over one link: a Worker's port, or a WebSocket to a hub. Many callers
//! share it. It numbers its sessions itself; the host wraps their bodies in `Frame::Client` and
//! unwraps `Frame::Server`.
//!
//! The boundary: [`Input`] is what happens on the link, the methods of [`Client`] are what callers
//! want, [`Output`] is what to do. After each of them drain [`Client::poll`], then set one timer
//! to [`Client::wake_at`]. Time is milliseconds of any clock that never goes back.
//!
//! # The session
//!
//! Calls and watches share one session, which the first of them opens. Each raw stream has one
//! of its own, that ends with it. A number is never used twice, so what belongs to a session that
//! is over is told from what belongs to the next.
//!
//! ```text
//!         Up              something to send              any answer
//!  Down ──────► no session ───────────────► opened ──────────────────► alive
//!   ▲              ▲    ▲                      │                         │
//!   │              │    │ first time           │ Lost                    │ Lost
//!   │              │    └──────────────────────┤                         │
//!   │ Down, Leave  │                           ▼ again                   │
//!   │ from         │◄─── time, or a call ─── pausing                     │
//!   │ anywhere     │     that is new    (50 ms, then twice as            │
//!   │              │                     long each time, up to 1 s)      │
//!   │              └─────────────────────────────────────────────────────┘
//! ```
//!
//! When the session is lost:
//!
//! | what            | without an answer                         | not sent yet        |
//! |-----------------|-------------------------------------------|---------------------|
//! | a write         | ends at once: its fate is unknown         | waits ([`Patience`])|
//! | a read          | is sent again, within its [`Patience`]    | waits ([`Patience`])|
//! | a watch         | goes on after the last revision seen      | waits for ever      |
//! | a raw stream    | ends with an error                        | -                   |
//!
//! # Watches
//!
//! ```text
//!             created           events up to revision r
//!  watch ──► next = start ───► next = r + 1 ──┐          lost: create again from `next`
//!             or now + 1         ▲────────────┘          compacted: canceled, and says so
//! ```
//!
//! A revision reaches the caller whole: of an answer that comes in fragments, the last revision
//! is held until its end is known. So `next` is always between two revisions, and what a new
//! session sends again is exactly what the caller has not seen.

mod call;
mod client;
mod io;
mod stream;
#[cfg(feature = "testing")]
pub mod testing;
mod watch;

pub use client::Client;
pub use io::{CallId, Input, Output, Patience, StreamId, WatchId};

use api::limits;

/// Calls without an answer.
pub const CALLS: usize = limits::PROPOSALS_IN_FLIGHT + limits::READS_IN_FLIGHT;

/// Bytes of calls without an answer: what a member holds of them. More of one client would only
/// fill the way there.
pub const CALL_BYTES: usize = 64 * 1024 * 1024;

/// Watches at once.
pub const WATCHES: usize = limits::WATCHES_PER_SESSION;

/// Raw streams at once. A relay's sessions, less the one of calls and watches.
pub const STREAMS: usize = limits::CONSOLE_SESSIONS - 1;

/// A message to a member. Leaves room for the header of its frame.
pub const MESSAGE_BYTES: usize = limits::FRAME_BYTES - 64;

/// Bytes of one revision's events that a watch holds until it has them all.
pub const HELD_BYTES: usize = 64 * 1024 * 1024;

/// The first pause, in milliseconds, when no member is behind the link.
pub const PAUSE_MIN: u64 = 50;

/// The longest pause, in milliseconds.
pub const PAUSE_MAX: u64 = 1000;
