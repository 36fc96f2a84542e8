//! Members and their state, as etcd's Cluster and Maintenance services show them.

use serde::{Deserialize, Serialize};

use crate::kv::ResponseHeader;

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its raft id.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
    /// It has no vote.
    pub is_learner: bool,
}

/// Asks for the members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberListRequest {
    /// Through the leader; otherwise what this member knows.
    pub linearizable: bool,
}

/// The members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberListResponse {
    /// Revision 0, as in etcd.
    pub header: ResponseHeader,
    /// All, by id.
    pub members: Vec<Member>,
}

/// The state of the member that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusResponse {
    /// The standard header.
    pub header: ResponseHeader,
    /// The etcd version whose behaviour this is.
    pub version: String,
    /// Bytes that the store takes.
    pub db_size: i64,
    /// The leader's raft id, or 0.
    pub leader: u64,
    /// Last index of the raft log that is committed.
    pub raft_index: u64,
    /// Raft term.
    pub raft_term: u64,
    /// Last index that is applied.
    pub raft_applied_index: u64,
    /// What is wrong, in words.
    pub errors: Vec<String>,
    /// Bytes of the store that are in use.
    pub db_size_in_use: i64,
    /// What it may take at most; 0 is no limit.
    pub db_size_quota: i64,
    /// It has no vote.
    pub is_learner: bool,
}
