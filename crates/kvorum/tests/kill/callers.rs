//! Callers that ask all kinds of things, and a watch that sees all that happens.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::Bytes;
use api::kv::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp,
    TxnRequest,
};
use api::session::{Request, Response};
use api::watch::Event;
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::kv_client::KvClient;
use etcdpb::pb::etcdserverpb::watch_client::WatchClient;
use etcdpb::pb::etcdserverpb::watch_request::RequestUnion;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::transport::Channel;

use crate::common::server::Server;
use crate::history::Record;

/// Keys that all callers share, `k0` and so on.
const KEYS: u64 = 12;
/// Of an answer. What takes longer may have been done or not.
const PATIENCE: Duration = Duration::from_secs(3);
/// Without an answer to anybody.
const STUCK: Duration = Duration::from_secs(20);

/// The same numbers from the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// All callers, and the watch.
pub(crate) struct Callers {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    record: Record,
    seen: Arc<Mutex<Vec<Vec<Event>>>>,
    tasks: Vec<JoinHandle<()>>,
    watch: JoinHandle<Result<(), String>>,
}

impl Callers {
    /// So many, each with connections to all members.
    pub(crate) fn start(servers: &[Server], count: u64, seed: u64) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let acknowledged = Arc::<AtomicU64>::default();
        let (record, seen) = (Record::default(), Arc::<Mutex<Vec<_>>>::default());
        let channels: Vec<Channel> = servers.iter().map(Server::channel).collect();
        let caller = |number: u64| {
            let caller = Caller {
                name: format!("c{number}"),
                clients: channels.iter().cloned().map(KvClient::new).collect(),
                random: Random(seed.wrapping_add(number)),
                record: record.clone(),
                acknowledged: acknowledged.clone(),
            };
            tokio::spawn(caller.call(stop.clone()))
        };
        let tasks = (0..count).map(caller).collect();
        let watch = tokio::spawn(watch(channels, seen.clone()));
        Self { stop, acknowledged, record, seen, tasks, watch }
    }

    /// Waits for so many more writes to be acknowledged; how long it took.
    pub(crate) async fn more(&self, count: u64) -> Result<Duration, String> {
        let acknowledged = || self.acknowledged.load(Ordering::Relaxed);
        let (since, target) = (Instant::now(), acknowledged() + count);
        while acknowledged() < target {
            if since.elapsed() > STUCK {
                return Err(format!("no write is acknowledged for {STUCK:?}"));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(since.elapsed())
    }

    /// The last revision that the watch saw.
    pub(crate) fn watched(&self) -> i64 {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len() as i64 + 1
    }

    /// Ends the callers; the watch goes on until it has seen this revision.
    pub(crate) async fn stop(self, revision: i64) -> Result<(Record, Vec<Vec<Event>>), String> {
        let since = Instant::now();
        while self.watched() < revision && !self.watch.is_finished() {
            if since.elapsed() > STUCK {
                return Err(format!("a watch saw {}, and not {revision}", self.watched()));
            }
            sleep(Duration::from_millis(10)).await;
        }
        if self.watch.is_finished() {
            self.watch.await.expect("no panic")?;
        } else {
            self.watch.abort();
        }
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((self.record, seen))
    }

    /// Ends the callers, and only them.
    pub(crate) async fn quiet(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks.drain(..) {
            task.await.expect("no panic");
        }
    }
}

struct Caller {
    name: String,
    clients: Vec<KvClient<Channel>>,
    random: Random,
    record: Record,
    acknowledged: Arc<AtomicU64>,
}

impl Caller {
    async fn call(mut self, stop: Arc<AtomicBool>) {
        let mut at = self.random.below(self.clients.len() as u64) as usize;
        for n in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let (value, request) = self.request(n);
            let writes = value.is_some();
            self.record.asked(&self.name, value, request.clone());
            let kv = &mut self.clients[at];
            match timeout(PATIENCE, send(kv, request)).await {
                Ok(Ok(response)) => {
                    self.record.answered(&self.name, response);
                    self.acknowledged.fetch_add(writes.into(), Ordering::Relaxed);
                }
                Ok(Err(_)) | Err(_) => {
                    self.record.failed(&self.name);
                    at = (at + 1) % self.clients.len();
                    sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    /// The next request, and the value that it puts whatever becomes of it.
    fn request(&mut self, n: u64) -> (Option<Bytes>, Request) {
        let length = self.length();
        let value: Bytes = format!("{}-{n}{}", self.name, "-".repeat(length)).into();
        let (key, other) = (self.key(), self.key());
        let put = |key: Bytes| PutRequest { key, value: value.clone(), ..PutRequest::default() };
        let read = |key| RangeRequest { key, ..RangeRequest::default() };
        let request = match self.random.below(100) {
            0..45 => {
                let prev_kv = self.random.below(4) == 0;
                Request::Put(PutRequest { prev_kv, ..put(key) })
            }
            45..60 => Request::Txn(TxnRequest {
                compare: vec![self.compare(key.clone())],
                success: vec![RequestOp::Put(put(key)), RequestOp::Range(read(other.clone()))],
                failure: vec![RequestOp::Range(read(other.clone())), RequestOp::Put(put(other))],
            }),
            60..70 => {
                let range_end = if self.random.below(3) == 0 { "k2".into() } else { Bytes::new() };
                let delete = DeleteRangeRequest { key, range_end, prev_kv: true };
                // A deletion alone would not tell who asked for it.
                let tells = RequestOp::Put(put("told".into()));
                let success = vec![RequestOp::DeleteRange(delete), tells];
                Request::Txn(TxnRequest { success, ..TxnRequest::default() })
            }
            70..90 => return (None, Request::Range(read(key))),
            at => {
                let serializable = at < 97;
                let range_end = "l".into();
                return (
                    None,
                    Request::Range(RangeRequest { range_end, serializable, ..read("k".into()) }),
                );
            }
        };
        (Some(value), request)
    }

    fn compare(&mut self, key: Bytes) -> Compare {
        let number = self.random.below(3) as i64;
        let (target, result) = match self.random.below(3) {
            0 => (CompareTarget::Version(number), CompareResult::Greater),
            1 => (CompareTarget::Create(0), CompareResult::Equal),
            _ => (CompareTarget::Mod(number * 100), CompareResult::Less),
        };
        Compare { key, range_end: Bytes::new(), target, result }
    }

    fn key(&mut self) -> Bytes {
        format!("k{}", self.random.below(KEYS)).into()
    }

    /// Mostly short; some take pages of their own.
    fn length(&mut self) -> usize {
        match self.random.below(20) {
            0 => self.random.below(20_000) as usize,
            _ => 0,
        }
    }
}

async fn send(kv: &mut KvClient<Channel>, request: Request) -> Result<Response, Status> {
    let bad = |error: api::Error| Status::internal(error.to_string());
    Ok(match request {
        Request::Put(put) => {
            Response::Put(kv.put(pb::PutRequest::from(put)).await?.into_inner().into())
        }
        Request::Range(range) => {
            let range = pb::RangeRequest::from(range);
            Response::Range(kv.range(range).await?.into_inner().into())
        }
        Request::Txn(txn) => {
            let answer = kv.txn(pb::TxnRequest::from(txn)).await?.into_inner();
            Response::Txn(answer.try_into().map_err(bad)?)
        }
        other => unreachable!("nobody asks for {other:?}"),
    })
}

/// Sees all that happens, from the first revision on, by whoever answers.
async fn watch(channels: Vec<Channel>, seen: Arc<Mutex<Vec<Vec<Event>>>>) -> Result<(), String> {
    for at in (0..channels.len()).cycle() {
        let next = || seen.lock().unwrap_or_else(PoisonError::into_inner).len() as i64 + 2;
        let create = pb::WatchCreateRequest {
            key: vec![0].into(),
            range_end: vec![0].into(),
            start_revision: next(),
            ..pb::WatchCreateRequest::default()
        };
        let create = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        // The stream of requests stays open.
        let requests = tokio_stream::StreamExt::chain(
            tokio_stream::once(create),
            tokio_stream::pending::<pb::WatchRequest>(),
        );
        let mut client = WatchClient::new(channels[at].clone());
        let opened = timeout(PATIENCE, client.watch(requests)).await;
        if let Ok(Ok(answers)) = opened {
            let mut answers = answers.into_inner();
            // A member that is cut off says nothing; another may know more.
            while let Ok(Ok(Some(answer))) = timeout(PATIENCE, answers.message()).await {
                if answer.canceled {
                    return Err(format!("a watch from {} was ended: {answer:?}", next()));
                }
                see(answer, &seen)?;
            }
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn see(answer: pb::WatchResponse, seen: &Mutex<Vec<Vec<Event>>>) -> Result<(), String> {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    for event in answer.events {
        let event = Event::try_from(event).map_err(|error| error.to_string())?;
        let revision = event.kv.mod_revision;
        let last = seen.len() as i64 + 1;
        match seen.last_mut().filter(|_| revision == last) {
            Some(events) => events.push(event),
            None if revision == last + 1 => seen.push(vec![event]),
            None => return Err(format!("a watch saw {revision} after {last}")),
        }
    }
    Ok(())
}

/// This program, as a member on a disk of which only the first `syncs` syncs do anything.
pub(crate) fn lossy(server: Server, syncs: u64) -> Server {
    let program = std::env::current_exe().expect("it runs");
    server.run_by(program, Vec::new()).with_env(crate::SYNCS, syncs.to_string())
}
