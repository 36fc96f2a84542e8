//! Room on the disk, and in the quota: when there is too little NOSPACE is raised, while there is
//! still room for raft's own records, deletions and compactions.
//!
//! ```text
//!  room ──low──► writes that need room are refused here, leadership goes elsewhere,
//!                the alarm is proposed ──applied──► they are refused by all members
//!  an operator deletes, compacts, disarms ──────► they are taken again
//! ```

use api::maintenance::{AlarmAction, AlarmMember, AlarmRequest, AlarmType};
use api::{Error, Result};

use crate::alarms::needs_space;
use crate::command::Op;
use crate::node::Node;
use crate::sessions::Caller;

/// The alarm is proposed again if it was not applied after this long.
const AGAIN_MS: u64 = 2000;

/// What etcd adds to the size of a write, for what it takes beside key and value.
const WRITE_OVERHEAD: u64 = 256;

/// Nobody: a session that there is not.
const NOBODY: Caller = Caller { session: 0, id: 0 };

/// What is known of room.
#[derive(Debug, Default)]
pub(crate) struct Space {
    /// The log has no more than its reserve.
    low: bool,
    /// A job found no room; it is tried again until it does.
    pub(crate) full: bool,
    /// A write was refused, or a snapshot found no room: the alarm is raised, however things are
    /// by then.
    pub(crate) wanted: bool,
    /// When the alarm was proposed last.
    asked_at: Option<u64>,
}

impl Space {
    fn is_short(&self) -> bool {
        self.low || self.full
    }
}

impl Node {
    /// How the log stands for room.
    pub(crate) fn room(&mut self, bytes: u64, low: bool) {
        let news = low && !self.space.low;
        self.space.low = low;
        let reachable = self.peers.up();
        let Some(raft) = &mut self.raft else { return };
        raft.intake().set_room(bytes);
        if !low {
            return;
        }
        if !raft.is_leader() {
            // Others take writes, and each is appended here: the reserve may not last until a
            // tick. Who leads refuses them itself.
            self.tick_space();
        } else if news {
            // Of no use if the others are no better off; they then keep it.
            raft.hand_over(&reachable);
        }
    }

    /// Whether a write may be taken.
    pub(crate) fn check_space(&mut self, op: &Op, bytes: usize) -> Result<()> {
        if !needs_space(op) {
            return Ok(());
        }
        let size = self.state.store.bytes() + bytes as u64 + WRITE_OVERHEAD;
        // Who was refused may be told why, even if there is room again by then.
        if size > self.config.pace.quota_bytes || self.space.is_short() {
            self.space.wanted = true;
        }
        if self.space.wanted { Err(Error::NoSpace) } else { Ok(()) }
    }

    /// Raises the alarm if it is due.
    pub(crate) fn tick_space(&mut self) {
        let due = self.space.is_short() || self.space.wanted;
        let Some((_, me)) = self.me().filter(|_| due) else { return };
        let alarm = AlarmMember { member_id: me.0, alarm: AlarmType::NoSpace };
        if self.state.alarms.is_raised(alarm) {
            // Cleared and due again, it is proposed at once.
            (self.space.wanted, self.space.asked_at) = (false, None);
            return;
        }
        let now = self.clock.now;
        let waits = self.space.asked_at.is_some_and(|at| at + AGAIN_MS > now);
        if waits || self.raft.as_ref().is_none_or(|raft| raft.leader() == 0) {
            return;
        }
        self.space.asked_at = Some(now);
        let op = Op::Alarm(AlarmRequest {
            action: AlarmAction::Activate,
            member_id: me.0,
            alarm: Some(AlarmType::NoSpace),
        });
        let me = (me, self.identity.boot().nonce);
        // If too much waits already it is asked again later.
        let _ = self.state.proposals.add(me, NOBODY, op, now + AGAIN_MS);
    }

    /// Tells raft whether the store can take more.
    pub(crate) fn hold_back(&mut self) {
        let behind = self.is_behind();
        if let Some(raft) = self.raft.as_mut() {
            raft.intake().set_behind(behind);
        }
    }

    /// What waited for room goes on, if there is room by now.
    pub(crate) fn step_held(&mut self) {
        self.hold_back();
        if let Some(raft) = &mut self.raft {
            raft.step_held(self.config.pace.apply_entries);
        }
    }
}
