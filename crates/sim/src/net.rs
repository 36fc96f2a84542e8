//! What happens to frames between members on their way: by rule, for scripts, or by chance.

use std::collections::BTreeMap;

use crate::clock::Event;
use crate::cluster::Cluster;
use crate::random::Random;

/// What happens to a frame that a rule fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It waits until it is released.
    Hold,
    /// It is lost.
    Drop,
    /// It arrives, and a copy of it waits until it is released.
    Keep,
    /// It arrives twice.
    Double,
    /// It arrives so many milliseconds later.
    Delay(u64),
}

/// Which frames, by who sends them, where they go and what they hold. `None` fits all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The sending member's name.
    pub from: Option<String>,
    /// The receiving place.
    pub to: Option<String>,
    /// Kinds of content, as traces name them: `hello`, `append`, `forward`, …
    pub kinds: Vec<String>,
}

/// What is known of a frame between members.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The kinds of what it holds, in order.
    pub(crate) kinds: Vec<String>,
}

impl Filter {
    pub(crate) fn fits(&self, label: &Label) -> bool {
        self.from.as_ref().is_none_or(|from| *from == label.from)
            && self.to.as_ref().is_none_or(|to| *to == label.to)
            && (self.kinds.is_empty() || label.kinds.iter().any(|kind| self.kinds.contains(kind)))
    }
}

/// Chances, in 1000, of what happens to a frame between members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// It is lost.
    pub drop: u64,
    /// It arrives twice, the second time late.
    pub double: u64,
    /// It is late.
    pub late: u64,
    /// How late at most, in milliseconds.
    pub late_ms: u64,
    /// A late one comes by whatever link its receiver then has: across restarts, too.
    pub across: u64,
}

/// A frame that waits.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) label: Label,
    pub(crate) bytes: Vec<u8>,
}

/// The way between members.
#[derive(Debug)]
pub struct Net {
    /// By chance.
    pub faults: Faults,
    rules: Vec<(Filter, Deed)>,
    pub(crate) held: Vec<Held>,
    random: Random,
    /// Bytes in a millisecond that reach these places at most.
    throttles: BTreeMap<String, u64>,
    /// When what goes to a throttled place before has arrived.
    busy: BTreeMap<String, u64>,
    /// Frames that were lost, doubled or late by chance.
    pub injected: u64,
}

/// When and how a frame arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// So much later than usual.
    pub(crate) delay: u64,
    /// By whatever link its receiver then has.
    pub(crate) across: bool,
}

const ON_TIME: Arrival = Arrival { delay: 0, across: false };

impl Net {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            faults: Faults::default(),
            rules: Vec::new(),
            held: Vec::new(),
            random,
            throttles: BTreeMap::new(),
            busy: BTreeMap::new(),
            injected: 0,
        }
    }

    /// No more than so many bytes in a millisecond reach a place; `None` lifts that.
    pub fn throttle(&mut self, place: &str, bytes_a_ms: Option<u64>) {
        self.busy.remove(place);
        match bytes_a_ms {
            Some(rate) => self.throttles.insert(place.into(), rate.max(1)),
            None => self.throttles.remove(place),
        };
    }

    /// From now on this happens to frames that fit. The newest rule that fits counts.
    pub fn rule(&mut self, filter: Filter, deed: Deed) {
        self.rules.push((filter, deed));
    }

    /// The newest rule counts no more.
    pub(crate) fn unrule(&mut self) {
        self.rules.pop();
    }

    /// No rule counts any more. What is held stays held.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// How often and when a frame arrives.
    pub(crate) fn pass(&mut self, now: u64, label: &Label, bytes: &[u8]) -> Vec<Arrival> {
        let mut arrivals = self.arrivals(label, bytes);
        if let Some(rate) = self.throttles.get(&label.to) {
            let free = self.busy.entry(label.to.clone()).or_default();
            *free = now.max(*free) + bytes.len() as u64 / rate;
            let wait = *free - now;
            arrivals.iter_mut().for_each(|arrival| arrival.delay += wait);
        }
        arrivals
    }

    fn arrivals(&mut self, label: &Label, bytes: &[u8]) -> Vec<Arrival> {
        let rule = self.rules.iter().rev().find(|(filter, _)| filter.fits(label));
        match rule.map(|(_, deed)| *deed) {
            None => self.by_chance(),
            Some(Deed::Drop) => Vec::new(),
            Some(Deed::Double) => vec![ON_TIME, ON_TIME],
            Some(Deed::Delay(delay)) => vec![Arrival { delay, across: false }],
            Some(deed @ (Deed::Hold | Deed::Keep)) => {
                self.held.push(Held { label: label.clone(), bytes: bytes.to_vec() });
                if deed == Deed::Keep { vec![ON_TIME] } else { Vec::new() }
            }
        }
    }

    fn by_chance(&mut self) -> Vec<Arrival> {
        let Faults { drop, double, late, late_ms, across } = self.faults;
        if drop + double + late == 0 {
            return vec![ON_TIME];
        }
        if self.random.in_1000(drop) {
            self.injected += 1;
            return Vec::new();
        }
        let mut arrivals = vec![ON_TIME];
        if self.random.in_1000(late) {
            arrivals[0] = self.late(late_ms, across);
        }
        if self.random.in_1000(double) {
            let again = self.late(late_ms, across);
            arrivals.push(again);
        }
        arrivals
    }

    fn late(&mut self, late_ms: u64, across: u64) -> Arrival {
        self.injected += 1;
        let delay = self.random.between(1, late_ms);
        Arrival { delay, across: across > 0 && self.random.in_1000(across) }
    }

    /// Takes the frames that wait and fit.
    pub(crate) fn release(&mut self, filter: &Filter) -> Vec<Held> {
        let (go, stay) =
            std::mem::take(&mut self.held).into_iter().partition(|h| filter.fits(&h.label));
        self.held = stay;
        go
    }
}

/// Frames that scripts take in hand.
impl Cluster {
    /// Lets a frame reach a place, now, by the link that it has.
    pub fn deliver(&mut self, place: &str, bytes: Vec<u8>) {
        self.agenda.after(0, Event::ToMember { place: place.into(), conn: None, bytes });
    }

    /// Lets the frames go that wait and fit, in the order in which they came. How many.
    pub fn release(&mut self, filter: &Filter) -> usize {
        let held = self.net.release(filter);
        let count = held.len();
        for held in held {
            self.deliver(&held.label.to, held.bytes);
        }
        count
    }

    /// Frames from one place's member to another place are lost, in both directions.
    pub fn part(&mut self, a: &str, b: &str) {
        for (from, to) in [(a, b), (b, a)] {
            let Some(place) = self.places.get(from) else { continue };
            let (from, to) = (Some(place.member.clone()), Some(to.to_string()));
            self.net.rule(Filter { from, to, kinds: Vec::new() }, Deed::Drop);
        }
    }

    /// Takes the next frame of raft or with writes that goes from a member to a place off its
    /// way.
    pub fn catch(&mut self, from: &str, to: &str, until: u64) -> Option<Vec<u8>> {
        let kinds = node::testing::kinds().chain(["forward"]).map(str::to_string).collect();
        let filter = Filter { from: Some(from.into()), to: Some(to.into()), kinds };
        let (net, caught) = (std::mem::take(&mut self.net.held), filter.clone());
        self.net.rule(filter, Deed::Hold);
        self.run_to(until, |cluster| !cluster.net.held.is_empty());
        self.net.unrule();
        let mut new = std::mem::replace(&mut self.net.held, net);
        let at = new.iter().position(|held| caught.fits(&held.label))?;
        let caught = new.remove(at);
        self.net.held.extend(new);
        Some(caught.bytes)
    }
}
