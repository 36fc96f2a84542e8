//! raft on a disk that hangs.

use super::*;
use crate::unsynced::UNSYNCED_BYTES;

const MIB: usize = 1024 * 1024;

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
        let node = RaftNode::new(1, conf, start, 1, Timing::default());
        Self { node: node.expect("an empty log is a good one"), batch: 0 }
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
    let mut raft = Raft::new(vec![1]);
    raft.node.campaign();
    raft.turn();
    raft.node.persisted(raft.batch);
    raft.turn();
    let synced = raft.batch;
    let mut taken = 0;
    while raft.node.propose(vec![0; MIB]) {
        taken += MIB;
        raft.turn();
    }
    assert!((UNSYNCED_BYTES - MIB..=UNSYNCED_BYTES).contains(&taken), "{taken}");
    // One batch less waits, and there is room for one more.
    raft.node.persisted(synced + 1);
    assert!(raft.node.propose(vec![0; MIB]));
    raft.turn();
    assert!(!raft.node.propose(vec![0; 1]));
    raft.node.persisted(raft.batch);
    assert!(raft.node.propose(vec![0; 1]));
}

#[test]
fn a_follower_whose_disk_hangs_lets_appends_be_lost() {
    let mut raft = Raft::new(vec![1, 2]);
    let mut index = 0;
    let mut append = |raft: &mut Raft| {
        index += 1;
        let data = vec![0; MIB];
        let entry = Entry { term: 1, index, data, ..Entry::default() };
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
        raft.node.step(2, &message.encode_to_vec()).expect("it is a good one");
        raft.turn();
    };
    for _ in 0..2 * UNSYNCED_BYTES / MIB {
        append(&mut raft);
    }
    let last = raft.node.last_index() as usize * MIB;
    assert!((UNSYNCED_BYTES - MIB..=UNSYNCED_BYTES).contains(&last), "{last}");
    assert_eq!(raft.node.leader(), 2, "and keeps its leader");
}
