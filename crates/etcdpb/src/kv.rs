//! Keys and values: ranges, puts, deletions.

use api::kv;
use api::{Error, Result};

use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::range_request;
use crate::pb::mvccpb;

impl From<kv::KeyValue> for mvccpb::KeyValue {
    fn from(from: kv::KeyValue) -> Self {
        let kv::KeyValue { key, create_revision, mod_revision, version, value, lease } = from;
        Self { key, create_revision, mod_revision, version, value, lease }
    }
}

impl From<mvccpb::KeyValue> for kv::KeyValue {
    fn from(from: mvccpb::KeyValue) -> Self {
        let mvccpb::KeyValue { key, create_revision, mod_revision, version, value, lease } = from;
        Self { key, create_revision, mod_revision, version, value, lease }
    }
}

impl From<kv::ResponseHeader> for pb::ResponseHeader {
    fn from(from: kv::ResponseHeader) -> Self {
        let kv::ResponseHeader { cluster_id, member_id, revision, raft_term } = from;
        Self { cluster_id, member_id, revision, raft_term }
    }
}

impl From<pb::ResponseHeader> for kv::ResponseHeader {
    fn from(from: pb::ResponseHeader) -> Self {
        let pb::ResponseHeader { cluster_id, member_id, revision, raft_term } = from;
        Self { cluster_id, member_id, revision, raft_term }
    }
}

/// A header that is left out is one of zeros: protobuf does not tell them apart.
pub(crate) fn header(from: Option<pb::ResponseHeader>) -> kv::ResponseHeader {
    from.map(Into::into).unwrap_or_default()
}

pub(crate) fn convert_all<A: Into<B>, B>(from: Vec<A>) -> Vec<B> {
    from.into_iter().map(Into::into).collect()
}

impl From<kv::SortOrder> for range_request::SortOrder {
    fn from(from: kv::SortOrder) -> Self {
        match from {
            kv::SortOrder::None => Self::None,
            kv::SortOrder::Ascend => Self::Ascend,
            kv::SortOrder::Descend => Self::Descend,
        }
    }
}

impl From<range_request::SortOrder> for kv::SortOrder {
    fn from(from: range_request::SortOrder) -> Self {
        match from {
            range_request::SortOrder::None => Self::None,
            range_request::SortOrder::Ascend => Self::Ascend,
            range_request::SortOrder::Descend => Self::Descend,
        }
    }
}

impl From<kv::SortTarget> for range_request::SortTarget {
    fn from(from: kv::SortTarget) -> Self {
        match from {
            kv::SortTarget::Key => Self::Key,
            kv::SortTarget::Version => Self::Version,
            kv::SortTarget::Create => Self::Create,
            kv::SortTarget::Mod => Self::Mod,
            kv::SortTarget::Value => Self::Value,
        }
    }
}

impl From<range_request::SortTarget> for kv::SortTarget {
    fn from(from: range_request::SortTarget) -> Self {
        match from {
            range_request::SortTarget::Key => Self::Key,
            range_request::SortTarget::Version => Self::Version,
            range_request::SortTarget::Create => Self::Create,
            range_request::SortTarget::Mod => Self::Mod,
            range_request::SortTarget::Value => Self::Value,
        }
    }
}

impl From<kv::RangeRequest> for pb::RangeRequest {
    fn from(from: kv::RangeRequest) -> Self {
        let kv::RangeRequest {
            key,
            range_end,
            limit,
            revision,
            sort_order,
            sort_target,
            serializable,
            keys_only,
            count_only,
            min_mod_revision,
            max_mod_revision,
            min_create_revision,
            max_create_revision,
        } = from;
        Self {
            key,
            range_end,
            limit,
            revision,
            sort_order: range_request::SortOrder::from(sort_order).into(),
            sort_target: range_request::SortTarget::from(sort_target).into(),
            serializable,
            keys_only,
            count_only,
            min_mod_revision,
            max_mod_revision,
            min_create_revision,
            max_create_revision,
        }
    }
}

impl TryFrom<pb::RangeRequest> for kv::RangeRequest {
    type Error = Error;

    fn try_from(from: pb::RangeRequest) -> Result<Self> {
        let pb::RangeRequest {
            key,
            range_end,
            limit,
            revision,
            sort_order,
            sort_target,
            serializable,
            keys_only,
            count_only,
            min_mod_revision,
            max_mod_revision,
            min_create_revision,
            max_create_revision,
        } = from;
        // etcd looks at the key before it looks at the order.
        let wrong = if key.is_empty() { Error::EmptyKey } else { Error::InvalidSortOption };
        let Ok(sort_order) = range_request::SortOrder::try_from(sort_order) else {
            return Err(wrong);
        };
        let Ok(sort_target) = range_request::SortTarget::try_from(sort_target) else {
            return Err(wrong);
        };
        Ok(Self {
            key,
            range_end,
            limit,
            revision,
            sort_order: sort_order.into(),
            sort_target: sort_target.into(),
            serializable,
            keys_only,
            count_only,
            min_mod_revision,
            max_mod_revision,
            min_create_revision,
            max_create_revision,
        })
    }
}

impl From<kv::RangeResponse> for pb::RangeResponse {
    fn from(from: kv::RangeResponse) -> Self {
        let kv::RangeResponse { header, kvs, more, count } = from;
        Self { header: Some(header.into()), kvs: convert_all(kvs), more, count }
    }
}

impl From<pb::RangeResponse> for kv::RangeResponse {
    fn from(from: pb::RangeResponse) -> Self {
        let pb::RangeResponse { header: head, kvs, more, count } = from;
        Self { header: header(head), kvs: convert_all(kvs), more, count }
    }
}

impl From<kv::PutRequest> for pb::PutRequest {
    fn from(from: kv::PutRequest) -> Self {
        let kv::PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease } = from;
        Self { key, value, lease, prev_kv, ignore_value, ignore_lease }
    }
}

impl From<pb::PutRequest> for kv::PutRequest {
    fn from(from: pb::PutRequest) -> Self {
        let pb::PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease } = from;
        Self { key, value, lease, prev_kv, ignore_value, ignore_lease }
    }
}

impl From<kv::PutResponse> for pb::PutResponse {
    fn from(from: kv::PutResponse) -> Self {
        let kv::PutResponse { header, prev_kv } = from;
        Self { header: Some(header.into()), prev_kv: prev_kv.map(Into::into) }
    }
}

impl From<pb::PutResponse> for kv::PutResponse {
    fn from(from: pb::PutResponse) -> Self {
        let pb::PutResponse { header: head, prev_kv } = from;
        Self { header: header(head), prev_kv: prev_kv.map(Into::into) }
    }
}

impl From<kv::DeleteRangeRequest> for pb::DeleteRangeRequest {
    fn from(from: kv::DeleteRangeRequest) -> Self {
        let kv::DeleteRangeRequest { key, range_end, prev_kv } = from;
        Self { key, range_end, prev_kv }
    }
}

impl From<pb::DeleteRangeRequest> for kv::DeleteRangeRequest {
    fn from(from: pb::DeleteRangeRequest) -> Self {
        let pb::DeleteRangeRequest { key, range_end, prev_kv } = from;
        Self { key, range_end, prev_kv }
    }
}

impl From<kv::DeleteRangeResponse> for pb::DeleteRangeResponse {
    fn from(from: kv::DeleteRangeResponse) -> Self {
        let kv::DeleteRangeResponse { header, deleted, prev_kvs } = from;
        Self { header: Some(header.into()), deleted, prev_kvs: convert_all(prev_kvs) }
    }
}

impl From<pb::DeleteRangeResponse> for kv::DeleteRangeResponse {
    fn from(from: pb::DeleteRangeResponse) -> Self {
        let pb::DeleteRangeResponse { header: head, deleted, prev_kvs } = from;
        Self { header: header(head), deleted, prev_kvs: convert_all(prev_kvs) }
    }
}

impl From<kv::CompactRequest> for pb::CompactionRequest {
    fn from(from: kv::CompactRequest) -> Self {
        let kv::CompactRequest { revision, physical } = from;
        Self { revision, physical }
    }
}

impl From<pb::CompactionRequest> for kv::CompactRequest {
    fn from(from: pb::CompactionRequest) -> Self {
        let pb::CompactionRequest { revision, physical } = from;
        Self { revision, physical }
    }
}

impl From<kv::CompactResponse> for pb::CompactionResponse {
    fn from(from: kv::CompactResponse) -> Self {
        let kv::CompactResponse { header } = from;
        Self { header: Some(header.into()) }
    }
}

impl From<pb::CompactionResponse> for kv::CompactResponse {
    fn from(from: pb::CompactionResponse) -> Self {
        let pb::CompactionResponse { header: head } = from;
        Self { header: header(head) }
    }
}
