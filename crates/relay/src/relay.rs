//! The relay.

use std::collections::VecDeque;

use crate::io::{Config, Input, Output};

/// All rooms of a hub.
pub struct Relay {
    out: VecDeque<Output>,
}

impl Relay {
    /// A relay without connections.
    pub fn new(_config: Config) -> Self {
        Self { out: VecDeque::new() }
    }

    /// Takes one input. Drain [`poll`](Self::poll) before the next.
    pub fn handle(&mut self, _input: Input) {}

    /// The next thing to do, until there is none.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}
