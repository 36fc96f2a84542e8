//! raft on a disk that hangs, or is full.

use api::identity::RaftId;
use api::limits::REQUEST_BYTES;

use super::*;
use crate::intake::FORWARDED;
use crate::unsynced::UNSYNCED_BYTES;

const MIB: usize = 1024 * 1024;
const PACE: Pace = Pace::NATIVE;

/// The member 1 of these, and a way to run it by hand.
struct Raft {
    node: RaftNode,
    batch: u64,
}

impl Raft {
    fn new(voters: Vec<u64>) -> Self {
        let conf = ConfState { voters, ..ConfState::default() };
        let start = RaftStart {
            hard_state: HardState::default(),
            anchor: Place::default(),
            entries: Vec::new(),
            applied: 0,
        };
        let node = RaftNode::new(1, conf, start, 1, Timing::default(), Intake::new(PACE, u64::MAX));
        Self { node: node.expect("an empty log is a good one"), batch: 0 }
    }

    /// It leads, and all is durable.
    fn leading() -> Self {
        let mut raft = Self::new(vec![1]);
        raft.node.campaign();
        raft.turn();
        raft.sync();
        raft
    }

    /// Gives out what there is to be stored.
    fn turn(&mut self) {
        while self.node.has_ready() {
            let batch = self.batch + 1;
            if !self.node.step_ready(batch).records.is_empty() {
                self.batch = batch;
            }
        }
    }

    /// It follows member 2, which sends it an entry of so many bytes.
    fn append(&mut self, index: u64, bytes: usize) {
        let entry = Entry { term: 1, index, data: vec![0; bytes], ..Entry::default() };
        let mut message = Message {
            from: 2,
            to: 1,
            term: 1,
            index: index - 1,
            log_term: u64::from(index > 1),
            entries: vec![entry],
            ..Message::default()
        };
        message.set_msg_type(MessageType::MsgAppend);
        self.node.step(2, &message.encode_to_vec()).expect("it is a good one");
        self.turn();
    }

    /// Member 2 forwards a command of so many bytes.
    fn forward(&mut self, bytes: usize, needs_space: bool) {
        let command = vec![0; bytes];
        self.node.begin_intake();
        self.node.intake().queue(Forwarded { from: RaftId(2), command, needs_space });
    }

    /// A turn in which all that peers have forwarded is proposed that can be.
    fn propose_forwarded(&mut self) {
        self.node.begin_intake();
        for needs_space in [false, true] {
            while let Some((Forwarded { command, .. }, takes)) =
                self.node.next_forwarded(needs_space)
            {
                assert!(takes == Takes::Never || self.node.propose(command, needs_space));
            }
        }
        self.turn();
    }

    /// Proposes what needs space until no more is taken; how much was.
    fn fill(&mut self, bytes: usize) -> usize {
        self.node.begin_intake();
        let mut taken = 0;
        while self.node.takes(bytes, true) == Takes::Now {
            assert!(self.node.propose(vec![0; bytes], true));
            taken += bytes;
        }
        self.turn();
        taken
    }

    /// All that was given out is durable.
    fn sync(&mut self) {
        self.node.persisted(self.batch);
        self.turn();
    }
}

#[test]
fn a_leader_takes_no_more_than_its_logs_reserve_has_room_for() {
    for bytes in [100, MIB / 4, REQUEST_BYTES] {
        let mut raft = Raft::leading();
        let taken = raft.fill(bytes);
        assert_eq!(taken, PACE.log_bytes.div_ceil(bytes) * bytes);
        assert!((taken + PACE.kept_bytes(true)) as u64 <= PACE.log_reserve_bytes(), "{taken}");
        // Not what makes room.
        assert_eq!(raft.node.takes(bytes, false), Takes::Now);
        // When that is committed there is room for as much again.
        raft.sync();
        assert_eq!(raft.fill(bytes), taken);
    }
}

#[test]
fn a_leader_whose_disk_hangs_gives_it_only_so_much() {
    let mut raft = Raft::leading();
    for _ in 0..2 * UNSYNCED_BYTES / MIB {
        if raft.node.takes(MIB, false) == Takes::Now {
            assert!(raft.node.propose(vec![0; MIB], false));
            raft.turn();
        }
    }
    let given = raft.node.log_bytes();
    assert!((UNSYNCED_BYTES - MIB..=UNSYNCED_BYTES).contains(&given), "{given}");
    assert_eq!(raft.node.takes(1, false), Takes::Later);
    raft.sync();
    assert_eq!(raft.node.takes(1, false), Takes::Now);
}

#[test]
fn a_follower_whose_disk_hangs_lets_appends_be_lost() {
    let mut raft = Raft::new(vec![1, 2]);
    for index in 1..=(2 * UNSYNCED_BYTES / MIB) as u64 {
        raft.append(index, MIB);
    }
    let last = raft.node.last_index() as usize * MIB;
    assert!((UNSYNCED_BYTES - MIB..=UNSYNCED_BYTES).contains(&last), "{last}");
    assert_eq!(raft.node.leader(), 2, "and keeps its leader");
}

#[test]
fn writes_of_peers_wait_and_what_needs_no_space_does_not() {
    let mut raft = Raft::leading();
    let before = raft.node.last_index();
    for _ in 0..20 {
        raft.forward(MIB, true);
    }
    raft.forward(10, false);
    raft.propose_forwarded();
    let taken = PACE.log_bytes.div_ceil(MIB) as u64 + 1;
    assert_eq!(raft.node.last_index() - before, taken);
    for _ in 0..20 {
        raft.sync();
        raft.propose_forwarded();
    }
    assert_eq!(raft.node.last_index() - before, 21, "none is lost");
}

#[test]
fn peers_that_forward_more_than_peers_do_lose_it() {
    for (bytes, most) in [(MIB, PACE.forwarded_bytes() / MIB), (1, FORWARDED)] {
        let mut raft = Raft::leading();
        let before = raft.node.last_index();
        for _ in 0..most + 10 {
            raft.forward(bytes, true);
        }
        for _ in 0..most {
            raft.propose_forwarded();
            raft.sync();
        }
        assert_eq!(raft.node.last_index() - before, most as u64);
    }
}

#[test]
fn what_was_forwarded_to_the_leader_of_another_term_is_lost() {
    let mut raft = Raft::leading();
    raft.fill(MIB);
    raft.forward(10, true);
    raft.node.step_down();
    raft.sync();
    assert!(raft.node.campaign());
    raft.turn();
    raft.sync();
    assert!(raft.node.is_leader());
    let last = raft.node.last_index();
    raft.propose_forwarded();
    assert_eq!(raft.node.last_index(), last);
}

#[test]
fn where_there_is_little_room_what_does_not_fit_keeps_nothing_waiting() {
    let mut raft = Raft::leading();
    let before = raft.node.last_index();
    raft.node.intake().set_room(MIB as u64);
    raft.forward(MIB, true);
    raft.forward(MIB / 4, true);
    raft.propose_forwarded();
    assert_eq!(raft.node.last_index() - before, 1, "the large one is lost");
    raft.sync();
    raft.node.begin_intake();
    assert_eq!(raft.node.takes(MIB, true), Takes::Never);
    assert_eq!(raft.node.takes(MIB, false), Takes::Never);
    // So much is kept for what makes room, and for raft.
    let all = MIB - PACE.kept_bytes(true) - 256;
    assert_eq!(raft.node.takes(all, true), Takes::Now);
    assert_eq!(raft.node.takes(all + 1, true), Takes::Never);
    assert_eq!(raft.node.takes(all + 1, false), Takes::Now);
    // Of peers the fullest counts.
    raft.node.intake().set_peers_room((MIB / 2) as u64);
    assert_eq!(raft.node.takes(all, true), Takes::Never);
    // But what makes room is committed without it.
    assert_eq!(raft.node.takes(all, false), Takes::Now);
    raft.node.intake().set_peers_room(u64::MAX);
    // What is given out may not be written yet, and so not be missing in the room.
    assert!(raft.node.propose(vec![0; all], true));
    assert_eq!(raft.node.takes(10, true), Takes::Later);
    raft.turn();
    assert_eq!(raft.node.takes(10, true), Takes::Later);
}
