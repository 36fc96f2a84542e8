//! Fifty small lives of a cluster: whatever happens to it for some seconds, afterwards it serves
//! again soon, holds every acknowledged write, and is the same on every member. `SEED=N` lives
//! one of them, `SEEDS=N` lives so many.

use std::collections::BTreeMap;
use std::env;

use api::kv::{PutRequest, RangeRequest};
use api::report::Role;
use api::session::{ClientMessage, Request, Response, ServerMessage};
use kvorum_sim::net::{Deed, Faults, Filter};
use kvorum_sim::random::Random;
use kvorum_sim::trace::Kind;
use kvorum_sim::{Cluster, Settings};
use storage::Crash;

const SEEDS: u64 = 50;
const MEMBERS: [&str; 5] = ["1", "2", "3", "4", "5"];

/// How long things happen to the cluster.
const TROUBLE_MS: u64 = 8000;

/// How soon after the trouble all follow one leader: a member may sit out its election timeout
/// twice.
const LED_MS: u64 = 4000;

/// How long a member takes to leave at most.
const LEAVE_MS: u64 = 1200;

/// How soon then a write is acknowledged.
const SERVED_MS: u64 = 1000;

/// Frames of one member to another in one virtual second; more is a storm.
const FRAMES_A_SECOND: u64 = 250;

struct Life {
    cluster: Cluster,
    members: &'static [&'static str],
    random: Random,
    requests: u64,
    puts: BTreeMap<u64, PutRequest>,
    /// By request: the revision that a read must not be older than.
    reads: BTreeMap<u64, i64>,
    /// By revision: what was acknowledged.
    acknowledged: BTreeMap<i64, PutRequest>,
    leaders: BTreeMap<u64, String>,
    hub_runs: bool,
}

#[test]
fn fifty_lives() {
    live(&MEMBERS[..3], SEEDS);
}

#[test]
fn ten_lives_of_five() {
    live(&MEMBERS, SEEDS / 5);
}

fn live(members: &'static [&'static str], count: u64) {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let one = number("SEED");
    let seeds = one.map_or(0..number("SEEDS").unwrap_or(count), |seed| seed..seed + 1);
    let mut written = 0;
    for seed in seeds {
        println!("seed {seed}");
        let mut life = Life::new(seed, members);
        life.trouble();
        life.heal();
        life.check();
        written += life.acknowledged.len();
    }
    assert!(
        one.is_some() || written as u64 > 20 * count,
        "only {written} writes were acknowledged in all"
    );
}

/// The same seed does the same.
#[test]
fn a_life_is_a_function_of_its_seed() {
    let live = || {
        let mut life = Life::new(7, &MEMBERS[..3]);
        life.trouble();
        let hash = life.cluster.node("1").map(node::Node::store_hash);
        (hash, life.cluster.trace.frames, life.acknowledged.len(), life.cluster.trace.take())
    };
    assert_eq!(live(), live());
}

impl Life {
    fn new(seed: u64, members: &'static [&'static str]) -> Self {
        let mut cluster = Cluster::new(Settings { seed, ..Settings::default() });
        let all: Vec<String> = members.iter().map(ToString::to_string).collect();
        for name in members {
            cluster.add(name, name, "default", "token", &all);
            cluster.start(name).unwrap();
        }
        Self {
            cluster,
            members,
            random: Random::new(seed ^ 0x5eed),
            requests: 0,
            puts: BTreeMap::new(),
            reads: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            leaders: BTreeMap::new(),
            hub_runs: true,
        }
    }

    fn trouble(&mut self) {
        assert!(self.cluster.run_to(1000, Cluster::is_led), "it forms within a second");
        self.cluster.net.faults =
            Faults { drop: 20, double: 30, late: 50, late_ms: 200, across: 0 };
        let end = self.cluster.now() + TROUBLE_MS;
        while self.cluster.now() < end {
            let pause = self.random.between(1, 80);
            self.run(pause);
            self.something_happens();
        }
    }

    fn run(&mut self, pause: u64) {
        let until = self.cluster.now() + pause;
        let before = self.cluster.trace.frames;
        self.cluster.run_until(until);
        let frames = self.cluster.trace.frames - before;
        let pairs = (self.members.len() * (self.members.len() - 1)) as u64;
        assert!(
            frames < pairs * (40 + FRAMES_A_SECOND * pause / 1000),
            "{frames} frames in {pause} ms"
        );
        self.take_replies();
        self.check_leaders();
    }

    fn something_happens(&mut self) {
        let place = self.anybody();
        let other = self.anybody();
        match self.random.between(0, 100) {
            0..50 => self.put(place),
            50..70 => self.get(place),
            70..74 => {
                let seed = self.random.next_u64();
                let crash = [Crash::Lose, Crash::Keep, Crash::Scatter(seed)];
                self.cluster.crash(place, crash[self.random.between(0, 3) as usize]);
            }
            74..80 => self.start(place),
            80..83 => self.cluster.part(place, other),
            83..86 => self.cluster.net.clear(),
            86 => self.cluster.unlink(place),
            87..89 => self.cluster.link(place),
            89..91 => self.cluster.freeze(place),
            91..93 => self.cluster.thaw(place),
            93..95 => self.cluster.hold_syncs(place, true),
            95..97 => self.cluster.hold_syncs(place, false),
            97 => self.cluster.leave(place),
            98 if self.hub_runs => {
                self.cluster.kill_hub();
                self.hub_runs = false;
            }
            98 | 99 => self.start_hub(),
            _ => self.cluster.net.rule(
                Filter { from: None, to: Some(place.into()), kinds: vec!["append".into()] },
                Deed::Delay(300),
            ),
        }
    }

    fn anybody(&mut self) -> &'static str {
        self.members[self.random.between(0, self.members.len() as u64) as usize]
    }

    fn start(&mut self, place: &str) {
        if !self.cluster.is_running(place) {
            self.cluster.start(place).unwrap();
        }
    }

    fn start_hub(&mut self) {
        if !std::mem::replace(&mut self.hub_runs, true) {
            self.cluster.start_hub();
        }
    }

    fn put(&mut self, place: &str) {
        self.requests += 1;
        let key = format!("k{}", self.random.between(0, 5));
        let value = format!("v{}", self.requests);
        let put = PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() };
        let request = Request::Put(put.clone());
        self.puts.insert(self.requests, put);
        self.cluster.say(place, &ClientMessage::Request { id: self.requests, request });
    }

    fn get(&mut self, place: &str) {
        self.requests += 1;
        let newest = self.acknowledged.last_key_value().map_or(0, |(revision, _)| *revision);
        let range = RangeRequest { key: "k0".into(), ..RangeRequest::default() };
        let request = Request::Range(range);
        if self.cluster.say(place, &ClientMessage::Request { id: self.requests, request }) {
            self.reads.insert(self.requests, newest);
        }
    }

    fn take_replies(&mut self) {
        for (place, message) in std::mem::take(&mut self.cluster.replies) {
            let ServerMessage::Response { id, result } = message else { continue };
            match result {
                Ok(Response::Put(put)) => {
                    let request = self.puts.remove(&id).expect("one answer to each request");
                    let doubled = self.acknowledged.insert(put.header.revision, request);
                    assert_eq!(doubled, None, "two writes have revision {}", put.header.revision);
                }
                Ok(Response::Range(range)) => {
                    let newest = self.reads.remove(&id).expect("one answer to each request");
                    let revision = range.header.revision;
                    assert!(revision >= newest, "{place} read {revision} after {newest} was told");
                }
                Ok(other) => panic!("nobody asked for {other:?}"),
                Err(_) => {}
            }
        }
    }

    /// A term has one leader at most.
    fn check_leaders(&mut self) {
        for place in self.members.iter().filter(|place| self.cluster.is_running(place)) {
            let Some(report) = self.cluster.report(place) else { continue };
            assert!(!matches!(report.role, Role::Refused(_) | Role::Halted(_)), "{report:?}");
            if report.role == Role::Leader {
                let leader = self.leaders.entry(report.term).or_insert_with(|| place.to_string());
                assert_eq!(leader, place, "two leaders of term {}", report.term);
            }
        }
    }

    /// What happened since the trouble ended, for whoever looks for the reason of a failure.
    fn account(&mut self) -> String {
        self.cluster.trace.take().join("\n")
    }

    fn heal(&mut self) {
        use Kind::{Forward, Hello, Hub, Raft, Reply, Role};
        self.cluster.trace.take();
        self.cluster.trace.show([Forward, Hello, Hub, Raft, Reply, Role]);
        self.cluster.net.faults = Faults::default();
        self.cluster.net.clear();
        self.start_hub();
        for place in self.members {
            self.cluster.thaw(place);
            self.cluster.hold_syncs(place, false);
            self.cluster.link(place);
        }
        // Who is leaving has left then.
        self.run(LEAVE_MS);
        self.members.iter().for_each(|place| self.start(place));
        let until = self.cluster.now() + LED_MS;
        let led = self.cluster.run_to(until, Cluster::is_led);
        assert!(led, "no leader {LED_MS} ms after the trouble:\n{}", self.account());
    }

    fn check(&mut self) {
        self.run(1);
        for place in self.members {
            let before = self.acknowledged.len();
            self.put(place);
            let asked = self.requests;
            self.run(SERVED_MS);
            let served = !self.puts.contains_key(&asked);
            assert!(served, "{place} does not serve writes again:\n{}", self.account());
            assert!(self.acknowledged.len() > before);
            self.get(place);
            self.run(SERVED_MS);
            let served = !self.reads.contains_key(&self.requests);
            assert!(served, "{place} does not serve reads again:\n{}", self.account());
        }
        let hashes =
            self.members.iter().map(|place| self.cluster.node(place).map(node::Node::store_hash));
        let hashes: Vec<_> = hashes.collect();
        assert!(hashes.iter().all(|hash| *hash == hashes[0] && hash.is_some()), "{hashes:?}");
        for (revision, put) in self.acknowledged.clone() {
            let range = RangeRequest { key: put.key, revision, ..RangeRequest::default() };
            let request = Request::Range(RangeRequest { serializable: true, ..range });
            self.requests += 1;
            let id = self.requests;
            self.cluster.say("1", &ClientMessage::Request { id, request });
            let replies = std::mem::take(&mut self.cluster.replies);
            let [(_, ServerMessage::Response { result: Ok(Response::Range(range)), .. })] =
                replies.as_slice()
            else {
                panic!("no answer at {revision}: {replies:?}");
            };
            let [pair] = range.kvs.as_slice() else { panic!("nothing at {revision}") };
            assert_eq!((pair.mod_revision, &pair.value), (revision, &put.value));
        }
    }
}
