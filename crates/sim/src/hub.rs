//! The hub: the relay, its connections, and the bindings that it keeps.

use std::collections::BTreeMap;

use api::identity::ClusterId;
use relay::Relay;

/// What is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A place.
    Member(String),
    /// A console, by the script's name for it.
    Console(String),
}

/// A hub's process and its disk.
pub(crate) struct Hub {
    /// `None` while it is dead.
    pub(crate) relay: Option<Relay>,
    /// Durable.
    pub(crate) bindings: BTreeMap<String, ClusterId>,
    pub(crate) ends: BTreeMap<u64, End>,
    last: u64,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let mut hub =
            Self { relay: None, bindings: BTreeMap::new(), ends: BTreeMap::new(), last: 0 };
        hub.start();
        hub
    }

    pub(crate) fn start(&mut self) {
        let bindings = self.bindings.clone();
        let page = "http://127.0.0.1:2379/".into();
        self.relay = Some(Relay::new(relay::Config { build: String::new(), page, bindings }));
    }

    /// A number for a new connection.
    pub(crate) fn connect(&mut self, end: End) -> u64 {
        self.last += 1;
        self.ends.insert(self.last, end);
        self.last
    }
}
