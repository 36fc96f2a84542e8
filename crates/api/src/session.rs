//! The messages between a client and the member that serves it.
//!
//! ```text
//!  client                              member
//!    │ Request{id: 7, put}                │
//!    ├───────────────────────────────────►│   answers in any order, each by its id
//!    │ Watch(create, watch_id: 1)         │
//!    ├───────────────────────────────────►│
//!    │                 Response{id: 7, ok}│
//!    │◄───────────────────────────────────┤
//!    │                 Watch(created, 1)  │   watch ids belong to the session
//!    │◄───────────────────────────────────┤
//! ```
//!
//! A session ends with [`ClientMessage::End`], with its link, or with [`ServerMessage::Lost`].

use serde::{Deserialize, Serialize};

use crate::cluster::{MemberListRequest, MemberListResponse, StatusResponse};
use crate::error::Error;
use crate::kv::{
    CompactRequest, CompactResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, ResponseHeader, TxnRequest, TxnResponse,
};
use crate::maintenance::{AlarmRequest, AlarmResponse, HashKvRequest, HashKvResponse};
use crate::watch::{WatchRequest, WatchResponse};

/// Everything that has one answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Reads keys.
    Range(RangeRequest),
    /// Writes a key.
    Put(PutRequest),
    /// Deletes keys.
    DeleteRange(DeleteRangeRequest),
    /// Does several things at one revision.
    Txn(TxnRequest),
    /// Lists the members.
    MemberList(MemberListRequest),
    /// Shows the state of the member that answers.
    Status,
    /// Drops history.
    Compact(CompactRequest),
    /// Shows, raises or clears alarms.
    Alarm(AlarmRequest),
    /// Hashes the store of the member that answers.
    HashKv(HashKvRequest),
}

/// The answer to the [`Request`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// Keys.
    Range(RangeResponse),
    /// A key is written.
    Put(PutResponse),
    /// Keys are deleted.
    DeleteRange(DeleteRangeResponse),
    /// A transaction is done.
    Txn(TxnResponse),
    /// Members.
    MemberList(MemberListResponse),
    /// A member's state.
    Status(StatusResponse),
    /// History is dropped.
    Compact(CompactResponse),
    /// Alarms.
    Alarm(AlarmResponse),
    /// A hash.
    HashKv(HashKvResponse),
}

impl Response {
    /// Who answered, and when.
    #[must_use]
    pub fn header(&self) -> &ResponseHeader {
        match self {
            Self::Range(response) => &response.header,
            Self::Put(response) => &response.header,
            Self::DeleteRange(response) => &response.header,
            Self::Txn(response) => &response.header,
            Self::MemberList(response) => &response.header,
            Self::Status(response) => &response.header,
            Self::Compact(response) => &response.header,
            Self::Alarm(response) => &response.header,
            Self::HashKv(response) => &response.header,
        }
    }

    /// The same, to be filled in.
    pub fn header_mut(&mut self) -> &mut ResponseHeader {
        match self {
            Self::Range(response) => &mut response.header,
            Self::Put(response) => &mut response.header,
            Self::DeleteRange(response) => &mut response.header,
            Self::Txn(response) => &mut response.header,
            Self::MemberList(response) => &mut response.header,
            Self::Status(response) => &mut response.header,
            Self::Compact(response) => &mut response.header,
            Self::Alarm(response) => &mut response.header,
            Self::HashKv(response) => &mut response.header,
        }
    }
}

/// From client to member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// Something that has one answer.
    Request {
        /// The client's own number for it; the answer carries it.
        id: u64,
        /// What is asked.
        request: Request,
    },
    /// Something about watches.
    Watch(WatchRequest),
    /// The session is over; its watches end.
    End,
}

/// From member to client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// The answer to the request with this id.
    Response {
        /// The request's number.
        id: u64,
        /// Its answer.
        result: Result<Response, Error>,
    },
    /// Something about a watch.
    Watch(WatchResponse),
    /// The member behind this session is gone. What had no answer has an unknown fate.
    Lost(Error),
}
