//! raft, wrapped: messages come in checked, go out only when what they reveal is durable, and
//! everything that the crate leaves to chance or to a hash map's order is settled here.
//!
//! ```text
//!  Ready n ──► records ──► batch b (host syncs) ──► persisted(b) ──► on_persist_ready(n)
//!         │                                              │
//!         ├► messages of a leader ── wait for the ───────┤  the batch with its term and vote
//!         ├► other messages ──────── wait for batch b ───┘
//!         └► committed entries, read states ──► node
//! ```

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, HardState, Message, MessageType};
use raft::{GetEntriesContext, ProgressState, RawNode, ReadState, SnapshotStatus, StateRole};
use raft_prost::Message as _;
use wal::Record;

use crate::broken::{Broken, is};
use crate::config::{Pace, StartError, Timing};
use crate::guard::Guard;
use crate::intake::{Forwarded, Intake, Takes};
use crate::log::{Place, RaftLog};
use crate::seed::mix_all;
use crate::slot;
use crate::unsynced::Unsynced;

/// One step's results, apart from messages.
pub(crate) struct Step {
    /// For the log; may be empty.
    pub(crate) records: Vec<Record>,
    /// To apply, in order.
    pub(crate) committed: Vec<Entry>,
    /// Reads whose index is confirmed.
    pub(crate) reads: Vec<ReadState>,
    /// The store is to be that of a snapshot from now on, which has arrived before.
    pub(crate) snapshot: Option<Place>,
}

/// What raft starts from.
pub(crate) struct RaftStart {
    pub(crate) hard_state: HardState,
    /// The last entry that the log does not hold any more.
    pub(crate) anchor: Place,
    pub(crate) entries: Vec<Entry>,
    /// The last entry that the store's base holds.
    pub(crate) applied: u64,
}

/// raft on one member.
pub(crate) struct RaftNode {
    raw: RawNode<RaftLog>,
    id: u64,
    /// Voters and learners, in order.
    members: Vec<u64>,
    voters: Vec<u64>,
    seed: u64,
    /// Own elections so far: part of what the next timeout is drawn from.
    campaigns: u64,
    /// The batch that holds the newest change of term or vote.
    vote_batch: u64,
    /// The last batch given out, and the last one that is durable. Invariant: issued >= durable.
    issued: u64,
    durable: u64,
    unsynced: Unsynced,
    intake: Intake,
    /// Readies that wait for their batch: (batch, number). Invariant: both grow.
    readies: VecDeque<(u64, u64)>,
    /// Messages that wait for a batch. A leader's wait for that of its vote, which may be older
    /// than what others wait for.
    held: VecDeque<(u64, Vec<Message>)>,
    /// Messages that may go.
    outbox: Vec<Message>,
    /// The hard state changed only in its commit: it goes along with the next batch that has
    /// something to sync, as losing it loses nothing.
    commit_dirty: bool,
    /// Entries came since the last tick.
    busy: bool,
    /// Reads of peers that came before this leader's first commit of its term, in which raft would
    /// drop them without a word.
    early_reads: Vec<Message>,
    /// All up to here is applied. raft hears of it only of what is durable: a snapshot is applied
    /// before that.
    applied: u64,
}

/// Reads of peers that wait for a leader's first commit. Beyond that they are dropped, and asked
/// again by who waits.
const EARLY_READS: usize = 1024;

impl RaftNode {
    /// Starts raft from what the log and the store hold.
    pub(crate) fn new(
        id: u64,
        conf: ConfState,
        start: RaftStart,
        seed: u64,
        timing: Timing,
        intake: Intake,
    ) -> Result<Self, StartError> {
        let corrupt = |text: String| StartError::Corrupt(text);
        let RaftStart { mut hard_state, anchor, entries, applied } = start;
        let last = anchor.index + entries.len() as u64;
        // The hard state's commit is written with the next batch; the base may know better.
        hard_state.commit = hard_state.commit.max(applied);
        if hard_state.commit > last {
            let committed = hard_state.commit;
            return Err(corrupt(format!(
                "entries up to {committed} are committed, but it ends at {last}"
            )));
        }
        let mut members = [conf.voters.as_slice(), conf.learners.as_slice()].concat();
        members.sort_unstable();
        let mut voters = conf.voters.clone();
        voters.sort_unstable();
        let config = raft::Config {
            id,
            election_tick: timing.election_ticks(),
            heartbeat_tick: 1,
            check_quorum: true,
            pre_vote: true,
            max_size_per_msg: api::limits::RAFT_BATCH_BYTES as u64,
            max_inflight_msgs: api::limits::PEER_INFLIGHT_MESSAGES,
            max_committed_size_per_ready: api::limits::RAFT_BATCH_BYTES as u64,
            applied,
            ..raft::Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let mut log = RaftLog::new(hard_state, conf, anchor, entries);
        if let Ok(term) = raft::Storage::term(&log, applied)
            && applied > 0
        {
            log.set_base(Place { index: applied, term });
        }
        let raw = RawNode::new(&config, log, &logger).map_err(|e| corrupt(e.to_string()))?;
        let mut node = Self {
            raw,
            id,
            members,
            voters,
            seed,
            campaigns: 0,
            vote_batch: 0,
            issued: 0,
            durable: 0,
            unsynced: Unsynced::default(),
            intake,
            readies: VecDeque::new(),
            held: VecDeque::new(),
            outbox: Vec::new(),
            commit_dirty: false,
            busy: false,
            early_reads: Vec::new(),
            applied,
        };
        node.settle();
        Ok(node)
    }

    pub(crate) fn members(&self) -> &[u64] {
        &self.members
    }

    pub(crate) fn voters(&self) -> &[u64] {
        &self.voters
    }

    pub(crate) fn is_learner(&self) -> bool {
        !self.voters.contains(&self.id)
    }

    pub(crate) fn term(&self) -> u64 {
        self.raw.raft.term
    }

    /// The leader's id, or 0.
    pub(crate) fn leader(&self) -> u64 {
        self.raw.raft.leader_id
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.raw.raft.state == StateRole::Leader
    }

    pub(crate) fn is_candidate(&self) -> bool {
        matches!(self.raw.raft.state, StateRole::Candidate | StateRole::PreCandidate)
    }

    /// raft's log, as far as it has been given out to be stored.
    #[cfg(feature = "testing")]
    pub(crate) fn log(&self) -> &RaftLog {
        self.raw.store()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn election_timeout(&self) -> usize {
        self.raw.raft.randomized_election_timeout()
    }

    pub(crate) fn commit(&self) -> u64 {
        self.raw.raft.raft_log.committed
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.raw.raft.raft_log.last_index()
    }

    /// The last index that a peer acknowledged and that is committed, as far as this leader
    /// knows. Its log may never again end before it.
    pub(crate) fn acknowledged(&self, peer: u64) -> Option<u64> {
        let progress = self.raw.raft.prs().get(peer)?;
        self.is_leader().then(|| progress.matched.min(self.commit()))
    }

    /// One heartbeat interval has passed.
    pub(crate) fn tick(&mut self) {
        // A member whose disk is behind does not stand for election: nobody should follow it,
        // and raft requires a winner's log to be durable.
        if !self.is_leader() && self.durable < self.issued {
            return;
        }
        if self.raw.tick() && !self.is_leader() {
            self.campaigns += 1;
        }
        self.settle();
    }

    /// Stands for election (by pre-vote) without waiting for the timeout.
    /// False while the disk is behind: see [`Self::tick`].
    pub(crate) fn campaign(&mut self) -> bool {
        if self.is_leader() || self.is_learner() || self.durable < self.issued {
            return false;
        }
        self.campaigns += 1;
        // Refused only while a membership change is pending, and there is none.
        let _ = self.raw.campaign();
        self.settle();
        true
    }

    /// Its vote for somebody else may still be on its way to the disk.
    pub(crate) fn is_voting(&self) -> bool {
        let vote = self.raw.raft.vote;
        vote != 0 && vote != self.id && self.durable < self.issued
    }

    /// Not everything that raft holds is durable, given out or not.
    fn is_behind(&self) -> bool {
        let log = &self.raw.raft.raft_log;
        self.durable < self.issued || log.persisted < log.last_index()
    }

    /// The leader is known to be gone. Safe: forgetting grants no vote that was not free.
    pub(crate) fn forget_leader(&mut self) {
        if !self.is_leader() {
            self.raw.raft.leader_id = 0;
        }
    }

    /// Stops leading without an election: this member was frozen, and others may have gone on.
    pub(crate) fn step_down(&mut self) {
        let term = self.term();
        self.raw.raft.become_follower(term, 0);
        self.settle();
    }

    /// Hands leadership to the reachable voter whose log is longest. False if there is none.
    pub(crate) fn hand_over(&mut self, reachable: &[u64]) -> bool {
        let progress = self.raw.raft.prs();
        let best = reachable
            .iter()
            .filter(|&&peer| peer != self.id && self.voters.contains(&peer))
            .max_by_key(|&&peer| (progress.get(peer).map_or(0, |p| p.matched), peer));
        let Some(&best) = best else { return false };
        self.raw.transfer_leader(best);
        true
    }

    /// A message from a peer, as bytes of its frame.
    pub(crate) fn step(&mut self, sender: u64, bytes: &[u8]) -> Result<(), String> {
        let message = Message::decode(bytes).map_err(|error| error.to_string())?;
        self.guard(sender).check(&message)?;
        if message.msg_type() == MessageType::MsgRequestVoteResponse && self.is_behind() {
            // Our request has not left yet, and raft takes a winner's log for durable.
            return Ok(());
        }
        if message.msg_type() == MessageType::MsgReadIndex && !self.is_leader() {
            // raft would pass it on in the name of who asked, which no peer believes. Who asked
            // asks again.
            return Ok(());
        }
        if message.msg_type() == MessageType::MsgAppend && !self.takes_append(bytes.len()) {
            return Ok(());
        }
        if self.is_early_read(&message) {
            if self.early_reads.len() < EARLY_READS {
                self.early_reads.push(message);
            }
            return Ok(());
        }
        // What raft refuses as of no use (a proposal without a leader, a vote of a stranger) is
        // not an error of the sender.
        let _ = self.raw.step(message);
        self.settle();
        self.step_early_reads();
        Ok(())
    }

    fn guard(&self, sender: u64) -> Guard<'_> {
        Guard {
            id: self.id,
            sender,
            members: &self.members,
            voters: &self.voters,
            term: self.term(),
            log: &self.raw.raft.raft_log,
        }
    }

    /// What goes to the log.
    pub(crate) fn intake(&mut self) -> &mut Intake {
        &mut self.intake
    }

    /// Whether this member's log takes a leader's entries of so many bytes.
    fn takes_append(&self, bytes: usize) -> bool {
        !self.unsynced.is_full() && self.intake.takes_append(bytes, self.unsynced.bytes())
    }

    /// Whether the log of this leader takes a command of so many bytes.
    pub(crate) fn takes(&self, bytes: usize, needs_space: bool) -> Takes {
        // While it hands over raft takes none.
        let handing_over = self.raw.raft.lead_transferee.is_some();
        if !self.is_leader() || handing_over || self.unsynced.is_full() {
            return Takes::Later;
        }
        self.intake.takes(bytes, needs_space, self.unsynced.bytes())
    }

    /// Whether raft would drop this read because its leader has committed nothing of its term yet.
    /// Of another term it is none of this leader's.
    fn is_early_read(&self, message: &Message) -> bool {
        message.msg_type() == MessageType::MsgReadIndex
            && self.is_leader()
            && !self.raw.raft.commit_to_current_term()
    }

    /// Lets raft see the reads that came early, once it does not drop them. They are newer than
    /// what they ask for, so they may be asked late. Of a leader no more they are worth nothing.
    fn step_early_reads(&mut self) {
        if self.early_reads.is_empty() {
            return;
        }
        if !self.is_leader() {
            return self.early_reads.clear();
        }
        if self.raw.raft.commit_to_current_term() {
            for message in std::mem::take(&mut self.early_reads) {
                let _ = self.raw.step(message);
            }
        }
    }

    /// Begins a turn in which commands are taken, or, of a member that does not lead, none.
    pub(crate) fn begin_intake(&mut self) {
        if !self.is_leader() {
            return self.intake.follow();
        }
        let (term, commit) = (self.term(), self.commit());
        if !self.intake.leads_in(term) {
            let (last, log) = (self.last_index(), &self.raw.raft.raft_log);
            let others = log.entries(commit + 1, None, GetEntriesContext::empty(false));
            let others = others.unwrap_or_default();
            self.intake.lead(term, last, others.iter().map(|entry| entry.data.len()).sum());
        }
        self.intake.committed(commit);
    }

    /// Appends a command to the log of this leader. False if raft takes none now.
    pub(crate) fn propose(&mut self, command: Vec<u8>, needs_space: bool) -> bool {
        let bytes = command.len();
        let taken = self.is_leader() && self.raw.propose(Vec::new(), command).is_ok();
        if taken {
            let index = self.last_index();
            self.intake.taken(index, bytes, needs_space);
        }
        taken
    }

    /// Takes the next command that a peer has forwarded, of those that need space or of the others,
    /// if it can be proposed or never will be.
    pub(crate) fn next_forwarded(&mut self, needs_space: bool) -> Option<(Forwarded, Takes)> {
        let bytes = self.intake.next_forwarded(needs_space)?.command.len();
        match self.takes(bytes, needs_space) {
            Takes::Later => None,
            takes => Some((self.intake.take_forwarded(needs_space)?, takes)),
        }
    }

    /// Asks the leader for the index that a read must wait for.
    pub(crate) fn read_index(&mut self, context: Vec<u8>) {
        self.raw.read_index(context);
    }

    /// Whether a read may be asked for: raft drops it without a word before a leader's first
    /// commit of its term.
    pub(crate) fn may_read(&self) -> bool {
        self.leader() != 0 && self.raw.raft.commit_to_current_term()
    }

    /// True if there is something for [`Self::step_ready`].
    pub(crate) fn has_ready(&self) -> bool {
        self.raw.has_ready()
    }

    /// Whether some of that is for the log, for peers or for who reads, and not only to be applied.
    pub(crate) fn has_news(&self) -> bool {
        let raft = &self.raw.raft;
        !raft.msgs.is_empty()
            || !raft.raft_log.unstable_entries().is_empty()
            || raft.raft_log.unstable_snapshot().is_some()
            || !raft.read_states.is_empty()
    }

    /// Takes what raft has decided. If there are records, they make the batch `batch`.
    pub(crate) fn step_ready(&mut self, batch: u64) -> Step {
        let mut ready = self.raw.ready();
        let number = ready.number();
        let snapshot = self.take_snapshot(&ready);
        let votes = ready.hs().is_some() && ready.must_sync() && self.vote_changed(&ready);
        let records = self.records(&ready, snapshot);
        if !records.is_empty() {
            self.issued = batch;
            self.unsynced.add(batch, records.iter().map(Record::encoded_bytes).sum());
            if votes {
                self.vote_batch = batch;
            }
        }
        let leading = ready.take_messages();
        let following = ready.take_persisted_messages();
        let term_batch = if is(Broken::TermBeforeSync) { 0 } else { self.vote_batch };
        self.hold(term_batch, leading);
        let (early, following) = following.into_iter().partition(reveals_early);
        self.hold(0, early);
        self.hold(self.issued, following);
        let step = Step {
            records,
            committed: ready.take_committed_entries(),
            reads: ready.take_read_states(),
            snapshot,
        };
        self.raw.advance_append_async(ready);
        self.readies.push_back((self.issued, number));
        self.release();
        step
    }

    /// The base holds all up to an entry: what nobody needs any more leaves the log. Gives where
    /// it is cut now, if it was.
    ///
    /// A leader keeps what followers that it hears of have not got yet, and all keep something
    /// for whoever comes back, but no more than there is room for; a follower that needs more
    /// gets a snapshot.
    pub(crate) fn cut(&mut self, base: Place, held: Option<u64>, pace: &Pace) -> Option<Place> {
        self.raw.mut_store().set_base(base);
        let log = self.raw.store();
        let wanted = match self.is_leader() {
            true => self.slowest().min(log.within(pace.keep_entries, usize::MAX)),
            false => log.within(pace.keep_entries, usize::MAX),
        };
        let most = log.within(16 * pace.keep_entries, pace.keep_bytes);
        let index = wanted.max(most).min(base.index).min(held.unwrap_or(u64::MAX));
        // A cut costs a batch of its own: not for every entry.
        let little = index < log.anchor().index + pace.keep_entries / 8 + 1;
        if little && log.weight().1 <= pace.keep_bytes {
            return None;
        }
        self.raw.mut_store().cut(index)
    }

    /// The last entry that all followers have that this leader hears of.
    fn slowest(&self) -> u64 {
        let others = self.raw.raft.prs().iter().filter(|(id, _)| **id != self.id);
        let heard = others.filter(|(_, progress)| progress.recent_active);
        heard.map(|(_, progress)| progress.matched).min().unwrap_or(u64::MAX)
    }

    /// Bytes of the entries that are in memory.
    pub(crate) fn log_bytes(&self) -> usize {
        self.raw.store().weight().1
    }

    /// Where the log begins.
    pub(crate) fn anchor(&self) -> Place {
        self.raw.store().anchor()
    }

    /// The term of an entry, if it is known.
    pub(crate) fn term_of(&self, index: u64) -> Option<u64> {
        // Of what is not there raft says 0.
        self.raw.raft.raft_log.term(index).ok().filter(|term| *term != 0)
    }

    /// Whether this leader waits for a peer to take a snapshot.
    pub(crate) fn awaits_snapshot(&self, peer: u64) -> bool {
        let progress = self.raw.raft.prs().get(peer);
        self.is_leader() && progress.is_some_and(|p| p.state == ProgressState::Snapshot)
    }

    /// A snapshot for a peer will not arrive: raft begins anew.
    pub(crate) fn snapshot_failed(&mut self, peer: u64) {
        self.raw.report_snapshot(peer, SnapshotStatus::Failure);
    }

    /// What a peer says of a snapshot that it offers: raft's message, if it is a good one, and
    /// where the snapshot stands.
    pub(crate) fn check_offer(
        &self,
        sender: u64,
        bytes: &[u8],
    ) -> Result<(Message, Place), String> {
        let message = Message::decode(bytes).map_err(|error| error.to_string())?;
        self.guard(sender).check_offer(&message)?;
        let metadata = message.get_snapshot().get_metadata();
        let place = Place { index: metadata.index, term: metadata.term };
        Ok((message, place))
    }

    /// The data of a snapshot is here, or not needed: raft hears of it. Whether raft takes it
    /// shows in the next step.
    pub(crate) fn step_snapshot(&mut self, message: Message) {
        // The term may have changed meanwhile; raft leaves an old message out.
        let _ = self.raw.step(message);
        self.settle();
    }

    /// Everything up to this index is applied.
    pub(crate) fn applied(&mut self, index: u64) {
        self.applied = index;
        self.tell_applied();
    }

    fn tell_applied(&mut self) {
        let log = &self.raw.raft.raft_log;
        let index = self.applied.min(log.persisted);
        if index > log.applied {
            self.raw.advance_apply_to(index);
        }
    }

    /// Batches up to this one are durable.
    pub(crate) fn persisted(&mut self, batch: u64) {
        self.durable = self.durable.max(batch.min(self.issued));
        self.unsynced.persisted(self.durable);
        self.release();
        self.settle();
        self.step_early_reads();
    }

    /// Messages that may go, by recipient: raft's own order differs between 32 and 64 bits.
    pub(crate) fn take_messages(&mut self) -> Vec<Message> {
        let mut messages = Vec::with_capacity(self.outbox.len());
        // All go to members, who are in order.
        for &member in &self.members {
            messages.extend(self.outbox.extract_if(.., |message| message.to == member));
        }
        messages
    }

    fn vote_changed(&self, ready: &raft::Ready) -> bool {
        let Some(new) = ready.hs() else { return false };
        let old = raft::Storage::initial_state(self.raw.store());
        let old = old.map(|state| state.hard_state).unwrap_or_default();
        (old.term, old.vote) != (new.term, new.vote)
    }

    /// The log goes on behind a snapshot, which has arrived beside raft.
    fn take_snapshot(&mut self, ready: &raft::Ready) -> Option<Place> {
        if ready.snapshot().is_empty() {
            return None;
        }
        let metadata = ready.snapshot().get_metadata();
        let place = Place { index: metadata.index, term: metadata.term };
        self.raw.mut_store().reset(place);
        Some(place)
    }

    /// What the log must hold of this step. A commit that moved alone waits for company.
    fn records(&mut self, ready: &raft::Ready, snapshot: Option<Place>) -> Vec<Record> {
        let votes = self.vote_changed(ready);
        if let Some(hard_state) = ready.hs() {
            self.raw.mut_store().set_hard_state(hard_state);
            self.commit_dirty = true;
        }
        self.raw.mut_store().append(ready.entries());
        if !votes && ready.entries().is_empty() && snapshot.is_none() {
            return Vec::new();
        }
        self.busy |= !ready.entries().is_empty();
        // What this log has behind the snapshot's place is of a leader that was not followed.
        let reset = snapshot.map(|place| Record::Reset { index: place.index + 1 });
        let entries = ready.entries().iter().map(append_record);
        let mut records: Vec<Record> = reset.into_iter().chain(entries).collect();
        records.extend(self.take_hard_state());
        records
    }

    fn take_hard_state(&mut self) -> Option<Record> {
        if !std::mem::take(&mut self.commit_dirty) {
            return None;
        }
        let state = raft::Storage::initial_state(self.raw.store());
        let state = state.map(|state| state.hard_state).unwrap_or_default();
        Some(slot::record(slot::HARD_STATE, state.encode_to_vec()))
    }

    /// The commit that found no company for a tick: kept alone, so that a member which starts
    /// without a quorum still serves what it has applied. Nobody waits for it.
    pub(crate) fn lone_commit(&mut self) -> Option<Record> {
        match std::mem::take(&mut self.busy) {
            true => None,
            false => self.take_hard_state(),
        }
    }

    fn hold(&mut self, batch: u64, messages: Vec<Message>) {
        if batch <= self.durable {
            self.outbox.extend(messages);
        } else if !messages.is_empty() {
            self.held.push_back((batch, messages));
        }
    }

    /// Lets go what the durable batches allow, and tells raft.
    fn release(&mut self) {
        let durable = self.durable;
        let mut confirmed = None;
        while let Some((_, number)) = self.readies.pop_front_if(|(batch, _)| *batch <= durable) {
            confirmed = Some(number);
        }
        if let Some(number) = confirmed {
            self.raw.on_persist_ready(number);
            self.tell_applied();
        }
        let mut kept = VecDeque::new();
        for (batch, messages) in self.held.drain(..) {
            match batch <= durable {
                true => self.outbox.extend(messages),
                false => kept.push_back((batch, messages)),
            }
        }
        self.held = kept;
    }

    /// The crate draws its election timeout from the thread's generator, which nothing seeds.
    /// Called after everything that may have drawn one.
    fn settle(&mut self) {
        let ticks = self.raw.raft.election_timeout() as u64;
        let drawn = mix_all(&[self.seed, self.id, self.term(), self.campaigns]) % ticks;
        self.raw.raft.set_randomized_election_timeout((ticks + drawn) as usize);
    }
}

/// Whether a message that must wait for a sync does not: only if that rule is left out.
fn reveals_early(message: &Message) -> bool {
    let rule = match message.msg_type() {
        MessageType::MsgRequestVoteResponse => Broken::VoteBeforeSync,
        MessageType::MsgAppendResponse => Broken::AckBeforeSync,
        _ => return false,
    };
    is(rule)
}

fn append_record(entry: &Entry) -> Record {
    Record::Append { index: entry.index, payload: Bytes::from(entry.encode_to_vec()) }
}

#[cfg(test)]
mod tests;
