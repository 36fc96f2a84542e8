//! Virtual time: what happens when. Time passes only from one event to the next.

use std::collections::BTreeMap;

/// Something that is going to happen.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A member's host tries to reach the hub.
    Connect { place: String, life: u64 },
    /// A frame of this connection reaches the hub.
    ToHub { conn: u64, bytes: Vec<u8> },
    /// The hub notices that the other end closed this connection.
    Closed { conn: u64 },
    /// A frame reaches a member; by its link of that moment if no connection is given.
    ToMember { place: String, conn: Option<u64>, bytes: Vec<u8> },
    /// A member's host notices that the hub closed this connection.
    LinkDown { place: String, conn: u64, again: bool },
    /// A frame reaches a console.
    ToConsole { console: String, bytes: Vec<u8> },
    /// The disk has finished what it was given up to now.
    Synced { place: String, life: u64 },
    /// The hub has kept whose name this is.
    Saved { name: String },
}

impl Event {
    /// The place that must be running for it, if one must.
    pub(crate) fn place(&self) -> Option<&str> {
        match self {
            Self::Connect { place, .. }
            | Self::ToMember { place, .. }
            | Self::LinkDown { place, .. }
            | Self::Synced { place, .. } => Some(place),
            Self::ToHub { .. }
            | Self::Closed { .. }
            | Self::ToConsole { .. }
            | Self::Saved { .. } => None,
        }
    }
}

/// Events in order of time; those of one moment in the order in which they were put in.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    /// Milliseconds since the beginning.
    pub(crate) now: u64,
    count: u64,
    events: BTreeMap<(u64, u64), Event>,
}

impl Agenda {
    /// `event` happens after `delay`.
    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.count += 1;
        self.events.insert((self.now + delay, self.count), event);
    }

    /// When the next event happens.
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next event; it is its time now.
    pub(crate) fn pop(&mut self) -> Option<Event> {
        let ((at, _), event) = self.events.pop_first()?;
        self.now = self.now.max(at);
        Some(event)
    }
}
