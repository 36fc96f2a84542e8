//! Writes that wait for their entry, and how they get to the leader.
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

use api::frame::PeerBody;
use api::identity::RaftId;
use api::maintenance::AlarmType;
use api::session::Request;
use api::{Error, limits};
use mvcc::check;

use crate::alarms::needs_space;
use crate::broken::{Broken, is};
use crate::command::{Command, Op, RequestId};
use crate::intake::{Forwarded, Takes};
use crate::node::{Node, State, by_size};
use crate::raft_node::RaftNode;
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
    /// Those that no leader has, in order, and perhaps some that are answered: those that need no
    /// space, and the rest. Invariant: none that waits with no `sent_in` is missing.
    unsent: [VecDeque<u64>; 2],
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
        self.unsent[usize::from(needs_space)].push_back(self.last);
        Ok(())
    }

    /// The next write that no leader has, of those that need space or of the others.
    pub(crate) fn next_unsent(&mut self, needs_space: bool) -> Option<(u64, &[u8])> {
        let waiting = &self.waiting;
        let unsent = |sequence: &u64| {
            waiting.get(sequence).is_some_and(|proposal| proposal.sent_in.is_none())
        };
        let queue = &mut self.unsent[usize::from(needs_space)];
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
        self.unsent = Default::default();
        let unsent = self.waiting.iter().filter(|(_, proposal)| proposal.sent_in.is_none());
        for (&sequence, proposal) in unsent {
            self.unsent[usize::from(proposal.needs_space)].push_back(sequence);
        }
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

impl Node {
    /// Gives the writes that nobody has to raft, if this member leads: in turns those of its own
    /// clients and those of its peers, and what needs no space before all others.
    pub(crate) fn propose_waiting(&mut self) {
        self.clock.proposals_wait = false;
        self.hold_back();
        let Some(raft) = &mut self.raft else { return };
        raft.begin_intake();
        if !raft.is_leader() {
            return;
        }
        // A turn takes no more than one batch may hold, nor than there is time for.
        let (mut bytes, mut steps) = (0, 0);
        for needs_space in [false, true] {
            loop {
                if bytes >= limits::RAFT_BATCH_BYTES || steps >= self.config.pace.apply_entries {
                    self.clock.proposals_wait = true;
                    return;
                }
                let own = self.propose_next(needs_space);
                let others = self.propose_forwarded(needs_space);
                if own.is_none() && others.is_none() {
                    break;
                }
                bytes += own.unwrap_or(0) + others.unwrap_or(0);
                steps += 1;
            }
        }
    }

    /// The next write of this member's own clients: its bytes. Nothing if there is none, or it has
    /// to wait.
    fn propose_next(&mut self, needs_space: bool) -> Option<usize> {
        let full = needs_space && self.is_refusing();
        let raft = self.raft.as_mut()?;
        let (sequence, command) = self.state.proposals.next_unsent(needs_space)?;
        let takes = if full { Takes::Never } else { raft.takes(command.len(), needs_space) };
        match takes {
            Takes::Later => return None,
            Takes::Never => {
                self.refuse(sequence);
                return Some(0);
            }
            Takes::Now => {}
        }
        let (command, bytes) = (command.to_vec(), command.len());
        let early = is(Broken::ReplyBeforeCommit).then(|| command.clone());
        if !raft.propose(command, needs_space) {
            return None;
        }
        let term = raft.term();
        self.state.proposals.sent(sequence, term, self.clock.now);
        early.into_iter().for_each(|command| self.reply_early(sequence, &command));
        Some(bytes)
    }

    /// The next write that a peer has forwarded: its bytes. Nothing if there is none, or it has to
    /// wait.
    fn propose_forwarded(&mut self, needs_space: bool) -> Option<usize> {
        let full = needs_space && self.is_refusing();
        let raft = self.raft.as_mut()?;
        let (Forwarded { from, command, .. }, takes) = match full {
            true => (raft.intake().take_forwarded(true)?, Takes::Never),
            false => raft.next_forwarded(needs_space)?,
        };
        let (term, bytes) = (raft.term(), command.len());
        if takes == Takes::Now {
            return raft.propose(command, needs_space).then_some(bytes);
        }
        if let Ok(Command { id: RequestId { nonce, sequence, .. }, .. }) = Command::decode(&command)
        {
            if is(Broken::RefusedAnyway) {
                raft.propose(command, needs_space);
            }
            self.send_to(from, &PeerBody::NoRoom { term, nonce, sequence });
        }
        Some(0)
    }

    /// The leader has no room for a write that was forwarded to it in this term. It was sent to
    /// nobody else in this term, and is lost in all before: so it is in no log.
    pub(crate) fn no_room(&mut self, from: RaftId, term: u64, nonce: u64, sequence: u64) {
        let leads = |raft: &RaftNode| (raft.leader(), raft.term()) == (from.0, term);
        let asked = self.raft.as_ref().is_some_and(leads)
            && nonce == self.identity.boot().nonce
            && self.state.proposals.is_sent(sequence, term);
        if asked {
            self.refuse(sequence);
        }
    }

    /// Whether a put would be refused for sure when it is applied, so that it need not take room in
    /// the log: no member has applied more than this leader.
    fn is_refusing(&self) -> bool {
        let knows_all = |raft: &RaftNode| {
            raft.is_leader() && raft.may_read() && raft.commit() <= self.state.applied
        };
        self.state.alarms.has(AlarmType::NoSpace) && self.raft.as_ref().is_some_and(knows_all)
    }

    /// Tells its caller that there is no room for a write.
    fn refuse(&mut self, sequence: u64) {
        self.space.refused();
        if let Some(caller) = self.state.proposals.applied(sequence) {
            self.answer(caller, Err(Error::NoSpace));
        }
    }

    /// Answers a write that may yet be lost: only if the rule against it is left out.
    fn reply_early(&mut self, sequence: u64, command: &[u8]) {
        if let (Ok(command), Some(caller)) =
            (Command::decode(command), self.state.proposals.applied(sequence))
        {
            let State { store, alarms, .. } = &self.state;
            let result = crate::apply::apply(&mut store.clone(), &mut alarms.clone(), &command.op);
            self.answer(caller, result);
        }
    }

    /// Sends the writes that nobody has to the leader, if that is another member: what needs no
    /// space, and of the others no more than a leader takes at once.
    pub(crate) fn forward_waiting(&mut self) {
        let Some(raft) = self.raft.as_ref().filter(|raft| !raft.is_leader()) else { return };
        let (leader, term) = (raft.leader(), raft.term());
        if leader == 0 || !self.peers.up().contains(&leader) {
            return;
        }
        let proposals = &mut self.state.proposals;
        let mut commands = Vec::new();
        for needs_space in [false, true] {
            while !needs_space || proposals.recent_bytes() < self.config.pace.log_bytes {
                let Some((sequence, command)) = proposals.next_unsent(needs_space) else { break };
                commands.push(command.to_vec());
                proposals.sent(sequence, term, self.clock.now);
            }
        }
        for commands in by_size(&commands) {
            self.send_to(RaftId(leader), &PeerBody::Forward { term, commands });
        }
    }

    /// Writes from a peer that takes this member for the leader of `term`. Of any other term
    /// they are dropped: their sender finds out by the log.
    pub(crate) fn forwarded(&mut self, from: RaftId, term: u64, commands: &[&[u8]]) {
        let Some(raft) = &mut self.raft else { return };
        if !raft.is_leader() || raft.term() != term {
            return;
        }
        raft.begin_intake();
        for command in commands {
            let Ok(Command { op, .. }) = Command::decode(command) else { continue };
            let needs_space = needs_space(&op);
            if acceptable(op) {
                let command = command.to_vec();
                raft.intake().queue(Forwarded { from, command, needs_space });
            }
        }
        self.propose_waiting();
        if let Err(reason) = self.step_raft() {
            self.halt(reason);
        }
    }
}

/// A peer's command passes the same checks as a client's.
fn acceptable(op: Op) -> bool {
    let request = match op {
        Op::Put(put) => Request::Put(put),
        Op::DeleteRange(delete) => Request::DeleteRange(delete),
        Op::Txn(txn) => Request::Txn(txn),
        Op::Compact(compact) => Request::Compact(compact),
        Op::Alarm(alarm) => Request::Alarm(alarm),
    };
    check::request(&request).is_ok()
}
