//! Nothing from outside reaches raft unchecked: the crate trusts its peers and panics on
//! messages that an honest one does not send. What is refused here is dropped; nobody else
//! notices.

use raft::RaftLog as Log;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use crate::log::RaftLog;

/// What a message is held against.
pub(crate) struct Guard<'a> {
    /// This member.
    pub(crate) id: u64,
    /// The member whose frame the message came in.
    pub(crate) sender: u64,
    /// Voters and learners, in order.
    pub(crate) members: &'a [u64],
    /// Voters, in order.
    pub(crate) voters: &'a [u64],
    /// This member's term.
    pub(crate) term: u64,
    /// This member's log.
    pub(crate) log: &'a Log<RaftLog>,
}

/// Terms grow by elections. A jump this large is no cluster's life but a broken message, and
/// would bring the counter near its end.
const TERM_JUMP: u64 = 1 << 40;

impl Guard<'_> {
    /// Why raft must not see the message, if so.
    pub(crate) fn check(&self, message: &Message) -> Result<(), &'static str> {
        self.check_ends(message)?;
        self.check_kind(message)
    }

    /// Why a snapshot is not to be asked for, if so. Its data comes beside raft.
    pub(crate) fn check_offer(&self, message: &Message) -> Result<(), &'static str> {
        self.check_ends(message)?;
        no_entries(message)?;
        let snapshot = message.get_snapshot();
        let metadata = snapshot.get_metadata();
        let sorted = |ids: &[u64]| {
            let mut ids = ids.to_vec();
            ids.sort_unstable();
            ids
        };
        let conf = metadata.get_conf_state();
        let members = [conf.voters.as_slice(), conf.learners.as_slice()].concat();
        let same = sorted(&conf.voters) == self.voters && sorted(&members) == self.members;
        if message.msg_type() != MessageType::MsgSnapshot || !snapshot.data.is_empty() {
            return Err("it offers no snapshot");
        }
        if metadata.index == 0 || metadata.term == 0 || metadata.term > message.term {
            return Err("its snapshot stands nowhere");
        }
        // Membership does not change yet.
        if !same || !conf.voters_outgoing.is_empty() || !conf.learners_next.is_empty() {
            return Err("its snapshot is of other members");
        }
        self.check_committed(metadata.index, metadata.term)
    }

    fn check_ends(&self, message: &Message) -> Result<(), &'static str> {
        if message.to != self.id {
            return Err("it is addressed to another member");
        }
        if message.from != self.sender {
            return Err("it names another sender than its frame");
        }
        if message.from == self.id || !self.members.contains(&message.from) {
            return Err("its sender is no other member");
        }
        if message.term == 0 && message.msg_type() != MessageType::MsgReadIndex {
            return Err("it has no term");
        }
        if message.term > self.term.saturating_add(TERM_JUMP) {
            return Err("its term is out of reach");
        }
        Ok(())
    }

    /// What is committed is the same everywhere: raft would not survive to hear otherwise.
    fn check_committed(&self, index: u64, term: u64) -> Result<(), &'static str> {
        // Of what is not in the log any more the term is 0.
        let known = if index <= self.log.committed { self.log.term(index).ok() } else { None };
        match known {
            Some(known) if known != term && known != 0 => Err("it contradicts what is committed"),
            _ => Ok(()),
        }
    }

    fn check_kind(&self, message: &Message) -> Result<(), &'static str> {
        use MessageType as M;
        match message.msg_type() {
            M::MsgAppend => {
                check_entries(message)?;
                let mut entries = message.entries.iter();
                entries.try_for_each(|entry| self.check_committed(entry.index, entry.term))
            }
            M::MsgHeartbeat if message.commit > self.log.last_index() => {
                Err("it commits beyond this log")
            }
            // A late one of an earlier term may: since then this log was cut. raft ignores it.
            M::MsgAppendResponse
                if message.term == self.term && message.index > self.log.last_index() =>
            {
                Err("it acknowledges beyond this log")
            }
            M::MsgAppendResponse if message.reject && message.reject_hint > message.index => {
                Err("it refuses an entry for want of a later one")
            }
            M::MsgAppendResponse if message.request_snapshot != 0 => {
                Err("no peer asks for a snapshot")
            }
            M::MsgReadIndex | M::MsgReadIndexResp => check_read(message),
            M::MsgHeartbeat
            | M::MsgHeartbeatResponse
            | M::MsgAppendResponse
            | M::MsgRequestVote
            | M::MsgRequestVoteResponse
            | M::MsgRequestPreVote
            | M::MsgRequestPreVoteResponse
            | M::MsgTimeoutNow => no_entries(message),
            // Proposals travel in frames of their own, and so do offers of snapshots; the rest
            // never leaves its member.
            M::MsgPropose
            | M::MsgSnapshot
            | M::MsgTransferLeader
            | M::MsgHup
            | M::MsgBeat
            | M::MsgUnreachable
            | M::MsgSnapStatus
            | M::MsgCheckQuorum => Err("no peer sends this kind"),
        }
    }
}

fn no_entries(message: &Message) -> Result<(), &'static str> {
    match message.entries.as_slice() {
        [] => Ok(()),
        _ => Err("it holds entries where there are none"),
    }
}

/// One entry, whose data is the context of the read.
fn check_read(message: &Message) -> Result<(), &'static str> {
    match message.entries.as_slice() {
        [entry] if !entry.data.is_empty() => Ok(()),
        _ => Err("a read needs its context"),
    }
}

/// Contiguous from the index before, in terms that do not fall and do not pass the message's.
fn check_entries(message: &Message) -> Result<(), &'static str> {
    if message.log_term > message.term {
        return Err("its log is of a later term than itself");
    }
    // raft knows a place that is in no log by its term 0, and would find it there in this one.
    if (message.index == 0) != (message.log_term == 0) {
        return Err("its entries follow nothing");
    }
    let mut before = (message.index, message.log_term);
    for entry in &message.entries {
        check_entry(entry, before)?;
        before = (entry.index, entry.term);
    }
    match before.1 <= message.term {
        true => Ok(()),
        false => Err("its entries are of a later term than itself"),
    }
}

fn check_entry(entry: &Entry, (index, term): (u64, u64)) -> Result<(), &'static str> {
    if index.checked_add(1) != Some(entry.index) {
        return Err("its entries are not contiguous");
    }
    if entry.term < term || entry.term == 0 {
        return Err("the terms of its entries fall");
    }
    // The number itself: the kind of one that is unknown looks normal here, and ends raft.
    match entry.entry_type == EntryType::EntryNormal as i32 {
        true => Ok(()),
        // Membership does not change yet.
        false => Err("its entries change the membership, or are of no kind"),
    }
}
