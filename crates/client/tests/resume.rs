//! Whatever is lost, a watch sees every event of its keys once, in order, each revision whole.
//!
//! The model is a history of revisions and members that serve it: each session's member has
//! applied some of it, sends it in answers of any size, cut into fragments anywhere, and goes
//! away at any moment with what is under way.

use std::collections::{BTreeMap, VecDeque};

use api::Bytes;
use api::error::Error;
use api::frame::{decode_body, encode_body};
use api::kv::{KeyValue, ResponseHeader};
use api::session::{ClientMessage, ServerMessage};
use api::watch::{Event, EventType, WatchCreateRequest, WatchRequest, WatchResponse};
use kvorum_client::{Client, Input, Output, WatchId};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A revision of so many events.
    Write(usize),
    /// A watch from a revision, or from now on.
    Watch(i64),
    /// One of the watches ends.
    Unwatch(usize),
    /// The member of the session applies some more.
    CatchUp(usize),
    /// It sends an answer of so many events to one of its watches.
    Serve {
        watch: usize,
        events: usize,
    },
    /// So many of its answers arrive.
    Arrive(usize),
    /// It goes away; the next one is so many revisions behind.
    Lose {
        behind: usize,
    },
    /// The link goes and comes.
    Down,
    Up,
    /// Time goes on.
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..4).prop_map(Step::Write),
        1 => (0_i64..8).prop_map(Step::Watch),
        1 => (0_usize..4).prop_map(Step::Unwatch),
        3 => (1_usize..4).prop_map(Step::CatchUp),
        6 => (0_usize..4, 0_usize..5).prop_map(|(watch, events)| Step::Serve { watch, events }),
        5 => (1_usize..4).prop_map(Step::Arrive),
        2 => (0_usize..5).prop_map(|behind| Step::Lose { behind }),
        1 => Just(Step::Down),
        2 => Just(Step::Up),
        1 => (1_u64..2000).prop_map(Step::Pass),
    ]
}

/// A member's side of one watch.
struct Served {
    /// Its next event, as an index into the history.
    next: usize,
    /// The answer that is cut goes on to here.
    whole: usize,
}

/// The member behind the session.
struct Member {
    session: u64,
    applied: i64,
    watches: BTreeMap<i64, Served>,
    under_way: VecDeque<WatchResponse>,
}

struct World {
    now: u64,
    up: bool,
    client: Client,
    history: Vec<Event>,
    behind: usize,
    member: Option<Member>,
    /// What each caller saw: the first revision that it may see, once known, and the events.
    seen: BTreeMap<WatchId, (Option<i64>, Vec<Event>)>,
    asked: BTreeMap<WatchId, i64>,
    ended: Vec<WatchId>,
}

impl World {
    fn new() -> Self {
        Self {
            now: 0,
            up: false,
            client: Client::new(),
            history: Vec::new(),
            behind: 0,
            member: None,
            seen: BTreeMap::new(),
            asked: BTreeMap::new(),
            ended: Vec::new(),
        }
    }

    fn revision(&self) -> i64 {
        self.history.last().map_or(1, |event| event.kv.mod_revision)
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Write(events) => self.write(events),
            Step::Watch(start_revision) => {
                let create = WatchCreateRequest { start_revision, ..Default::default() };
                let watch = self.client.watch(self.now, create);
                self.asked.insert(watch, start_revision);
                let first = (start_revision > 0).then_some(start_revision);
                self.seen.insert(watch, (first, Vec::new()));
            }
            Step::Unwatch(nth) => {
                if let Some(watch) = self.seen.keys().nth(nth).copied() {
                    self.client.unwatch(watch);
                    self.ended.push(watch);
                }
            }
            Step::CatchUp(revisions) => {
                let newest = self.revision();
                if let Some(member) = &mut self.member {
                    member.applied = newest.min(member.applied + revisions as i64);
                }
            }
            Step::Serve { watch, events } => self.serve(watch, events),
            Step::Arrive(answers) => self.arrive(answers),
            Step::Lose { behind } => self.lose(behind),
            Step::Down => {
                self.up = false;
                self.member = None;
                self.client.handle(self.now, Input::Down { reason: "gone" });
            }
            Step::Up => {
                self.up = true;
                self.member = None;
                self.client.handle(self.now, Input::Up);
            }
            Step::Pass(ms) => {
                self.now += ms;
                self.client.handle(self.now, Input::Wake);
            }
        }
        self.drain();
    }

    fn write(&mut self, events: usize) {
        let mod_revision = self.revision() + 1;
        for n in 0..events {
            let key = Bytes::from(n.to_string());
            let kv = KeyValue { key, mod_revision, ..KeyValue::default() };
            self.history.push(Event { kind: EventType::Put, kv, prev_kv: None });
        }
    }

    fn serve(&mut self, nth: usize, events: usize) {
        let Some(member) = &mut self.member else { return };
        let Some((id, served)) = member.watches.iter_mut().nth(nth) else { return };
        let end = |n: usize| {
            let last = self.history[n - 1].kv.mod_revision;
            n + self.history[n..].iter().take_while(|e| e.kv.mod_revision == last).count()
        };
        let applied = member.applied;
        let have = self.history.partition_point(|event| event.kv.mod_revision <= applied);
        let to = have.min(served.next + events);
        let header = ResponseHeader { revision: applied, ..ResponseHeader::default() };
        let mut response = WatchResponse { header, watch_id: *id, ..WatchResponse::default() };
        if to > served.next {
            response.events = self.history[served.next..to].to_vec();
            served.next = to;
            served.whole = end(to);
            response.fragment = to < served.whole;
        } else if served.next < have || served.next < served.whole {
            // Progress is only told by a watch that has nothing to send.
            return;
        }
        member.under_way.push_back(response);
    }

    fn arrive(&mut self, answers: usize) {
        for _ in 0..answers {
            let Some(member) = &mut self.member else { return };
            let Some(response) = member.under_way.pop_front() else { return };
            let session = member.session;
            self.say(session, &ServerMessage::Watch(response));
            self.drain();
        }
    }

    fn say(&mut self, session: u64, message: &ServerMessage) {
        let body = encode_body(message);
        self.client.handle(self.now, Input::Message { session, body: &body });
    }

    fn lose(&mut self, behind: usize) {
        self.behind = behind;
        if let Some(member) = self.member.take() {
            let lost = ServerMessage::Lost(Error::Unavailable("gone".into()));
            self.say(member.session, &lost);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll() {
            match output {
                Output::Send { session, body } => {
                    assert!(self.up, "sent without a link");
                    self.receive(session, decode_body(&body).unwrap());
                }
                Output::Watch { watch, response } => self.see(watch, response),
                other => panic!("{other:?}"),
            }
        }
    }

    fn receive(&mut self, session: u64, message: ClientMessage) {
        let revision = self.revision();
        if self.member.as_ref().is_none_or(|member| member.session < session) {
            let applied = (revision - self.behind as i64).max(1);
            let (watches, under_way) = (BTreeMap::new(), VecDeque::new());
            self.member = Some(Member { session, applied, watches, under_way });
        }
        let Some(member) = self.member.as_mut().filter(|member| member.session == session) else {
            return;
        };
        match message {
            ClientMessage::Watch(WatchRequest::Create(create)) => {
                let start = match create.start_revision {
                    0 => member.applied + 1,
                    start => start,
                };
                let next = self.history.partition_point(|e| e.kv.mod_revision < start);
                let served = Served { next, whole: next };
                assert!(member.watches.insert(create.watch_id, served).is_none(), "an id twice");
                let header = ResponseHeader { revision: member.applied, ..Default::default() };
                member.under_way.push_back(WatchResponse {
                    header,
                    watch_id: create.watch_id,
                    created: true,
                    ..WatchResponse::default()
                });
            }
            ClientMessage::Watch(WatchRequest::Cancel(id)) => {
                member.watches.remove(&id);
            }
            ClientMessage::End => self.member = None,
            other => panic!("{other:?}"),
        }
    }

    fn see(&mut self, watch: WatchId, response: WatchResponse) {
        assert!(!self.ended.contains(&watch), "an answer after its end");
        assert!(!response.canceled && !response.fragment, "{response:?}");
        let (first, events) = self.seen.get_mut(&watch).unwrap();
        if response.created {
            assert_eq!(self.asked.get(&watch), Some(&first.unwrap_or(0)), "created twice");
            first.get_or_insert(response.header.revision + 1);
        }
        events.extend(response.events);
        // Never a gap, a double, or a piece of a revision.
        let first = first.expect("events before it was created");
        let from = self.history.partition_point(|e| e.kv.mod_revision < first);
        let want = &self.history[from..];
        assert_eq!(events[..], want[..events.len()]);
        let last = events.last().map(|event| event.kv.mod_revision);
        let next = want.get(events.len()).map(|event| event.kv.mod_revision);
        assert!(last.is_none() || last != next, "a revision was split");
    }

    /// Everything works again: each watch sees all that there is.
    fn heal(&mut self) {
        self.behind = 0;
        self.take(&Step::Up);
        self.take(&Step::Pass(2000));
        self.take(&Step::CatchUp(1_000_000));
        for nth in 0..self.seen.len() {
            self.take(&Step::Arrive(1000));
            self.take(&Step::Serve { watch: nth, events: 1000 });
        }
        self.take(&Step::Arrive(1000));
        for (watch, (first, events)) in &self.seen {
            if self.ended.contains(watch) {
                continue;
            }
            let first = first.expect("created by now");
            let want = self.history.iter().filter(|event| event.kv.mod_revision >= first);
            assert_eq!(events.iter().collect::<Vec<_>>(), want.collect::<Vec<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn watches_see_everything_once(steps in proptest::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.heal();
    }
}
