//! What is wrong with members, as all of them know it: a part of the replicated state.

use api::kv::{RequestOp, ResponseHeader, TxnRequest};
use api::maintenance::{AlarmAction, AlarmMember, AlarmRequest, AlarmResponse, AlarmType};
use api::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::command::Op;

/// All alarms that are raised, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Alarms(Vec<AlarmMember>);

impl Alarms {
    /// Shows, raises or clears.
    pub(crate) fn apply(&mut self, request: &AlarmRequest) -> AlarmResponse {
        let named = request.alarm.map(|alarm| AlarmMember { member_id: request.member_id, alarm });
        let alarms = match (request.action, named) {
            (AlarmAction::Get, _) => self.matching(request),
            (AlarmAction::Activate, Some(alarm)) => {
                if let Err(at) = self.0.binary_search(&alarm) {
                    self.0.insert(at, alarm);
                }
                vec![alarm]
            }
            (AlarmAction::Deactivate, Some(alarm)) => {
                self.0.extract_if(.., |raised| *raised == alarm).collect()
            }
            // etcd has a kind of alarm that is none, and does nothing with it.
            (AlarmAction::Activate | AlarmAction::Deactivate, None) => Vec::new(),
        };
        AlarmResponse { header: ResponseHeader::default(), alarms }
    }

    fn matching(&self, request: &AlarmRequest) -> Vec<AlarmMember> {
        let member =
            |alarm: &AlarmMember| request.member_id == 0 || request.member_id == alarm.member_id;
        let kind = |alarm: &AlarmMember| request.alarm.is_none_or(|kind| kind == alarm.alarm);
        self.0.iter().filter(|alarm| member(alarm) && kind(alarm)).copied().collect()
    }

    /// Whether an operation is refused while these are raised: the same on every member.
    pub(crate) fn check(&self, op: &Op) -> Result<()> {
        // What clears alarms must always work.
        if matches!(op, Op::Alarm(_)) {
            return Ok(());
        }
        if self.has(AlarmType::Corrupt) {
            return Err(Error::Corrupt);
        }
        match self.has(AlarmType::NoSpace) && needs_space(op) {
            true => Err(Error::NoSpace),
            false => Ok(()),
        }
    }

    /// Whether any member has this one.
    pub(crate) fn has(&self, alarm: AlarmType) -> bool {
        self.0.iter().any(|raised| raised.alarm == alarm)
    }

    /// Whether this one is raised.
    pub(crate) fn is_raised(&self, alarm: AlarmMember) -> bool {
        self.0.binary_search(&alarm).is_ok()
    }

    /// All, in etcd's words.
    pub(crate) fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|raised| {
            let name = match raised.alarm {
                AlarmType::NoSpace => "NOSPACE",
                AlarmType::Corrupt => "CORRUPT",
            };
            format!("memberID:{} alarm:{name} ", raised.member_id)
        })
    }
}

/// Whether an operation makes the store grow for good. A deletion does not: it makes room for a
/// compaction.
pub(crate) fn needs_space(op: &Op) -> bool {
    match op {
        Op::Put(_) => true,
        Op::Txn(txn) => puts(txn),
        Op::DeleteRange(_) | Op::Compact(_) | Op::Alarm(_) => false,
    }
}

fn puts(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match op {
        RequestOp::Put(_) => true,
        RequestOp::Txn(txn) => puts(txn),
        RequestOp::Range(_) | RequestOp::DeleteRange(_) => false,
    })
}
