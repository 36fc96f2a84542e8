//! Calls: requests that have one answer each.

use std::collections::{BTreeMap, BTreeSet};

use api::error::Error;
use api::kv::{RequestOp, TxnRequest};
use api::maintenance::AlarmAction;
use api::session::Request;

use crate::io::{CallId, Patience};
use crate::{CALL_BYTES, CALLS};

/// All calls without an answer.
#[derive(Default)]
pub(crate) struct Calls {
    calls: BTreeMap<CallId, Call>,
    /// Those to be sent, in the order of their calls.
    unsent: BTreeSet<CallId>,
    /// When each ends. Invariant: one of each call, at [`Call::ends_at`].
    timers: BTreeSet<(u64, CallId)>,
    /// Invariant: the sum of [`Call::bytes`].
    bytes: usize,
    last: u64,
}

struct Call {
    /// The message. Kept of a read, to be sent again; of a write only until it is sent.
    body: Vec<u8>,
    /// Its size.
    bytes: usize,
    read: bool,
    deadline: u64,
    /// How long it waits for a session.
    wait: u64,
    /// There is no session for it: until when it waits for one.
    give_up: Option<u64>,
}

impl Call {
    fn ends_at(&self) -> u64 {
        self.give_up.map_or(self.deadline, |give_up| give_up.min(self.deadline))
    }
}

impl Calls {
    pub(crate) fn next_id(&mut self) -> CallId {
        self.last += 1;
        CallId(self.last)
    }

    /// No more may be started.
    pub(crate) fn is_full(&self) -> bool {
        self.calls.len() >= CALLS || self.bytes >= CALL_BYTES
    }

    pub(crate) fn start(
        &mut self,
        now: u64,
        id: CallId,
        body: Vec<u8>,
        read: bool,
        patience: Patience,
    ) {
        let deadline = now.saturating_add(patience.within);
        let bytes = body.len();
        let call = Call { body, bytes, read, deadline, wait: patience.wait, give_up: None };
        self.bytes += bytes;
        self.timers.insert((call.ends_at(), id));
        self.calls.insert(id, call);
        self.unsent.insert(id);
    }

    /// The next one to send, and its message.
    pub(crate) fn send_next(&mut self) -> Option<Vec<u8>> {
        let id = self.unsent.pop_first()?;
        let call = self.calls.get_mut(&id)?;
        Some(if call.read { call.body.clone() } else { std::mem::take(&mut call.body) })
    }

    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// It has ended; false if it had before.
    pub(crate) fn end(&mut self, id: CallId) -> bool {
        let Some(call) = self.calls.remove(&id) else { return false };
        self.bytes -= call.bytes;
        self.timers.remove(&(call.ends_at(), id));
        self.unsent.remove(&id);
        true
    }

    /// The session is lost. Gives those that end by it: writes that were sent, and, unless all
    /// can be sent `again` at once, reads that do not want to wait.
    pub(crate) fn lost(&mut self, now: u64, again: bool) -> Vec<CallId> {
        let mut ended = Vec::new();
        for id in self.calls.keys().copied().collect::<Vec<_>>() {
            let read = self.calls.get(&id).is_some_and(|call| call.read);
            let known = read || self.unsent.contains(&id);
            if known && (again || !self.wait(now, id)) {
                self.unsent.insert(id);
            } else {
                self.end(id);
                ended.push(id);
            }
        }
        ended
    }

    /// There is no session for a call: it waits as long as it wants to. True if that is over.
    pub(crate) fn wait(&mut self, now: u64, id: CallId) -> bool {
        let Some(call) = self.calls.get_mut(&id) else { return true };
        self.timers.remove(&(call.ends_at(), id));
        let give_up = *call.give_up.get_or_insert(now.saturating_add(call.wait));
        self.timers.insert((call.ends_at(), id));
        give_up <= now
    }

    /// A member answers: nobody waits for a session any more.
    pub(crate) fn found(&mut self) {
        for (id, call) in &mut self.calls {
            if call.give_up.is_some() {
                self.timers.remove(&(call.ends_at(), *id));
                call.give_up = None;
                self.timers.insert((call.ends_at(), *id));
            }
        }
    }

    /// Those whose time is over, and why: `trouble` if they were not even sent for it.
    pub(crate) fn expire(&mut self, now: u64, trouble: Option<&Error>) -> Vec<(CallId, Error)> {
        let mut ended = Vec::new();
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            let homeless = self.calls.get(&id).is_some_and(|call| call.give_up.is_some());
            let trouble = trouble.filter(|_| homeless);
            ended.push((id, trouble.cloned().unwrap_or(Error::Timeout)));
            self.end(id);
        }
        ended
    }

    pub(crate) fn wake_at(&self) -> Option<u64> {
        self.timers.first().map(|(at, _)| *at)
    }
}

/// It changes nothing, so it may be sent twice.
pub(crate) fn is_read(request: &Request) -> bool {
    match request {
        Request::Range(_) | Request::MemberList(_) | Request::Status | Request::HashKv(_) => true,
        Request::Put(_) | Request::DeleteRange(_) | Request::Compact(_) => false,
        Request::Txn(txn) => only_reads(txn),
        Request::Alarm(alarm) => alarm.action == AlarmAction::Get,
    }
}

fn only_reads(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).all(|op| match op {
        RequestOp::Range(_) => true,
        RequestOp::Put(_) | RequestOp::DeleteRange(_) => false,
        RequestOp::Txn(inner) => only_reads(inner),
    })
}
