//! Callers that want a leader (`hasleader`, etcd's `WithRequireLeader`), where there is none.

mod common;

use std::time::{Duration, Instant};

use common::server::{get, put, three};
use common::{Hub, WAIT, members};
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::kv_client::KvClient;
use etcdpb::pb::etcdserverpb::maintenance_client::MaintenanceClient;
use etcdpb::pb::etcdserverpb::watch_client::WatchClient;
use etcdpb::pb::etcdserverpb::watch_request::RequestUnion;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, IntoStreamingRequest, Request, Status, Streaming};

type Answers = Streaming<pb::WatchResponse>;

fn wants_leader<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("hasleader", "true".parse().expect("a value"));
    request
}

fn is_no_leader(status: &Status) -> bool {
    (status.code(), status.message()) == (Code::Unavailable, "etcdserver: no leader")
}

/// What is there now, as whoever answers has it.
fn stale() -> pb::RangeRequest {
    pb::RangeRequest { serializable: true, ..get("a") }
}

/// Watches `a`, with a leader or come what may.
async fn watch(channel: &Channel, leader: bool) -> Result<Answers, Status> {
    let create = pb::WatchCreateRequest { key: "a".into(), ..Default::default() };
    let union = Some(RequestUnion::CreateRequest(create));
    let requests = tokio_stream::iter([pb::WatchRequest { request_union: union }]);
    // It says nothing more, and listens.
    let requests = requests.chain(tokio_stream::pending());
    let request = match leader {
        true => wants_leader(requests),
        false => requests.into_streaming_request(),
    };
    let mut answers = WatchClient::new(channel.clone()).watch(request).await?.into_inner();
    assert!(next(&mut answers).await?.created);
    Ok(answers)
}

async fn next(answers: &mut Answers) -> Result<pb::WatchResponse, Status> {
    let next = timeout(WAIT, answers.message()).await.expect("in time");
    Ok(next?.expect("no end without a word"))
}

/// A cluster that loses its leader: what was open and what comes then.
struct Callers {
    channel: Channel,
    wanting: Answers,
    content: Answers,
}

impl Callers {
    async fn start(channel: Channel) -> Self {
        let mut kv = KvClient::new(channel.clone());
        kv.put(wants_leader(put("a", "1"))).await.expect("there is a leader");
        let wanting = watch(&channel, true).await.expect("there is a leader");
        let content = watch(&channel, false).await.expect("opens");
        Self { channel, wanting, content }
    }

    /// There is no leader any more, or will not be soon.
    async fn without_a_leader(&mut self) {
        let mut kv = KvClient::new(self.channel.clone());
        let since = Instant::now();
        loop {
            match kv.range(wants_leader(stale())).await {
                Err(error) if is_no_leader(&error) => break,
                // It is not known yet, or whoever served is gone.
                answer => assert!(since.elapsed() < WAIT, "{answer:?}"),
            }
            sleep(Duration::from_millis(10)).await;
        }
        let since = Instant::now();
        let error = kv.put(wants_leader(put("a", "2"))).await.expect_err("nobody can");
        assert!(is_no_leader(&error), "{error}");
        let mut maintenance = MaintenanceClient::new(self.channel.clone());
        let error = maintenance.status(wants_leader(pb::StatusRequest {})).await;
        assert!(is_no_leader(&error.expect_err("as for all calls")));
        let error = watch(&self.channel, true).await.expect_err("not opened");
        assert!(is_no_leader(&error), "{error}");
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        let read = kv.range(stale()).await.expect("needs no leader").into_inner();
        assert_eq!(read.kvs[0].value, "1");

        // Three election timeouts, of which the first may have begun before.
        let error = next(&mut self.wanting).await.expect_err("it wants a leader");
        assert!(is_no_leader(&error), "{error}");
        let took = since.elapsed();
        assert!(took > Duration::from_millis(1500) && took < Duration::from_secs(10), "{took:?}");
    }

    /// There is one again.
    async fn with_a_leader(mut self) {
        let mut kv = KvClient::new(self.channel.clone());
        let since = Instant::now();
        while let Err(error) = kv.put(wants_leader(put("a", "3"))).await {
            assert!(since.elapsed() < WAIT, "{error}");
            sleep(Duration::from_millis(10)).await;
        }
        watch(&self.channel, true).await.expect("there is a leader");
        // The other stream has waited for this.
        let seen = next(&mut self.content).await.expect("it is still there");
        let pair = seen.events[0].kv.as_ref().expect("a pair");
        assert_eq!(pair.value, "3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_server() {
    let mut servers = three().await;
    let mut callers = Callers::start(servers[0].channel()).await;
    servers[1].kill();
    servers[2].kill();
    callers.without_a_leader().await;
    servers[1].start();
    callers.with_a_leader().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_hub() {
    let hub = Hub::start().await;
    let mut members = members::cluster(&hub).await;
    let url = format!("http://{}", hub.address());
    let channel = Channel::from_shared(url).expect("a URL").connect_lazy();
    let leader = members::leader(&members).await;
    let mut callers = Callers::start(channel).await;
    // The leader serves the streams, and stays.
    for (place, member) in members.iter_mut().enumerate() {
        if place != leader {
            member.kill();
        }
    }
    callers.without_a_leader().await;
    members[(leader + 1) % 3].restart();
    callers.with_a_leader().await;
}
