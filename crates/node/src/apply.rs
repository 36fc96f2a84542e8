//! The one place where the store changes: a committed entry, the same on every member.

use api::kv::ResponseHeader;
use api::session::Response;
use api::{Error, Result};
use mvcc::Store;
use raft::eraftpb::{Entry, EntryType};

use crate::broken::{Broken, is};
use crate::command::{Command, Op, RequestId};
use crate::node::Node;
use crate::sessions::Caller;

/// Applies a command. What it refuses, every member refuses alike.
pub(crate) fn apply(store: &mut Store, op: &Op) -> Result<Response> {
    match op {
        Op::Put(request) => store.put(request).map(Response::Put),
        Op::DeleteRange(request) => store.delete_range(request).map(Response::DeleteRange),
        Op::Txn(request) => store.txn(request).map(Response::Txn),
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
            self.sign(match response {
                Response::Range(response) => &mut response.header,
                Response::Put(response) => &mut response.header,
                Response::DeleteRange(response) => &mut response.header,
                Response::Txn(response) => &mut response.header,
                Response::MemberList(response) => &mut response.header,
                Response::Status(response) => &mut response.header,
            });
        }
        result
    }
}

impl Node {
    /// Takes what raft has decided until it has nothing more to say.
    pub(crate) fn run_raft(&mut self) {
        while let Some(raft) = self.raft.as_mut().filter(|raft| raft.has_ready()) {
            let step = raft.step_ready(self.outbox.batch());
            self.outbox.record_raft(step.records);
            for read in step.reads {
                self.state.reads.confirm(&read.request_ctx, read.index);
            }
            for entry in step.committed {
                if let Err(reason) = self.apply(&entry) {
                    return self.halt(reason);
                }
            }
        }
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
        let command = Command::decode(&entry.data)
            .map_err(|error| format!("entry {} cannot be read: {error}", entry.index))?;
        let result = match self.leaves_out(entry.index, &command.op) {
            true => apply(&mut self.state.store.clone(), &command.op),
            false => apply(&mut self.state.store, &command.op),
        };
        self.state.watchers.changed(&self.state.store);
        self.clock.watches_wait |= !self.state.watchers.is_empty();
        Ok((self.caller_of(command.id), result))
    }

    /// Whether an entry changes nothing here: only if the rule that it must is left out.
    fn leaves_out(&self, index: u64, op: &Op) -> bool {
        let me = self.me().map_or(0, |(_, me)| me.0);
        (is(Broken::SkippedTombstone) && matches!(op, Op::DeleteRange(_)))
            || (is(Broken::ApplySkips) && me.wrapping_add(index).is_multiple_of(32))
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
