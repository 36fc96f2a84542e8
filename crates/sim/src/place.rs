//! A directory and what runs on it.

use std::collections::BTreeMap;

use api::identity::Incarnation;
use api::report::MemberReport;
use node::{Input, Node, Output, Timing};
use storage::{Crash, Fault, Journal, Keeper, Opened, Progress, Room};

use crate::clock::{Event, HostClock};
use crate::cluster::Cluster;
use crate::disk::{Disk, DiskDirectory, Image};

/// How a start ended.
pub type Started = Result<(), String>;

/// What found no room on a disk is tried again after this long.
const NO_ROOM_MS: u64 = 50;

/// A directory, and the member that is started on it.
pub(crate) struct Place {
    /// The member's name.
    pub(crate) member: String,
    pub(crate) cluster: String,
    pub(crate) token: String,
    pub(crate) initial: Vec<String>,
    pub(crate) disk: Disk,
    pub(crate) running: Option<Running>,
    /// Its host tries to reach the hub.
    pub(crate) wants_link: bool,
    /// It does nothing while time goes on; what reaches it waits.
    pub(crate) frozen: bool,
    pub(crate) waiting: Vec<Event>,
    /// The disk finishes nothing.
    pub(crate) sync_held: bool,
    /// Its process is just ending: the node does nothing more, and can still be looked at.
    pub(crate) ending: bool,
    /// A sync is due that the disk does not finish.
    pub(crate) sync_due: bool,
    pub(crate) report: Option<MemberReport>,
    /// When it was last given time to work, and how long it works before it does what it has put
    /// off.
    pub(crate) woken_at: u64,
    pub(crate) turn_ms: u64,
    /// How time passes here.
    pub(crate) clock: HostClock,
    /// How long its disk takes to sync, if not as long as all others.
    pub(crate) sync_ms: Option<u64>,
    /// How long a step of a job takes.
    pub(crate) step_ms: u64,
}

/// A node and its host.
pub(crate) struct Running {
    /// Counts the starts of everything in the cluster: events of an earlier run are void.
    pub(crate) life: u64,
    pub(crate) node: Node,
    pub(crate) journal: Journal<DiskDirectory>,
    pub(crate) keeper: Keeper<DiskDirectory>,
    /// It looks for room for its log again in a while.
    pub(crate) looks: bool,
    /// Its connection to the hub; also its link's number.
    pub(crate) conn: Option<u64>,
}

impl Place {
    pub(crate) fn new(
        member: &str,
        cluster: &str,
        token: &str,
        initial: &[String],
        disk: Disk,
    ) -> Self {
        Self {
            member: member.into(),
            cluster: cluster.into(),
            token: token.into(),
            initial: initial.to_vec(),
            disk,
            running: None,
            wants_link: true,
            frozen: false,
            waiting: Vec::new(),
            sync_held: false,
            sync_due: false,
            ending: false,
            report: None,
            woken_at: 0,
            turn_ms: 0,
            clock: HostClock::default(),
            sync_ms: None,
            step_ms: 1,
        }
    }

    /// The node, if this is still the run that is meant.
    pub(crate) fn in_life(&mut self, life: u64) -> Option<&mut Running> {
        self.running.as_mut().filter(|running| running.life == life)
    }
}

/// What happens at a place.
impl Cluster {
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
            pace: self.settings.pace,
        };
        let Opened { journal, keeper, recovered, base } = place.disk.open(log_id)?;
        let now = place.clock.local(self.agenda.now);
        let node = Node::new(config, now, &recovered, base).map_err(|e| e.to_string())?;
        self.lives += 1;
        let life = self.lives;
        (place.sync_due, place.report) = (false, None);
        place.running = Some(Running { life, node, journal, keeper, looks: false, conn: None });
        self.agenda.after(0, Event::Connect { place: name.into(), life });
        self.touched.insert(name.into());
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
        self.set_disk(name, Image::new());
    }

    /// What the directory of a place holds now.
    #[must_use]
    pub fn image(&self, name: &str) -> Image {
        self.places.get(name).map(|place| place.disk.image()).unwrap_or_default()
    }

    /// Puts an image into the directory of a place where nothing runs.
    pub fn set_disk(&mut self, name: &str, image: Image) {
        if let Some(place) = self.places.get_mut(name) {
            assert!(place.running.is_none(), "{name} runs: its directory cannot be changed");
            place.disk = Disk::new(image, self.settings.lying_disks);
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

    /// The disk of a place takes this long to sync from now on.
    pub fn slow_disk(&mut self, name: &str, sync_ms: Option<u64>) {
        if let Some(place) = self.places.get_mut(name) {
            place.sync_ms = sync_ms;
        }
    }

    /// One of the next calls to the disk of a place goes wrong.
    pub fn fail_disk(&mut self, name: &str, after: u64, fault: Fault) {
        if let Some(place) = self.places.get(name) {
            place.disk.fail(after, fault);
        }
    }

    /// The disk of a place has only so much more room.
    pub fn fill_disk(&mut self, name: &str, room: u64) {
        if let Some(place) = self.places.get(name) {
            place.disk.fill(room);
        }
    }

    /// A step of a job takes this long at a place from now on.
    pub fn slow_jobs(&mut self, name: &str, step_ms: u64) {
        if let Some(place) = self.places.get_mut(name) {
            place.step_ms = step_ms;
        }
    }

    /// A member works so long from now on before it does what it has put off.
    pub fn slow_turns(&mut self, name: &str, turn_ms: u64) {
        if let Some(place) = self.places.get_mut(name) {
            place.turn_ms = turn_ms;
        }
    }

    /// The disk of a place fails no more.
    pub fn mend_disk(&mut self, name: &str) {
        if let Some(place) = self.places.get(name) {
            place.disk.mend();
        }
    }

    /// Turns over one bit of a file in the directory of a place.
    pub fn flip(&mut self, name: &str, file: &str, at: u64, bit: u8) {
        if let Some(place) = self.places.get(name) {
            place.disk.flip(file, at, bit);
        }
    }

    /// The oldest file of the log at a place, and how many of its bytes are used.
    #[must_use]
    pub fn oldest_log(&self, name: &str) -> Option<(String, u64)> {
        self.places.get(name)?.disk.oldest_log()
    }

    /// The clock of a place goes so many thousandths as fast as the others from now on.
    pub fn pace(&mut self, name: &str, rate: u64) {
        let now = self.agenda.now;
        if let Some(place) = self.places.get_mut(name) {
            place.clock.set(now, 0, rate);
        }
    }

    /// The clock of a place jumps ahead.
    pub fn jump(&mut self, name: &str, by_ms: u64) {
        let now = self.agenda.now;
        if let Some(place) = self.places.get_mut(name) {
            let rate = place.clock.rate;
            place.clock.set(now, by_ms, rate);
        }
    }

    /// Which run of a place this is, of all runs in the cluster, if it runs.
    #[must_use]
    pub fn life(&self, name: &str) -> Option<u64> {
        Some(self.places.get(name)?.running.as_ref()?.life)
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

    pub(crate) fn receive(&mut self, name: &str, conn: Option<u64>, bytes: &[u8]) {
        let Some(place) = self.places.get(name) else { return };
        let Some(link) = place.running.as_ref().and_then(|running| running.conn) else { return };
        if conn.is_none_or(|conn| conn == link) {
            self.trace.arrival(self.agenda.now, name, bytes);
            self.input(name, Input::Frame { link: link as u32, bytes });
        }
    }

    pub(crate) fn synced(&mut self, name: &str, life: u64) {
        let Some(place) = self.places.get_mut(name) else { return };
        if place.sync_held {
            place.sync_due = true;
            return;
        }
        let Some(running) = place.in_life(life) else { return };
        let Ok(number) = running.journal.sync() else { return self.disk_failed(name) };
        if running.journal.waits() && !std::mem::replace(&mut running.looks, true) {
            self.agenda.after(NO_ROOM_MS, Event::LookForRoom { place: name.into(), life });
        }
        self.tell_room(name);
        self.input(name, Input::Persisted { number });
    }

    pub(crate) fn look_for_room(&mut self, name: &str, life: u64) {
        let Some(place) = self.places.get_mut(name) else { return };
        if let Some(running) = place.in_life(life) {
            running.looks = false;
            self.synced(name, life);
        }
    }

    /// Tells a node how its log stands for room, if that is news.
    fn tell_room(&mut self, name: &str) {
        let running = self.places.get_mut(name).and_then(|place| place.running.as_mut());
        if let Some(room) = running.and_then(|running| running.journal.room()) {
            let (bytes, low) = (room.bytes, room.low);
            self.input(name, Input::Room { bytes, low });
        }
    }

    /// One step of the job at a place.
    pub(crate) fn step_job(&mut self, name: &str, life: u64) {
        let Some(place) = self.places.get_mut(name) else { return };
        let again = Event::Job { place: name.into(), life };
        if place.sync_held {
            return self.agenda.after(NO_ROOM_MS, again);
        }
        let wait = place.step_ms;
        let Some(running) = place.in_life(life) else { return };
        match running.keeper.step() {
            Ok(Progress::Done(done)) => drop(self.input(name, Input::Done(done))),
            Ok(Progress::More | Progress::Waiting) => self.agenda.after(wait, again),
            Err(_) => self.disk_failed(name),
        }
    }

    /// A failed disk ends the process on it, as it does on every host.
    fn disk_failed(&mut self, name: &str) {
        self.trace.disk_failed(self.agenda.now, name);
        self.end(name);
    }

    /// The process at a place ends at this moment, after what else happens in this step.
    fn end(&mut self, name: &str) {
        let Some(place) = self.places.get_mut(name) else { return };
        place.ending = true;
        let life = place.running.as_ref().map_or(0, |running| running.life);
        self.agenda.after(0, Event::Ended { place: name.into(), life });
    }

    pub(crate) fn ended(&mut self, name: &str, life: u64) {
        if self.places.get_mut(name).is_some_and(|place| place.in_life(life).is_some()) {
            self.stop(name);
        }
    }

    /// Hands an input to the node at a place. False if none runs there.
    pub(crate) fn input(&mut self, name: &str, input: Input<'_>) -> bool {
        let Some(place) = self.places.get_mut(name) else { return false };
        let now = place.clock.local(self.agenda.now);
        let Some(running) = place.running.as_mut().filter(|_| !place.ending) else { return false };
        self.touched.insert(name.into());
        running.node.handle(now, input);
        self.drain(name);
        true
    }

    /// Does what the node at a place wants done.
    pub(crate) fn drain(&mut self, name: &str) {
        loop {
            let place = self.places.get_mut(name).filter(|place| !place.ending);
            let running = place.and_then(|place| place.running.as_mut());
            let Some(output) = running.and_then(|running| running.node.poll()) else { return };
            self.trace.output(self.agenda.now, name, &output);
            self.carry_out(name, output);
        }
    }

    pub(crate) fn carry_out(&mut self, name: &str, output: Output) {
        let Some(place) = self.places.get_mut(name) else { return };
        let Some(running) = &mut place.running else { return };
        match output {
            Output::Send { link, frame } => {
                if self.settings.direct {
                    self.wire_sends(name, link.into(), frame);
                } else if let Some(conn) = running.conn.filter(|conn| *conn as u32 == link) {
                    let event = Event::ToHub { conn, bytes: frame };
                    self.agenda.after(self.settings.latency_ms, event);
                }
            }
            Output::Job(job) => {
                running.keeper.begin(job);
                let event = Event::Job { place: name.into(), life: running.life };
                self.agenda.after(place.step_ms, event);
            }
            Output::Persist(batch) => {
                if running.journal.append(batch).is_err() {
                    return self.disk_failed(name);
                }
                if let Some(Room { bytes, low }) = running.journal.room() {
                    let now = place.clock.local(self.agenda.now);
                    running.node.handle(now, Input::Room { bytes, low });
                }
                let event = Event::Synced { place: name.into(), life: running.life };
                self.agenda.after(place.sync_ms.unwrap_or(self.settings.sync_ms), event);
            }
            Output::Reply { session: _, body } => {
                let message = api::frame::decode_body(&body).expect("a node's own message");
                self.replies.push((name.into(), message));
            }
            Output::Report(report) => place.report = Some(report),
            Output::Formed(_) => {}
            Output::Left | Output::Halt(_) => self.end(name),
            Output::Close { link, code, .. } => self.close_wire(name, link.into(), code),
        }
    }

    /// The process at a place ends; what it has sent is still on its way.
    pub(crate) fn stop(&mut self, name: &str) {
        self.disconnect(name);
        if let Some(place) = self.places.get_mut(name) {
            place.disk.end();
            place.running = None;
            (place.frozen, place.ending) = (false, false);
            place.waiting.clear();
        }
    }
}
