//! Watches.

use api::watch;
use api::{Error, Result};

use crate::incomplete;
use crate::kv::{convert_all, header};
use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::watch_create_request::FilterType;
use crate::pb::etcdserverpb::watch_request::RequestUnion;
use crate::pb::mvccpb;
use crate::pb::mvccpb::event::EventType;

impl From<watch::Event> for mvccpb::Event {
    fn from(from: watch::Event) -> Self {
        let watch::Event { kind, kv, prev_kv } = from;
        let kind = match kind {
            watch::EventType::Put => EventType::Put,
            watch::EventType::Delete => EventType::Delete,
        };
        Self { r#type: kind.into(), kv: Some(kv.into()), prev_kv: prev_kv.map(Into::into) }
    }
}

impl TryFrom<mvccpb::Event> for watch::Event {
    type Error = Error;

    fn try_from(from: mvccpb::Event) -> Result<Self> {
        let mvccpb::Event { r#type: kind, kv, prev_kv } = from;
        let kind = match EventType::try_from(kind) {
            Ok(EventType::Put) => watch::EventType::Put,
            Ok(EventType::Delete) => watch::EventType::Delete,
            Err(_) => return Err(Error::Invalid(format!("unknown event type {kind}"))),
        };
        let kv = kv.ok_or_else(|| incomplete("pair"))?.into();
        Ok(Self { kind, kv, prev_kv: prev_kv.map(Into::into) })
    }
}

impl From<watch::WatchRequest> for pb::WatchRequest {
    fn from(from: watch::WatchRequest) -> Self {
        let request = match from {
            watch::WatchRequest::Create(create) => RequestUnion::CreateRequest(create.into()),
            watch::WatchRequest::Cancel(watch_id) => {
                RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id })
            }
            watch::WatchRequest::Progress => {
                RequestUnion::ProgressRequest(pb::WatchProgressRequest {})
            }
        };
        Self { request_union: Some(request) }
    }
}

/// An error for a message that asks nothing; etcd ignores such a one.
impl TryFrom<pb::WatchRequest> for watch::WatchRequest {
    type Error = Error;

    fn try_from(from: pb::WatchRequest) -> Result<Self> {
        let pb::WatchRequest { request_union } = from;
        Ok(match request_union.ok_or_else(|| incomplete("request"))? {
            RequestUnion::CreateRequest(create) => Self::Create(create.into()),
            RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id }) => {
                Self::Cancel(watch_id)
            }
            RequestUnion::ProgressRequest(pb::WatchProgressRequest {}) => Self::Progress,
        })
    }
}

impl From<watch::WatchCreateRequest> for pb::WatchCreateRequest {
    fn from(from: watch::WatchCreateRequest) -> Self {
        let watch::WatchCreateRequest {
            key,
            range_end,
            start_revision,
            progress_notify,
            no_put,
            no_delete,
            prev_kv,
            watch_id,
            fragment,
        } = from;
        let mut filters = Vec::new();
        if no_put {
            filters.push(FilterType::Noput.into());
        }
        if no_delete {
            filters.push(FilterType::Nodelete.into());
        }
        Self {
            key,
            range_end,
            start_revision,
            progress_notify,
            filters,
            prev_kv,
            watch_id,
            fragment,
        }
    }
}

impl From<pb::WatchCreateRequest> for watch::WatchCreateRequest {
    fn from(from: pb::WatchCreateRequest) -> Self {
        let pb::WatchCreateRequest {
            key,
            range_end,
            start_revision,
            progress_notify,
            filters,
            prev_kv,
            watch_id,
            fragment,
        } = from;
        // As in etcd, a filter that does not exist filters nothing.
        let has = |filter: FilterType| filters.contains(&i32::from(filter));
        Self {
            no_put: has(FilterType::Noput),
            no_delete: has(FilterType::Nodelete),
            key,
            range_end,
            start_revision,
            progress_notify,
            prev_kv,
            watch_id,
            fragment,
        }
    }
}

impl From<watch::WatchResponse> for pb::WatchResponse {
    fn from(from: watch::WatchResponse) -> Self {
        let watch::WatchResponse {
            header,
            watch_id,
            created,
            canceled,
            compact_revision,
            cancel_reason,
            fragment,
            events,
        } = from;
        Self {
            header: Some(header.into()),
            watch_id,
            created,
            canceled,
            compact_revision,
            cancel_reason,
            fragment,
            events: convert_all(events),
        }
    }
}

impl TryFrom<pb::WatchResponse> for watch::WatchResponse {
    type Error = Error;

    fn try_from(from: pb::WatchResponse) -> Result<Self> {
        let pb::WatchResponse {
            header: head,
            watch_id,
            created,
            canceled,
            compact_revision,
            cancel_reason,
            fragment,
            events,
        } = from;
        Ok(Self {
            header: header(head),
            watch_id,
            created,
            canceled,
            compact_revision,
            cancel_reason,
            fragment,
            events: events.into_iter().map(TryInto::try_into).collect::<Result<_>>()?,
        })
    }
}
