//! Watches against the model's history: every event, once, in order, whole revisions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use api::Bytes;
use api::kv::{DeleteRangeRequest, PutRequest, TxnRequest};
use api::watch::{Event, EventType, WatchCreateRequest, WatchRequest, WatchResponse};
use kvorum_mvcc::testing::Mover;
use kvorum_mvcc::{Store, Watchers, check};
use proptest::prelude::*;

use crate::model::{Model, within};
use crate::requests;
use crate::store::{Below, below};

type Checked = Result<(), TestCaseError>;

#[derive(Clone, Debug)]
enum Action {
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(TxnRequest),
    /// Compacts so far below the newest revision.
    Compact(i64),
    /// Starts a watch so far from the newest revision, or from now on.
    Create(u64, WatchCreateRequest, Option<i64>),
    Cancel(u64, i64),
    Progress(u64),
    Hold(u64, bool),
    End(u64),
    Changed,
    Step,
    Below(Below),
}

fn session() -> impl Strategy<Value = u64> {
    1..4_u64
}

fn create() -> impl Strategy<Value = WatchCreateRequest> {
    (requests::key(), requests::range_end(), any::<(bool, bool, bool)>(), 0..3_i64).prop_map(
        |(key, range_end, flags, watch_id)| WatchCreateRequest {
            key,
            range_end,
            no_put: flags.0 && flags.1,
            no_delete: flags.0 && flags.2,
            prev_kv: flags.1,
            watch_id,
            ..WatchCreateRequest::default()
        },
    )
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => requests::put().prop_map(Action::Put),
        4 => requests::delete_range().prop_map(Action::DeleteRange),
        4 => requests::txn().prop_map(Action::Txn),
        1 => (0..8_i64).prop_map(Action::Compact),
        6 => (session(), create(), prop::option::of(-12..4_i64))
            .prop_map(|(session, create, start)| Action::Create(session, create, start)),
        1 => (session(), 0..4_i64).prop_map(|(session, id)| Action::Cancel(session, id)),
        2 => session().prop_map(Action::Progress),
        2 => (session(), any::<bool>()).prop_map(|(session, held)| Action::Hold(session, held)),
        1 => session().prop_map(Action::End),
        4 => Just(Action::Changed),
        6 => Just(Action::Step),
        6 => below().prop_map(Action::Below),
    ]
}

/// A watch, as its client sees it.
#[derive(Clone, Debug)]
struct Seen {
    request: WatchCreateRequest,
    start: i64,
    events: Vec<Event>,
}

/// The clients of all sessions.
#[derive(Default)]
struct Clients {
    /// Creates without an answer, with their first revision, by session.
    asked: BTreeMap<u64, VecDeque<(WatchCreateRequest, i64)>>,
    watches: BTreeMap<(u64, i64), Seen>,
    /// Answers about the progress of a whole session.
    progress: usize,
    /// Watches that a compaction ended.
    compacted: Vec<(Seen, i64)>,
}

impl Seen {
    /// All that the watch is to hear, from its start to the newest revision.
    fn expected(&self, model: &Model) -> Vec<Event> {
        let WatchCreateRequest { key, range_end, no_put, no_delete, .. } = &self.request;
        let key = if key.is_empty() { &Bytes::from_static(b"\0") } else { key };
        let wanted = |event: &&Event| {
            within(&event.kv.key, key, range_end)
                && match event.kind {
                    EventType::Put => !no_put,
                    EventType::Delete => !no_delete,
                }
        };
        model
            .events
            .iter()
            .flatten()
            .filter(wanted)
            .filter(|e| e.kv.mod_revision >= self.start)
            .cloned()
            .collect()
    }

    fn hear(&mut self, model: &Model, events: Vec<Event>) -> Checked {
        let expected = self.expected(model);
        let heard = self.events.len();
        let news = &expected[heard..];
        prop_assert!(events.len() <= news.len(), "more events than there were: {:?}", events);
        for (event, expected) in events.iter().zip(news) {
            prop_assert_eq!(event.kind, expected.kind);
            prop_assert_eq!(&event.kv, &expected.kv);
            self.check_prev(model, event)?;
        }
        // The revision is whole if the next event is of another.
        if let (Some(last), Some(next)) = (events.last(), news.get(events.len())) {
            prop_assert!(next.kv.mod_revision > last.kv.mod_revision, "a revision was split");
        }
        self.events.extend(events);
        Ok(())
    }

    fn check_prev(&self, model: &Model, event: &Event) -> Checked {
        let before = event.kv.mod_revision - 1;
        let created = event.kv.create_revision == event.kv.mod_revision;
        let known = model.states[before as usize].get(&event.kv.key).filter(|_| !created);
        match &event.prev_kv {
            Some(prev) => {
                prop_assert!(self.request.prev_kv);
                prop_assert_eq!(Some(prev), known);
            }
            None => prop_assert!(
                !self.request.prev_kv || known.is_none() || before < model.compacted,
                "no prev_kv of {:?}",
                event
            ),
        }
        Ok(())
    }
}

impl Clients {
    fn hear(&mut self, model: &Model, session: u64, response: WatchResponse) -> Checked {
        let id = response.watch_id;
        let revision = response.header.revision;
        if response.created {
            let asked = self.asked.get_mut(&session).and_then(VecDeque::pop_front);
            let Some((request, start)) = asked else {
                return Err(TestCaseError::fail("created, but nobody asked"));
            };
            if response.canceled {
                prop_assert_eq!(id, -1);
                return Ok(());
            }
            prop_assert!(request.watch_id == 0 || request.watch_id == id);
            let seen = Seen { request, start, events: vec![] };
            prop_assert!(self.watches.insert((session, id), seen).is_none(), "an id twice");
        } else if response.canceled {
            let ended = self.watches.remove(&(session, id)).expect("it is there to be ended");
            if response.compact_revision != 0 {
                prop_assert_eq!(revision, 0);
                prop_assert!(ended.start < response.compact_revision);
                self.compacted.push((ended, response.compact_revision));
            }
        } else if id == -1 {
            self.progress += 1;
            for ((_, _), seen) in self.watches.range((session, 0)..=(session, i64::MAX)) {
                let expected = seen.expected(model);
                let upto = expected.iter().filter(|e| e.kv.mod_revision <= revision).count();
                prop_assert!(seen.events.len() >= upto, "progress before its events");
                prop_assert!(seen.request.start_revision <= revision, "progress before its start");
            }
        } else {
            prop_assert!(!response.events.is_empty(), "an answer that says nothing");
            let last = response.events.last().map_or(0, |event| event.kv.mod_revision);
            prop_assert!(revision >= last);
            let seen = self.watches.get_mut(&(session, id));
            seen.expect("a watch that is there").hear(model, response.events)?;
        }
        Ok(())
    }
}

/// Store, watches, model and clients.
struct World {
    store: Store,
    mover: Mover,
    watchers: Watchers,
    model: Model,
    clients: Clients,
}

impl World {
    fn new(events: usize, rows: usize) -> Self {
        let store = Store::new();
        let watchers = Watchers::with_pace(&store, events, rows);
        let (mover, model, clients) = (Mover::default(), Model::new(), Clients::default());
        Self { store, mover, watchers, model, clients }
    }

    fn step(&mut self) -> Result<bool, TestCaseError> {
        let step = self.watchers.step(&self.store).unwrap();
        for (session, response) in step.messages {
            self.clients.hear(&self.model, session, response)?;
        }
        Ok(step.more)
    }

    fn drain(&mut self) -> Checked {
        // Each step reads something: a history of this size is soon at its end.
        for _ in 0..2000 {
            if !self.step()? {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("there is always more"))
    }

    fn write(&mut self, action: &Action) {
        match action {
            Action::Put(put) => {
                let _ = (self.store.put(put), self.model.put(put));
            }
            Action::DeleteRange(delete) => {
                let _ = (self.store.delete_range(delete), self.model.delete_range(delete));
            }
            Action::Txn(txn) if check::txn(txn).is_ok() => self.txn(txn),
            Action::Compact(below) => {
                let revision = self.model.revision() - below;
                let _ = (self.store.compact(revision), self.model.compact(revision));
            }
            _ => {}
        }
    }

    fn txn(&mut self, txn: &TxnRequest) {
        let before = self.model.revision();
        let _ = self.model.txn(txn);
        // Left out: what etcd's checks overlook. A key put and deleted by nested siblings, of
        // which a compaction right there keeps one; a key kept that is gone.
        let wrote = self.model.revision() > before;
        let keys = || self.model.events.last().into_iter().flatten().map(|event| &event.kv.key);
        let twice = wrote && keys().collect::<BTreeSet<_>>().len() < keys().count();
        if (twice || self.store.txn(txn).is_err()) && wrote {
            self.model.undo();
        }
    }

    fn create(&mut self, session: u64, request: &WatchCreateRequest, start: Option<i64>) {
        let now = self.model.revision();
        let start_revision = start.map_or(0, |start| (now + start).max(1));
        let request = WatchCreateRequest { start_revision, ..request.clone() };
        let first = if start_revision == 0 { now + 1 } else { start_revision };
        self.ask(session, WatchRequest::Create(request.clone()));
        self.clients.asked.entry(session).or_default().push_back((request, first));
    }

    fn ask(&mut self, session: u64, request: WatchRequest) {
        self.watchers.request(&self.store, session, &request).unwrap();
    }

    fn act(&mut self, action: &Action) -> Checked {
        match action {
            Action::Create(session, request, start) => self.create(*session, request, *start),
            Action::Cancel(session, id) => self.ask(*session, WatchRequest::Cancel(*id)),
            Action::Progress(session) => self.ask(*session, WatchRequest::Progress),
            Action::Hold(session, held) => self.watchers.hold(*session, *held),
            Action::End(session) => {
                self.watchers.end(*session);
                self.clients.asked.remove(session);
                self.clients.watches.retain(|(of, _), _| of != session);
            }
            Action::Changed => drop(self.watchers.changed(&self.store).unwrap()),
            Action::Below(below) => below.act(&mut self.mover, &mut self.store),
            Action::Step => drop(self.step()?),
            write => self.write(write),
        }
        Ok(())
    }

    /// True if the action asks for progress, and nothing is left to tell the session.
    fn progress_is_due(&self, action: &Action) -> bool {
        let Action::Progress(session) = action else { return false };
        let mut watches = self.clients.watches.range((*session, 0)..=(*session, i64::MAX));
        watches.clone().next().is_some()
            && watches.all(|(_, seen)| seen.request.start_revision <= self.model.revision())
    }

    /// Lets everyone read to the end: then nothing may be missing.
    fn finish(mut self) -> Checked {
        for session in 1..4 {
            self.watchers.hold(session, false);
        }
        self.drain()?;
        prop_assert_eq!(self.watchers.len(), self.clients.watches.len());
        for (key, seen) in &self.clients.watches {
            let expected = seen.expected(&self.model);
            prop_assert_eq!(seen.events.len(), expected.len(), "{:?} lost events", key);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn each_event_once_in_order(
        actions in prop::collection::vec(action(), 1..80),
        events in 1..5_usize,
        rows in 1..20_usize,
    ) {
        let mut world = World::new(events, rows);
        for action in &actions {
            world.act(action)?;
        }
        world.finish()?;
    }

    /// A watch that keeps up is never ended by a compaction, only one that asks for too much; and
    /// its session is told so when it asks.
    #[test]
    fn compaction_ends_nobody_who_keeps_up(
        actions in prop::collection::vec(action(), 1..80),
        events in 1..5_usize,
        rows in 1..20_usize,
    ) {
        let mut world = World::new(events, rows);
        for action in actions.iter().filter(|action| !matches!(action, Action::Hold(..))) {
            let compacted = world.model.compacted;
            let canceled = world.clients.compacted.len();
            let due = world.progress_is_due(action);
            let told = world.clients.progress;
            world.act(action)?;
            world.drain()?;
            prop_assert_eq!(world.clients.progress - told, usize::from(due));
            let too_low = matches!(action, Action::Create(..))
                && world.clients.compacted.iter().all(|(_, at)| *at <= compacted);
            prop_assert!(world.clients.compacted.len() == canceled || too_low);
        }
        world.finish()?;
    }
}
