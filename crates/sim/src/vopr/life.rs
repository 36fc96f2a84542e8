//! One life: the trouble and the healing.

use api::report::Role;
use api::session::{Request, ServerMessage};

use super::plan::Plan;
use super::{Failure, Outcome, Tally};
use crate::cluster::{Cluster, Settings};
use crate::disk::Image;
use crate::invariants::strict_serializability::History;
use crate::invariants::watch_reliable::{Watch, Watches};
use crate::invariants::{Check, Invariants};
use crate::net::Faults;
use crate::random::Random;

/// The cluster's name and token.
const NAME: &str = "default";

/// So soon a cluster forms and follows a leader when nothing happens to it.
const FORMED_MS: u64 = 5000;

/// How long a member takes to leave at most.
const LEAVE_MS: u64 = 1200;

/// So soon after the trouble all follow one leader: a member may sit out its election timeout
/// twice.
pub(super) const LED_MS: u64 = 5000;

/// So soon then each member answers a write and a read.
pub(super) const SERVED_MS: u64 = 2000;

/// So often an operator makes room and clears the alarms.
const ROUNDS: u64 = 4;

/// So soon then all have told all.
const QUIET_MS: u64 = 1500;

/// So often what is late may come after that.
const QUIETS: u64 = 10;

/// Frames of one member to another in one virtual second, when nothing happens: more is a storm.
const FRAMES_A_SECOND: u64 = 60;

/// A place whose directory is not its member's, and what its own held.
pub(super) struct Impostor {
    pub(super) place: String,
    pub(super) image: Image,
}

/// What a crash waits for.
pub(super) enum Ambush {
    /// Somebody leads anew.
    Leader,
    /// Somebody has nearly made a new generation.
    Generation,
    /// This time: the member has come.
    Sprung { at: u64, place: String },
}

/// A cluster, its clients, and all who watch them.
pub(super) struct Life {
    pub(super) cluster: Cluster,
    pub(super) plan: Plan,
    pub(super) random: Random,
    /// The places, each named as its member.
    pub(super) members: Vec<String>,
    pub(super) invariants: Invariants,
    pub(super) history: History,
    pub(super) watches: Watches,
    /// Watches that lost their session.
    pub(super) orphans: Vec<Watch>,
    /// The runs that the clients at the places talk to.
    lives: std::collections::BTreeMap<String, u64>,
    /// The console, while there is one, and how many there were.
    pub(super) console: Option<String>,
    consoles: u64,
    pub(super) flapping: Option<String>,
    pub(super) impostor: Option<Impostor>,
    /// By place: the oldest file of its log when it started the last time, and how many bytes of
    /// it were there.
    pub(super) vouched: std::collections::BTreeMap<String, (String, u64)>,
    /// What somebody waits for, to crash a member then.
    pub(super) ambush: Option<Ambush>,
    /// Clients that could not ask: their members ended.
    pub(super) unheard: Vec<String>,
    /// The newest term in which somebody was seen to lead.
    led: u64,
    pub(super) tally: Tally,
}

impl Life {
    pub(super) fn new(seed: u64, lying_disks: bool) -> Self {
        let plan = Plan::of(seed);
        let (latency_ms, sync_ms) = (plan.latency_ms, plan.sync_ms);
        let members: Vec<String> = (1..=plan.members).map(|n| n.to_string()).collect();
        let learners = members[(plan.members - plan.learners) as usize..].to_vec();
        let (direct, pace) = (plan.direct, plan.pace);
        let settings = Settings { seed, latency_ms, sync_ms, learners, direct, lying_disks, pace };
        let mut cluster = Cluster::new(settings);
        for name in &members {
            cluster.add(name, name, NAME, "token", &members);
            cluster.slow_turns(name, plan.turn_ms);
        }
        Self {
            cluster,
            plan,
            random: Random::new(seed ^ 0x5eed),
            members,
            invariants: Invariants::default(),
            history: History::default(),
            watches: Watches::default(),
            orphans: Vec::new(),
            lives: std::collections::BTreeMap::new(),
            console: None,
            consoles: 0,
            flapping: None,
            impostor: None,
            vouched: std::collections::BTreeMap::new(),
            ambush: None,
            unheard: Vec::new(),
            led: 0,
            tally: Tally { lives: 1, ..Tally::default() },
        }
    }

    /// Lives it all.
    pub(super) fn live(&mut self) -> Result<(), Failure> {
        for place in self.members.clone() {
            self.start(&place)?;
        }
        self.wait_for(FORMED_MS, "a leader of the new cluster", Cluster::is_led)?;
        self.trouble()?;
        self.heal()?;
        self.coda()
    }

    pub(super) fn outcome(mut self, result: Result<(), Failure>) -> Outcome {
        self.tally.virtual_ms = self.cluster.now();
        self.tally.answered = self.history.answered;
        self.tally.failed = self.history.failed;
        self.tally.committed = self.invariants.truth.last();
        self.tally.events = self.watches.events;
        self.tally.jobs = self.cluster.trace.jobs.clone();
        self.tally.count("frames lost, doubled or late", self.cluster.net.injected);
        Outcome {
            tally: self.tally,
            hash: self.cluster.trace.hash(),
            result,
            account: self.cluster.trace.take(),
        }
    }

    fn trouble(&mut self) -> Result<(), Failure> {
        self.cluster.net.faults = self.plan.frames;
        let end = self.cluster.now() + self.plan.trouble_ms;
        while self.cluster.now() < end {
            let pause = self.random.between(1, self.plan.pause_ms);
            self.run(pause)?;
            self.flap();
            self.open_console();
            match self.random.in_1000(self.plan.faults) {
                true => self.something_happens()?,
                false => self.ask(),
            }
            // What is answered at once is heard before anybody speaks again.
            self.look()?;
        }
        Ok(())
    }

    fn heal(&mut self) -> Result<(), Failure> {
        let now = self.cluster.now();
        self.cluster.trace.remark(now, "the trouble is over");
        self.cluster.net.faults = Faults::default();
        self.cluster.net.clear();
        (self.flapping, self.ambush) = (None, None);
        if !self.cluster.hub_runs() {
            self.cluster.start_hub();
        }
        for place in self.members.clone() {
            self.cluster.net.throttle(&place, None);
            self.cluster.pace(&place, 1000);
            self.cluster.mend_disk(&place);
            self.cluster.slow_disk(&place, None);
            self.cluster.slow_jobs(&place, self.plan.step_ms);
            self.cluster.slow_turns(&place, self.plan.turn_ms);
            self.cluster.thaw(&place);
            self.cluster.hold_syncs(&place, false);
            self.cluster.link(&place);
            self.cluster.link_full(&place, false);
        }
        self.restore()?;
        // Who is leaving has left then.
        self.run(LEAVE_MS)?;
        for place in self.members.clone() {
            self.start(&place)?;
        }
        self.wait_for(LED_MS, "a leader whom all follow", Cluster::is_led)?;
        self.clear_alarms()?;
        for place in self.members.clone() {
            self.serves(&place)?;
        }
        self.resume_watches();
        self.settle()
    }

    /// All that is left to tell is told, and all stores are the same.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        let mut frames = 0;
        // A throttled link may have held back what somebody asked for long ago.
        for _ in 0..QUIETS {
            let last = self.invariants.truth.last();
            frames = self.quiet()?;
            if self.invariants.truth.last() == last {
                break;
            }
        }
        let pairs = self.plan.members * (self.plan.members - 1);
        if frames > pairs * FRAMES_A_SECOND * QUIET_MS / 1000 {
            let text = format!("{frames} frames in {QUIET_MS} quiet ms between {pairs} pairs");
            return Err(Failure::Liveness(text));
        }
        self.watches.complete(&self.invariants.truth)?;
        let hash = |place: &String| self.cluster.node(place)?.store_hash(0);
        let hashes: Vec<_> = self.members.iter().map(hash).collect();
        match hashes.iter().all(|other| *other == hashes[0] && other.is_some()) {
            true => Ok(()),
            false => Err(Failure::Liveness(format!("the stores stay different: {hashes:?}"))),
        }
    }

    /// An operator makes room and clears all alarms, until they stay so.
    fn clear_alarms(&mut self) -> Result<(), Failure> {
        for round in 0..ROUNDS {
            // Whoever still has no room says so within this time.
            self.run(SERVED_MS)?;
            let alarms = self.invariants.truth.model().alarms();
            if alarms.is_empty() && (round > 0 || self.plan.pace.quota_bytes == u64::MAX) {
                return Ok(());
            }
            let place = self.members[0].clone();
            for request in self.make_room() {
                // If one fails the next round finds out.
                let _ = self.succeeds(&place, request)?;
            }
        }
        let alarms = self.invariants.truth.model().alarms();
        Err(Failure::Liveness(format!("alarms stay raised: {alarms:?}")))
    }

    /// Nobody asks for anything for a while. How many frames members have sent each other.
    fn quiet(&mut self) -> Result<u64, Failure> {
        let before = self.cluster.trace.frames;
        self.run(QUIET_MS)?;
        Ok(self.cluster.trace.frames - before)
    }

    /// A place's client gets a write and a read through.
    pub(super) fn serves(&mut self, place: &str) -> Result<(), Failure> {
        for write in [true, false] {
            let request = match write {
                true => self.put(self.history.next()),
                false => self.range(false),
            };
            let begun = self.cluster.now();
            let mut result = self.succeeds(place, request)?;
            if result == Err(api::Error::Timeout.to_string()) {
                // A snapshot may hide what became of a write.
                let again = if write { self.put(self.history.next()) } else { self.range(false) };
                result = self.succeeds(place, again)?;
            }
            if let Err(why) = result {
                let what = if write { "writes" } else { "reads" };
                let text = format!("{place} does not serve {what}, asked at {begun}: {why}");
                return Err(Failure::Liveness(text));
            }
        }
        Ok(())
    }

    fn succeeds(&mut self, place: &str, request: Request) -> Result<Result<(), String>, Failure> {
        let id = self.request(place, request);
        let until = self.cluster.now() + SERVED_MS;
        while self.history.is_open(id) && self.cluster.step(until) {
            self.look()?;
        }
        let error = self.history.error_of(id).map(ToString::to_string);
        let late = self.history.is_open(id).then(|| format!("no answer in {SERVED_MS} ms"));
        Ok(error.or(late).map_or(Ok(()), Err))
    }

    fn resume_watches(&mut self) {
        while let Some(watch) = self.orphans.pop() {
            let place = self.members[self.orphans.len() % self.members.len()].clone();
            self.begin_watch(&place, watch);
        }
    }

    pub(super) fn wait_for(
        &mut self,
        ms: u64,
        what: &str,
        done: impl Fn(&Cluster) -> bool,
    ) -> Result<(), Failure> {
        let (begun, until) = (self.cluster.now(), self.cluster.now() + ms);
        while !done(&self.cluster) {
            if !self.cluster.step(until) {
                return Err(Failure::Liveness(format!("no {what} {ms} ms after {begun}")));
            }
            self.look()?;
        }
        Ok(())
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, ms: u64) -> Check {
        let until = self.cluster.now() + ms;
        while self.cluster.step(until) {
            self.look()?;
        }
        self.cluster.run_until(until);
        Ok(())
    }

    /// Looks at all that one step has changed.
    pub(super) fn look(&mut self) -> Check {
        self.tally.steps += 1;
        let impostor = self.impostor.as_ref().map(|impostor| impostor.place.as_str());
        self.invariants.look(&mut self.cluster, &self.history, impostor)?;
        for (client, message) in std::mem::take(&mut self.cluster.replies) {
            self.told(&client, message)?;
        }
        for client in std::mem::take(&mut self.unheard) {
            self.client_lost(&client);
        }
        self.forget_ended();
        self.spring_ambush();
        Ok(())
    }

    fn told(&mut self, client: &str, message: ServerMessage) -> Check {
        let console = self.console.as_deref() == Some(client);
        if !console && !self.members.iter().any(|place| place == client) {
            // A console that went away before this reached it.
            return Ok(());
        }
        let truth = &self.invariants.truth;
        match message {
            ServerMessage::Response { id, result } => {
                self.history.answered(client, id, result, truth)
            }
            ServerMessage::Watch(response) => {
                let told = self.watches.told(client, &response, truth);
                self.orphans.extend(self.watches.take_ended());
                told
            }
            ServerMessage::Lost(_) => {
                self.client_lost(client);
                if console {
                    self.drop_console();
                }
                Ok(())
            }
        }
    }

    /// The sessions at runs that have ended are over.
    fn forget_ended(&mut self) {
        for place in self.members.clone() {
            let life = self.cluster.life(&place);
            if self.lives.get(&place).copied() != life {
                self.client_lost(&place);
                match life {
                    Some(life) => self.lives.insert(place, life),
                    None => self.lives.remove(&place),
                };
            }
        }
    }

    /// Whether a client at a place is heard now.
    pub(super) fn listens(&self, place: &str) -> bool {
        self.cluster.is_running(place) && !self.cluster.is_frozen(place)
    }

    /// The session of a client is over.
    pub(super) fn client_lost(&mut self, client: &str) {
        self.history.lost(client);
        self.orphans.extend(self.watches.lost(client));
    }

    /// A console comes when there is none and the hub runs.
    fn open_console(&mut self) {
        // Behind a hub that no member is at, a console reaches nobody.
        if self.console.is_none() && self.cluster.hub_runs() && !self.plan.direct {
            self.consoles += 1;
            let name = format!("c{}", self.consoles);
            self.cluster.console(&name, NAME);
            self.console = Some(name);
        }
    }

    pub(super) fn drop_console(&mut self) {
        if let Some(console) = self.console.take() {
            self.client_lost(&console);
            self.cluster.drop_console(&console);
        }
    }

    /// Who leads, as far as somebody says so.
    pub(super) fn leader(&self) -> Option<String> {
        let leads = |place: &&String| {
            let report = self.cluster.report(place);
            self.cluster.is_running(place) && report.is_some_and(|r| r.role == Role::Leader)
        };
        self.members.iter().find(leads).cloned()
    }

    /// Who leads in a term in which nobody was seen to lead before.
    pub(super) fn new_leader(&mut self) -> Option<String> {
        let leaders = self.members.iter().filter_map(|place| {
            let report = self.cluster.report(place).filter(|r| r.role == Role::Leader)?;
            self.cluster.is_running(place).then_some((report.term, place))
        });
        let (term, place) = leaders.max()?;
        let newer = term > self.led;
        self.led = self.led.max(term);
        newer.then(|| place.clone())
    }
}
