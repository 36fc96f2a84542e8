//! What is shown.

// What `#[component]` makes of a function is public, however private the function is.
#![allow(unreachable_pub)]

mod app;
mod course;
mod data;
mod deleted;
mod dialog;
mod entry;
mod first_minute;
mod focus;
mod header;
mod keys;
mod members;
mod notices;
mod remedy;
mod row;
mod sorted;
mod table;
mod waiting;

pub(crate) use app::App;
