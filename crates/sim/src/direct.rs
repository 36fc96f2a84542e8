//! Links from member to member, as servers have them. Here the one of two dials whose name comes
//! first.
//!
//! ```text
//!  start ──► Dial each other place ──► wire ──► WireUp at both ends
//!              ▲                        │
//!              └── a while later ◄── WireDown ◄── either end stops, is unlinked or closes it
//! ```

use std::collections::BTreeMap;

use api::frame::CloseCode;
use node::{Input, LinkKind};

use crate::clock::Event;
use crate::cluster::Cluster;
use crate::hub::RECONNECT_MS;

/// One who was turned away comes again after this long.
const REFUSED_MS: u64 = 1000;

/// The links there are, each by a number that is used once. Both ends call their link so.
#[derive(Debug, Default)]
pub(crate) struct Wires {
    ends: BTreeMap<u64, [End; 2]>,
    last: u64,
}

/// One end: a run of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct End {
    place: String,
    life: u64,
}

impl Wires {
    fn of(&self, place: &str) -> Vec<u64> {
        let has = |ends: &[End; 2]| ends.iter().any(|end| end.place == place);
        self.ends.iter().filter(|(_, ends)| has(ends)).map(|(wire, _)| *wire).collect()
    }

    /// The place at the other end.
    fn other(&self, wire: u64, place: &str) -> Option<String> {
        let [one, other] = self.ends.get(&wire)?;
        match (one.place == place, other.place == place) {
            (true, _) => Some(other.place.clone()),
            (_, true) => Some(one.place.clone()),
            _ => None,
        }
    }

    fn join(&self, one: &str, other: &str) -> bool {
        self.ends.iter().any(|(wire, _)| self.other(*wire, one).as_deref() == Some(other))
    }
}

impl Cluster {
    /// A place's host begins to reach all others, and is reached by them.
    pub(crate) fn dial_all(&mut self, place: &str) {
        for other in self.places() {
            if other != place {
                self.dial_after(0, place, &other);
            }
        }
    }

    fn dial_after(&mut self, delay: u64, one: &str, other: &str) {
        let (place, to) = (one.min(other).to_owned(), one.max(other).to_owned());
        self.agenda.after(delay, Event::Dial { place, to });
    }

    /// The run of a place that can have a link.
    fn reachable(&self, place: &str) -> Option<End> {
        let at = self.places.get(place).filter(|place| place.wants_link && !place.ending)?;
        let life = at.running.as_ref()?.life;
        Some(End { place: place.to_owned(), life })
    }

    pub(crate) fn dial(&mut self, place: &str, to: &str) {
        if self.wires.join(place, to) {
            return;
        }
        // Whoever does not run dials, and is dialed, when it starts.
        let (Some(from), Some(to)) = (self.reachable(place), self.reachable(to)) else { return };
        self.wires.last += 1;
        let wire = self.wires.last;
        for end in [&from, &to] {
            let event = Event::WireUp { place: end.place.clone(), wire };
            self.agenda.after(self.settings.latency_ms, event);
        }
        self.wires.ends.insert(wire, [from, to]);
    }

    pub(crate) fn wire_up(&mut self, place: &str, wire: u64) {
        if self.is_end(place, wire) {
            self.input(place, Input::LinkUp { link: wire as u32, kind: LinkKind::Peer });
        }
    }

    /// Whether the run at a place is at an end of a wire.
    fn is_end(&self, place: &str, wire: u64) -> bool {
        let life = self.life(place);
        let ends = self.wires.ends.get(&wire);
        ends.is_some_and(|ends| ends.iter().any(|end| end.place == place && Some(end.life) == life))
    }

    /// A member sends something on a wire.
    pub(crate) fn wire_sends(&mut self, from: &str, wire: u64, bytes: Vec<u8>) {
        let Some(place) = self.wires.other(wire, from) else { return };
        let latency = self.settings.latency_ms;
        let Some(label) = self.trace.label(&place, &bytes) else {
            return self.agenda.after(latency, Event::ByWire { place, wire, bytes });
        };
        for arrival in self.net.pass(self.agenda.now, &label, &bytes) {
            // A wire that is gone delivers nothing: none comes across to another.
            let event = Event::ByWire { place: place.clone(), wire, bytes: bytes.clone() };
            self.agenda.after(latency + arrival.delay, event);
        }
    }

    pub(crate) fn by_wire(&mut self, place: &str, wire: u64, bytes: &[u8]) {
        if self.is_end(place, wire) {
            self.trace.arrival(self.agenda.now, place, bytes);
            self.input(place, Input::Frame { link: wire as u32, bytes });
        }
    }

    /// A node closes a wire.
    pub(crate) fn close_wire(&mut self, place: &str, wire: u64, code: CloseCode) {
        let again = match code {
            CloseCode::Replaced => RECONNECT_MS,
            _ => REFUSED_MS,
        };
        self.cut_wire(place, wire, Some(again));
    }

    /// All wires of a place break.
    pub(crate) fn cut_wires(&mut self, place: &str) {
        for wire in self.wires.of(place) {
            self.cut_wire(place, wire, None);
        }
    }

    /// Ends a wire from one end: the other notices it later.
    fn cut_wire(&mut self, place: &str, wire: u64, again: Option<u64>) {
        let Some(other) = self.wires.other(wire, place) else { return };
        self.wires.ends.remove(&wire);
        let event = Event::WireDown { place: other.clone(), wire };
        self.agenda.after(self.settings.latency_ms, event);
        if let Some(again) = again {
            self.dial_after(again, place, &other);
        }
        self.input(place, Input::LinkDown { link: wire as u32 });
    }

    pub(crate) fn wire_down(&mut self, place: &str, wire: u64) {
        self.input(place, Input::LinkDown { link: wire as u32 });
    }

    /// The links that a place has.
    pub(crate) fn links(&self, place: &str) -> Vec<u32> {
        if self.settings.direct {
            return self.wires.of(place).into_iter().map(|wire| wire as u32).collect();
        }
        let running = self.places.get(place).and_then(|place| place.running.as_ref());
        running.and_then(|running| running.conn).map(|conn| conn as u32).into_iter().collect()
    }
}
