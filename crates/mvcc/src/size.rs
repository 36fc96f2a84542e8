//! How large a request is, as etcd counts it: the bytes of its protobuf form. (etcd adds some
//! twenty bytes of its log entry; whoever comes that close to the limit is let through here.)

use api::kv::{
    Compare, CompareTarget, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, SortOrder,
    SortTarget, TxnRequest,
};
use api::session::Request;

use crate::encode::{bytes_len, int_len, nested_len};

/// A flag that is set: tag and value. One that is not set is left out.
const FLAG_BYTES: usize = 2;

/// Tag of a field above 15.
const LONG_TAG_BYTES: usize = 2;

/// The size that is held against [`REQUEST_BYTES`](api::limits::REQUEST_BYTES).
pub fn request_bytes(request: &Request) -> usize {
    match request {
        Request::Range(range) => range_bytes(range),
        Request::Put(put) => put_bytes(put),
        Request::DeleteRange(delete) => delete_range_bytes(delete),
        Request::Txn(txn) => txn_bytes(txn),
        // A few numbers at most.
        Request::MemberList(_)
        | Request::Status
        | Request::Compact(_)
        | Request::Alarm(_)
        | Request::HashKv(_) => 0,
    }
}

fn range_bytes(request: &RangeRequest) -> usize {
    let ints = [
        request.limit,
        request.revision,
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    let flags = [
        request.sort_order != SortOrder::None,
        request.sort_target != SortTarget::Key,
        request.serializable,
        request.keys_only,
        request.count_only,
    ];
    bytes_len(&request.key)
        + bytes_len(&request.range_end)
        + ints.into_iter().map(int_len).sum::<usize>()
        + flags_len(&flags)
}

fn put_bytes(request: &PutRequest) -> usize {
    bytes_len(&request.key)
        + bytes_len(&request.value)
        + int_len(request.lease)
        + flags_len(&[request.prev_kv, request.ignore_value, request.ignore_lease])
}

fn delete_range_bytes(request: &DeleteRangeRequest) -> usize {
    bytes_len(&request.key) + bytes_len(&request.range_end) + flags_len(&[request.prev_kv])
}

fn txn_bytes(request: &TxnRequest) -> usize {
    let compares = request.compare.iter().map(compare_bytes);
    let ops = request.success.iter().chain(&request.failure).map(op_bytes);
    compares.chain(ops).map(nested_len).sum()
}

fn op_bytes(op: &RequestOp) -> usize {
    nested_len(match op {
        RequestOp::Range(range) => range_bytes(range),
        RequestOp::Put(put) => put_bytes(put),
        RequestOp::DeleteRange(delete) => delete_range_bytes(delete),
        RequestOp::Txn(txn) => txn_bytes(txn),
    })
}

fn compare_bytes(compare: &Compare) -> usize {
    let result = usize::from(compare.result != api::kv::CompareResult::Equal) * FLAG_BYTES;
    // One of several: it is there even if it is zero. VERSION is target 0 and is left out.
    let (target, operand) = match &compare.target {
        CompareTarget::Version(0) => (0, FLAG_BYTES),
        CompareTarget::Create(0) | CompareTarget::Mod(0) | CompareTarget::Lease(0) => {
            (FLAG_BYTES, FLAG_BYTES)
        }
        CompareTarget::Version(int) => (0, int_len(*int)),
        CompareTarget::Create(int) | CompareTarget::Mod(int) | CompareTarget::Lease(int) => {
            (FLAG_BYTES, int_len(*int))
        }
        CompareTarget::Value(value) => (FLAG_BYTES, nested_len(value.len())),
    };
    let range_end = match bytes_len(&compare.range_end) {
        0 => 0,
        len => len - 1 + LONG_TAG_BYTES,
    };
    result + target + operand + bytes_len(&compare.key) + range_end
}

fn flags_len(flags: &[bool]) -> usize {
    flags.iter().filter(|set| **set).count() * FLAG_BYTES
}
