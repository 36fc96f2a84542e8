//! What is shown.

// What `#[component]` makes of a function is public, however private the function is.
#![allow(unreachable_pub)]

mod app;
mod dialog;
mod entry;
mod first_minute;
mod header;
mod keys;
mod members;
mod notices;
mod table;

pub(crate) use app::App;
