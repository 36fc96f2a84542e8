//! Keys, values and transactions. Field meanings are etcd's (`etcdserverpb`, `mvccpb`).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One version of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key, never empty.
    pub key: Bytes,
    /// Revision at which this life of the key began.
    pub create_revision: i64,
    /// Revision of this version. Invariant: `create_revision <= mod_revision`.
    pub mod_revision: i64,
    /// Counts the versions of this life, from 1. A deletion has 0.
    pub version: i64,
    /// The value.
    pub value: Bytes,
    /// The lease that holds the key, or 0.
    pub lease: i64,
}

/// What every answer carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHeader {
    /// The cluster that answered.
    pub cluster_id: u64,
    /// The member that answered.
    pub member_id: u64,
    /// The store's revision when the request was applied.
    pub revision: i64,
    /// The raft term of the member that answered.
    pub raft_term: u64,
}

/// The order of a range's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortOrder {
    /// By key, ascending; with another target than the key: ascending by it.
    #[default]
    None,
    /// Smallest first.
    Ascend,
    /// Largest first.
    Descend,
}

/// What a range is ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortTarget {
    /// The key.
    #[default]
    Key,
    /// The number of versions.
    Version,
    /// The revision of creation.
    Create,
    /// The revision of the last change.
    Mod,
    /// The value.
    Value,
}

/// Reads the keys in `[key, range_end)`.
///
/// `range_end` empty means just `key`; the single byte `0` means every key from `key` on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRequest {
    /// First key.
    pub key: Bytes,
    /// First key that does not belong to the range any more.
    pub range_end: Bytes,
    /// Most pairs to answer; 0 is no limit.
    pub limit: i64,
    /// The revision to read at; 0 or less is the newest.
    pub revision: i64,
    /// Order of the pairs.
    pub sort_order: SortOrder,
    /// What to order by.
    pub sort_target: SortTarget,
    /// Answer from this member's own store, however old.
    pub serializable: bool,
    /// Leave the values out.
    pub keys_only: bool,
    /// Leave the pairs out.
    pub count_only: bool,
    /// Drop pairs changed before this revision; 0 is no bound. Counted all the same.
    pub min_mod_revision: i64,
    /// Drop pairs changed after this revision; 0 is no bound.
    pub max_mod_revision: i64,
    /// Drop pairs created before this revision; 0 is no bound.
    pub min_create_revision: i64,
    /// Drop pairs created after this revision; 0 is no bound.
    pub max_create_revision: i64,
}

/// The answer to a [`RangeRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeResponse {
    /// Its revision is the store's, also for a read of the past.
    pub header: ResponseHeader,
    /// The pairs.
    pub kvs: Vec<KeyValue>,
    /// True if `limit` cut the answer.
    pub more: bool,
    /// Keys in the range at that revision, before limit and bounds.
    pub count: i64,
}

/// Writes one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRequest {
    /// The key.
    pub key: Bytes,
    /// Its new value.
    pub value: Bytes,
    /// The lease to hold it; 0 detaches it from the one it has.
    pub lease: i64,
    /// Answer what was there before.
    pub prev_kv: bool,
    /// Keep the value that is there.
    pub ignore_value: bool,
    /// Keep the lease that is there.
    pub ignore_lease: bool,
}

/// The answer to a [`PutRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutResponse {
    /// Its revision is that of the put.
    pub header: ResponseHeader,
    /// What was there before, if asked for and there.
    pub prev_kv: Option<KeyValue>,
}

/// Deletes the keys in a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRangeRequest {
    /// First key.
    pub key: Bytes,
    /// As in [`RangeRequest`].
    pub range_end: Bytes,
    /// Answer what was deleted.
    pub prev_kv: bool,
}

/// The answer to a [`DeleteRangeRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRangeResponse {
    /// Its revision is that of the deletion, or the store's if nothing was deleted.
    pub header: ResponseHeader,
    /// How many keys went.
    pub deleted: i64,
    /// What they held, if asked for, in the order of keys.
    pub prev_kvs: Vec<KeyValue>,
}

/// Drops history before a revision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactRequest {
    /// The oldest revision that can still be read afterwards.
    pub revision: i64,
    /// Answer only when the member that is asked has really dropped it.
    pub physical: bool,
}

/// The answer to a [`CompactRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompactResponse {
    /// Its revision is the store's.
    pub header: ResponseHeader,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestOp {
    /// A read.
    Range(RangeRequest),
    /// A write.
    Put(PutRequest),
    /// A deletion.
    DeleteRange(DeleteRangeRequest),
    /// A transaction inside of the transaction.
    Txn(TxnRequest),
}

/// The answer to the [`RequestOp`] at the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResponseOp {
    /// Of a read.
    Range(RangeResponse),
    /// Of a write.
    Put(PutResponse),
    /// Of a deletion.
    DeleteRange(DeleteRangeResponse),
    /// Of a transaction inside; its header stays empty.
    Txn(TxnResponse),
}

/// How the two sides of a [`Compare`] must stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompareResult {
    /// The same.
    #[default]
    Equal,
    /// The key's side is larger.
    Greater,
    /// The key's side is smaller.
    Less,
    /// Not the same.
    NotEqual,
}

/// What a [`Compare`] looks at, and the value that it is held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CompareTarget {
    /// The number of versions; 0 for a key that is not there.
    Version(i64),
    /// The revision of creation; 0 for a key that is not there.
    Create(i64),
    /// The revision of the last change; 0 for a key that is not there.
    Mod(i64),
    /// The value. Never holds for a key that is not there.
    Value(Bytes),
    /// The lease; 0 for none.
    Lease(i64),
}

/// A guard of a transaction. Over a range it must hold for every key in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// How they must stand.
    pub result: CompareResult,
    /// What is compared.
    pub target: CompareTarget,
    /// The key.
    pub key: Bytes,
    /// As in [`RangeRequest`].
    pub range_end: Bytes,
}

/// If all guards hold, does `success`, else `failure`; one revision for all that it changes.
///
/// Nested no deeper than [`TXN_DEPTH`](crate::limits::TXN_DEPTH) when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TxnRequest {
    /// The guards.
    pub compare: Vec<Compare>,
    /// Done if all hold.
    pub success: Vec<RequestOp>,
    /// Done otherwise.
    pub failure: Vec<RequestOp>,
}

/// The answer to a [`TxnRequest`].
///
/// Nested no deeper than [`TXN_DEPTH`](crate::limits::TXN_DEPTH) when it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TxnResponse {
    /// Its revision is the store's after the transaction.
    pub header: ResponseHeader,
    /// True if all guards held.
    pub succeeded: bool,
    /// One answer for each operation that was done.
    pub responses: Vec<ResponseOp>,
}
