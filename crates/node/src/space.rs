//! Room on the disk, and in the quota: when there is too little NOSPACE is raised, while there is
//! still room for raft's own records, deletions and compactions.
//!
//! ```text
//!  room ──low──► writes that need room are refused here, leadership goes elsewhere,
//!                the alarm is proposed ──applied──► they are refused by all members
//!  an operator deletes, compacts, disarms ──────► they are taken again
//! ```

use api::frame::PeerBody;
use api::identity::RaftId;
use api::maintenance::{AlarmAction, AlarmMember, AlarmRequest, AlarmType};
use api::{Error, Result};
use litemap::LiteMap;

use crate::alarms::needs_space;
use crate::command::Op;
use crate::intake::Intake;
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
    /// Bytes for which the log surely has room, once it has said so.
    room: Option<u64>,
    /// Likewise of peers whose logs have little, and when they said so last.
    peers: LiteMap<RaftId, (u64, u64)>,
    /// The log has no more than its reserve.
    low: bool,
    /// A job found no room; it is tried again until it does.
    pub(crate) full: bool,
    /// A write was refused, or a snapshot found no room: the alarm is raised, however things are
    /// by then.
    pub(crate) wanted: bool,
    /// When the alarm was proposed last.
    asked_at: Option<u64>,
    /// When leadership was handed over last for want of room.
    handed_over_at: Option<u64>,
}

impl Space {
    fn is_short(&self) -> bool {
        self.low || self.full
    }

    /// A write was refused. If that was for want of room here, this member says so.
    pub(crate) fn refused(&mut self) {
        self.wanted |= self.is_short();
    }
}

impl Node {
    /// How the log stands for room.
    pub(crate) fn room(&mut self, bytes: u64, low: bool) {
        (self.space.room, self.space.low) = (Some(bytes), low);
        self.tell_room();
        let Some(raft) = &mut self.raft else { return };
        raft.intake().set_room(bytes);
        let leads = raft.is_leader();
        match low {
            true if leads => self.hand_over(),
            // Others take writes, and each is appended here: the reserve may not last until a tick.
            true => self.raise_alarm(),
            false => self.space.handed_over_at = None,
        }
    }

    /// Lets another member lead, whose log has room. Tried again for as long as this one has not.
    fn hand_over(&mut self) {
        let (now, pause) = (self.clock.now, self.config.timing.election_ms);
        let Some(raft) = self.raft.as_mut().filter(|raft| raft.is_leader()) else { return };
        if self.space.handed_over_at.is_some_and(|at| at + pause > now) {
            return;
        }
        let mut better = self.peers.up();
        better.retain(|peer| !self.space.peers.contains_key(&RaftId(*peer)));
        if raft.hand_over(&better) {
            self.space.handed_over_at = Some(now);
        }
    }

    /// Tells all peers how this log stands for room: whoever leads, or will.
    fn tell_room(&mut self) {
        let Some(bytes) = self.space.room.filter(|_| !self.is_refused()) else { return };
        for peer in self.peers.up() {
            self.send_to(RaftId(peer), &PeerBody::Room { bytes });
        }
    }

    /// A peer tells how its log stands for room.
    pub(crate) fn peers_room(&mut self, peer: RaftId, bytes: u64) {
        match bytes {
            u64::MAX => self.space.peers.remove(&peer),
            bytes => self.space.peers.insert(peer, (bytes, self.clock.now)),
        };
    }

    /// What goes to the log, of which it may have been told before there was one.
    pub(crate) fn intake(&self) -> Intake {
        Intake::new(self.config.pace, self.space.room.unwrap_or(u64::MAX))
    }

    /// Whether a write may be taken.
    pub(crate) fn check_space(&mut self, op: &Op, bytes: usize) -> Result<()> {
        if !needs_space(op) {
            return Ok(());
        }
        let size = self.state.store.bytes() + bytes as u64 + WRITE_OVERHEAD;
        // Who was refused may be told why, even if there is room again by then.
        self.space.wanted |= size > self.config.pace.quota_bytes;
        self.space.refused();
        if self.space.wanted { Err(Error::NoSpace) } else { Ok(()) }
    }

    /// Says again that there is little room, and raises the alarm if it is due.
    pub(crate) fn tick_space(&mut self) {
        if self.space.low {
            self.tell_room();
            self.hand_over();
        }
        self.raise_alarm();
    }

    fn raise_alarm(&mut self) {
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

    /// Tells raft whether the store can take more, and the logs of its peers.
    pub(crate) fn hold_back(&mut self) {
        let behind = self.is_behind();
        // Who has room again, or is gone, does not say it any more.
        let since = self.clock.now.saturating_sub(self.config.timing.election_ms);
        self.space.peers.retain(|_, (_, at)| *at >= since);
        let peers = self.space.peers.values().map(|(bytes, _)| *bytes).min();
        if let Some(raft) = self.raft.as_mut() {
            raft.intake().set_behind(behind);
            raft.intake().set_peers_room(peers.unwrap_or(u64::MAX));
        }
    }
}
