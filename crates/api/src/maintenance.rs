//! Alarms and hashes, as etcd's Maintenance service shows them.

use serde::{Deserialize, Serialize};

use crate::kv::ResponseHeader;

/// What can be wrong with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlarmType {
    /// It has no room, or the quota is reached: writes that need room are refused everywhere.
    NoSpace,
    /// Its data differs from that of others: nothing is applied any more.
    Corrupt,
}

/// A member that something is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlarmMember {
    /// Its raft id.
    pub member_id: u64,
    /// What is wrong.
    pub alarm: AlarmType,
}

/// What to do about alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlarmAction {
    /// Show them.
    #[default]
    Get,
    /// Raise one.
    Activate,
    /// Clear one.
    Deactivate,
}

/// Shows, raises or clears alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmRequest {
    /// What to do.
    pub action: AlarmAction,
    /// The member that is meant; to show alarms, 0 is all of them.
    pub member_id: u64,
    /// The kind that is meant; none is all of them, to show alarms.
    pub alarm: Option<AlarmType>,
}

/// The answer to an [`AlarmRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmResponse {
    /// The standard header.
    pub header: ResponseHeader,
    /// What was shown, raised or cleared.
    pub alarms: Vec<AlarmMember>,
}

/// Asks the member that answers for the hash of its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashKvRequest {
    /// Up to this revision; 0 is the newest.
    pub revision: i64,
}

/// The answer to a [`HashKvRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashKvResponse {
    /// The standard header.
    pub header: ResponseHeader,
    /// CRC-32C of all rows, as etcd has it.
    pub hash: u32,
    /// The compact revision that it is made at.
    pub compact_revision: i64,
    /// The revision up to which it goes.
    pub hash_revision: i64,
}
