//! Transactions.

use api::kv;
use api::{Error, Result};

use crate::incomplete;
use crate::kv::{convert_all, header};
use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::{compare, request_op, response_op};

impl From<kv::RequestOp> for pb::RequestOp {
    fn from(from: kv::RequestOp) -> Self {
        use request_op::Request;
        let request = match from {
            kv::RequestOp::Range(op) => Request::RequestRange(op.into()),
            kv::RequestOp::Put(op) => Request::RequestPut(op.into()),
            kv::RequestOp::DeleteRange(op) => Request::RequestDeleteRange(op.into()),
            kv::RequestOp::Txn(op) => Request::RequestTxn(op.into()),
        };
        Self { request: Some(request) }
    }
}

impl TryFrom<pb::RequestOp> for kv::RequestOp {
    type Error = Error;

    fn try_from(from: pb::RequestOp) -> Result<Self> {
        use request_op::Request;
        let pb::RequestOp { request } = from;
        Ok(match request {
            Some(Request::RequestRange(op)) => Self::Range(op.try_into()?),
            Some(Request::RequestPut(op)) => Self::Put(op.into()),
            Some(Request::RequestDeleteRange(op)) => Self::DeleteRange(op.into()),
            Some(Request::RequestTxn(op)) => Self::Txn(op.try_into()?),
            // What etcd says to an operation that is none.
            None => return Err(Error::KeyNotFound),
        })
    }
}

impl From<kv::ResponseOp> for pb::ResponseOp {
    fn from(from: kv::ResponseOp) -> Self {
        use response_op::Response;
        let response = match from {
            kv::ResponseOp::Range(op) => Response::ResponseRange(op.into()),
            kv::ResponseOp::Put(op) => Response::ResponsePut(op.into()),
            kv::ResponseOp::DeleteRange(op) => Response::ResponseDeleteRange(op.into()),
            kv::ResponseOp::Txn(op) => Response::ResponseTxn(op.into()),
        };
        Self { response: Some(response) }
    }
}

impl TryFrom<pb::ResponseOp> for kv::ResponseOp {
    type Error = Error;

    fn try_from(from: pb::ResponseOp) -> Result<Self> {
        use response_op::Response;
        let pb::ResponseOp { response } = from;
        Ok(match response.ok_or_else(|| incomplete("answer"))? {
            Response::ResponseRange(op) => Self::Range(op.into()),
            Response::ResponsePut(op) => Self::Put(op.into()),
            Response::ResponseDeleteRange(op) => Self::DeleteRange(op.into()),
            Response::ResponseTxn(op) => Self::Txn(op.try_into()?),
        })
    }
}

impl From<kv::CompareResult> for compare::CompareResult {
    fn from(from: kv::CompareResult) -> Self {
        match from {
            kv::CompareResult::Equal => Self::Equal,
            kv::CompareResult::Greater => Self::Greater,
            kv::CompareResult::Less => Self::Less,
            kv::CompareResult::NotEqual => Self::NotEqual,
        }
    }
}

impl From<compare::CompareResult> for kv::CompareResult {
    fn from(from: compare::CompareResult) -> Self {
        match from {
            compare::CompareResult::Equal => Self::Equal,
            compare::CompareResult::Greater => Self::Greater,
            compare::CompareResult::Less => Self::Less,
            compare::CompareResult::NotEqual => Self::NotEqual,
        }
    }
}

impl From<kv::Compare> for pb::Compare {
    fn from(from: kv::Compare) -> Self {
        use compare::{CompareTarget, TargetUnion};
        let kv::Compare { result, target, key, range_end } = from;
        let (target, union) = match target {
            kv::CompareTarget::Version(v) => (CompareTarget::Version, TargetUnion::Version(v)),
            kv::CompareTarget::Create(v) => (CompareTarget::Create, TargetUnion::CreateRevision(v)),
            kv::CompareTarget::Mod(v) => (CompareTarget::Mod, TargetUnion::ModRevision(v)),
            kv::CompareTarget::Value(v) => (CompareTarget::Value, TargetUnion::Value(v)),
            kv::CompareTarget::Lease(v) => (CompareTarget::Lease, TargetUnion::Lease(v)),
        };
        Self {
            result: compare::CompareResult::from(result).into(),
            target: target.into(),
            key,
            target_union: Some(union),
            range_end,
        }
    }
}

impl TryFrom<pb::Compare> for kv::Compare {
    type Error = Error;

    fn try_from(from: pb::Compare) -> Result<Self> {
        let pb::Compare { result, target, key, target_union, range_end } = from;
        let result = compare::CompareResult::try_from(result)
            .map_err(|_| Error::Invalid(format!("unknown compare result {result}")))?;
        let target = compare::CompareTarget::try_from(target)
            .map_err(|_| Error::Invalid(format!("unknown compare target {target}")))?;
        let target = compare_target(target, target_union);
        Ok(Self { result: result.into(), target, key, range_end })
    }
}

/// `target` decides what is compared. As in etcd, a value of another kind, or none, counts as
/// zero.
fn compare_target(
    target: compare::CompareTarget,
    union: Option<compare::TargetUnion>,
) -> kv::CompareTarget {
    use compare::{CompareTarget, TargetUnion};
    match (target, union) {
        (CompareTarget::Version, Some(TargetUnion::Version(v))) => kv::CompareTarget::Version(v),
        (CompareTarget::Version, _) => kv::CompareTarget::Version(0),
        (CompareTarget::Create, Some(TargetUnion::CreateRevision(v))) => {
            kv::CompareTarget::Create(v)
        }
        (CompareTarget::Create, _) => kv::CompareTarget::Create(0),
        (CompareTarget::Mod, Some(TargetUnion::ModRevision(v))) => kv::CompareTarget::Mod(v),
        (CompareTarget::Mod, _) => kv::CompareTarget::Mod(0),
        (CompareTarget::Value, Some(TargetUnion::Value(v))) => kv::CompareTarget::Value(v),
        (CompareTarget::Value, _) => kv::CompareTarget::Value(api::Bytes::new()),
        (CompareTarget::Lease, Some(TargetUnion::Lease(v))) => kv::CompareTarget::Lease(v),
        (CompareTarget::Lease, _) => kv::CompareTarget::Lease(0),
    }
}

impl From<kv::TxnRequest> for pb::TxnRequest {
    fn from(from: kv::TxnRequest) -> Self {
        let kv::TxnRequest { compare, success, failure } = from;
        Self {
            compare: convert_all(compare),
            success: convert_all(success),
            failure: convert_all(failure),
        }
    }
}

impl TryFrom<pb::TxnRequest> for kv::TxnRequest {
    type Error = Error;

    fn try_from(from: pb::TxnRequest) -> Result<Self> {
        let pb::TxnRequest { compare, success, failure } = from;
        Ok(Self {
            compare: try_convert_all(compare)?,
            success: try_convert_all(success)?,
            failure: try_convert_all(failure)?,
        })
    }
}

impl From<kv::TxnResponse> for pb::TxnResponse {
    fn from(from: kv::TxnResponse) -> Self {
        let kv::TxnResponse { header, succeeded, responses } = from;
        Self { header: Some(header.into()), succeeded, responses: convert_all(responses) }
    }
}

impl TryFrom<pb::TxnResponse> for kv::TxnResponse {
    type Error = Error;

    fn try_from(from: pb::TxnResponse) -> Result<Self> {
        let pb::TxnResponse { header: head, succeeded, responses } = from;
        Ok(Self { header: header(head), succeeded, responses: try_convert_all(responses)? })
    }
}

fn try_convert_all<A, B: TryFrom<A>>(from: Vec<A>) -> std::result::Result<Vec<B>, B::Error> {
    from.into_iter().map(B::try_from).collect()
}
