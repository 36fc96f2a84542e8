//! The one place where the store changes: a committed entry, the same on every member.

use api::kv::{CompactResponse, ResponseHeader};
use api::session::Response;
use api::{Error, Result};
use mvcc::Store;
use raft::eraftpb::{Entry, EntryType};

use crate::alarms::Alarms;
use crate::broken::{Broken, is};
use crate::command::{Command, Op, RequestId};
use crate::node::{Node, State};
use crate::raft_node::Step;
use crate::sessions::Caller;

/// Applies a command. What it refuses, every member refuses alike; of an error that is this
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

impl Node {
    /// Takes what raft has decided until it has nothing more to say, or enough is applied for
    /// now.
    pub(crate) fn run_raft(&mut self) {
        self.hold_back();
        let mut applied = 0;
        self.clock.entries_wait = false;
        while let Some(raft) = self.raft.as_mut().filter(|raft| raft.has_ready()) {
            if applied >= self.config.pace.apply_entries {
                self.clock.entries_wait = true;
                return;
            }
            let step = raft.step_ready(self.outbox.batch());
            applied += step.committed.len();
            if let Err(reason) = self.take_step(step) {
                return self.halt(reason);
            }
        }
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
        for entry in step.committed {
            self.apply(&entry)?;
        }
        Ok(())
    }

    /// Applies one committed entry and answers who waits for it.
    fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        let waiting = match (entry.entry_type(), entry.data.is_empty()) {
            (EntryType::EntryNormal, true) => None,
            (EntryType::EntryNormal, false) => Some(self.apply_command(entry)?),
            _ => return Err(format!("entry {} is of an unknown kind", entry.index)),
        };
        self.state.applied = entry.index;
        self.state.proposals.term_applied(entry.term);
        if let Some(raft) = &mut self.raft {
            raft.applied(entry.index);
        }
        if let Some((Some(caller), result)) = waiting {
            self.answer(caller, result);
        }
        Ok(())
    }

    fn apply_command(
        &mut self,
        entry: &Entry,
    ) -> Result<(Option<Caller>, Result<Response>), String> {
        let me = self.me().map_or(0, |(_, me)| me.0);
        let command = Command::decode(&entry.data)
            .map_err(|error| format!("entry {} cannot be read: {error}", entry.index))?;
        let State { store, alarms, .. } = &mut self.state;
        let result = match leaves_out(me, entry.index, &command.op) {
            true => apply(&mut store.clone(), &mut alarms.clone(), &command.op),
            false => apply(store, alarms, &command.op),
        };
        if let Err(Error::Damaged(damage)) = result {
            return Err(damage);
        }
        self.state.watchers.changed(&self.state.store).map_err(|error| error.to_string())?;
        self.clock.watches_wait |= !self.state.watchers.is_empty();
        let waiting = self.caller_of(command.id);
        // The answer to a compaction may have to wait.
        if let (Some(caller), Op::Compact(request), Ok(_)) = (waiting, &command.op, &result)
            && request.physical
            && !self.is_scrubbed(request.revision)
        {
            let deadline = self.clock.now + self.config.timing.request_ms();
            self.mover.wait_for_scrub(caller, request.revision, deadline);
            return Ok((None, result));
        }
        Ok((waiting, result))
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

/// Whether an entry changes nothing here: only if the rule that it must is left out.
fn leaves_out(me: u64, index: u64, op: &Op) -> bool {
    (is(Broken::SkippedTombstone) && matches!(op, Op::DeleteRange(_)))
        || (is(Broken::ApplySkips) && me.wrapping_add(index).is_multiple_of(32))
        || (is(Broken::CompactSkips)
            && matches!(op, Op::Compact(_))
            && me.wrapping_add(index).is_multiple_of(3))
}
