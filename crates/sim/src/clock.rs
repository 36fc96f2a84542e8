//! Virtual time: what happens when. Time passes only from one event to the next.

use std::collections::BTreeMap;

/// The clock of one host: it may run fast or slow, and jump ahead. It never goes back, as the
/// clocks that hosts use for a node never do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostClock {
    /// At this time of the simulation …
    real: u64,
    /// … it showed this.
    local: u64,
    /// Thousandths of the simulation's speed.
    pub(crate) rate: u64,
}

impl Default for HostClock {
    fn default() -> Self {
        Self { real: 0, local: 0, rate: 1000 }
    }
}

impl HostClock {
    /// What it shows at a time of the simulation.
    pub(crate) fn local(&self, now: u64) -> u64 {
        self.local + now.saturating_sub(self.real) * self.rate / 1000
    }

    /// The first time of the simulation at which it shows this.
    pub(crate) fn real(&self, local: u64) -> u64 {
        self.real + (local.saturating_sub(self.local) * 1000).div_ceil(self.rate)
    }

    /// Jumps ahead and goes on at another rate.
    pub(crate) fn set(&mut self, now: u64, jump: u64, rate: u64) {
        *self = Self { real: now, local: self.local(now) + jump, rate: rate.max(1) };
    }
}

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
    /// A member's host tries to reach another place itself.
    Dial { place: String, to: String },
    /// A member's host has a link to another member.
    WireUp { place: String, wire: u64 },
    /// It notices that the other end has broken it.
    WireDown { place: String, wire: u64 },
    /// A frame reaches a member by such a link.
    ByWire { place: String, wire: u64, bytes: Vec<u8> },
    /// A frame reaches a console.
    ToConsole { console: String, bytes: Vec<u8> },
    /// The disk has finished what it was given up to now.
    Synced { place: String, life: u64 },
    /// A host whose log has too little room looks again.
    LookForRoom { place: String, life: u64 },
    /// A step of the job at a place is due.
    Job { place: String, life: u64 },
    /// The process at a place has ended.
    Ended { place: String, life: u64 },
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
            | Self::WireUp { place, .. }
            | Self::WireDown { place, .. }
            | Self::ByWire { place, .. }
            | Self::Synced { place, .. }
            | Self::LookForRoom { place, .. }
            | Self::Job { place, .. } => Some(place),
            // A host that sleeps dials no one, and is dialed by no one; both look again.
            Self::Dial { .. }
            | Self::ToHub { .. }
            | Self::Closed { .. }
            | Self::ToConsole { .. }
            | Self::Ended { .. }
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
