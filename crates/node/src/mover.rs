//! What is moved below memory, and when: which job the host is given next, and what follows from
//! one that is done.
//!
//! ```text
//!   choose ──► Output::Job ──► host ──► Input::Done ──► the store rests on a newer base,
//!      ▲          one at a time                         the log is cut
//!      └───────────────────────────────────────────────────────┘
//!
//!  a peer's snapshot     Begin, Fill …, Finish     before all else (snapshots.rs)
//!  what is in memory     Move                      when it is much, or a compaction waits
//!  what compactions left Scrub                     while there is some
//!  a file with much air  Begin, Copy …, Finish     moves go on between
//!  a complete generation Switch                    once the log names it
//! ```

use api::frame::{decode_body, encode_body};
use api::kv::{CompactResponse, ResponseHeader};
use api::session::Response;
use api::{Bytes, Error};
use mvcc::base::{SharedBase, Summary};
use mvcc::job::{Done, Job, Source};
use serde::{Deserialize, Serialize};
use wal::Record;

use crate::alarms::Alarms;
use crate::broken::{Broken, is};
use crate::config::StartError;
use crate::identity::Stored;
use crate::log::Place;
use crate::node::{Node, Output};
use crate::sessions::Caller;
use crate::slot;

/// What the node has to find again beside the store: the base's note.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The last entry that is in the base.
    applied: (u64, u64),
    alarms: Alarms,
}

impl Note {
    /// The note of a base.
    pub(crate) fn of(summary: &Summary) -> Result<Self, StartError> {
        decode_body(&summary.note)
            .map_err(|error| StartError::Corrupt(format!("the store's note is none: {error}")))
    }

    pub(crate) fn applied(&self) -> Place {
        Place { index: self.applied.0, term: self.applied.1 }
    }

    pub(crate) fn into_alarms(self) -> Alarms {
        self.alarms
    }
}

/// A job, as far as what follows from it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Move,
    Scrub,
    Begin(Source),
    Fill,
    Copy,
    Finish(Source),
    Switch,
    Abandon,
}

/// The next generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is none.
    None,
    /// It is being filled.
    Filling(Source),
    /// All of the current one is copied.
    Copied,
    /// It is complete, and the log names it from this batch on.
    Named { batch: u64 },
}

/// A job that found no room is tried again after this long.
const RETRY_MS: u64 = 1000;

/// A copy that found none, after this long.
const COPY_RETRY_MS: u64 = 60_000;

/// What is under way below memory.
pub(crate) struct Mover {
    under_way: Option<Kind>,
    /// The current generation, or 0.
    generation: u64,
    /// As the log names it, and where the log begins.
    named: Option<Stored>,
    pub(crate) next: Next,
    /// A run that found no room.
    again: Option<Job>,
    /// Nothing that needs room is tried before this time, and no copy before that.
    room_at: u64,
    copy_at: u64,
    /// The size of the last copy when it was new, or 0.
    copied_bytes: u64,
    /// Who waits until the base has dropped what is older than a revision.
    waiting: Vec<Waiting>,
}

struct Waiting {
    caller: Caller,
    revision: i64,
    deadline: u64,
}

impl Mover {
    pub(crate) fn new(stored: Option<Stored>) -> Self {
        Self {
            under_way: None,
            generation: stored.map_or(0, |stored| stored.generation),
            named: stored,
            next: Next::None,
            again: None,
            room_at: 0,
            copy_at: 0,
            copied_bytes: 0,
            waiting: Vec::new(),
        }
    }

    /// The generation that runs are moved to: the current one, or the first.
    fn own_generation(&self) -> u64 {
        self.generation.max(1)
    }

    /// The generation that is filled next. Before there is a current one it is not the first:
    /// that may be begun beside it, by a run that is moved.
    pub(crate) fn next_generation(&self) -> u64 {
        self.own_generation() + 1
    }

    /// The store is another one: what was to be moved, and what was copied, was the old one's.
    pub(crate) fn forget_store(&mut self) {
        (self.again, self.copied_bytes) = (None, 0);
    }

    /// A caller waits until the base has dropped what is older than a revision.
    pub(crate) fn wait_for_scrub(&mut self, caller: Caller, revision: i64, deadline: u64) {
        self.waiting.push(Waiting { caller, revision, deadline });
    }

    /// Those who waited too long.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<Caller> {
        let late = self.waiting.extract_if(.., |waiting| waiting.deadline <= now);
        late.map(|waiting| waiting.caller).collect()
    }
}

/// Whether all that a compaction at a revision drops is dropped.
fn is_scrubbed(base: &SharedBase, revision: i64) -> bool {
    let scrub = base.summary().scrub;
    scrub.target >= revision && scrub.next.is_none()
}

impl Node {
    /// Gives the host a job, if there is one and none is under way.
    pub(crate) fn start_job(&mut self) {
        // Who has not joined its cluster, or must not, leaves its directory as it is.
        if self.mover.under_way.is_some() || self.raft.is_none() {
            return;
        }
        let Some((kind, job)) = self.choose_job() else { return };
        self.mover.under_way = Some(kind);
        self.outbox.push(Output::Job(job));
    }

    fn choose_job(&mut self) -> Option<(Kind, Job)> {
        match self.mover.next {
            Next::Named { batch }
                if batch <= self.outbox.durable() || is(Broken::SwitchBeforeSync) =>
            {
                return Some((Kind::Switch, Job::Switch));
            }
            // Whatever is moved now would be missing in it.
            Next::Named { .. } => return None,
            Next::Copied => {
                return Some((Kind::Finish(Source::Here), Job::Finish { summary: None }));
            }
            Next::Filling(_) | Next::None => {}
        }
        self.snapshot_job()
            .or_else(|| self.move_job())
            .or_else(|| self.scrub_job())
            .or_else(|| self.copy_job())
    }

    fn move_job(&mut self) -> Option<(Kind, Job)> {
        if self.mover.again.is_some() {
            let due = self.clock.now >= self.mover.room_at;
            let job = self.mover.again.take_if(|_| due)?;
            return Some((Kind::Move, job));
        }
        if !self.wants_move() {
            return None;
        }
        let term = self.raft.as_ref()?.term_of(self.state.applied)?;
        let applied = (self.state.applied, term);
        let alarms = match is(Broken::AlarmsForgotten) {
            true => Alarms::default(),
            false => self.state.alarms.clone(),
        };
        let note = encode_body(&Note { applied, alarms });
        let run = self.state.store.freeze(Bytes::from(note))?;
        Some((Kind::Move, Job::Move { generation: self.mover.own_generation(), run }))
    }

    fn wants_move(&self) -> bool {
        let (store, pace) = (&self.state.store, &self.config.pace);
        let weight = store.weight();
        let base = store.base().map(|base| base.summary());
        let compacted = base.map_or(-1, |summary| summary.compact_revision);
        let entries = self.state.applied - self.state.moved.index;
        weight.rows >= pace.run_rows
            || weight.bytes >= pace.run_bytes
            || entries >= pace.run_entries
            || store.compact_revision() > compacted
    }

    fn scrub_job(&self) -> Option<(Kind, Job)> {
        let idle = self.mover.next == Next::None && self.clock.now >= self.mover.room_at;
        let base = self.state.store.base().filter(|_| idle)?;
        base.summary().wants_scrub().then_some((Kind::Scrub, Job::Scrub))
    }

    /// Gives space back: what compactions freed inside of a file stays in it.
    fn copy_job(&self) -> Option<(Kind, Job)> {
        if let Next::Filling(Source::Here) = self.mover.next {
            return Some((Kind::Copy, Job::Copy));
        }
        let base = self.state.store.base()?;
        let (size, least) = (base.size(), self.config.pace.rewrite_bytes);
        let airy = size > least && size / AIR > base.summary().bytes + least / AIR;
        // What a copy could not give back the next one could not, either.
        let airy = airy && size / 2 > self.mover.copied_bytes;
        let idle = self.mover.next == Next::None && self.clock.now >= self.mover.copy_at;
        (airy && idle).then(|| {
            let (generation, from) = (self.mover.next_generation(), Source::Here);
            (Kind::Begin(from), Job::Begin { generation, from })
        })
    }

    /// A job is done.
    pub(crate) fn done(&mut self, done: Done) {
        let Some(kind) = self.mover.under_way.take() else { return };
        match (kind, done) {
            (Kind::Move, Done::Base(base)) => self.moved(base),
            (Kind::Scrub, Done::Base(base)) => self.rest_on(base),
            (Kind::Begin(from), Done::Ready) => {
                self.mover.next = Next::Filling(from);
                self.snapshot_begun();
            }
            (Kind::Fill, Done::Ready) => {}
            (Kind::Copy, Done::Copied { all: true }) => self.mover.next = Next::Copied,
            (Kind::Copy, Done::Copied { all: false }) => {}
            (Kind::Finish(Source::Here), Done::Finished(base)) => {
                self.mover.copied_bytes = base.size();
                self.rest_on(base);
                self.name_generation(self.mover.next_generation());
            }
            (Kind::Finish(Source::Peer), Done::Finished(base)) => self.snapshot_arrived(base),
            (Kind::Switch, Done::Settled) => {
                self.mover.generation = self.mover.next_generation();
                self.mover.next = Next::None;
            }
            (Kind::Abandon, Done::Settled) => self.mover.next = Next::None,
            (kind, Done::NoSpace { base, .. }) => {
                if let Some(base) = base {
                    self.state.store.rest_on(base);
                    // They read it as it was before, and what it gave up is free without them.
                    self.end_snapshots();
                }
                self.no_space_for(kind);
            }
            // What came of a peer's snapshot is not what it has to be.
            (kind, Done::Refused(_)) => {
                self.mover.next = Next::None;
                match kind {
                    Kind::Finish(Source::Here) => {
                        self.mover.copy_at = self.clock.now + COPY_RETRY_MS;
                    }
                    _ => self.drop_incoming(),
                }
            }
            _ => self.halt("the host did another job than it was given".into()),
        }
    }

    fn no_space_for(&mut self, kind: Kind) {
        self.mover.room_at = self.clock.now + RETRY_MS;
        match kind {
            // Reads find it in memory until it is moved.
            Kind::Move => {
                self.mover.again = self.last_move();
                self.space.full = true;
            }
            Kind::Scrub => self.space.full = true,
            Kind::Switch | Kind::Abandon => {}
            // Without a copy a file stays as large as it is.
            Kind::Begin(Source::Here) | Kind::Copy | Kind::Finish(Source::Here) => {
                self.mover.next = Next::None;
                self.mover.copy_at = self.clock.now + COPY_RETRY_MS;
            }
            Kind::Begin(Source::Peer) | Kind::Fill | Kind::Finish(Source::Peer) => {
                self.mover.next = Next::None;
                self.drop_incoming();
                self.space.wanted = true;
            }
        }
    }

    fn last_move(&self) -> Option<Job> {
        let run = self.state.store.moving()?.clone();
        Some(Job::Move { generation: self.mover.own_generation(), run })
    }

    fn moved(&mut self, base: SharedBase) {
        self.mover.generation = self.mover.own_generation();
        let note = match Note::of(base.summary()) {
            Ok(note) => note,
            Err(error) => return self.halt(error.to_string()),
        };
        self.rest_on(base);
        self.state.moved = note.applied();
        self.cut_log();
    }

    fn rest_on(&mut self, base: SharedBase) {
        self.state.store.rest_on(base);
        self.found_room();
    }

    /// There is another base, so there was room for it.
    pub(crate) fn found_room(&mut self) {
        self.space.full = false;
        let Some(base) = self.state.store.base() else { return };
        let done = self.mover.waiting.extract_if(.., |wait| is_scrubbed(base, wait.revision));
        for waiting in done.collect::<Vec<_>>() {
            self.compacted(waiting.caller);
        }
    }

    /// Answers a compaction.
    pub(crate) fn compacted(&mut self, caller: Caller) {
        let revision = self.state.store.revision();
        let header = ResponseHeader { revision, ..ResponseHeader::default() };
        self.answer(caller, Ok(Response::Compact(CompactResponse { header })));
    }

    /// Whether the compaction at a revision has dropped all that it drops.
    pub(crate) fn is_scrubbed(&self, revision: i64) -> bool {
        self.state.store.base().is_some_and(|base| is_scrubbed(base, revision))
    }

    /// Lets go of entries that are in the base, and names the generation that holds them.
    pub(crate) fn cut_log(&mut self) {
        // The log names the next generation already. What is cut then is cut later.
        if matches!(self.mover.next, Next::Named { .. }) {
            return;
        }
        let (mut base, held) = (self.state.moved, self.held_for_snapshots());
        let Some(raft) = &mut self.raft else { return };
        if is(Broken::CutAhead) {
            let index = self.state.applied;
            base = Place { index, term: raft.term_of(index).unwrap_or_default() };
        }
        let cut = raft.cut(base, held, &self.config.pace);
        let anchor = cut.unwrap_or_else(|| raft.anchor());
        let stored =
            Stored { generation: self.mover.generation, anchor: (anchor.index, anchor.term) };
        if cut.is_some() || self.mover.named != Some(stored) {
            let cut = cut.map(|cut| Record::Cut { index: cut.index + 1 });
            let records = [self.name(stored)].into_iter().chain(cut);
            self.outbox.record_raft(records.collect());
        }
    }

    /// The record that names the current generation.
    pub(crate) fn name(&mut self, stored: Stored) -> Record {
        self.mover.named = Some(stored);
        slot::record(slot::STORED, encode_body(&stored))
    }

    /// A complete generation is the current one for the log; for the host it will be when that is
    /// durable.
    fn name_generation(&mut self, generation: u64) {
        let anchor = self.mover.named.map_or((0, 0), |stored| stored.anchor);
        let record = self.name(Stored { generation, anchor });
        self.mover.next = Next::Named { batch: self.outbox.batch() };
        self.outbox.record_raft(vec![record]);
        // They read the one that goes.
        self.end_snapshots();
    }

    /// Too much is in memory that should be below: nothing more is taken until it is.
    pub(crate) fn is_behind(&self) -> bool {
        self.state.store.weight().bytes >= self.config.pace.behind_bytes()
    }

    /// Ends what waited too long.
    pub(crate) fn expire_compactions(&mut self) {
        for caller in self.mover.expire(self.clock.now) {
            self.answer(caller, Err(Error::Timeout));
        }
    }
}

/// A file is written anew when what is in it would fit into it so many times.
const AIR: u64 = 4;
