//! The one place where the store changes: a committed entry, the same on every member.

use api::kv::ResponseHeader;
use api::session::Response;
use api::{Error, Result};
use mvcc::Store;

use crate::command::Op;

/// Applies a command. What it refuses, every member refuses alike.
pub(crate) fn apply(store: &mut Store, op: &Op) -> Result<Response> {
    match op {
        Op::Put(request) => store.put(request).map(Response::Put),
        Op::DeleteRange(request) => store.delete_range(request).map(Response::DeleteRange),
        Op::Txn(request) => store.txn(request).map(Response::Txn),
    }
}

/// Who answers: the parts of a header that the store does not know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    pub(crate) cluster: u64,
    pub(crate) member: u64,
    pub(crate) term: u64,
}

impl Signature {
    /// Fills a header, its revision apart.
    pub(crate) fn sign(&self, header: &mut ResponseHeader) {
        header.cluster_id = self.cluster;
        header.member_id = self.member;
        header.raft_term = self.term;
    }

    /// Fills an answer's header. Those of operations inside of a transaction stay as they are:
    /// etcd fills only their revision.
    pub(crate) fn sign_result(&self, mut result: Result<Response>) -> Result<Response, Error> {
        if let Ok(response) = &mut result {
            self.sign(match response {
                Response::Range(response) => &mut response.header,
                Response::Put(response) => &mut response.header,
                Response::DeleteRange(response) => &mut response.header,
                Response::Txn(response) => &mut response.header,
                Response::MemberList(response) => &mut response.header,
                Response::Status(response) => &mut response.header,
            });
        }
        result
    }
}
