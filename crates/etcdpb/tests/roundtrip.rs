//! What goes to protobuf's bytes and back is the same, whatever it holds.

use api::{Bytes, Error, cluster, kv, maintenance, watch};
use kvorum_etcdpb::pb::etcdserverpb as pb;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

/// To protobuf, to bytes, and all the way back.
fn there_and_back<A, P>(value: &A) -> A
where
    A: Clone + TryFrom<P>,
    <A as TryFrom<P>>::Error: std::fmt::Debug,
    P: Message + Default + From<A>,
{
    let bytes = P::from(value.clone()).encode_to_vec();
    let read = P::decode(Bytes::from(bytes)).expect("what prost wrote, prost reads");
    A::try_from(read).expect("what api says, protobuf can say")
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..6).prop_map(Bytes::from)
}

prop_compose! {
    fn header()(cluster_id: u64, member_id: u64, revision: i64, raft_term: u64)
        -> kv::ResponseHeader
    {
        kv::ResponseHeader { cluster_id, member_id, revision, raft_term }
    }
}

prop_compose! {
    fn pair()(key in bytes(), value in bytes(), create_revision: i64, mod_revision: i64,
        version: i64, lease: i64) -> kv::KeyValue
    {
        kv::KeyValue { key, create_revision, mod_revision, version, value, lease }
    }
}

fn sort_order() -> impl Strategy<Value = kv::SortOrder> {
    prop_oneof![
        Just(kv::SortOrder::None),
        Just(kv::SortOrder::Ascend),
        Just(kv::SortOrder::Descend)
    ]
}

fn sort_target() -> impl Strategy<Value = kv::SortTarget> {
    prop_oneof![
        Just(kv::SortTarget::Key),
        Just(kv::SortTarget::Version),
        Just(kv::SortTarget::Create),
        Just(kv::SortTarget::Mod),
        Just(kv::SortTarget::Value)
    ]
}

prop_compose! {
    fn range()(key in bytes(), range_end in bytes(), numbers: [i64; 6], flags: [bool; 3],
        sort_order in sort_order(), sort_target in sort_target()) -> kv::RangeRequest
    {
        let [limit, revision, min_mod_revision, max_mod_revision, min_create_revision,
            max_create_revision] = numbers;
        let [serializable, keys_only, count_only] = flags;
        kv::RangeRequest { key, range_end, limit, revision, sort_order, sort_target,
            serializable, keys_only, count_only, min_mod_revision, max_mod_revision,
            min_create_revision, max_create_revision }
    }
}

prop_compose! {
    fn put()(key in bytes(), value in bytes(), lease: i64, flags: [bool; 3]) -> kv::PutRequest {
        let [prev_kv, ignore_value, ignore_lease] = flags;
        kv::PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease }
    }
}

prop_compose! {
    fn delete()(key in bytes(), range_end in bytes(), prev_kv: bool) -> kv::DeleteRangeRequest {
        kv::DeleteRangeRequest { key, range_end, prev_kv }
    }
}

fn compare() -> impl Strategy<Value = kv::Compare> {
    let result = prop_oneof![
        Just(kv::CompareResult::Equal),
        Just(kv::CompareResult::Greater),
        Just(kv::CompareResult::Less),
        Just(kv::CompareResult::NotEqual)
    ];
    let target = prop_oneof![
        any::<i64>().prop_map(kv::CompareTarget::Version),
        any::<i64>().prop_map(kv::CompareTarget::Create),
        any::<i64>().prop_map(kv::CompareTarget::Mod),
        bytes().prop_map(kv::CompareTarget::Value),
        any::<i64>().prop_map(kv::CompareTarget::Lease)
    ];
    (result, target, bytes(), bytes()).prop_map(|(result, target, key, range_end)| kv::Compare {
        result,
        target,
        key,
        range_end,
    })
}

fn txn() -> impl Strategy<Value = kv::TxnRequest> {
    let op = prop_oneof![
        range().prop_map(kv::RequestOp::Range),
        put().prop_map(kv::RequestOp::Put),
        delete().prop_map(kv::RequestOp::DeleteRange)
    ];
    let flat = |op: BoxedStrategy<kv::RequestOp>| {
        (vec(compare(), 0..3), vec(op.clone(), 0..3), vec(op, 0..3))
            .prop_map(|(compare, success, failure)| kv::TxnRequest { compare, success, failure })
    };
    let nested = flat(op.boxed()).prop_recursive(3, 12, 3, move |inner| {
        flat(
            prop_oneof![put().prop_map(kv::RequestOp::Put), inner.prop_map(kv::RequestOp::Txn)]
                .boxed(),
        )
    });
    nested.boxed()
}

prop_compose! {
    fn range_response()(header in header(), kvs in vec(pair(), 0..3), more: bool, count: i64)
        -> kv::RangeResponse
    {
        kv::RangeResponse { header, kvs, more, count }
    }
}

prop_compose! {
    fn put_response()(header in header(), prev_kv in proptest::option::of(pair()))
        -> kv::PutResponse
    {
        kv::PutResponse { header, prev_kv }
    }
}

prop_compose! {
    fn delete_response()(header in header(), deleted: i64, prev_kvs in vec(pair(), 0..3))
        -> kv::DeleteRangeResponse
    {
        kv::DeleteRangeResponse { header, deleted, prev_kvs }
    }
}

fn txn_response() -> impl Strategy<Value = kv::TxnResponse> {
    let op = prop_oneof![
        range_response().prop_map(kv::ResponseOp::Range),
        put_response().prop_map(kv::ResponseOp::Put),
        delete_response().prop_map(kv::ResponseOp::DeleteRange)
    ];
    let of = |op: BoxedStrategy<kv::ResponseOp>| {
        (header(), any::<bool>(), vec(op, 0..3)).prop_map(|(header, succeeded, responses)| {
            kv::TxnResponse { header, succeeded, responses }
        })
    };
    of(op.boxed())
        .prop_recursive(2, 6, 3, move |inner| of(inner.prop_map(kv::ResponseOp::Txn).boxed()))
}

prop_compose! {
    fn create()(key in bytes(), range_end in bytes(), start_revision: i64, watch_id: i64,
        flags: [bool; 5]) -> watch::WatchCreateRequest
    {
        let [progress_notify, no_put, no_delete, prev_kv, fragment] = flags;
        watch::WatchCreateRequest { key, range_end, start_revision, progress_notify, no_put,
            no_delete, prev_kv, watch_id, fragment }
    }
}

fn watch_request() -> impl Strategy<Value = watch::WatchRequest> {
    prop_oneof![
        create().prop_map(watch::WatchRequest::Create),
        any::<i64>().prop_map(watch::WatchRequest::Cancel),
        Just(watch::WatchRequest::Progress)
    ]
}

fn event() -> impl Strategy<Value = watch::Event> {
    let kind = prop_oneof![Just(watch::EventType::Put), Just(watch::EventType::Delete)];
    (kind, pair(), proptest::option::of(pair())).prop_map(|(kind, kv, prev_kv)| watch::Event {
        kind,
        kv,
        prev_kv,
    })
}

prop_compose! {
    fn watch_response()(header in header(), watch_id: i64, flags: [bool; 3],
        compact_revision: i64, cancel_reason: String, events in vec(event(), 0..3))
        -> watch::WatchResponse
    {
        let [created, canceled, fragment] = flags;
        watch::WatchResponse { header, watch_id, created, canceled, compact_revision,
            cancel_reason, fragment, events }
    }
}

prop_compose! {
    fn members()(header in header(), members in vec(
        (any::<u64>(), any::<String>(), any::<Vec<String>>(), any::<Vec<String>>(), any::<bool>()),
        0..3)) -> cluster::MemberListResponse
    {
        let members = members.into_iter().map(|(id, name, peer_urls, client_urls, is_learner)| {
            cluster::Member { id, name, peer_urls, client_urls, is_learner }
        }).collect();
        cluster::MemberListResponse { header, members }
    }
}

prop_compose! {
    fn status()(header in header(), version: String, sizes: [i64; 3], numbers: [u64; 4],
        errors: Vec<String>, is_learner: bool) -> cluster::StatusResponse
    {
        let [db_size, db_size_in_use, db_size_quota] = sizes;
        let [leader, raft_index, raft_term, raft_applied_index] = numbers;
        cluster::StatusResponse { header, version, db_size, leader, raft_index, raft_term,
            raft_applied_index, errors, db_size_in_use, db_size_quota, is_learner }
    }
}

fn alarm_type() -> impl Strategy<Value = maintenance::AlarmType> {
    prop_oneof![Just(maintenance::AlarmType::NoSpace), Just(maintenance::AlarmType::Corrupt)]
}

fn alarm_request() -> impl Strategy<Value = maintenance::AlarmRequest> {
    let action = prop_oneof![
        Just(maintenance::AlarmAction::Get),
        Just(maintenance::AlarmAction::Activate),
        Just(maintenance::AlarmAction::Deactivate)
    ];
    (action, any::<u64>(), proptest::option::of(alarm_type())).prop_map(
        |(action, member_id, alarm)| maintenance::AlarmRequest { action, member_id, alarm },
    )
}

prop_compose! {
    fn alarms()(header in header(), alarms in vec((any::<u64>(), alarm_type()), 0..3))
        -> maintenance::AlarmResponse
    {
        let alarms = alarms.into_iter()
            .map(|(member_id, alarm)| maintenance::AlarmMember { member_id, alarm }).collect();
        maintenance::AlarmResponse { header, alarms }
    }
}

prop_compose! {
    fn hash()(header in header(), hash: u32, compact_revision: i64, hash_revision: i64)
        -> maintenance::HashKvResponse
    {
        maintenance::HashKvResponse { header, hash, compact_revision, hash_revision }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn requests(range in range(), put in put(), delete in delete(), txn in txn(),
        watch in watch_request(), linearizable: bool, alarm in alarm_request(), revision: i64)
    {
        prop_assert_eq!(there_and_back::<_, pb::RangeRequest>(&range), range);
        prop_assert_eq!(there_and_back::<_, pb::PutRequest>(&put), put);
        prop_assert_eq!(there_and_back::<_, pb::DeleteRangeRequest>(&delete), delete);
        prop_assert_eq!(there_and_back::<_, pb::TxnRequest>(&txn), txn);
        prop_assert_eq!(there_and_back::<_, pb::WatchRequest>(&watch), watch);
        let list = cluster::MemberListRequest { linearizable };
        prop_assert_eq!(there_and_back::<_, pb::MemberListRequest>(&list), list);
        let compact = kv::CompactRequest { revision, physical: linearizable };
        prop_assert_eq!(there_and_back::<_, pb::CompactionRequest>(&compact), compact);
        prop_assert_eq!(there_and_back::<_, pb::AlarmRequest>(&alarm), alarm);
        let hash = maintenance::HashKvRequest { revision };
        prop_assert_eq!(there_and_back::<_, pb::HashKvRequest>(&hash), hash);
    }

    #[test]
    fn responses(range in range_response(), put in put_response(), delete in delete_response(),
        txn in txn_response(), watch in watch_response(), members in members(),
        status in status(), alarms in alarms(), hash in hash())
    {
        prop_assert_eq!(there_and_back::<_, pb::RangeResponse>(&range), range);
        prop_assert_eq!(there_and_back::<_, pb::PutResponse>(&put), put);
        prop_assert_eq!(there_and_back::<_, pb::DeleteRangeResponse>(&delete), delete);
        prop_assert_eq!(there_and_back::<_, pb::TxnResponse>(&txn), txn);
        prop_assert_eq!(there_and_back::<_, pb::WatchResponse>(&watch), watch);
        prop_assert_eq!(there_and_back::<_, pb::MemberListResponse>(&members), members);
        prop_assert_eq!(there_and_back::<_, pb::StatusResponse>(&status), status);
        let compact = kv::CompactResponse { header: hash.header.clone() };
        prop_assert_eq!(there_and_back::<_, pb::CompactionResponse>(&compact), compact);
        prop_assert_eq!(there_and_back::<_, pb::AlarmResponse>(&alarms), alarms);
        prop_assert_eq!(there_and_back::<_, pb::HashKvResponse>(&hash), hash);
    }
}

#[test]
fn a_put_has_these_bytes() {
    let put = kv::PutRequest { key: "k".into(), value: "v".into(), ..Default::default() };
    let golden = [0x0a, 1, b'k', 0x12, 1, b'v'];
    assert_eq!(pb::PutRequest::from(put).encode_to_vec(), golden);
}

#[test]
fn what_api_cannot_hold_is_etcds_error() {
    let range = pb::RangeRequest { key: "k".into(), sort_order: 3, ..Default::default() };
    assert_eq!(kv::RangeRequest::try_from(range), Err(Error::InvalidSortOption));
    let range = pb::RangeRequest { key: "k".into(), sort_target: 5, ..Default::default() };
    assert_eq!(kv::RangeRequest::try_from(range.clone()), Err(Error::InvalidSortOption));
    let keyless = pb::RangeRequest { key: Bytes::new(), ..range };
    assert_eq!(kv::RangeRequest::try_from(keyless), Err(Error::EmptyKey));

    let txn = pb::TxnRequest { success: vec![pb::RequestOp::default()], ..Default::default() };
    assert_eq!(kv::TxnRequest::try_from(txn), Err(Error::KeyNotFound));
    let compare = pb::Compare { result: 4, ..Default::default() };
    assert!(matches!(kv::Compare::try_from(compare), Err(Error::Invalid(_))));
    assert!(watch::WatchRequest::try_from(pb::WatchRequest::default()).is_err());
    let alarm = pb::AlarmRequest { alarm: 3, ..Default::default() };
    assert!(maintenance::AlarmRequest::try_from(alarm).is_err());
    assert!(maintenance::AlarmMember::try_from(pb::AlarmMember::default()).is_err());
}

#[test]
fn the_target_of_a_compare_decides_what_is_compared() {
    let compare = pb::Compare {
        target: pb::compare::CompareTarget::Mod.into(),
        target_union: Some(pb::compare::TargetUnion::Version(7)),
        ..Default::default()
    };
    let read = kv::Compare::try_from(compare).expect("etcd takes it, too");
    assert_eq!(read.target, kv::CompareTarget::Mod(0));
}
