//! Real members behind a hub, and etcd's clients before it.

mod common;

use std::time::{Duration, Instant};

use api::Bytes;
use api::frame::{Attach, Attachee, Frame};
use common::Hub;
use common::members::{cluster, leader};
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::cluster_client::ClusterClient;
use etcdpb::pb::etcdserverpb::kv_client::KvClient;
use etcdpb::pb::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdpb::pb::etcdserverpb::watch_client::WatchClient;
use etcdpb::pb::etcdserverpb::watch_request::RequestUnion;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Streaming};

async fn channel(hub: &Hub) -> Channel {
    let url = format!("http://{}", hub.address());
    Channel::from_shared(url).expect("a URL").connect().await.expect("it listens")
}

fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..Default::default()
    }
}

fn get(key: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_owned().into(), ..Default::default() }
}

struct Watch {
    say: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Watch {
    async fn open(channel: Channel) -> Self {
        let (say, requests) = mpsc::channel(8);
        let requests = ReceiverStream::new(requests);
        let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
        let answers = client.watch(requests).await.expect("a stream");
        Self { say, answers: answers.into_inner() }
    }

    async fn say(&self, request: RequestUnion) {
        let request = pb::WatchRequest { request_union: Some(request) };
        self.say.send(request).await.expect("the stream is open");
    }

    async fn create(&self, create: pb::WatchCreateRequest) {
        self.say(RequestUnion::CreateRequest(create)).await;
    }

    async fn next(&mut self) -> pb::WatchResponse {
        let next = tokio::time::timeout(Duration::from_secs(10), self.answers.message());
        next.await.expect("in time").expect("no error").expect("an answer")
    }
}

fn prefix(key: &'static str, end: &'static str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { key: key.into(), range_end: end.into(), ..Default::default() }
}

fn keys(response: &pb::WatchResponse) -> Vec<Bytes> {
    response.events.iter().map(|e| e.kv.as_ref().expect("a pair").key.clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_written_read_and_deleted() {
    let hub = Hub::start().await;
    let members = cluster(&hub).await;
    let mut kv = KvClient::new(channel(&hub).await);
    let first = kv.put(put("a", "1")).await.expect("puts").into_inner();
    let header = first.header.expect("a header");
    assert_eq!(header.revision, 2);
    let report = members[0].report().expect("it runs");
    assert_eq!(header.cluster_id, report.cluster.expect("formed").0);
    let second = pb::PutRequest { prev_kv: true, ..put("a", "2") };
    let second = kv.put(second).await.expect("puts").into_inner();
    assert_eq!(second.prev_kv.expect("what was there").value, "1");
    let read = kv.range(get("a")).await.expect("reads").into_inner();
    let [pair] = read.kvs.as_slice() else { panic!("one key: {read:?}") };
    assert_eq!((pair.version, pair.create_revision, pair.mod_revision), (2, 2, 3));
    let old = pb::RangeRequest { revision: 2, ..get("a") };
    let old = kv.range(old).await.expect("reads").into_inner();
    assert_eq!(old.kvs[0].value, "1");

    let compare = pb::Compare {
        key: "a".into(),
        target: pb::compare::CompareTarget::Value.into(),
        target_union: Some(pb::compare::TargetUnion::Value("2".into())),
        ..Default::default()
    };
    let delete = pb::DeleteRangeRequest { key: "a".into(), ..Default::default() };
    let op = pb::RequestOp { request: Some(pb::request_op::Request::RequestDeleteRange(delete)) };
    let txn = pb::TxnRequest { compare: vec![compare], success: vec![op], failure: vec![] };
    let done = kv.txn(txn.clone()).await.expect("runs").into_inner();
    assert!(done.succeeded && done.responses.len() == 1);
    assert!(!kv.txn(txn).await.expect("runs").into_inner().succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_gets_etcds_own_errors() {
    let hub = Hub::start().await;
    let _members = cluster(&hub).await;
    let mut kv = KvClient::new(channel(&hub).await);
    let error = kv.put(put("", "x")).await.expect_err("no key");
    let told = (error.code(), error.message());
    assert_eq!(told, (Code::InvalidArgument, "etcdserver: key is not provided"));
    let future = pb::RangeRequest { revision: 99, ..get("a") };
    let error = kv.range(future).await.expect_err("not yet");
    let words = "etcdserver: mvcc: required revision is a future revision";
    assert_eq!((error.code(), error.message()), (Code::OutOfRange, words));
    let large = pb::PutRequest { value: vec![0; 1536 * 1024].into(), ..put("a", "") };
    let error = kv.put(large).await.expect_err("too large");
    let told = (error.code(), error.message());
    assert_eq!(told, (Code::InvalidArgument, "etcdserver: request is too large"));
    let sorted = pb::RangeRequest { sort_order: 7, ..get("a") };
    let error = kv.range(sorted).await.expect_err("no such order");
    assert_eq!(error.message(), "etcdserver: invalid sort option");
    let nearly = pb::PutRequest { value: vec![0; 1535 * 1024].into(), ..put("a", "") };
    kv.put(nearly).await.expect("fits");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_watches_share_a_stream() {
    let hub = Hub::start().await;
    let _members = cluster(&hub).await;
    let channel = channel(&hub).await;
    let mut kv = KvClient::new(channel.clone());
    kv.put(put("b/0", "old")).await.expect("puts");

    let mut watch = Watch::open(channel.clone()).await;
    watch.create(prefix("a/", "a0")).await;
    let created = watch.next().await;
    assert_eq!((created.created, created.watch_id), (true, 0));
    watch.create(pb::WatchCreateRequest { start_revision: 2, ..prefix("b/", "b0") }).await;
    let created = watch.next().await;
    assert_eq!((created.created, created.watch_id), (true, 1));
    let old = watch.next().await;
    assert_eq!((old.watch_id, keys(&old)), (1, vec!["b/0".into()]));

    kv.put(put("a/1", "x")).await.expect("puts");
    let seen = watch.next().await;
    assert_eq!((seen.watch_id, keys(&seen)), (0, vec!["a/1".into()]));
    watch.say(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    let progress = watch.next().await;
    let revision = progress.header.expect("a header").revision;
    assert_eq!((progress.watch_id, revision, progress.events.len()), (-1, 3, 0));

    watch.create(pb::WatchCreateRequest { watch_id: 1, ..prefix("c", "d") }).await;
    let doubled = watch.next().await;
    assert!(doubled.created && doubled.canceled && doubled.watch_id == -1, "{doubled:?}");
    watch.say(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 0 })).await;
    let canceled = watch.next().await;
    assert_eq!((canceled.canceled, canceled.watch_id), (true, 0));

    // Ids belong to the stream.
    let mut other = Watch::open(channel).await;
    other.create(prefix("a/", "a0")).await;
    assert_eq!(other.next().await.watch_id, 0);
    kv.put(put("b/1", "y")).await.expect("puts");
    kv.put(put("a/2", "z")).await.expect("puts");
    assert_eq!(keys(&watch.next().await), ["b/1"]);
    assert_eq!(keys(&other.next().await), ["a/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_cross_the_hub() {
    let hub = Hub::start().await;
    let _members = cluster(&hub).await;
    let channel = channel(&hub).await;
    let mut kv = KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    for n in 0..6 {
        let value = vec![b'a' + n; 1024 * 1024];
        let put = pb::PutRequest { value: value.into(), ..put(&format!("l/{n:02}"), "") };
        kv.put(put).await.expect("puts");
    }
    let all = pb::RangeRequest { range_end: "l0".into(), ..get("l/") };
    let all = kv.range(all).await.expect("reads").into_inner();
    assert_eq!((all.count, all.kvs.len()), (6, 6));
    for (n, pair) in all.kvs.iter().enumerate() {
        assert!(pair.value.len() == 1024 * 1024 && usize::from(pair.value[0] - b'a') == n);
    }
    let mut watch = Watch::open(channel).await;
    watch.create(pb::WatchCreateRequest { start_revision: 2, ..prefix("l/", "l0") }).await;
    assert!(watch.next().await.created);
    let mut seen = Vec::new();
    while seen.len() < 6 {
        seen.extend(keys(&watch.next().await));
    }
    let expected: Vec<Bytes> = (0..6).map(|n| format!("l/{n:02}").into()).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_and_their_state_are_shown() {
    let hub = Hub::start().await;
    let members = cluster(&hub).await;
    let channel = channel(&hub).await;
    let request = pb::MemberListRequest { linearizable: true };
    let list = ClusterClient::new(channel.clone()).member_list(request).await.expect("lists");
    let list = list.into_inner().members;
    let mut names: Vec<&str> = list.iter().map(|member| member.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["1", "2", "3"]);
    // Members without an address of their own are reached by way of the hub.
    assert!(list.iter().all(|m| m.client_ur_ls == [format!("http://{}", hub.address())]));
    let status = MaintenanceClient::new(channel).status(pb::StatusRequest {}).await;
    let status = status.expect("answers").into_inner();
    let leads = &members[leader(&members).await];
    assert_eq!(status.leader, leads.report().expect("it runs").raft.expect("formed").0);
    assert!(status.raft_term > 0 && status.raft_applied_index > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_as_etcd_answers_them() {
    let hub = Hub::start().await;
    let answer = hub.get("/health", &[]).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\"health\":\"false\",\"reason\":\"RANGE ERROR:"), "{answer}");
    let _members = cluster(&hub).await;
    for path in ["/health", "/health?serializable=true", "/health?exclude=NOSPACE"] {
        let answer = hub.get(path, &[]).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        assert!(answer.contains("content-type: application/json"), "{answer}");
        assert!(answer.ends_with("{\"health\":\"true\",\"reason\":\"\"}"), "{answer}");
    }
    let answer = hub.get("/version", &[]).await;
    let versions = "{\"etcdcluster\":\"3.7.0\",\"etcdserver\":\"3.7.3\"}";
    assert!(answer.ends_with(versions), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_leader_is_replaced_and_comes_back() {
    let hub = Hub::start().await;
    let mut members = cluster(&hub).await;
    let mut kv = KvClient::new(channel(&hub).await);
    kv.put(put("a", "1")).await.expect("puts");
    let lost = leader(&members).await;
    members[lost].kill();
    let since = Instant::now();
    loop {
        match kv.put(put("a", "2")).await {
            Ok(_) => break,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(5), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
    members[lost].restart();
    leader(&members).await;
    let read = kv.range(get("a")).await.expect("reads").into_inner();
    assert_eq!(read.kvs[0].value, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_etcds_error_comes_in_etcds_time() {
    let hub = Hub::start().await;
    let mut members = cluster(&hub).await;
    let channel = channel(&hub).await;
    let mut kv = KvClient::new(channel.clone());
    kv.put(put("a", "1")).await.expect("puts");
    let stays = leader(&members).await;
    for (place, member) in members.iter_mut().enumerate() {
        if place != stays {
            member.kill();
        }
    }
    let since = Instant::now();
    let error = kv.put(put("a", "2")).await.expect_err("no quorum");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().starts_with("etcdserver: "), "{error}");
    assert!(since.elapsed() < Duration::from_millis(7500), "{:?}", since.elapsed());
    let stale = pb::RangeRequest { serializable: true, ..get("a") };
    let stale = kv.range(stale).await.expect("answers").into_inner();
    assert_eq!(stale.kvs[0].value, "1");

    // The fate of a put is unknown when the member that holds it goes, and that is told at once.
    let waiting = tokio::spawn(async move { kv.put(put("a", "3")).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let since = Instant::now();
    members[stays].kill();
    let error = waiting.await.expect("no panic").expect_err("the member is gone");
    assert_eq!(error.code(), Code::Unavailable);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_ends_tells_its_watchers() {
    let mut hub = Hub::start().await;
    let _members = cluster(&hub).await;
    let mut watch = Watch::open(channel(&hub).await).await;
    watch.create(prefix("a/", "a0")).await;
    assert!(watch.next().await.created);
    let ending = std::thread::spawn(move || hub.terminate());
    // etcd's clients watch again after this one, and not after an end without an error.
    let error = watch.answers.message().await.expect_err("the hub ends");
    assert_eq!((error.code(), error.message()), (Code::Unavailable, "etcdserver: server stopped"));
    assert!(ending.join().expect("no panic").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_hub_is_found_again() {
    let mut hub = Hub::start().await;
    let members = cluster(&hub).await;
    let mut kv = KvClient::new(channel(&hub).await);
    kv.put(put("a", "1")).await.expect("puts");
    hub.kill_and_restart().await;
    leader(&members).await;
    let mut kv = KvClient::new(channel(&hub).await);
    let since = Instant::now();
    let read = loop {
        match kv.range(get("a")).await {
            Ok(read) => break read.into_inner(),
            Err(error) => assert!(since.elapsed() < common::WAIT, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(read.kvs[0].value, "1");
    kv.put(put("a", "2")).await.expect("puts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_leaves_nothing_behind() {
    let hub = Hub::start().await;
    let mut members = cluster(&hub).await;
    let channel = channel(&hub).await;
    let mut kv = KvClient::new(channel.clone());
    let stays = leader(&members).await;
    for (place, member) in members.iter_mut().enumerate() {
        if place != stays {
            member.kill();
        }
    }
    for _ in 0..3 {
        let call = kv.put(put("a", "2"));
        assert!(tokio::time::timeout(Duration::from_millis(50), call).await.is_err());
    }
    for (place, member) in members.iter_mut().enumerate() {
        if place != stays {
            member.restart();
        }
    }
    leader(&members).await;
    kv.range(get("a")).await.expect("the door still answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bottomless_transaction_harms_no_member() {
    let hub = Hub::start().await;
    let _members = cluster(&hub).await;
    let mut console = hub.socket().await;
    let attach = Frame::Attach(Attach {
        cluster: "default".into(),
        build: String::new(),
        who: Attachee::Console,
    });
    common::send(&mut console, attach.encode()).await;
    // Request 7, a Txn: no guards, one operation, which is a Txn: no guards, and so on.
    const DEPTH: usize = 1_000_000;
    let mut body = vec![0, 7, 3];
    for _ in 0..DEPTH {
        body.extend([0, 1, 3]);
    }
    body.extend([0, 0, 0]);
    body.extend(std::iter::repeat_n(0, DEPTH));
    let session = 5;
    common::send(&mut console, Frame::Client { session, body: &body }.encode()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut kv = KvClient::new(channel(&hub).await);
    kv.put(put("a", "1")).await.expect("the members go on");
}
