//! A client's end of the conversation with a member, sans-IO.
//!
//! The boundary: [`Input`] is what happens on the link, the methods of [`Client`] are what callers
//! want, [`Output`] is what to do. After each of them drain [`Client::poll`], then set one timer
//! to [`Client::wake_at`]. Time is milliseconds of any clock that never goes back.

mod client;
mod io;

pub use client::Client;
pub use io::{CallId, Input, Output, Patience, StreamId, WatchId};
