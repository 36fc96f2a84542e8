//! Rooms that forward frames between members that cannot dial each other, sans-IO.
//!
//! The boundary is [`Config`], [`Input`], [`Output`]: one input, drain [`Relay::poll`], next
//! input.

mod io;
mod relay;

pub use io::{Config, Input, Output};
pub use relay::Relay;
