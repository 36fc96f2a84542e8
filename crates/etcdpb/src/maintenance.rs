//! Alarms and hashes.

use api::{Error, Result, maintenance};

use crate::kv::{convert_all, header};
use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::alarm_request;

impl From<maintenance::AlarmType> for pb::AlarmType {
    fn from(from: maintenance::AlarmType) -> Self {
        match from {
            maintenance::AlarmType::NoSpace => Self::Nospace,
            maintenance::AlarmType::Corrupt => Self::Corrupt,
        }
    }
}

/// A kind of alarm; none is `NONE`.
fn alarm_type(from: i32) -> Result<Option<maintenance::AlarmType>> {
    match pb::AlarmType::try_from(from) {
        Ok(pb::AlarmType::None) => Ok(None),
        Ok(pb::AlarmType::Nospace) => Ok(Some(maintenance::AlarmType::NoSpace)),
        Ok(pb::AlarmType::Corrupt) => Ok(Some(maintenance::AlarmType::Corrupt)),
        Err(_) => Err(Error::Invalid(format!("there is no alarm of kind {from}"))),
    }
}

impl From<maintenance::AlarmMember> for pb::AlarmMember {
    fn from(from: maintenance::AlarmMember) -> Self {
        let maintenance::AlarmMember { member_id, alarm } = from;
        Self { member_id, alarm: pb::AlarmType::from(alarm).into() }
    }
}

impl TryFrom<pb::AlarmMember> for maintenance::AlarmMember {
    type Error = Error;

    fn try_from(from: pb::AlarmMember) -> Result<Self> {
        let pb::AlarmMember { member_id, alarm } = from;
        let alarm = alarm_type(alarm)?.ok_or_else(|| Error::Invalid("no alarm".into()))?;
        Ok(Self { member_id, alarm })
    }
}

impl From<maintenance::AlarmRequest> for pb::AlarmRequest {
    fn from(from: maintenance::AlarmRequest) -> Self {
        let maintenance::AlarmRequest { action, member_id, alarm } = from;
        let action = match action {
            maintenance::AlarmAction::Get => alarm_request::AlarmAction::Get,
            maintenance::AlarmAction::Activate => alarm_request::AlarmAction::Activate,
            maintenance::AlarmAction::Deactivate => alarm_request::AlarmAction::Deactivate,
        };
        let alarm = alarm.map_or(pb::AlarmType::None, Into::into);
        Self { action: action.into(), member_id, alarm: alarm.into() }
    }
}

impl TryFrom<pb::AlarmRequest> for maintenance::AlarmRequest {
    type Error = Error;

    fn try_from(from: pb::AlarmRequest) -> Result<Self> {
        let pb::AlarmRequest { action, member_id, alarm } = from;
        let action = match alarm_request::AlarmAction::try_from(action) {
            Ok(alarm_request::AlarmAction::Get) => maintenance::AlarmAction::Get,
            Ok(alarm_request::AlarmAction::Activate) => maintenance::AlarmAction::Activate,
            Ok(alarm_request::AlarmAction::Deactivate) => maintenance::AlarmAction::Deactivate,
            Err(_) => return Err(Error::Invalid(format!("nothing does {action} to alarms"))),
        };
        Ok(Self { action, member_id, alarm: alarm_type(alarm)? })
    }
}

impl From<maintenance::AlarmResponse> for pb::AlarmResponse {
    fn from(from: maintenance::AlarmResponse) -> Self {
        let maintenance::AlarmResponse { header, alarms } = from;
        Self { header: Some(header.into()), alarms: convert_all(alarms) }
    }
}

impl TryFrom<pb::AlarmResponse> for maintenance::AlarmResponse {
    type Error = Error;

    fn try_from(from: pb::AlarmResponse) -> Result<Self> {
        let pb::AlarmResponse { header: head, alarms } = from;
        let alarms = alarms.into_iter().map(TryInto::try_into).collect::<Result<_>>()?;
        Ok(Self { header: header(head), alarms })
    }
}

impl From<maintenance::HashKvRequest> for pb::HashKvRequest {
    fn from(from: maintenance::HashKvRequest) -> Self {
        let maintenance::HashKvRequest { revision } = from;
        Self { revision }
    }
}

impl From<pb::HashKvRequest> for maintenance::HashKvRequest {
    fn from(from: pb::HashKvRequest) -> Self {
        let pb::HashKvRequest { revision } = from;
        Self { revision }
    }
}

impl From<maintenance::HashKvResponse> for pb::HashKvResponse {
    fn from(from: maintenance::HashKvResponse) -> Self {
        let maintenance::HashKvResponse { header, hash, compact_revision, hash_revision } = from;
        Self { header: Some(header.into()), hash, compact_revision, hash_revision }
    }
}

impl From<pb::HashKvResponse> for maintenance::HashKvResponse {
    fn from(from: pb::HashKvResponse) -> Self {
        let pb::HashKvResponse { header: head, hash, compact_revision, hash_revision } = from;
        Self { header: header(head), hash, compact_revision, hash_revision }
    }
}
