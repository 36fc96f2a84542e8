//! What the simulator needs to see and to forge: raft's messages are opaque bytes everywhere
//! else.

use api::frame::{PeerBody, encode_body};
use api::identity::RaftId;
use api::kv::{PutRequest, RequestOp, TxnRequest};
use api::session::Request;
use raft::eraftpb::{Entry, HardState, Message, MessageType};
use raft_prost::Message as _;
use wal::Record;

#[cfg(feature = "broken")]
pub use crate::broken::{Broken, break_by};
use crate::command::{Command, Op, RequestId};
use crate::identity::Stored;
use crate::node::Node;
use crate::slot;

/// The kinds of raft's messages, in the words of traces and scripts.
const KINDS: [(MessageType, &str); 19] = [
    (MessageType::MsgAppend, "append"),
    (MessageType::MsgAppendResponse, "append-answer"),
    (MessageType::MsgHeartbeat, "heartbeat"),
    (MessageType::MsgHeartbeatResponse, "heartbeat-answer"),
    (MessageType::MsgRequestVote, "vote"),
    (MessageType::MsgRequestVoteResponse, "vote-answer"),
    (MessageType::MsgRequestPreVote, "prevote"),
    (MessageType::MsgRequestPreVoteResponse, "prevote-answer"),
    (MessageType::MsgReadIndex, "read"),
    (MessageType::MsgReadIndexResp, "read-answer"),
    (MessageType::MsgTimeoutNow, "stand-now"),
    (MessageType::MsgPropose, "propose"),
    (MessageType::MsgSnapshot, "snapshot"),
    (MessageType::MsgTransferLeader, "transfer"),
    (MessageType::MsgHup, "hup"),
    (MessageType::MsgBeat, "beat"),
    (MessageType::MsgUnreachable, "unreachable"),
    (MessageType::MsgSnapStatus, "snap-status"),
    (MessageType::MsgCheckQuorum, "check-quorum"),
];

/// A raft message to forge. What a kind has no use for stays 0.
#[derive(Clone, Debug, Default)]
pub struct Forged {
    /// One of the kinds that traces show.
    pub kind: String,
    /// The sender that the message names.
    pub from: u64,
    /// The receiver that the message names.
    pub to: u64,
    /// Its term.
    pub term: u64,
    /// Its index.
    pub index: u64,
    /// The term of the entry at its index.
    pub log_term: u64,
    /// Its commit index.
    pub commit: u64,
    /// Its entries: term, index, data.
    pub entries: Vec<(u64, u64, Vec<u8>)>,
    /// What kind its entries are of, by its number: 0 is normal, 1 changes the membership.
    pub entry_type: i32,
}

impl Forged {
    /// The body of a frame with this one message. `None` if there is no such kind.
    #[must_use]
    pub fn body(&self) -> Option<Vec<u8>> {
        let (kind, _) = KINDS.iter().find(|(_, name)| *name == self.kind)?;
        let mut message = Message {
            from: self.from,
            to: self.to,
            term: self.term,
            index: self.index,
            log_term: self.log_term,
            commit: self.commit,
            ..Message::default()
        };
        message.set_msg_type(*kind);
        for (term, index, data) in &self.entries {
            let (term, index, data) = (*term, *index, data.clone());
            let entry_type = self.entry_type;
            message.entries.push(Entry { entry_type, term, index, data, ..Entry::default() });
        }
        let bytes = message.encode_to_vec();
        Some(encode_body(&PeerBody::Raft(vec![bytes.as_slice()])))
    }
}

/// The kind of a raft message, or `None` if the bytes are none.
#[must_use]
pub fn kind(message: &[u8]) -> Option<&'static str> {
    Message::decode(message).ok().map(|message| word(message.msg_type()))
}

/// All kinds of raft's messages.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(_, word)| *word)
}

fn word(kind: MessageType) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("?", |(_, word)| word)
}

/// A raft message in one line. `name` turns a raft id into a member's name.
#[must_use]
pub fn show_message(bytes: &[u8], name: &dyn Fn(u64) -> String) -> String {
    use MessageType as M;
    let Ok(message) = Message::decode(bytes) else { return "not a message".into() };
    let mut text = format!("{} t{}", word(message.msg_type()), message.term);
    let mut add = |more: String| text.push_str(&more);
    match message.msg_type() {
        M::MsgAppend => {
            let entries: Vec<String> = message.entries.iter().map(show_entry).collect();
            add(format!(" after {}@t{}", message.index, message.log_term));
            add(format!(" [{}] commit {}", entries.join(", "), message.commit));
        }
        M::MsgAppendResponse if message.reject => add(format!(" no, not {}", message.index)),
        M::MsgAppendResponse => add(format!(" has {}", message.index)),
        M::MsgHeartbeat => add(format!(" commit {}", message.commit)),
        M::MsgRequestVote | M::MsgRequestPreVote => {
            add(format!(" log {}@t{}", message.index, message.log_term));
        }
        M::MsgRequestVoteResponse | M::MsgRequestPreVoteResponse => {
            add(format!(" {}", if message.reject { "no" } else { "yes" }));
        }
        M::MsgSnapshot => {
            let metadata = message.get_snapshot().get_metadata();
            add(format!(" at {}@t{}", metadata.index, metadata.term));
        }
        M::MsgReadIndex => add(format!(" {}", show_context(&message, name))),
        M::MsgReadIndexResp => {
            add(format!(" {} at {}", show_context(&message, name), message.index));
        }
        _ => {}
    }
    text
}

fn show_context(message: &Message, name: &dyn Fn(u64) -> String) -> String {
    let context = message.entries.first().map(|entry| entry.data.clone()).unwrap_or_default();
    match api::frame::decode_body::<RequestId>(&context) {
        Ok(id) => format!("{}#{}", name(id.raft.0), id.sequence),
        Err(_) => "without a context".into(),
    }
}

fn show_entry(entry: &Entry) -> String {
    let what = match entry.data.is_empty() {
        true => "-".into(),
        false => show_command(&entry.data),
    };
    format!("{}@t{} {what}", entry.index, entry.term)
}

/// A command in a word or two.
#[must_use]
pub fn show_command(bytes: &[u8]) -> String {
    let Ok(command) = Command::decode(bytes) else { return "not a command".into() };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match command.op {
        Op::Put(put) => format!("put {}={}", text(&put.key), text(&put.value)),
        Op::DeleteRange(delete) => match delete.range_end.is_empty() {
            true => format!("del {}", text(&delete.key)),
            false => format!("del {}..{}", text(&delete.key), text(&delete.range_end)),
        },
        Op::Txn(_) => "txn".into(),
        Op::Compact(compact) => format!("compact {}", compact.revision),
        Op::Alarm(alarm) => format!("alarm {:?}", alarm.action).to_lowercase(),
    }
}

/// A command that puts one key, as if a client of this member's run had asked for it.
#[must_use]
pub fn put_command(raft: RaftId, nonce: u64, sequence: u64, put: PutRequest) -> Vec<u8> {
    Command { id: RequestId { raft, nonce, sequence }, op: Op::Put(put) }.encode()
}

/// A command that passes no check: a transaction inside of which nothing has a key.
#[must_use]
pub fn bad_command(raft: RaftId, nonce: u64, sequence: u64) -> Vec<u8> {
    let put = RequestOp::Put(PutRequest::default());
    let txn = TxnRequest { success: vec![put], ..TxnRequest::default() };
    Command { id: RequestId { raft, nonce, sequence }, op: Op::Txn(txn) }.encode()
}

/// A record of the log in a word or two.
#[must_use]
pub fn show_record(record: &Record, name: &dyn Fn(u64) -> String) -> String {
    match record {
        Record::Append { payload, .. } => {
            Entry::decode(payload.as_ref()).map_or("not an entry".into(), |e| show_entry(&e))
        }
        Record::Set { slot: slot::IDENTITY, .. } => "identity".into(),
        Record::Set { slot: slot::BOOTS, .. } => "run".into(),
        Record::Set { slot: slot::SIGHTINGS, .. } => "sighting".into(),
        Record::Set { slot: slot::STORED, value } => {
            match api::frame::decode_body::<Stored>(value.as_ref()) {
                Ok(Stored { generation, anchor: (index, term) }) => {
                    format!("store {generation} log after {index}@t{term}")
                }
                Err(_) => "not a store".into(),
            }
        }
        Record::Cut { index } => format!("cut {index}"),
        Record::Reset { index } => format!("reset {index}"),
        Record::Set { slot: slot::HARD_STATE, value } => match HardState::decode(value.as_ref()) {
            Ok(state) => {
                let vote = match state.vote {
                    0 => "nobody".into(),
                    id => name(id),
                };
                format!("term {} vote {vote} commit {}", state.term, state.commit)
            }
            Err(_) => "not a hard state".into(),
        },
        Record::Set { slot, .. } => format!("slot {slot}"),
    }
}

/// What a script may ask a node about itself.
impl Node {
    /// Ticks without a leader's word until it stands for election.
    #[must_use]
    pub fn election_timeout(&self) -> Option<usize> {
        self.raft.as_ref().map(crate::raft_node::RaftNode::election_timeout)
    }

    /// Where raft is on this member, once its cluster has formed.
    #[must_use]
    pub fn raft_view(&self) -> Option<RaftView> {
        let raft = self.raft.as_ref()?;
        Some(RaftView {
            id: self.me()?.1.0,
            term: raft.term(),
            leads: raft.is_leader(),
            alone: raft.voters().len() == 1,
            commit: raft.commit(),
            anchor: (raft.anchor().index, raft.anchor().term),
            last: raft.log().last(),
            changed: raft.log().take_changed(),
            applied: self.state.applied,
            revision: self.state.store.revision(),
        })
    }

    /// The term and the content of an entry of this member's log.
    #[must_use]
    pub fn entry(&self, index: u64) -> Option<(u64, &[u8])> {
        let entry = self.raft.as_ref()?.log().entry(index)?;
        Some((entry.term, &entry.data))
    }

    /// The hash of all that was in the store at a revision, or now for 0, if it is there.
    #[must_use]
    pub fn store_hash(&self, revision: i64) -> Option<mvcc::Hash> {
        self.state.store.hash(revision).ok()
    }
}

/// What a member's raft shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftView {
    /// Its raft id.
    pub id: u64,
    /// Its term.
    pub term: u64,
    /// It leads.
    pub leads: bool,
    /// It is the only voter, though there may be learners.
    pub alone: bool,
    /// It knows that entries are committed up to here.
    pub commit: u64,
    /// Index and term of the last entry that its log does not hold any more.
    pub anchor: (u64, u64),
    /// Its log ends here.
    pub last: u64,
    /// The lowest index of its log that changed since the last view.
    pub changed: u64,
    /// Its store holds the entries up to here.
    pub applied: u64,
    /// Its store's revision.
    pub revision: i64,
}

/// What an entry asks of the store: who asked (a run's nonce and its count), and for what.
#[must_use]
pub fn request_of(entry: &[u8]) -> Option<((u64, u64), Request)> {
    let command = Command::decode(entry).ok()?;
    let request = match command.op {
        Op::Put(put) => Request::Put(put),
        Op::DeleteRange(delete) => Request::DeleteRange(delete),
        Op::Txn(txn) => Request::Txn(txn),
        Op::Compact(compact) => Request::Compact(compact),
        Op::Alarm(alarm) => Request::Alarm(alarm),
    };
    Some(((command.id.nonce, command.id.sequence), request))
}
