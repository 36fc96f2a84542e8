//! The Cluster and Maintenance services: who the members are and how they do.

use api::session::{Request, Response};
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::to_status;
use tonic::Result;
use tonic::codegen::BoxStream;

use super::{Doors, Way, mismatch, unimplemented};

#[tonic::async_trait]
impl pb::cluster_server::Cluster for Doors {
    async fn member_list(
        &self,
        request: tonic::Request<pb::MemberListRequest>,
    ) -> Result<tonic::Response<pb::MemberListResponse>> {
        let (metadata, _, message) = request.into_parts();
        match self.call(&metadata, Request::MemberList(message.into())).await? {
            Response::MemberList(mut answer) => {
                if matches!(self.way, Way::Relay(_)) {
                    for member in &mut answer.members {
                        if member.client_urls.is_empty() {
                            member.client_urls.push(self.url.to_string());
                        }
                    }
                }
                Ok(tonic::Response::new(answer.into()))
            }
            _ => Err(mismatch()),
        }
    }

    async fn member_add(
        &self,
        _: tonic::Request<pb::MemberAddRequest>,
    ) -> Result<tonic::Response<pb::MemberAddResponse>> {
        Err(unimplemented("etcdserverpb.Cluster/MemberAdd"))
    }

    async fn member_remove(
        &self,
        _: tonic::Request<pb::MemberRemoveRequest>,
    ) -> Result<tonic::Response<pb::MemberRemoveResponse>> {
        Err(unimplemented("etcdserverpb.Cluster/MemberRemove"))
    }

    async fn member_update(
        &self,
        _: tonic::Request<pb::MemberUpdateRequest>,
    ) -> Result<tonic::Response<pb::MemberUpdateResponse>> {
        Err(unimplemented("etcdserverpb.Cluster/MemberUpdate"))
    }

    async fn member_promote(
        &self,
        _: tonic::Request<pb::MemberPromoteRequest>,
    ) -> Result<tonic::Response<pb::MemberPromoteResponse>> {
        Err(unimplemented("etcdserverpb.Cluster/MemberPromote"))
    }
}

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for Doors {
    async fn status(
        &self,
        request: tonic::Request<pb::StatusRequest>,
    ) -> Result<tonic::Response<pb::StatusResponse>> {
        let (metadata, _, pb::StatusRequest {}) = request.into_parts();
        match self.call(&metadata, Request::Status).await? {
            Response::Status(mut answer) => {
                // etcd's file is never empty, and etcdctl divides by its size.
                answer.db_size = answer.db_size.max(1);
                Ok(tonic::Response::new(answer.into()))
            }
            _ => Err(mismatch()),
        }
    }

    type SnapshotStream = BoxStream<pb::SnapshotResponse>;

    async fn alarm(
        &self,
        request: tonic::Request<pb::AlarmRequest>,
    ) -> Result<tonic::Response<pb::AlarmResponse>> {
        let (metadata, _, message) = request.into_parts();
        let alarm = message.try_into().map_err(|error| to_status(&error))?;
        match self.call(&metadata, Request::Alarm(alarm)).await? {
            Response::Alarm(answer) => Ok(tonic::Response::new(answer.into())),
            _ => Err(mismatch()),
        }
    }

    async fn defragment(
        &self,
        _: tonic::Request<pb::DefragmentRequest>,
    ) -> Result<tonic::Response<pb::DefragmentResponse>> {
        Err(unimplemented("etcdserverpb.Maintenance/Defragment"))
    }

    async fn hash(
        &self,
        _: tonic::Request<pb::HashRequest>,
    ) -> Result<tonic::Response<pb::HashResponse>> {
        Err(unimplemented("etcdserverpb.Maintenance/Hash"))
    }

    async fn hash_kv(
        &self,
        request: tonic::Request<pb::HashKvRequest>,
    ) -> Result<tonic::Response<pb::HashKvResponse>> {
        let (metadata, _, message) = request.into_parts();
        match self.call(&metadata, Request::HashKv(message.into())).await? {
            Response::HashKv(answer) => Ok(tonic::Response::new(answer.into())),
            _ => Err(mismatch()),
        }
    }

    async fn snapshot(
        &self,
        _: tonic::Request<pb::SnapshotRequest>,
    ) -> Result<tonic::Response<Self::SnapshotStream>> {
        Err(unimplemented("etcdserverpb.Maintenance/Snapshot"))
    }

    async fn move_leader(
        &self,
        _: tonic::Request<pb::MoveLeaderRequest>,
    ) -> Result<tonic::Response<pb::MoveLeaderResponse>> {
        Err(unimplemented("etcdserverpb.Maintenance/MoveLeader"))
    }

    async fn downgrade(
        &self,
        _: tonic::Request<pb::DowngradeRequest>,
    ) -> Result<tonic::Response<pb::DowngradeResponse>> {
        Err(unimplemented("etcdserverpb.Maintenance/Downgrade"))
    }
}
