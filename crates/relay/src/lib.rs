//! Rooms that forward frames between members that cannot dial each other, sans-IO.
//!
//! A room is one cluster name. Members in it hear who else is there and send each other frames;
//! consoles watch the members' reports and have sessions with one of them. The relay routes by
//! header and never reads a body. What goes through it may be lost or doubled: the two ends
//! take care of that.
//!
//! ```text
//!  host ──Input──► Relay ──Output──► host      one input, drain `poll`, next input
//!
//!  relay.rs     connections and limits, the first frame
//!  room.rs      who is in a room; frames between members; reports
//!  binding.rs   whose name it is; who may enter
//!  session.rs   consoles and the members that serve them
//! ```
//!
//! What the host does: it gives every connection a number of its own, closes one that does not
//! attach within a few seconds (the relay has no clock), holds at most
//! [`LINK_QUEUE_BYTES`](api::limits::LINK_QUEUE_BYTES) for each and says [`Input::Slow`] beyond,
//! [`Input::Full`] some way before that, and makes a binding durable before it says
//! [`Input::Saved`].
//!
//! What a connection sees: its first frame is `Attach`; until `Attached` comes, what a member
//! sends to its peers is dropped. A bad frame costs the connection that sent it, with `Refused`
//! and a close code, and nobody else notices more than that it is gone.

mod binding;
mod io;
mod outputs;
mod relay;
mod room;
mod session;
#[cfg(feature = "testing")]
pub mod testing;

pub use io::{Config, Guests, Input, Output};
pub use relay::Relay;

/// Member connections in one room. More than a cluster has members: wiped and copied ones must
/// come in to be told what they are.
pub const ROOM_MEMBERS: usize = 4 * api::limits::MEMBERS;

/// Names that are bound to a cluster at one hub.
pub const BINDINGS: usize = 4096;
