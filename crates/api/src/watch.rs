//! Watches. Field meanings are etcd's (`etcdserverpb.Watch*`, `mvccpb.Event`).

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::kv::{KeyValue, ResponseHeader};

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventType {
    /// It was written.
    Put,
    /// It was deleted; the event's pair holds only key and `mod_revision`.
    Delete,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// The pair after it.
    pub kv: KeyValue,
    /// The pair before it, if asked for, there, and not compacted.
    pub prev_kv: Option<KeyValue>,
}

/// What a client says on a watch stream. Watch ids belong to the session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchRequest {
    /// Starts a watch.
    Create(WatchCreateRequest),
    /// Ends one; an unknown id is ignored.
    Cancel(i64),
    /// Asks how far the session's watches are, all in one answer.
    Progress,
}

/// Starts a watch over `[key, range_end)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchCreateRequest {
    /// First key; empty is the byte 0.
    pub key: Bytes,
    /// As in [`RangeRequest`](crate::kv::RangeRequest).
    pub range_end: Bytes,
    /// First revision to see; 0 is the next one.
    pub start_revision: i64,
    /// Tell now and then how far the watch is when nothing happens.
    pub progress_notify: bool,
    /// Leave puts out.
    pub no_put: bool,
    /// Leave deletions out.
    pub no_delete: bool,
    /// Fill [`Event::prev_kv`].
    pub prev_kv: bool,
    /// The id to use; 0 takes the next free one, from 0 on.
    pub watch_id: i64,
    /// Split answers that are too large for one message.
    pub fragment: bool,
}

/// What a member says on a watch stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchResponse {
    /// Its revision is that of the last event, or the store's.
    pub header: ResponseHeader,
    /// The watch; -1 for one that could not be created and for progress of the whole session.
    pub watch_id: i64,
    /// The answer to a create.
    pub created: bool,
    /// The watch has ended.
    pub canceled: bool,
    /// Not 0: the watch ended because this revision and older ones are gone.
    pub compact_revision: i64,
    /// Why the watch ended.
    pub cancel_reason: String,
    /// More pieces of the same answer follow.
    pub fragment: bool,
    /// What happened, in order of revision. A revision is never split, except by `fragment`.
    pub events: Vec<Event>,
}
