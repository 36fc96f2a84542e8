//! The one place where the store changes: a committed entry, the same on every member.
//!
//! ```text
//!  raft ──committed──► entries ──► begin ──► applied, answered
//!                                    │          ▲
//!                                    └► Writing ┘  a slice at a turn: who deletes a million
//!                                                  keys stops nobody but later entries
//! ```

use std::collections::VecDeque;

use api::kv::{CompactResponse, ResponseHeader, ResponseOp};
use api::session::Response;
use api::{Error, Result};
use mvcc::{Slice, Store, Writing};
use raft::eraftpb::{Entry, EntryType};

use crate::alarms::Alarms;
use crate::broken::{Broken, is};
use crate::command::{Command, Op, RequestId};
use crate::log::Place;
use crate::node::{Node, State};
use crate::raft_node::{RaftNode, Step};
use crate::sessions::Caller;

/// Applies a command at once. What it refuses, every member refuses alike; of an error that is this
/// member's alone ([`Error::Damaged`]) nothing may follow but its end.
pub(crate) fn apply(store: &mut Store, alarms: &mut Alarms, op: &Op) -> Result<Response> {
    alarms.check(op)?;
    match op {
        Op::Put(request) => store.put(request).map(Response::Put),
        Op::DeleteRange(request) => store.delete_range(request).map(Response::DeleteRange),
        Op::Txn(request) => store.txn(request).map(Response::Txn),
        Op::Compact(request) => {
            store.compact(request.revision)?;
            let header = ResponseHeader { revision: store.revision(), ..<_>::default() };
            Ok(Response::Compact(CompactResponse { header }))
        }
        Op::Alarm(request) => {
            let mut response = alarms.apply(request);
            response.header.revision = store.revision();
            Ok(Response::Alarm(response))
        }
    }
}

/// Who answers: the parts of a header that the store does not know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) cluster: u64,
    pub(crate) member: u64,
    pub(crate) term: u64,
}

impl Signature {
    /// Fills a header, its revision apart.
    pub(crate) fn sign(&self, header: &mut ResponseHeader) {
        header.cluster_id = self.cluster;
        header.member_id = self.member;
        header.raft_term = self.term;
    }

    /// Fills an answer's header. Those of operations inside of a transaction stay as they are:
    /// etcd fills only their revision.
    pub(crate) fn sign_result(&self, mut result: Result<Response>) -> Result<Response, Error> {
        if let Ok(response) = &mut result {
            self.sign(response.header_mut());
        }
        result
    }
}

/// What raft has committed and is not applied.
#[derive(Default)]
pub(crate) struct Committed {
    /// In order.
    entries: VecDeque<Entry>,
    /// The one before them, if it is applied in part.
    under_way: Option<Applying>,
}

/// A command that is being applied.
struct Applying {
    place: Place,
    id: RequestId,
    /// A compaction that is answered when all that it drops is dropped: its revision.
    scrubs: Option<i64>,
    work: Work,
}

enum Work {
    Done(Result<Response>),
    /// In slices.
    Write(Writing),
}

impl Committed {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.under_way.is_none()
    }
}

/// What a committed entry says is to be done, if it says something.
fn command_of(entry: &Entry) -> Result<Option<Command>, String> {
    match (entry.entry_type(), entry.data.is_empty()) {
        (EntryType::EntryNormal, true) => Ok(None),
        (EntryType::EntryNormal, false) => Command::decode(&entry.data)
            .map(Some)
            .map_err(|error| format!("entry {} cannot be read: {error}", entry.index)),
        _ => Err(format!("entry {} is of an unknown kind", entry.index)),
    }
}

impl State {
    fn begin(&mut self, op: Op) -> Work {
        let Self { store, alarms, .. } = self;
        match (alarms.check(&op), op) {
            (Err(error), _) => Work::Done(Err(error)),
            (Ok(()), Op::DeleteRange(delete)) => Work::Write(Writing::delete_range(delete)),
            (Ok(()), Op::Txn(txn)) => Work::Write(Writing::txn(store, txn)),
            (Ok(()), op) => Work::Done(apply(store, alarms, &op)),
        }
    }
}

impl Node {
    /// Takes what raft has decided until it has nothing more to say, or enough is applied for
    /// now.
    pub(crate) fn run_raft(&mut self) {
        self.hold_back();
        let mut slice = Slice::new(self.config.pace.apply_entries);
        if let Err(reason) = self.run_slice(&mut slice) {
            return self.halt(reason);
        }
        let ready = self.raft.as_ref().is_some_and(RaftNode::has_ready);
        self.clock.entries_wait = ready || !self.state.committed.is_empty();
    }

    fn run_slice(&mut self, slice: &mut Slice) -> Result<(), String> {
        loop {
            self.apply_committed(slice)?;
            // More to apply can wait now; its log and its peers do not wait for that.
            let over = slice.is_over();
            if over && !self.raft.as_ref().is_some_and(RaftNode::has_news) {
                return Ok(());
            }
            if !self.step_raft()? || over {
                return Ok(());
            }
        }
    }

    /// Takes what raft has decided by now, if it has.
    pub(crate) fn step_raft(&mut self) -> Result<bool, String> {
        let Some(raft) = self.raft.as_mut().filter(|raft| raft.has_ready()) else {
            return Ok(false);
        };
        let step = raft.step_ready(self.outbox.batch());
        self.take_step(step)?;
        Ok(true)
    }

    fn take_step(&mut self, step: Step) -> Result<(), String> {
        let mut records = step.records;
        if let Some(place) = step.snapshot {
            // One batch: the log goes on behind the snapshot, and names the generation it is in.
            records.insert(0, self.install_snapshot(place)?);
            if let Some(raft) = &mut self.raft {
                raft.applied(place.index);
            }
        }
        self.outbox.record_raft(records);
        for read in step.reads {
            self.state.reads.confirm(&read.request_ctx, read.index);
        }
        self.state.committed.entries.extend(step.committed);
        Ok(())
    }

    /// Applies what is committed, in order, as far as the slice goes.
    fn apply_committed(&mut self, slice: &mut Slice) -> Result<(), String> {
        while !slice.is_over() {
            let under_way = self.state.committed.under_way.take();
            let resumed = under_way.is_some();
            let applying = match under_way {
                Some(applying) => applying,
                None => {
                    let Some(entry) = self.state.committed.entries.pop_front() else { break };
                    let Some(command) = command_of(&entry)? else {
                        // A leader's first of its term.
                        slice.take(0);
                        self.passed(Place::of(&entry));
                        continue;
                    };
                    if self.must_wait(&command.op) {
                        self.state.committed.entries.push_front(entry);
                        slice.end();
                        break;
                    }
                    slice.take(0);
                    self.begin(Place::of(&entry), command)
                }
            };
            self.go_on(applying, slice)?;
            if resumed && self.state.committed.under_way.is_none() {
                // Between two that take several turns there is one in which memory can be moved.
                slice.end();
            }
        }
        Ok(())
    }

    /// Whether this is a compaction of what watches are still looked for that it concerns. They
    /// would end, all of them.
    fn must_wait(&self, op: &Op) -> bool {
        matches!(op, Op::Compact(_)) && self.state.watchers.is_looking()
    }

    /// Begins with the command of a committed entry.
    fn begin(&mut self, place: Place, Command { id, op }: Command) -> Applying {
        let scrubs = match &op {
            Op::Compact(compact) if compact.physical => Some(compact.revision),
            _ => None,
        };
        let me = self.me().map_or(0, |(_, me)| me.0);
        let State { store, alarms, .. } = &self.state;
        let work = match leaves_out(me, place.index, &op) {
            true => Work::Done(apply(&mut store.clone(), &mut alarms.clone(), &op)),
            false => self.state.begin(op),
        };
        Applying { place, id, scrubs, work }
    }

    /// Goes on with a command. If it is done, answers who waits for it.
    fn go_on(&mut self, applying: Applying, slice: &mut Slice) -> Result<(), String> {
        let Applying { place, id, scrubs, work } = applying;
        let result = match work {
            Work::Done(result) => result,
            Work::Write(mut writing) => match writing.step(&mut self.state.store, slice) {
                Ok(None) => {
                    if is(Broken::HalfApplied) {
                        self.passed(place);
                    }
                    let work = Work::Write(writing);
                    self.state.committed.under_way = Some(Applying { place, id, scrubs, work });
                    return Ok(());
                }
                Ok(Some(response)) => Ok(answer_to(response)),
                Err(error) => Err(error),
            },
        };
        if let Err(Error::Damaged(damage)) = result {
            return Err(damage);
        }
        let told = self.state.watchers.changed(&self.state.store);
        slice.take_keys(told.map_err(|error| error.to_string())?);
        self.clock.watches_wait |= !self.state.watchers.is_empty();
        let caller = self.caller_of(id);
        self.passed(place);
        let Some(caller) = caller else { return Ok(()) };
        match scrubs.filter(|revision| result.is_ok() && !self.is_scrubbed(*revision)) {
            Some(revision) => {
                let deadline = self.clock.now + self.config.timing.request_ms();
                self.mover.wait_for_scrub(caller, revision, deadline);
            }
            None => self.answer(caller, result),
        }
        Ok(())
    }

    /// All up to here is applied.
    fn passed(&mut self, place: Place) {
        self.state.applied = place.index;
        self.state.proposals.term_applied(place.term);
        if let Some(raft) = &mut self.raft {
            raft.applied(place.index);
        }
    }

    /// Who waits for this request: only one of this very run.
    fn caller_of(&mut self, id: RequestId) -> Option<Caller> {
        let mine = self.me().is_some_and(|(_, me)| me == id.raft);
        if !mine || id.nonce != self.identity.boot().nonce {
            return None;
        }
        self.state.proposals.applied(id.sequence)
    }
}

fn answer_to(response: ResponseOp) -> Response {
    match response {
        ResponseOp::Range(response) => Response::Range(response),
        ResponseOp::Put(response) => Response::Put(response),
        ResponseOp::DeleteRange(response) => Response::DeleteRange(response),
        ResponseOp::Txn(response) => Response::Txn(response),
    }
}

/// Whether an entry changes nothing here: only if the rule that it must is left out.
fn leaves_out(me: u64, index: u64, op: &Op) -> bool {
    (is(Broken::SkippedTombstone) && matches!(op, Op::DeleteRange(_)))
        || (is(Broken::ApplySkips) && me.wrapping_add(index).is_multiple_of(32))
        || (is(Broken::CompactSkips)
            && matches!(op, Op::Compact(_))
            && me.wrapping_add(index).is_multiple_of(3))
}
