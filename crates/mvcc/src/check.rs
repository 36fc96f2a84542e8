//! What can be refused without a store, before anything is proposed.
//!
//! (A sort order that does not exist cannot be said in these types: whoever decodes a request
//! refuses it with `InvalidSortOption`.)

use api::kv::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};
use api::session::Request;
use api::{Bytes, Error, Result, limits};

use crate::overlap;
pub use crate::size::request_bytes;

/// Everything there is to check: emptiness, flags that exclude each other, the limits of a
/// transaction, keys written twice in one, size.
pub fn request(request: &Request) -> Result<()> {
    match request {
        Request::Range(request) => range(request)?,
        Request::Put(request) => put(request)?,
        Request::DeleteRange(request) => delete_range(request)?,
        Request::Txn(request) => txn(request)?,
        Request::MemberList(_)
        | Request::Status
        | Request::Compact(_)
        | Request::Alarm(_)
        | Request::HashKv(_) => {}
    }
    if request_bytes(request) > limits::REQUEST_BYTES {
        return Err(Error::RequestTooLarge);
    }
    Ok(())
}

/// Checks a read.
pub fn range(request: &RangeRequest) -> Result<()> {
    key(&request.key)
}

/// Checks a write.
pub fn put(request: &PutRequest) -> Result<()> {
    key(&request.key)?;
    if request.ignore_value && !request.value.is_empty() {
        return Err(Error::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(Error::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion.
pub fn delete_range(request: &DeleteRangeRequest) -> Result<()> {
    key(&request.key)
}

/// Checks a transaction, nested ones included.
pub fn txn(request: &TxnRequest) -> Result<()> {
    txn_ops(request, limits::TXN_OPS)?;
    // Only now, as the number of operations is known to be bounded.
    overlap::check(&request.success)?;
    overlap::check(&request.failure)
}

/// True for a transaction of nothing but reads: it needs no log. One that nests another always
/// does.
pub fn is_read_only(request: &TxnRequest) -> bool {
    ops(request).all(|op| matches!(op, RequestOp::Range(_)))
}

/// True if a read-only transaction may be answered from any member's own store: all its reads
/// say so. One without operations counts as such.
pub fn is_serializable(request: &TxnRequest) -> bool {
    ops(request).all(|op| matches!(op, RequestOp::Range(range) if range.serializable))
}

fn ops(request: &TxnRequest) -> impl Iterator<Item = &RequestOp> {
    request.success.iter().chain(&request.failure)
}

fn key(key: &Bytes) -> Result<()> {
    if key.is_empty() { Err(Error::EmptyKey) } else { Ok(()) }
}

/// The longest of a transaction's three lists counts against `limit`; a nested one gets what
/// is left. This bounds the depth, too: to nest costs an operation.
fn txn_ops(request: &TxnRequest, limit: usize) -> Result<()> {
    let longest = request.compare.len().max(request.success.len()).max(request.failure.len());
    let left = limit.checked_sub(longest).ok_or(Error::TooManyOps)?;
    for compare in &request.compare {
        key(&compare.key)?;
    }
    for op in ops(request) {
        match op {
            RequestOp::Range(request) => range(request)?,
            RequestOp::Put(request) => put(request)?,
            RequestOp::DeleteRange(request) => delete_range(request)?,
            RequestOp::Txn(request) => txn_ops(request, left)?,
        }
    }
    Ok(())
}
