//! Writes that wait for their entry.
//!
//! ```text
//!            leader known                    entry of this request applied
//!  unsent ────────────────► sent in term T ────────────────────────────────► answered
//!     ▲                        │
//!     └────────────────────────┤ an entry of a later term is applied first: the leader of T
//!       proposed again         │ appends nothing any more that can commit, so it is lost
//!                              ▼ deadline: fate unknown, never sent again
//!                     etcdserver: request timed out
//! ```

use std::collections::{BTreeMap, VecDeque};

use api::identity::RaftId;
use api::{Error, limits};

use crate::alarms::needs_space;
use crate::broken::{Broken, is};
use crate::command::{Command, Op, RequestId};
use crate::sessions::Caller;

/// Bytes of writes that wait on one member. With [`limits::PROPOSALS_IN_FLIGHT`] it bounds
/// what a burst can take of its memory.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

struct Proposal {
    caller: Caller,
    command: Vec<u8>,
    deadline: u64,
    /// If not it makes room, or clears an alarm, and waits behind none that does.
    needs_space: bool,
    /// The term of the leader that has it; `None` while nobody does.
    sent_in: Option<u64>,
    /// It is among those of `recent` that count.
    recent: bool,
}

impl Proposal {
    /// It is not recent any more.
    fn uncount(&mut self, recent_bytes: &mut usize) {
        if std::mem::take(&mut self.recent) {
            *recent_bytes -= self.command.len();
        }
    }
}

/// The writes that clients of this member wait for.
#[derive(Default)]
pub(crate) struct Proposals {
    last: u64,
    waiting: BTreeMap<u64, Proposal>,
    /// Those that no leader has, in order, and perhaps some that are answered. Invariant: none
    /// that waits with no `sent_in` is missing here and in `urgent`.
    unsent: VecDeque<u64>,
    /// Likewise, those that need no space.
    urgent: VecDeque<u64>,
    /// The newest term of which an entry is applied: nothing that waits was sent in an older one.
    term: u64,
    /// Invariant: the sum of the commands in `waiting`.
    bytes: usize,
    /// When a leader was given it, and which, in order; some are answered.
    recent: VecDeque<(u64, u64)>,
    /// Invariant: the sum of the commands that count there.
    recent_bytes: usize,
}

impl Proposals {
    /// Takes a write in, to be proposed.
    pub(crate) fn add(
        &mut self,
        me: (RaftId, u64),
        caller: Caller,
        op: Op,
        deadline: u64,
    ) -> Result<(), Error> {
        if self.waiting.len() >= limits::PROPOSALS_IN_FLIGHT || self.bytes >= WAITING_BYTES {
            return Err(Error::TooManyRequests);
        }
        self.last += 1;
        let (raft, nonce) = me;
        let id = RequestId { raft, nonce, sequence: self.last };
        let needs_space = needs_space(&op);
        let command = Command { id, op }.encode();
        self.bytes += command.len();
        let proposal =
            Proposal { caller, command, deadline, needs_space, sent_in: None, recent: false };
        self.waiting.insert(self.last, proposal);
        let queue = if needs_space { &mut self.unsent } else { &mut self.urgent };
        queue.push_back(self.last);
        Ok(())
    }

    /// The next write that no leader has, of those that need space or of the others.
    pub(crate) fn next_unsent(&mut self, needs_space: bool) -> Option<(u64, &[u8])> {
        let waiting = &self.waiting;
        let unsent = |sequence: &u64| {
            waiting.get(sequence).is_some_and(|proposal| proposal.sent_in.is_none())
        };
        let queue = if needs_space { &mut self.unsent } else { &mut self.urgent };
        while queue.pop_front_if(|sequence| !unsent(sequence)).is_some() {}
        let &sequence = queue.front()?;
        Some((sequence, &waiting.get(&sequence)?.command))
    }

    /// The leader of this term has it, since now.
    pub(crate) fn sent(&mut self, sequence: u64, term: u64, now: u64) {
        let Some(proposal) = self.waiting.get_mut(&sequence) else { return };
        proposal.sent_in = Some(term);
        if proposal.needs_space && !std::mem::replace(&mut proposal.recent, true) {
            self.recent.push_back((now, sequence));
            self.recent_bytes += proposal.command.len();
        }
    }

    /// Whether the leader of this term has it, as far as is known.
    pub(crate) fn is_sent(&self, sequence: u64, term: u64) -> bool {
        let proposal = self.waiting.get(&sequence);
        proposal.is_some_and(|proposal| proposal.sent_in == Some(term))
    }

    /// Bytes of writes that need space, that a leader was given lately and that are not answered.
    pub(crate) fn recent_bytes(&self) -> usize {
        self.recent_bytes
    }

    /// What was sent by then is not recent any more: it may be lost, and others need not wait for
    /// its time to be over.
    pub(crate) fn forget_recent(&mut self, then: u64) {
        while let Some((_, sequence)) = self.recent.pop_front_if(|(at, _)| *at <= then) {
            if let Some(proposal) = self.waiting.get_mut(&sequence) {
                proposal.uncount(&mut self.recent_bytes);
            }
        }
    }

    /// Its entry is applied: who waits for it, if anybody still does.
    pub(crate) fn applied(&mut self, sequence: u64) -> Option<Caller> {
        self.remove(sequence).map(|proposal| proposal.caller)
    }

    /// An entry of this term is applied: what was sent in an earlier one and has not come before
    /// it is lost, and will be proposed again.
    pub(crate) fn term_applied(&mut self, term: u64) {
        let again = is(Broken::ProposedAgain);
        if term <= self.term && !again {
            return;
        }
        self.term = term;
        let lost = |sent: u64| sent < term + u64::from(again);
        for proposal in self.waiting.values_mut() {
            if proposal.sent_in.take_if(|sent| lost(*sent)).is_some() {
                proposal.uncount(&mut self.recent_bytes);
            }
        }
        let unsent = self.waiting.iter().filter(|(_, proposal)| proposal.sent_in.is_none());
        let needs_space = |sequence: &u64| self.waiting[sequence].needs_space;
        (self.unsent, self.urgent) = unsent.map(|(&sequence, _)| sequence).partition(needs_space);
    }

    /// Entries were skipped by a snapshot: of what was sent nobody knows whether it is among them.
    pub(crate) fn skipped(&mut self) -> Vec<Caller> {
        let sent = self.waiting.iter().filter(|(_, proposal)| proposal.sent_in.is_some());
        let sent: Vec<u64> = sent.map(|(&sequence, _)| sequence).collect();
        sent.into_iter().filter_map(|sequence| self.applied(sequence)).collect()
    }

    /// Those who waited too long.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<Caller> {
        let late = self.waiting.iter().filter(|(_, proposal)| proposal.deadline <= now);
        let late: Vec<u64> = late.map(|(&sequence, _)| sequence).collect();
        late.into_iter().filter_map(|sequence| self.applied(sequence)).collect()
    }

    fn remove(&mut self, sequence: u64) -> Option<Proposal> {
        let mut proposal = self.waiting.remove(&sequence)?;
        self.bytes -= proposal.command.len();
        proposal.uncount(&mut self.recent_bytes);
        Some(proposal)
    }
}
