//! raft on a disk that hangs, or is full.

use api::limits::REQUEST_BYTES;

use super::*;
use crate::intake::HELD;

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
        let node = RaftNode::new(1, conf, start, 1, Timing::default(), PACE);
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

    /// All that was given out is durable, and what waited for that goes on.
    fn sync(&mut self) {
        self.node.persisted(self.batch);
        while self.node.may_step_held() {
            self.node.step_held(100);
        }
        self.turn();
    }

    /// Bytes of entries.
    fn taken(&self) -> usize {
        self.node.log_bytes()
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
}

#[test]
fn a_leader_whose_disk_hangs_takes_no_more_writes() {
    let mut raft = Raft::leading();
    let synced = raft.batch;
    let mut taken = 0;
    while raft.node.propose(vec![0; MIB / 4]) {
        taken += MIB / 4;
        raft.turn();
    }
    assert!((PACE.log_bytes - MIB / 4..=PACE.log_bytes).contains(&taken), "{taken}");
    // One batch less waits, and there is room for one more.
    raft.node.persisted(synced + 1);
    assert!(raft.node.propose(vec![0; MIB / 4]));
    raft.turn();
    assert!(!raft.node.propose(vec![0; 1]));
    raft.sync();
    assert!(raft.node.propose(vec![0; 1]));
}

#[test]
fn what_one_turn_proposes_counts_before_it_is_given_out() {
    let mut raft = Raft::leading();
    let taken = (0..100).take_while(|_| raft.node.propose(vec![0; REQUEST_BYTES])).count();
    assert_eq!(taken, PACE.log_bytes.div_ceil(REQUEST_BYTES));
    raft.turn();
    assert!(raft.taken() as u64 <= PACE.log_reserve_bytes() / 8 * 7, "{}", raft.taken());
}

#[test]
fn writes_of_peers_wait_for_the_disk_and_those_of_clients_behind_them() {
    let mut raft = Raft::leading();
    let term = raft.node.term();
    for _ in 0..40 {
        raft.node.forwarded(term, vec![0; MIB]);
        raft.turn();
    }
    assert!(raft.taken() as u64 <= PACE.log_reserve_bytes() / 8 * 7, "{}", raft.taken());
    assert!(!raft.node.propose(vec![0; 1]));
    for _ in 0..40 {
        raft.sync();
    }
    // More than that is lost.
    let held = raft.taken() - PACE.log_bytes;
    assert!((PACE.held_bytes() - MIB..=PACE.held_bytes() + MIB).contains(&held), "{held}");
    assert!(raft.node.propose(vec![0; 1]));
}

#[test]
fn of_small_writes_no_more_than_so_many_wait() {
    let mut raft = Raft::leading();
    let term = raft.node.term();
    raft.node.forwarded(term, vec![0; PACE.log_bytes]);
    for _ in 0..HELD + 10 {
        raft.node.forwarded(term, vec![0; 1]);
    }
    raft.turn();
    let before = raft.node.last_index();
    raft.sync();
    assert_eq!(raft.node.last_index() - before, HELD as u64);
}

#[test]
fn writes_for_the_leader_of_another_term_are_lost() {
    let mut raft = Raft::leading();
    raft.node.forwarded(raft.node.term() - 1, vec![0; 10]);
    raft.turn();
    // The one entry is that of its election.
    assert_eq!(raft.node.last_index(), 1);
}

#[test]
fn a_follower_whose_disk_hangs_holds_appends_and_loses_more_than_that() {
    let mut raft = Raft::new(vec![1, 2]);
    for index in 1..=40 {
        raft.append(index, MIB);
    }
    assert!(raft.taken() as u64 <= PACE.log_reserve_bytes() / 8 * 7, "{}", raft.taken());
    assert_eq!(raft.node.leader(), 2, "and knows its leader");
    for _ in 0..40 {
        raft.sync();
    }
    let held = raft.taken() - PACE.log_bytes;
    assert!((PACE.held_bytes() - MIB..=PACE.held_bytes() + MIB).contains(&held), "{held}");
    let lost = raft.node.last_index() + 1;
    raft.append(lost, MIB);
    assert_eq!(raft.node.last_index(), lost, "it is sent again");
}

#[test]
fn where_there_is_little_room_nothing_small_waits_behind_what_is_large() {
    let mut raft = Raft::leading();
    let term = raft.node.term();
    for _ in 0..4 {
        raft.node.forwarded(term, vec![0; MIB]);
    }
    raft.turn();
    raft.node.intake().set_room(MIB as u64);
    raft.sync();
    assert!(!raft.node.propose(vec![0; MIB]));
    assert!(raft.node.propose(vec![0; MIB / 4]));
    raft.turn();
    // What is under way may not be written yet, and so not be missing in the room.
    assert!(!raft.node.propose(vec![0; MIB / 2]));
    raft.sync();
    assert!(raft.node.propose(vec![0; MIB / 4]));
    raft.node.intake().set_room(u64::MAX);
    raft.sync();
    assert!(raft.node.propose(vec![0; MIB]));
}
