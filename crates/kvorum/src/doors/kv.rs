//! The KV service.

use api::session::{Request, Response};
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::to_status;
use tonic::Result;
use tonic::codegen::BoxStream;

use super::{Doors, mismatch, unimplemented};

#[tonic::async_trait]
impl pb::kv_server::Kv for Doors {
    async fn range(
        &self,
        request: tonic::Request<pb::RangeRequest>,
    ) -> Result<tonic::Response<pb::RangeResponse>> {
        let (metadata, _, message) = request.into_parts();
        let range = message.try_into().map_err(|error| to_status(&error))?;
        match self.call(&metadata, Request::Range(range)).await? {
            Response::Range(answer) => Ok(tonic::Response::new(answer.into())),
            _ => Err(mismatch()),
        }
    }

    type RangeStreamStream = BoxStream<pb::RangeStreamResponse>;

    async fn range_stream(
        &self,
        _: tonic::Request<pb::RangeRequest>,
    ) -> Result<tonic::Response<Self::RangeStreamStream>> {
        Err(unimplemented("etcdserverpb.KV/RangeStream"))
    }

    async fn put(
        &self,
        request: tonic::Request<pb::PutRequest>,
    ) -> Result<tonic::Response<pb::PutResponse>> {
        let (metadata, _, message) = request.into_parts();
        match self.call(&metadata, Request::Put(message.into())).await? {
            Response::Put(answer) => Ok(tonic::Response::new(answer.into())),
            _ => Err(mismatch()),
        }
    }

    async fn delete_range(
        &self,
        request: tonic::Request<pb::DeleteRangeRequest>,
    ) -> Result<tonic::Response<pb::DeleteRangeResponse>> {
        let (metadata, _, message) = request.into_parts();
        match self.call(&metadata, Request::DeleteRange(message.into())).await? {
            Response::DeleteRange(answer) => Ok(tonic::Response::new(answer.into())),
            _ => Err(mismatch()),
        }
    }

    async fn txn(
        &self,
        request: tonic::Request<pb::TxnRequest>,
    ) -> Result<tonic::Response<pb::TxnResponse>> {
        let (metadata, _, message) = request.into_parts();
        let txn = message.try_into().map_err(|error| to_status(&error))?;
        match self.call(&metadata, Request::Txn(txn)).await? {
            Response::Txn(answer) => Ok(tonic::Response::new(answer.into())),
            _ => Err(mismatch()),
        }
    }

    async fn compact(
        &self,
        request: tonic::Request<pb::CompactionRequest>,
    ) -> Result<tonic::Response<pb::CompactionResponse>> {
        let (metadata, _, message) = request.into_parts();
        match self.call(&metadata, Request::Compact(message.into())).await? {
            Response::Compact(answer) => Ok(tonic::Response::new(answer.into())),
            _ => Err(mismatch()),
        }
    }
}
