//! What a leader takes into its log: no more that is not committed yet, or not durable here, than
//! logs keep in reserve. So one that gets full still has room for raft's own records, and for what
//! makes room.
//!
//! ```text
//!  writes of this member's clients: Proposals ──┐ in turns,
//!                                               ├─ while there is room ─► log ─────► committed
//!  writes that peers forward: a queue here ─────┘                         └─ on the way ─┘
//!
//!  deletions, compactions, alarms of either: likewise, and before all others
//! ```

use std::collections::VecDeque;

use api::identity::RaftId;

use crate::config::Pace;

/// What the log takes for a command beside its bytes, about: headers, checksums, a hard state.
const OVERHEAD_BYTES: usize = 256;

/// Something larger that needs no space does not keep an alarm waiting.
const SMALL_BYTES: usize = 16 * 1024;

/// Of what peers forward, writes that wait at the most, however small.
pub(crate) const FORWARDED: usize = api::limits::MEMBERS * api::limits::PROPOSALS_IN_FLIGHT;

/// Whether a log takes a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// It does.
    Now,
    /// When others are committed, or the disk is not as far behind any more.
    Later,
    /// There is too little room for it, and what makes room must not wait behind it.
    Never,
}

/// A command that a peer has forwarded.
pub(crate) struct Forwarded {
    pub(crate) from: RaftId,
    pub(crate) command: Vec<u8>,
    pub(crate) needs_space: bool,
}

/// A command in the log that is not committed.
struct OnTheWay {
    index: u64,
    bytes: usize,
    needs_space: bool,
}

/// What is on its way into the log of a leader.
pub(crate) struct Intake {
    pace: Pace,
    /// The term in which it leads; 0 if it does not.
    term: u64,
    /// Invariant: indexes grow.
    on_the_way: VecDeque<OnTheWay>,
    /// Invariant: their sum.
    bytes: usize,
    /// Invariant: likewise, of those that need space.
    puts_bytes: usize,
    /// Bytes for which the log surely has room, as far as it was told of what it was given.
    room: u64,
    /// Likewise those of peers, of which the fullest counts.
    peers_room: u64,
    /// Too much is applied and not moved out of memory.
    behind: bool,
    /// What peers have forwarded: what needs no space, and the rest.
    forwarded: [VecDeque<Forwarded>; 2],
    /// Its bytes.
    forwarded_bytes: usize,
}

impl Intake {
    pub(crate) fn new(pace: Pace, room: u64) -> Self {
        Self {
            pace,
            term: 0,
            on_the_way: VecDeque::new(),
            bytes: 0,
            puts_bytes: 0,
            room,
            peers_room: u64::MAX,
            behind: false,
            forwarded: Default::default(),
            forwarded_bytes: 0,
        }
    }

    /// Whether the log takes a command of so many bytes, when so many were given out and are not
    /// durable. What is on its way may not be missing in the room yet, here and where it goes.
    ///
    /// A peer that is full does not keep out what makes room: the others commit that without it.
    pub(crate) fn takes(&self, bytes: usize, needs_space: bool, unsynced: usize) -> Takes {
        let needed = (bytes + OVERHEAD_BYTES + self.pace.kept_bytes(needs_space)) as u64;
        let room = if needs_space { self.room.min(self.peers_room) } else { self.room };
        if needed > room && (needs_space || bytes > SMALL_BYTES) {
            return Takes::Never;
        }
        let full = needs_space && self.puts_bytes.max(unsynced) >= self.pace.log_bytes;
        let waits = (unsynced + self.bytes) as u64;
        match full || self.behind || waits.saturating_add(needed) > room {
            true => Takes::Later,
            false => Takes::Now,
        }
    }

    /// Whether a follower's log takes so much. What it does not is as if it were lost on its way:
    /// the leader sends it again.
    pub(crate) fn takes_append(&self, bytes: usize, unsynced: usize) -> bool {
        let needed = (unsynced + bytes + self.pace.kept_bytes(false)) as u64;
        !self.behind && needed <= self.room
    }

    /// A command of so many bytes is in the log.
    pub(crate) fn taken(&mut self, index: u64, bytes: usize, needs_space: bool) {
        self.on_the_way.push_back(OnTheWay { index, bytes, needs_space });
        self.bytes += bytes;
        self.puts_bytes += if needs_space { bytes } else { 0 };
    }

    /// Whether this member has led in this term before.
    pub(crate) fn leads_in(&self, term: u64) -> bool {
        self.term == term
    }

    /// This member begins to lead in this term, with so many bytes of others up to this entry that
    /// are not committed.
    pub(crate) fn lead(&mut self, term: u64, last: u64, bytes: usize) {
        self.follow();
        self.term = term;
        self.taken(last, bytes, true);
    }

    /// All up to this entry is committed.
    pub(crate) fn committed(&mut self, commit: u64) {
        while let Some(first) = self.on_the_way.pop_front_if(|first| first.index <= commit) {
            self.bytes -= first.bytes;
            self.puts_bytes -= if first.needs_space { first.bytes } else { 0 };
        }
    }

    /// This member does not lead, or not any more: what was forwarded to it is lost, and its
    /// senders find out by the log.
    pub(crate) fn follow(&mut self) {
        self.term = 0;
        self.on_the_way.clear();
        self.forwarded.iter_mut().for_each(VecDeque::clear);
        (self.bytes, self.puts_bytes, self.forwarded_bytes) = (0, 0, 0);
    }

    /// The log surely has room for so many bytes.
    pub(crate) fn set_room(&mut self, room: u64) {
        self.room = room;
    }

    /// The logs of all peers that told have room for so many bytes.
    pub(crate) fn set_peers_room(&mut self, room: u64) {
        self.peers_room = room;
    }

    /// Too much is applied and not moved out of memory, or not any more.
    pub(crate) fn set_behind(&mut self, behind: bool) {
        self.behind = behind;
    }

    /// Keeps what a peer has forwarded, if that is no more than peers may.
    pub(crate) fn queue(&mut self, forwarded: Forwarded) {
        let bytes = self.forwarded_bytes + forwarded.command.len();
        let queue = &mut self.forwarded[usize::from(forwarded.needs_space)];
        if queue.len() < FORWARDED && bytes <= self.pace.forwarded_bytes() {
            self.forwarded_bytes = bytes;
            queue.push_back(forwarded);
        }
    }

    /// The command that was forwarded first, of those that need space or of the others.
    pub(crate) fn next_forwarded(&self, needs_space: bool) -> Option<&Forwarded> {
        self.forwarded[usize::from(needs_space)].front()
    }

    /// Takes it out.
    pub(crate) fn take_forwarded(&mut self, needs_space: bool) -> Option<Forwarded> {
        let first = self.forwarded[usize::from(needs_space)].pop_front()?;
        self.forwarded_bytes -= first.command.len();
        Some(first)
    }
}
