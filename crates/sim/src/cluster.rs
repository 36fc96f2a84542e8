//! The cluster: places, a hub, and the loop that lets time pass.

use std::collections::{BTreeMap, BTreeSet};

use api::frame::{Frame, encode_body};
use api::report::{MemberReport, Role};
use api::session::{ClientMessage, ServerMessage};
use node::{Input, Node, Pace};

use crate::clock::{Agenda, Event};
use crate::direct::Wires;
use crate::disk::{Disk, Image};
use crate::hub::{End, Hub};
use crate::net::Net;
use crate::place::Place;
use crate::random::Random;
use crate::trace::Trace;

/// What a cluster is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Everything random comes from it.
    pub seed: u64,
    /// How long a frame takes to the hub, and from there to its receiver.
    pub latency_ms: u64,
    /// How long a disk takes to sync.
    pub sync_ms: u64,
    /// Names of members without a vote.
    pub learners: Vec<String>,
    /// Members are linked to each other, as servers are, and not by way of the hub.
    pub direct: bool,
    /// Disks say that they have synced and have not.
    pub lying_disks: bool,
    /// How much is kept where.
    pub pace: Pace,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            latency_ms: 1,
            sync_ms: 1,
            learners: Vec::new(),
            direct: false,
            lying_disks: false,
            pace: Pace::NATIVE,
        }
    }
}

/// So many steps without any time passing are no progress but a fault of a node.
const STEPS_AT_ONCE: u64 = 100_000;

/// The session of a place's own client.
const SESSION: u64 = 1;

/// Nodes, their disks, their network and their clients, under one clock.
pub struct Cluster {
    pub(crate) settings: Settings,
    pub(crate) agenda: Agenda,
    pub(crate) random: Random,
    pub(crate) places: BTreeMap<String, Place>,
    pub(crate) hub: Hub,
    pub(crate) wires: Wires,
    pub(crate) lives: u64,
    /// The way between members.
    pub net: Net,
    /// What was seen.
    pub trace: Trace,
    /// What clients were told, oldest first; whoever looks at it empties it. The first is the
    /// place's or the console's name.
    pub replies: Vec<(String, ServerMessage)>,
    /// The places whose node got something since somebody looked; who looks empties it.
    pub touched: BTreeSet<String>,
}

impl Cluster {
    /// An empty cluster with a hub.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut random = Random::new(settings.seed);
        let net = Net::new(Random::new(random.next_u64()));
        Self {
            settings,
            agenda: Agenda::default(),
            random,
            places: BTreeMap::new(),
            hub: Hub::new(),
            wires: Wires::default(),
            lives: 0,
            net,
            trace: Trace::default(),
            replies: Vec::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Milliseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.agenda.now
    }

    /// Adds a place with an empty directory.
    pub fn add(&mut self, place: &str, member: &str, cluster: &str, token: &str, all: &[String]) {
        let disk = Disk::new(Image::new(), self.settings.lying_disks);
        self.places.insert(place.into(), Place::new(member, cluster, token, all, disk));
    }

    /// All places, in order.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }

    /// The node at a place, if one runs there.
    #[must_use]
    pub fn node(&self, place: &str) -> Option<&Node> {
        Some(&self.places.get(place)?.running.as_ref()?.node)
    }

    /// What the node at a place, or the last one there, shows of itself.
    #[must_use]
    pub fn report(&self, place: &str) -> Option<&MemberReport> {
        self.places.get(place)?.report.as_ref()
    }

    /// The raft id of a member, once any place has told of it.
    #[must_use]
    pub fn raft_id(&self, member: &str) -> Option<u64> {
        let reports = self.places.values().filter_map(|place| place.report.as_ref());
        reports.filter(|report| report.name == member).find_map(|r| r.raft).map(|id| id.0)
    }

    /// Whether a node runs at a place.
    #[must_use]
    pub fn is_running(&self, place: &str) -> bool {
        self.node(place).is_some()
    }

    /// Whether a place does nothing while time goes on.
    #[must_use]
    pub fn is_frozen(&self, place: &str) -> bool {
        self.places.get(place).is_some_and(|place| place.frozen)
    }

    /// The client at a place, or a console, says something. False if there is neither.
    pub fn say(&mut self, client: &str, message: &ClientMessage) -> bool {
        let body = encode_body(message);
        if self.places.contains_key(client) {
            return self.input(client, Input::Client { session: SESSION, body: &body });
        }
        let console = End::Console(client.into());
        let Some(conn) = self.hub.ends.iter().find(|(_, end)| **end == console).map(|(c, _)| *c)
        else {
            return false;
        };
        let bytes = Frame::Client { session: SESSION, body: &body }.encode();
        self.agenda.after(self.settings.latency_ms, Event::ToHub { conn, bytes });
        true
    }

    /// Whether all that run, go on and are not refused follow one of them.
    #[must_use]
    pub fn is_led(&self) -> bool {
        let reports = || self.awake().filter_map(|place| place.report.as_ref());
        let refused = |report: &MemberReport| matches!(report.role, Role::Refused(_));
        let Some(leader) =
            reports().filter(|report| report.role == Role::Leader).max_by_key(|report| report.term)
        else {
            return false;
        };
        self.awake().all(|place| place.report.is_some())
            && reports().filter(|report| !refused(report)).all(|report| {
                report.term == leader.term && report.leader.as_ref() == Some(&leader.name)
            })
    }

    /// Whether the cluster of all that run and go on has formed.
    #[must_use]
    pub fn is_formed(&self) -> bool {
        self.awake().all(|place| place.report.as_ref().is_some_and(|r| r.cluster.is_some()))
    }

    fn awake(&self) -> impl Iterator<Item = &Place> {
        self.places.values().filter(|place| place.running.is_some() && !place.frozen)
    }

    /// Lets everything happen up to a time, and the time come.
    pub fn run_until(&mut self, until: u64) {
        while self.step(until) {}
        self.agenda.now = self.agenda.now.max(until);
    }

    /// Lets everything happen until `done`, at most up to a time. Whether it came to it.
    pub fn run_to(&mut self, until: u64, mut done: impl FnMut(&Self) -> bool) -> bool {
        while !done(self) {
            if !self.step(until) {
                self.agenda.now = self.agenda.now.max(until);
                return done(self);
            }
        }
        true
    }

    /// The next thing happens, if that is no later than `until`.
    pub fn step(&mut self, until: u64) -> bool {
        let (mut wake, mut who) = (u64::MAX, None);
        for (name, place) in self.places.iter() {
            if place.frozen || place.ending {
                continue;
            }
            let Some(running) = &place.running else { continue };
            let at = place.clock.real(running.node.wake_at()).max(self.agenda.now);
            let at = at.max(place.woken_at + place.turn_ms);
            if at < wake {
                (wake, who) = (at, Some(name.clone()));
            }
        }
        let next = self.agenda.next_at().unwrap_or(u64::MAX);
        if next.min(wake) > until {
            return false;
        }
        self.trace.step(next.min(wake).max(self.agenda.now), STEPS_AT_ONCE);
        if next <= wake {
            if let Some(event) = self.agenda.pop() {
                self.happen(event);
            }
        } else if let Some(name) = who {
            self.agenda.now = wake;
            if let Some(place) = self.places.get_mut(&name) {
                place.woken_at = wake;
            }
            self.input(&name, Input::Tick);
        }
        true
    }

    fn happen(&mut self, event: Event) {
        if let Some(place) = event.place().and_then(|name| self.places.get_mut(name))
            && place.frozen
        {
            return place.waiting.push(event);
        }
        match event {
            Event::Connect { place, life } => self.connect(&place, life),
            Event::ToHub { conn, bytes } => {
                if self.hub.ends.contains_key(&conn) {
                    self.hub_input(relay::Input::Frame { conn, bytes: bytes.into() });
                }
            }
            Event::Closed { conn } => {
                self.hub.ends.remove(&conn);
                self.hub_input(relay::Input::Closed { conn });
            }
            Event::ToMember { place, conn, bytes } => self.receive(&place, conn, &bytes),
            Event::LinkDown { place, conn, again } => self.link_down(&place, conn, again),
            Event::Dial { place, to } => self.dial(&place, &to),
            Event::WireUp { place, wire } => self.wire_up(&place, wire),
            Event::WireDown { place, wire } => self.wire_down(&place, wire),
            Event::ByWire { place, wire, bytes } => self.by_wire(&place, wire, &bytes),
            Event::ToConsole { console, bytes } => self.at_console(&console, &bytes),
            Event::Synced { place, life } => self.synced(&place, life),
            Event::LookForRoom { place, life } => self.look_for_room(&place, life),
            Event::Job { place, life } => self.step_job(&place, life),
            Event::Ended { place, life } => self.ended(&place, life),
            Event::Saved { name } => self.hub_input(relay::Input::Saved { name }),
        }
    }
}
