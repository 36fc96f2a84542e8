//! Members and their state.

use api::cluster;

use crate::kv::{convert_all, header};
use crate::pb::etcdserverpb as pb;

impl From<cluster::Member> for pb::Member {
    fn from(from: cluster::Member) -> Self {
        let cluster::Member { id, name, peer_urls, client_urls, is_learner } = from;
        Self { id, name, peer_ur_ls: peer_urls, client_ur_ls: client_urls, is_learner }
    }
}

impl From<pb::Member> for cluster::Member {
    fn from(from: pb::Member) -> Self {
        let pb::Member { id, name, peer_ur_ls, client_ur_ls, is_learner } = from;
        Self { id, name, peer_urls: peer_ur_ls, client_urls: client_ur_ls, is_learner }
    }
}

impl From<cluster::MemberListRequest> for pb::MemberListRequest {
    fn from(from: cluster::MemberListRequest) -> Self {
        let cluster::MemberListRequest { linearizable } = from;
        Self { linearizable }
    }
}

impl From<pb::MemberListRequest> for cluster::MemberListRequest {
    fn from(from: pb::MemberListRequest) -> Self {
        let pb::MemberListRequest { linearizable } = from;
        Self { linearizable }
    }
}

impl From<cluster::MemberListResponse> for pb::MemberListResponse {
    fn from(from: cluster::MemberListResponse) -> Self {
        let cluster::MemberListResponse { header, members } = from;
        Self { header: Some(header.into()), members: convert_all(members) }
    }
}

impl From<pb::MemberListResponse> for cluster::MemberListResponse {
    fn from(from: pb::MemberListResponse) -> Self {
        let pb::MemberListResponse { header: head, members } = from;
        Self { header: header(head), members: convert_all(members) }
    }
}

impl From<cluster::StatusResponse> for pb::StatusResponse {
    fn from(from: cluster::StatusResponse) -> Self {
        let cluster::StatusResponse {
            header,
            version,
            db_size,
            leader,
            raft_index,
            raft_term,
            raft_applied_index,
            errors,
            db_size_in_use,
            db_size_quota,
            is_learner,
        } = from;
        Self {
            header: Some(header.into()),
            storage_version: storage_version(&version),
            version,
            db_size,
            leader,
            raft_index,
            raft_term,
            raft_applied_index,
            errors,
            db_size_in_use,
            is_learner,
            db_size_quota,
            // etcd always tells that no downgrade is under way.
            downgrade_info: Some(pb::DowngradeInfo {
                enabled: false,
                target_version: String::new(),
            }),
        }
    }
}

/// The two fields that `api` does not hold are derived, or nothing that a member decides.
impl From<pb::StatusResponse> for cluster::StatusResponse {
    fn from(from: pb::StatusResponse) -> Self {
        let pb::StatusResponse {
            header: head,
            version,
            db_size,
            leader,
            raft_index,
            raft_term,
            raft_applied_index,
            errors,
            db_size_in_use,
            is_learner,
            storage_version: _,
            db_size_quota,
            downgrade_info: _,
        } = from;
        Self {
            header: header(head),
            version,
            db_size,
            leader,
            raft_index,
            raft_term,
            raft_applied_index,
            errors,
            db_size_in_use,
            db_size_quota,
            is_learner,
        }
    }
}

/// etcd's storage version is the minor version that wrote the store: 3.7.1 has 3.7.0.
fn storage_version(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}.0"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::storage_version;

    #[test]
    fn the_storage_version_is_the_minor_version() {
        assert_eq!(storage_version("3.7.3"), "3.7.0");
        assert_eq!(storage_version(""), "");
    }
}
