//! The cluster: places, a hub, and the loop that lets time pass.

use std::collections::BTreeMap;

use api::Bytes;
use api::frame::{Attach, Attachee, CloseCode, Frame, encode_body};
use api::identity::Incarnation;
use api::report::{MemberReport, Role};
use api::session::{ClientMessage, ServerMessage};
use node::{Input, LinkKind, Node, Output, Timing};
use storage::Crash;

use crate::clock::{Agenda, Event};
use crate::hub::{End, Hub};
use crate::net::{Deed, Filter, Net};
use crate::place::{Place, Running};
use crate::random::Random;
use crate::trace::{Kind, Trace};

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
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 1, latency_ms: 1, sync_ms: 1, learners: Vec::new() }
    }
}

/// How a start ended.
pub type Started = Result<(), String>;

/// A host tries again to reach the hub after this long.
const RECONNECT_MS: u64 = 100;

/// So many steps without any time passing are no progress but a fault of a node.
const STEPS_AT_ONCE: u64 = 100_000;

/// The session of a place's own client.
const SESSION: u64 = 1;

/// Nodes, their disks, their network and their clients, under one clock.
pub struct Cluster {
    settings: Settings,
    agenda: Agenda,
    random: Random,
    places: BTreeMap<String, Place>,
    hub: Hub,
    lives: u64,
    /// The way between members.
    pub net: Net,
    /// What was seen.
    pub trace: Trace,
    /// What clients were told, oldest first; whoever looks at it empties it. The first is the
    /// place's or the console's name.
    pub replies: Vec<(String, ServerMessage)>,
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
            lives: 0,
            net,
            trace: Trace::default(),
            replies: Vec::new(),
        }
    }

    /// Milliseconds since the beginning.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.agenda.now
    }

    /// Adds a place with an empty directory.
    pub fn add(&mut self, place: &str, member: &str, cluster: &str, token: &str, all: &[String]) {
        self.places.insert(place.into(), Place::new(member, cluster, token, all));
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

    /// Whether a node runs at a place.
    #[must_use]
    pub fn is_running(&self, place: &str) -> bool {
        self.node(place).is_some()
    }

    /// Starts a node on what the place's directory holds.
    pub fn start(&mut self, name: &str) -> Started {
        let incarnation = self.random.next_u64();
        let incarnation = (u128::from(incarnation) << 64) | u128::from(self.random.next_u64());
        let (nonce, log_id) = (self.random.next_u64(), self.random.next_u64());
        let place = self.places.get_mut(name).ok_or("there is no such place")?;
        if place.running.is_some() {
            return Err("it runs already".into());
        }
        let config = node::Config {
            cluster: place.cluster.clone(),
            token: place.token.clone(),
            name: place.member.clone(),
            initial: place.initial.clone(),
            learners: self.settings.learners.clone(),
            incarnation: Incarnation(incarnation),
            nonce,
            seed: self.settings.seed,
            build: String::new(),
            urls: BTreeMap::new(),
            timing: Timing::default(),
        };
        let (log, recovered) = place.disk.open(log_id).map_err(|error| error.to_string())?;
        let node = Node::new(config, self.agenda.now, &recovered).map_err(|e| e.to_string())?;
        self.lives += 1;
        let life = self.lives;
        (place.sync_due, place.report) = (false, None);
        place.running = Some(Running { life, node, log, conn: None });
        self.agenda.after(0, Event::Connect { place: name.into(), life });
        self.drain(name);
        Ok(())
    }

    /// The process at a place dies; its unsynced bytes fare as `crash` says.
    pub fn crash(&mut self, name: &str, crash: Crash) {
        self.stop(name);
        if let Some(place) = self.places.get_mut(name) {
            place.disk.crash(crash);
        }
    }

    /// Asks the node at a place to leave in order.
    pub fn leave(&mut self, name: &str) {
        self.input(name, Input::Leave);
    }

    /// Empties the directory of a place where nothing runs.
    pub fn wipe(&mut self, name: &str) {
        self.set_disk(name, Vec::new());
    }

    /// What the directory of a place holds now.
    #[must_use]
    pub fn image(&self, name: &str) -> Vec<u8> {
        self.places.get(name).map(|place| place.disk.image()).unwrap_or_default()
    }

    /// Puts an image into the directory of a place where nothing runs.
    pub fn set_disk(&mut self, name: &str, image: Vec<u8>) {
        if let Some(place) = self.places.get_mut(name) {
            assert!(place.running.is_none(), "{name} runs: its directory cannot be changed");
            place.disk = match image.is_empty() {
                true => crate::disk::Disk::new(),
                false => crate::disk::Disk::from_image(image),
            };
        }
    }

    /// From now on the disk of a place finishes nothing, or what was due at once and then all.
    pub fn hold_syncs(&mut self, name: &str, hold: bool) {
        let Some(place) = self.places.get_mut(name) else { return };
        place.sync_held = hold;
        if !hold && std::mem::take(&mut place.sync_due) {
            let life = place.running.as_ref().map_or(0, |running| running.life);
            self.agenda.after(0, Event::Synced { place: name.into(), life });
        }
    }

    /// The place does nothing while time goes on, until it thaws.
    pub fn freeze(&mut self, name: &str) {
        if let Some(place) = self.places.get_mut(name) {
            place.frozen = true;
        }
    }

    /// The place goes on; what reached it meanwhile happens now.
    pub fn thaw(&mut self, name: &str) {
        let Some(place) = self.places.get_mut(name) else { return };
        place.frozen = false;
        for event in std::mem::take(&mut place.waiting) {
            self.agenda.after(0, event);
        }
    }

    /// The place's connection to the hub breaks and does not come back by itself.
    pub fn unlink(&mut self, name: &str) {
        let Some(place) = self.places.get_mut(name) else { return };
        place.wants_link = false;
        self.disconnect(name);
    }

    /// The place's host connects to the hub again.
    pub fn link(&mut self, name: &str) {
        let Some(place) = self.places.get_mut(name) else { return };
        place.wants_link = true;
        let life = place.running.as_ref().map_or(0, |running| running.life);
        self.agenda.after(0, Event::Connect { place: name.into(), life });
    }

    /// The hub's process dies.
    pub fn kill_hub(&mut self) {
        self.hub.relay = None;
        for (conn, end) in std::mem::take(&mut self.hub.ends) {
            if let End::Member(place) = end {
                let event = Event::LinkDown { place, conn, again: true };
                self.agenda.after(self.settings.latency_ms, event);
            }
        }
    }

    /// The hub's process starts, with the bindings that it kept.
    pub fn start_hub(&mut self) {
        self.hub.start();
    }

    /// A console attaches to the room of a cluster.
    pub fn console(&mut self, name: &str, cluster: &str) {
        let conn = self.hub.connect(End::Console(name.into()));
        self.hub_input(relay::Input::Opened { conn });
        let who = Attachee::Console;
        let attach = Attach { cluster: cluster.into(), build: String::new(), who };
        let bytes = Frame::Attach(attach).encode();
        self.agenda.after(self.settings.latency_ms, Event::ToHub { conn, bytes });
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
        for (name, place) in self.places.iter().filter(|(_, place)| !place.frozen) {
            let Some(running) = &place.running else { continue };
            let at = running.node.wake_at().max(self.agenda.now);
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
            Event::ToConsole { console, bytes } => self.at_console(&console, &bytes),
            Event::Synced { place, life } => self.synced(&place, life),
            Event::Saved { name } => self.hub_input(relay::Input::Saved { name }),
        }
    }

    fn connect(&mut self, name: &str, life: u64) {
        let Some(place) = self.places.get_mut(name) else { return };
        let wants = place.wants_link;
        let Some(running) = place.in_life(life).filter(|r| wants && r.conn.is_none()) else {
            return;
        };
        if self.hub.relay.is_none() {
            let again = Event::Connect { place: name.into(), life };
            return self.agenda.after(RECONNECT_MS, again);
        }
        let conn = self.hub.connect(End::Member(name.into()));
        running.conn = Some(conn);
        self.hub_input(relay::Input::Opened { conn });
        self.input(name, Input::LinkUp { link: conn as u32, kind: LinkKind::Relay });
    }

    fn receive(&mut self, name: &str, conn: Option<u64>, bytes: &[u8]) {
        let Some(place) = self.places.get(name) else { return };
        let Some(link) = place.running.as_ref().and_then(|running| running.conn) else { return };
        if conn.is_none_or(|conn| conn == link) {
            self.trace.arrival(self.agenda.now, name, bytes);
            self.input(name, Input::Frame { link: link as u32, bytes });
        }
    }

    fn link_down(&mut self, name: &str, conn: u64, again: bool) {
        let Some(place) = self.places.get_mut(name) else { return };
        let Some(running) = place.running.as_mut().filter(|r| r.conn == Some(conn)) else { return };
        running.conn = None;
        let life = running.life;
        if again {
            self.agenda.after(RECONNECT_MS, Event::Connect { place: name.into(), life });
        }
        self.input(name, Input::LinkDown { link: conn as u32 });
    }

    fn synced(&mut self, name: &str, life: u64) {
        let Some(place) = self.places.get_mut(name) else { return };
        if place.sync_held {
            place.sync_due = true;
            return;
        }
        let Some(running) = place.in_life(life) else { return };
        let number = running.log.sync().expect("a disk of memory does not fail");
        self.input(name, Input::Persisted { number });
    }

    /// Hands an input to the node at a place. False if none runs there.
    fn input(&mut self, name: &str, input: Input<'_>) -> bool {
        let now = self.agenda.now;
        let running = self.places.get_mut(name).and_then(|place| place.running.as_mut());
        let Some(running) = running else { return false };
        running.node.handle(now, input);
        self.drain(name);
        true
    }

    /// Does what the node at a place wants done.
    fn drain(&mut self, name: &str) {
        loop {
            let running = self.places.get_mut(name).and_then(|place| place.running.as_mut());
            let Some(output) = running.and_then(|running| running.node.poll()) else { return };
            self.trace.output(self.agenda.now, name, &output);
            self.carry_out(name, output);
        }
    }

    fn carry_out(&mut self, name: &str, output: Output) {
        let Some(place) = self.places.get_mut(name) else { return };
        let Some(running) = &mut place.running else { return };
        match output {
            Output::Send { link, frame } => {
                if let Some(conn) = running.conn.filter(|conn| *conn as u32 == link) {
                    let event = Event::ToHub { conn, bytes: frame };
                    self.agenda.after(self.settings.latency_ms, event);
                }
            }
            Output::Persist(batch) => {
                running.log.append(&batch).expect("the node keeps the log's rules");
                let event = Event::Synced { place: name.into(), life: running.life };
                self.agenda.after(self.settings.sync_ms, event);
            }
            Output::Reply { session: _, body } => {
                let message = api::frame::decode_body(&body).expect("a node's own message");
                self.replies.push((name.into(), message));
            }
            Output::Report(report) => place.report = Some(report),
            Output::Formed(_) => {}
            Output::Left | Output::Halt(_) => self.stop(name),
            Output::Close { .. } => unreachable!("all links here are to relays"),
        }
    }

    /// The process at a place ends; what it has sent is still on its way.
    fn stop(&mut self, name: &str) {
        self.disconnect(name);
        if let Some(place) = self.places.get_mut(name) {
            place.running = None;
            place.frozen = false;
            place.waiting.clear();
        }
    }

    fn disconnect(&mut self, name: &str) {
        let running = self.places.get_mut(name).and_then(|place| place.running.as_mut());
        let Some(conn) = running.and_then(|running| running.conn) else { return };
        self.agenda.after(self.settings.latency_ms, Event::Closed { conn });
        self.link_down(name, conn, false);
    }

    fn hub_input(&mut self, input: relay::Input) {
        let Some(relay) = &mut self.hub.relay else { return };
        relay.handle(input);
        while let Some(output) = self.hub.relay.as_mut().and_then(relay::Relay::poll) {
            self.hub_output(output);
        }
    }

    fn hub_output(&mut self, output: relay::Output) {
        match output {
            relay::Output::Send { conn, frame } => self.hub_sends(conn, &frame),
            relay::Output::Close { conn, code, .. } => {
                if let Some(End::Member(place)) = self.hub.ends.remove(&conn) {
                    use CloseCode as C;
                    let again =
                        !matches!(code, C::Foreign | C::NameTaken | C::Rebound | C::Replaced);
                    let event = Event::LinkDown { place, conn, again };
                    self.agenda.after(self.settings.latency_ms, event);
                }
            }
            relay::Output::SaveBinding { name, cluster } => {
                match cluster {
                    Some(cluster) => self.hub.bindings.insert(name.clone(), cluster),
                    None => self.hub.bindings.remove(&name),
                };
                self.agenda.after(self.settings.sync_ms, Event::Saved { name });
            }
        }
    }

    fn hub_sends(&mut self, conn: u64, frame: &Bytes) {
        let latency = self.settings.latency_ms;
        let bytes = frame.to_vec();
        match self.hub.ends.get(&conn).cloned() {
            None => {}
            Some(End::Console(console)) => {
                self.agenda.after(latency, Event::ToConsole { console, bytes });
            }
            Some(End::Member(place)) => match self.trace.label(&place, frame) {
                None => {
                    self.agenda.after(latency, Event::ToMember { place, conn: Some(conn), bytes });
                }
                Some(label) => {
                    for delay in self.net.pass(&label, frame) {
                        let (place, bytes) = (place.clone(), bytes.clone());
                        let event = Event::ToMember { place, conn: Some(conn), bytes };
                        self.agenda.after(latency + delay, event);
                    }
                }
            },
        }
    }

    fn at_console(&mut self, console: &str, bytes: &[u8]) {
        if let Ok(Frame::Server { body, .. }) = Frame::decode(bytes)
            && let Ok(message) = api::frame::decode_body::<ServerMessage>(body)
        {
            self.trace.reply(self.agenda.now, console, &message);
            self.replies.push((console.into(), message));
        } else {
            self.trace.note(self.agenda.now, console, Kind::Hub, bytes);
        }
    }
}
