//! What a log entry holds: who asked, and what to do.

use api::frame::{decode_body, encode_body};
use api::identity::RaftId;
use api::kv::{CompactRequest, DeleteRangeRequest, PutRequest, TxnRequest};
use api::maintenance::AlarmRequest;
use serde::{Deserialize, Serialize};

/// Names one request for ever: no two runs share a nonce, and no run uses a sequence twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RequestId {
    /// The member that a client asked.
    pub(crate) raft: RaftId,
    /// The nonce of its run.
    pub(crate) nonce: u64,
    /// Counts the requests of this run.
    pub(crate) sequence: u64,
}

/// The payload of a log entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) id: RequestId,
    pub(crate) op: Op,
}

/// A change of the store. Variants are only ever added: old logs hold their numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Op {
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact(CompactRequest),
    Alarm(AlarmRequest),
}

impl Command {
    pub(crate) fn encode(&self) -> Vec<u8> {
        encode_body(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, api::frame::FrameError> {
        decode_body(bytes)
    }
}
