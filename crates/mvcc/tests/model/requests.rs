//! Random requests over a handful of keys, so that they meet.

use api::Bytes;
use api::kv::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp,
    SortOrder, SortTarget, TxnRequest,
};
use proptest::prelude::*;

pub(crate) fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "aa", "b", "ba", "c", "d"]).prop_map(Bytes::from_static_str)
}

trait FromStr {
    fn from_static_str(text: &'static str) -> Bytes;
}

impl FromStr for Bytes {
    fn from_static_str(text: &'static str) -> Bytes {
        Self::from_static(text.as_bytes())
    }
}

pub(crate) fn range_end() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        3 => Just(Bytes::new()),
        1 => Just(Bytes::from_static(b"\0")),
        2 => key(),
        1 => Just(Bytes::from_static(b"z")),
    ]
}

fn value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["", "1", "2", "3"]).prop_map(Bytes::from_static_str)
}

pub(crate) fn put() -> impl Strategy<Value = PutRequest> {
    let lease = prop_oneof![20 => Just(0), 1 => Just(7)];
    (key(), value(), lease, any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2))
        .prop_map(|(key, value, lease, prev_kv, ignore_value, ignore_lease)| PutRequest {
            key,
            value: if ignore_value { Bytes::new() } else { value },
            lease: if ignore_lease { 0 } else { lease },
            prev_kv,
            ignore_value,
            ignore_lease,
        })
}

pub(crate) fn delete_range() -> impl Strategy<Value = DeleteRangeRequest> {
    (key(), range_end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    })
}

/// Mostly absent; else around the revisions of a short history.
fn bound() -> impl Strategy<Value = i64> {
    prop_oneof![6 => Just(0), 1 => 1..20_i64]
}

pub(crate) fn range() -> impl Strategy<Value = RangeRequest> {
    let revision = prop_oneof![3 => Just(0), 1 => Just(-1), 6 => 1..25_i64];
    let order = prop::sample::select(vec![SortOrder::None, SortOrder::Ascend, SortOrder::Descend]);
    let target = prop::sample::select(vec![
        SortTarget::Key,
        SortTarget::Version,
        SortTarget::Create,
        SortTarget::Mod,
        SortTarget::Value,
    ]);
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    let bounds = (bound(), bound(), bound(), bound());
    ((key(), range_end()), -1..5_i64, revision, order, target, flags, bounds).prop_map(
        |((key, range_end), limit, revision, sort_order, sort_target, flags, bounds)| {
            RangeRequest {
                key,
                range_end,
                limit,
                revision,
                sort_order,
                sort_target,
                serializable: false,
                keys_only: flags.0,
                count_only: flags.1,
                min_mod_revision: bounds.0,
                max_mod_revision: bounds.1,
                min_create_revision: bounds.2,
                max_create_revision: bounds.3,
            }
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    let result = prop::sample::select(vec![
        CompareResult::Equal,
        CompareResult::NotEqual,
        CompareResult::Greater,
        CompareResult::Less,
    ]);
    let target = prop_oneof![
        (0..4_i64).prop_map(CompareTarget::Version),
        (0..12_i64).prop_map(CompareTarget::Create),
        (0..12_i64).prop_map(CompareTarget::Mod),
        (0..2_i64).prop_map(CompareTarget::Lease),
        value().prop_map(CompareTarget::Value),
    ];
    (key(), range_end(), result, target).prop_map(|(key, range_end, result, target)| Compare {
        result,
        target,
        key,
        range_end,
    })
}

pub(crate) fn txn() -> impl Strategy<Value = TxnRequest> {
    let leaf = prop_oneof![
        2 => range().prop_map(RequestOp::Range),
        3 => put().prop_map(RequestOp::Put),
        2 => delete_range().prop_map(RequestOp::DeleteRange),
    ];
    let op = leaf.prop_recursive(2, 12, 3, |op| txn_of(op).prop_map(RequestOp::Txn));
    txn_of(op)
}

fn txn_of(op: impl Strategy<Value = RequestOp> + Clone) -> impl Strategy<Value = TxnRequest> {
    let ops = prop::collection::vec(op, 0..4);
    (prop::collection::vec(compare(), 0..2), ops.clone(), ops)
        .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure })
}
