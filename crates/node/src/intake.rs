//! What goes to the log. No more is under way to the disk than the log keeps in reserve: so one
//! that gets full still has room for raft's own records, and one that hangs fills no memory.
//!
//! ```text
//!  proposals of this member's clients ──────────────┐ while there is room
//!  appends of a leader, writes that peers forward ──┴──────► raft ──► given out ──► durable
//!        │ else                                        ▲     └───── under way ─────┘
//!        └─────► held, in their order ─────────────────┘
//! ```

use std::collections::VecDeque;

use raft::eraftpb::Message;

use crate::config::Pace;

/// Of what is held, messages and writes at the most, however small.
pub(crate) const HELD: usize = 4 * api::limits::PROPOSALS_IN_FLIGHT;

/// What a peer has sent for the log.
pub(crate) enum Held {
    /// A leader's entries, from this sender.
    Append { sender: u64, message: Box<Message> },
    /// A write for whoever leads in this term.
    Forward { term: u64, command: Vec<u8> },
}

/// What is on its way into the log.
pub(crate) struct Intake {
    pace: Pace,
    /// Given out and not durable: number and bytes. Invariant: numbers grow.
    batches: VecDeque<(u64, usize)>,
    /// Taken by raft, and not given out yet.
    taken: usize,
    /// Invariant: the sum of `batches` and `taken`.
    under_way: usize,
    /// Bytes for which the log surely has room. What is under way may be counted there as well.
    room: u64,
    /// Too much is applied and not moved out of memory.
    behind: bool,
    /// What waits, and its bytes.
    held: VecDeque<(Held, usize)>,
    /// Invariant: their sum.
    held_bytes: usize,
}

impl Intake {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            batches: VecDeque::new(),
            taken: 0,
            under_way: 0,
            room: u64::MAX,
            behind: false,
            held: VecDeque::new(),
            held_bytes: 0,
        }
    }

    /// Whether so many bytes may go to raft now: what waits goes first.
    pub(crate) fn takes(&self, bytes: usize) -> bool {
        self.held.is_empty() && self.has_room(bytes)
    }

    /// Whether neither too much waits for the disk, nor that is full.
    fn has_room(&self, bytes: usize) -> bool {
        let fits = self.fits(self.under_way + bytes);
        fits && self.under_way < self.pace.log_bytes && !self.behind
    }

    /// Whether a log of so little room may be given so much. What is left then is for what gets
    /// room again.
    pub(crate) fn fits(&self, bytes: usize) -> bool {
        bytes as u64 <= self.room / 2
    }

    /// raft has taken so much, and something will be given out.
    pub(crate) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        self.under_way += bytes;
    }

    /// All that raft has taken is given out; in a batch, if that is any.
    pub(crate) fn give_out(&mut self, batch: Option<(u64, usize)>) {
        self.under_way -= std::mem::take(&mut self.taken);
        if let Some((_, bytes)) = batch {
            self.under_way += bytes;
        }
        self.batches.extend(batch);
    }

    /// Batches up to this one are durable.
    pub(crate) fn persisted(&mut self, batch: u64) {
        while let Some((_, bytes)) = self.batches.pop_front_if(|(number, _)| *number <= batch) {
            self.under_way -= bytes;
        }
    }

    /// The log surely has room for so many bytes.
    pub(crate) fn set_room(&mut self, room: u64) {
        self.room = room;
    }

    /// Too much is applied and not moved out of memory, or not any more.
    pub(crate) fn set_behind(&mut self, behind: bool) {
        self.behind = behind;
    }

    /// Keeps what has to wait, if it is not too much. What no wait would help is lost, too: nothing
    /// small waits behind it.
    pub(crate) fn hold(&mut self, what: Held, bytes: usize) {
        let few = self.held.len() < HELD && self.held_bytes + bytes <= self.pace.held_bytes();
        if few && self.fits(bytes) {
            self.held_bytes += bytes;
            self.held.push_back((what, bytes));
        }
    }

    /// Whether [`Self::next_held`] has something to do.
    pub(crate) fn may_go_on(&self) -> bool {
        self.held.front().is_some_and(|&(_, bytes)| self.has_room(bytes) || !self.fits(bytes))
    }

    /// The next of what is held, and its bytes, if there is room for it by now.
    pub(crate) fn next_held(&mut self) -> Option<(Held, usize)> {
        // A log that has got full since then.
        while let Some(&(_, bytes)) = self.held.front().filter(|(_, bytes)| !self.fits(*bytes)) {
            self.held_bytes -= bytes;
            self.held.pop_front();
        }
        let &(_, bytes) = self.held.front().filter(|(_, bytes)| self.has_room(*bytes))?;
        self.held_bytes -= bytes;
        self.held.pop_front()
    }
}
