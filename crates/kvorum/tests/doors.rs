//! etcd's clients at a hub.

mod common;

use std::time::{Duration, Instant};

use api::Bytes;
use common::Hub;
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::kv_client::KvClient;
use etcdpb::pb::etcdserverpb::lease_client::LeaseClient;
use etcdpb::pb::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdpb::pb::etcdserverpb::watch_client::WatchClient;
use tonic::transport::Channel;
use tonic::{Code, Request};

async fn channel(hub: &Hub) -> Channel {
    let url = format!("http://{}", hub.address());
    Channel::from_shared(url).expect("a URL").connect().await.expect("it listens")
}

#[tokio::test]
async fn without_a_member_a_call_fails_at_once_and_says_what_to_open() {
    let hub = Hub::start().await;
    let channel = channel(&hub).await;
    let since = Instant::now();
    let put = pb::PutRequest { key: "k".into(), ..Default::default() };
    let error = KvClient::new(channel.clone()).put(put).await.expect_err("nobody is there");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains(&format!("http://{}/", hub.address())), "{error}");

    let mut other = Request::new(pb::StatusRequest {});
    other.metadata_mut().insert("kvorum-cluster", "blue".parse().expect("a name"));
    let error = MaintenanceClient::new(channel.clone()).status(other).await.expect_err("nobody");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().contains("blue"), "{error}");

    let create = pb::WatchCreateRequest { key: "k".into(), ..Default::default() };
    let union = pb::watch_request::RequestUnion::CreateRequest(create);
    let request = pb::WatchRequest { request_union: Some(union) };
    let requests = tokio_stream::iter([request]);
    let mut answers =
        WatchClient::new(channel).watch(requests).await.expect("a stream").into_inner();
    let error = answers.message().await.expect_err("nobody is there");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

#[tokio::test]
async fn what_this_version_does_not_have_is_named() {
    let hub = Hub::start().await;
    let channel = channel(&hub).await;
    let hash = pb::HashRequest::default();
    let error = MaintenanceClient::new(channel.clone()).hash(hash).await.expect_err("not yet");
    assert_eq!(error.code(), Code::Unimplemented);
    assert!(error.message().contains("etcdserverpb.Maintenance/Hash"), "{error}");
    let grant = pb::LeaseGrantRequest { ttl: 5, id: 0 };
    let error = LeaseClient::new(channel).lease_grant(grant).await.expect_err("not yet");
    assert_eq!(error.code(), Code::Unimplemented);
    assert!(error.message().contains("etcdserverpb.Lease/LeaseGrant"), "{error}");
}

#[tokio::test]
async fn a_message_beyond_the_limit_is_refused_in_etcds_words() {
    let hub = Hub::start().await;
    let value = Bytes::from(vec![0; 2 * 1024 * 1024]);
    let put = pb::PutRequest { key: "k".into(), value, ..Default::default() };
    let error = KvClient::new(channel(&hub).await).put(put).await.expect_err("too large");
    assert_eq!(error.code(), Code::ResourceExhausted);
    let words = "grpc: received message larger than max (2097160 vs. 2097152)";
    assert_eq!(error.message(), words);
}
