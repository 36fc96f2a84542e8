//! What happens to a cluster.

use storage::{Crash, Fault};

use super::life::{Ambush, Impostor, Life};
use crate::invariants::Violation;
use crate::net::{Deed, Filter};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Crash,
    Start,
    Part,
    OneWay,
    Isolate,
    Flap,
    ClearNet,
    SlowAppends,
    Throttle,
    Unthrottle,
    Unlink,
    Link,
    KillHub,
    StartHub,
    Freeze,
    Thaw,
    Pace,
    Jump,
    SlowDisk,
    HoldSyncs,
    FreeSyncs,
    FailDisk,
    FillDisk,
    Flip,
    Leave,
    Wipe,
    Restore,
    SlowJobs,
    MakeRoom,
    AmbushLeader,
    AmbushGeneration,
    FillLink,
    EmptyLink,
    SlowTurns,
}

/// How often each happens, relative to the others, and whether it does harm. What heals is there
/// in every life; of what does harm each life has a part.
const ACTS: &[(Act, u64, bool)] = &[
    (Act::Crash, 14, true),
    (Act::Start, 26, false),
    (Act::Part, 6, true),
    (Act::OneWay, 6, true),
    (Act::Isolate, 6, true),
    (Act::Flap, 3, true),
    (Act::ClearNet, 12, false),
    (Act::SlowAppends, 3, true),
    (Act::Throttle, 3, true),
    (Act::Unthrottle, 3, false),
    (Act::Unlink, 3, true),
    (Act::Link, 6, false),
    (Act::KillHub, 3, true),
    (Act::StartHub, 6, false),
    (Act::Freeze, 5, true),
    (Act::Thaw, 8, false),
    (Act::Pace, 4, true),
    (Act::Jump, 4, true),
    (Act::SlowDisk, 5, true),
    (Act::HoldSyncs, 6, true),
    (Act::FreeSyncs, 9, false),
    (Act::FailDisk, 5, true),
    (Act::FillDisk, 3, true),
    (Act::Flip, 3, true),
    (Act::Leave, 3, true),
    (Act::Wipe, 2, true),
    (Act::Restore, 4, false),
    (Act::SlowJobs, 3, true),
    (Act::MakeRoom, 6, false),
    (Act::AmbushLeader, 6, true),
    (Act::AmbushGeneration, 4, true),
    (Act::FillLink, 3, true),
    (Act::EmptyLink, 6, false),
    (Act::SlowTurns, 4, true),
];

/// Shorter logs are left alone by bit flips.
const FLIP_BYTES: u64 = 2000;

/// Things that happen.
impl Life {
    /// Something happens, somewhere.
    pub(super) fn something_happens(&mut self) -> Result<(), Violation> {
        let act = self.draw_act();
        let place = self.some_place();
        match act {
            Act::Crash => self.crash(&place),
            Act::Start => return self.start(&place),
            Act::Part | Act::OneWay | Act::Isolate | Act::Flap | Act::ClearNet => {
                self.net_act(act, &place);
            }
            Act::SlowAppends | Act::Throttle | Act::Unthrottle => self.slow_act(act, &place),
            Act::Unlink | Act::Link | Act::FillLink | Act::EmptyLink => self.link_act(act, &place),
            Act::KillHub | Act::StartHub => self.hub_act(act),
            Act::Freeze | Act::Thaw | Act::Pace | Act::Jump => self.time_act(act, &place),
            Act::SlowDisk | Act::HoldSyncs | Act::FreeSyncs | Act::FailDisk | Act::FillDisk => {
                self.disk_act(act, &place);
            }
            Act::Flip => return self.flip(&place),
            Act::Leave if self.listens(&place) => {
                self.happened("leave", &place);
                self.cluster.leave(&place);
            }
            Act::Leave => {}
            Act::Wipe => return self.wipe(&place),
            Act::Restore => return self.restore(),
            Act::SlowJobs => {
                self.happened("slow jobs", &place);
                let step_ms = self.random.between(20, 400);
                self.cluster.slow_jobs(&place, step_ms);
            }
            Act::SlowTurns => {
                self.happened("slow turns", &place);
                let turn_ms = self.random.between(20, 2000);
                self.cluster.slow_turns(&place, turn_ms);
            }
            Act::MakeRoom if !self.invariants.truth.model().alarms().is_empty() => {
                for request in self.make_room() {
                    self.request(&place, request);
                    // If the member ends with it, its answer is heard before that.
                    self.look()?;
                }
            }
            Act::MakeRoom => {}
            Act::AmbushLeader => self.ambush = Some(Ambush::Leader),
            Act::AmbushGeneration => self.ambush = Some(Ambush::Generation),
        }
        Ok(())
    }

    fn draw_act(&mut self) -> Act {
        let kinds = self.plan.kinds;
        let there = |at: usize, harms: bool| !harms || kinds >> at & 1 == 1;
        let acts = || {
            let acts = ACTS.iter().enumerate();
            acts.filter(move |(at, (_, _, harms))| there(*at, *harms)).map(|(_, act)| act)
        };
        let sum = acts().map(|(_, weight, _)| weight).sum();
        let mut draw = self.random.between(0, sum);
        for (act, weight, _) in acts() {
            if draw < *weight {
                return *act;
            }
            draw -= weight;
        }
        Act::Start
    }

    /// Some place; more often the leader's than another.
    fn some_place(&mut self) -> String {
        if self.random.in_1000(250)
            && let Some(leader) = self.leader()
        {
            return leader;
        }
        self.members[self.random.between(0, self.members.len() as u64) as usize].clone()
    }

    fn crash(&mut self, place: &str) {
        let (seed, bytes) = (self.random.next_u64(), self.random.between(0, 5000));
        let (name, crash) = match self.random.between(0, 4) {
            0 => ("crash, unsynced lost", Crash::Lose),
            1 => ("crash, unsynced kept", Crash::Keep),
            2 => ("crash, last write torn", Crash::KeepBytes(bytes)),
            _ => ("crash, unsynced scattered", Crash::Scatter(seed)),
        };
        self.happened(name, place);
        self.cluster.crash(place, crash);
    }

    /// Whoever is waited for crashes soon after it has come.
    pub(super) fn spring_ambush(&mut self) {
        let (leader, finisher) = (self.new_leader(), self.cluster.trace.finisher.take());
        let prey = match &self.ambush {
            Some(Ambush::Leader) => leader,
            Some(Ambush::Generation) => finisher,
            Some(Ambush::Sprung { at, place }) if *at <= self.cluster.now() => {
                let place = place.clone();
                self.ambush = None;
                self.happened("crash at the worst time", &place);
                return self.cluster.crash(&place, Crash::Lose);
            }
            _ => None,
        };
        let Some(place) = prey else { return };
        let stuck = self.random.in_1000(500);
        if stuck {
            self.stick(&place);
        }
        // A follower says first where it is, by way of the hub, and is then sent what was asked.
        let hops = if stuck { 16 } else { 4 };
        let within = hops * (self.plan.latency_ms + self.plan.sync_ms + self.plan.step_ms);
        let at = self.cluster.now() + self.random.between(0, within);
        self.ambush = Some(Ambush::Sprung { at, place });
    }

    /// A member is asked for much at once, and nothing reaches its disk: when it crashes, nobody
    /// may have relied on what it has lost.
    fn stick(&mut self, place: &str) {
        self.happened("stuck disk at the worst time", place);
        self.cluster.hold_syncs(place, true);
        for _ in 0..self.random.between(1, 4) {
            let put = self.put(self.history.next());
            self.request(place, put);
        }
    }

    /// Starts a member; on its own directory, with its disk mended, that cannot fail.
    pub(super) fn start(&mut self, place: &str) -> Result<(), Violation> {
        if self.cluster.is_running(place) {
            return Ok(());
        }
        self.cluster.mend_disk(place);
        self.cluster.hold_syncs(place, false);
        let now = self.cluster.now();
        self.cluster.trace.remark(now, &format!("start {place}"));
        self.cluster.start(place).map_err(|error| Violation {
            property: "recovery",
            text: format!("{place} does not start from what it left: {error}"),
        })?;
        if let Some(oldest) = self.cluster.oldest_log(place) {
            self.vouched.insert(place.into(), oldest);
        }
        Ok(())
    }

    fn net_act(&mut self, act: Act, place: &str) {
        let other = self.some_place();
        let rule = |from: Option<&str>, to: Option<&str>| {
            let (from, to) = (from.map(Into::into), to.map(Into::into));
            (Filter { from, to, kinds: Vec::new() }, Deed::Drop)
        };
        let (name, rules) = match act {
            Act::Part => (
                "partition",
                vec![rule(Some(place), Some(&other)), rule(Some(&other), Some(place))],
            ),
            Act::OneWay if self.random.in_1000(500) => {
                ("partition, one way", vec![rule(Some(place), Some(&other))])
            }
            Act::OneWay => ("partition, one way", vec![rule(None, Some(place))]),
            Act::Isolate => ("isolation", vec![rule(Some(place), None), rule(None, Some(place))]),
            Act::Flap => {
                self.flapping = Some(place.into());
                ("flapping link", Vec::new())
            }
            _ => {
                self.flapping = None;
                return self.cluster.net.clear();
            }
        };
        self.happened(name, place);
        for (filter, deed) in rules {
            self.cluster.net.rule(filter, deed);
        }
    }

    /// A flapping link goes up or down.
    pub(super) fn flap(&mut self) {
        let Some(place) = self.flapping.clone() else { return };
        match self.random.in_1000(500) {
            true => self.cluster.unlink(&place),
            false => self.cluster.link(&place),
        }
    }

    fn slow_act(&mut self, act: Act, place: &str) {
        match act {
            Act::SlowAppends => {
                self.happened("slow appends", place);
                let delay = self.random.between(20, 700);
                let to = Some(place.into());
                let kinds = vec!["append".into()];
                self.cluster.net.rule(Filter { from: None, to, kinds }, Deed::Delay(delay));
            }
            Act::Throttle => {
                self.happened("throttled link", place);
                let rate = self.random.between(1, 20);
                self.cluster.net.throttle(place, Some(rate));
            }
            _ => self.cluster.net.throttle(place, None),
        }
    }

    fn link_act(&mut self, act: Act, place: &str) {
        match act {
            Act::Unlink => {
                self.happened("lost link", place);
                self.cluster.unlink(place);
            }
            Act::Link => self.cluster.link(place),
            Act::FillLink => {
                self.happened("full link", place);
                self.cluster.link_full(place, true);
            }
            _ => self.cluster.link_full(place, false),
        }
    }

    fn hub_act(&mut self, act: Act) {
        match act {
            Act::KillHub if self.cluster.hub_runs() => {
                self.happened("relay killed", "hub");
                self.cluster.kill_hub();
                self.drop_console();
            }
            Act::StartHub if !self.cluster.hub_runs() => self.cluster.start_hub(),
            _ => {}
        }
    }

    fn time_act(&mut self, act: Act, place: &str) {
        match act {
            Act::Freeze => {
                self.happened("freeze", place);
                self.cluster.freeze(place);
            }
            Act::Thaw => self.cluster.thaw(place),
            Act::Pace => {
                self.happened("clock skew", place);
                let rate = self.random.between(500, 2000);
                self.cluster.pace(place, rate);
            }
            _ => {
                self.happened("clock jump", place);
                let by = self.random.between(10, 5000);
                self.cluster.jump(place, by);
                // A leader that steps down and stands again, and whose disk takes its time.
                if self.random.in_1000(333) {
                    self.disk_act(Act::SlowDisk, place);
                }
            }
        }
    }

    fn disk_act(&mut self, act: Act, place: &str) {
        match act {
            Act::SlowDisk => {
                self.happened("slow disk", place);
                let sync_ms = self.random.between(20, 400);
                self.cluster.slow_disk(place, Some(sync_ms));
            }
            Act::HoldSyncs => {
                self.happened("stuck disk", place);
                self.cluster.hold_syncs(place, true);
            }
            Act::FreeSyncs => {
                self.cluster.hold_syncs(place, false);
                self.cluster.slow_disk(place, None);
            }
            Act::FailDisk => {
                let (after, bytes) = (self.random.between(0, 12), self.random.between(0, 2000));
                let (name, fault) = match self.random.between(0, 3) {
                    0 => ("disk fails", Fault::Fail),
                    1 => ("disk tears a write", Fault::Torn(bytes as usize)),
                    _ => ("disk refuses for once", Fault::NoSpace),
                };
                self.happened(name, place);
                self.cluster.fail_disk(place, after, fault);
            }
            _ => {
                self.happened("full disk", place);
                let room = self.random.between(0, 30_000);
                self.cluster.fill_disk(place, room);
            }
        }
    }

    /// A bit of what was synced long ago turns over while a member is off: it must not start,
    /// and does when the bit is back. Long ago is before its last start: the first batch of a
    /// run vouches for all that was there. What no later batch vouches for could be a torn end.
    fn flip(&mut self, place: &str) -> Result<(), Violation> {
        // The last quarter may be that first batch itself.
        let Some((file, used)) = self.vouched.get(place).cloned() else { return Ok(()) };
        let used = used * 3 / 4;
        let there = self.cluster.image(place).contains_key(&file);
        let formed = self.cluster.report(place).is_some_and(|report| report.cluster.is_some());
        if !self.cluster.is_running(place) || !formed || used < FLIP_BYTES || !there {
            return Ok(());
        }
        let (at, bit) = (self.random.between(0, used), self.random.between(0, 8) as u8);
        self.happened("bit flip", place);
        self.cluster.crash(place, Crash::Lose);
        self.cluster.mend_disk(place);
        self.cluster.flip(place, &file, at, bit);
        if self.cluster.start(place).is_ok() {
            let text = format!("{place} starts with bit {bit} of byte {at} of {used} turned over");
            return Err(Violation { property: "recovery", text });
        }
        self.cluster.flip(place, &file, at, bit);
        self.start(place)
    }

    /// A member comes up with an empty directory. One at a time, and never the only one.
    fn wipe(&mut self, place: &str) -> Result<(), Violation> {
        if self.plan.members - self.plan.learners < 3 || self.impostor.is_some() {
            return Ok(());
        }
        self.happened("wiped directory", place);
        self.cluster.crash(place, Crash::Lose);
        let image = self.cluster.image(place);
        self.impostor = Some(Impostor { place: place.into(), image });
        self.cluster.wipe(place);
        self.start(place)
    }

    /// Its own directory is back.
    pub(super) fn restore(&mut self) -> Result<(), Violation> {
        let Some(Impostor { place, image }) = self.impostor.take() else { return Ok(()) };
        self.cluster.crash(&place, Crash::Keep);
        self.cluster.set_disk(&place, image);
        self.start(&place)
    }

    pub(super) fn happened(&mut self, fault: &'static str, place: &str) {
        let now = self.cluster.now();
        self.cluster.trace.remark(now, &format!("{fault}: {place}"));
        self.tally.count(fault, 1);
    }
}
