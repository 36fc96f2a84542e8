//! A node whose disk hangs, or the part of it that holds the store, by its handle.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use api::frame::{Attached, Frame, decode_body, encode_body};
use api::identity::Incarnation;
use api::kv::{CompactRequest, PutRequest, RangeRequest};
use api::session::{ClientMessage, Request, Response, ServerMessage};
use api::{Bytes, Error};
use node::{Config, Pace, Timing};
use storage::{Directory, File, FileError, MemDirectory, MemFile};
use tokio::time::timeout;

use super::*;
use crate::net::queue::Outgoing;
use crate::server::disk::open_files;

/// Longer than anything here takes.
const WAIT: Duration = Duration::from_secs(20);

/// What hangs of a directory.
#[derive(Debug, Default)]
struct Hangs {
    /// Syncs of files whose names begin so.
    of: Option<&'static str>,
    /// Syncs that wait.
    waiting: usize,
}

/// A directory whose syncs can be made to hang, or a file of it, by its name.
#[derive(Clone, Debug)]
struct Hanging<T> {
    inner: T,
    name: String,
    hangs: Arc<(Mutex<Hangs>, Condvar)>,
}

impl<T> Hanging<T> {
    fn hang(&self, of: Option<&'static str>) {
        self.hangs().of = of;
        self.hangs.1.notify_all();
    }

    fn hangs(&self) -> MutexGuard<'_, Hangs> {
        self.hangs.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory for Hanging<MemDirectory> {
    type File = Hanging<MemFile>;

    fn names(&self) -> Result<Vec<String>, FileError> {
        self.inner.names()
    }

    fn open(&self, name: &str) -> Result<Option<Self::File>, FileError> {
        let hanging = |inner| Hanging { inner, name: name.into(), hangs: self.hangs.clone() };
        Ok(self.inner.open(name)?.map(hanging))
    }

    fn remove(&self, name: &str) -> Result<(), FileError> {
        self.inner.remove(name)
    }
}

impl File for Hanging<MemFile> {
    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<usize, FileError> {
        self.inner.read_at(at, into)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.inner.write_at(at, bytes)
    }

    fn set_len(&self, length: u64) -> Result<(), FileError> {
        self.inner.set_len(length)
    }

    fn len(&self) -> Result<u64, FileError> {
        self.inner.len()
    }

    fn sync(&self) -> Result<(), FileError> {
        let mut hangs = self.hangs();
        hangs.waiting += 1;
        let held = |hangs: &mut Hangs| hangs.of.is_some_and(|of| self.name.starts_with(of));
        let free = self.hangs.1.wait_while(hangs, held);
        free.unwrap_or_else(PoisonError::into_inner).waiting -= 1;
        self.inner.sync()
    }
}

/// A member of its own, on such a directory.
struct One {
    node: NodeHandle,
    replies: mpsc::UnboundedReceiver<Reply>,
    directory: Hanging<MemDirectory>,
    /// Requests so far.
    last: u64,
}

impl One {
    async fn start(pace: Pace) -> Self {
        let (inner, name) = (MemDirectory::default(), String::new());
        let directory = Hanging { inner, name, hangs: Arc::default() };
        let opened = open_files(directory.clone(), 1, 1024 * 1024).expect("opens");
        let config = Config {
            cluster: "default".into(),
            token: String::new(),
            name: "a".into(),
            initial: vec!["a".into()],
            learners: Vec::new(),
            incarnation: Incarnation(1),
            nonce: 1,
            seed: 1,
            build: String::new(),
            urls: BTreeMap::new(),
            timing: Timing { heartbeat_ms: 10, election_ms: 100 },
            pace,
        };
        let node = Node::new(config, 0, &opened.recovered, opened.base).expect("starts");
        let disk = Disk::start(opened.journal, opened.keeper, Metrics::new());
        let disk = disk.expect("threads");
        let (tell, replies) = mpsc::unbounded_channel();
        let (node, end) = NodeHandle::start(node, Instant::now(), disk, Metrics::new(), tell);
        tokio::spawn(end);
        let mut one = Self { node, replies, directory, last: 0 };
        while one.ask(put("ready")).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
        one
    }

    /// Says something; the answer comes later.
    async fn say(&mut self, request: Request) -> u64 {
        self.last += 1;
        let message = ClientMessage::Request { id: self.last, request };
        let said = self.node.client(1, encode_body(&message));
        timeout(WAIT, said).await.expect("the node listens").expect("the node runs");
        self.last
    }

    async fn ask(&mut self, request: Request) -> Result<Response, Error> {
        let asked = self.say(request).await;
        loop {
            let (id, result) = self.answer().await;
            if id == asked {
                return result;
            }
        }
    }

    /// Puts so often, and reads each time that it is there.
    async fn put_and_read(&mut self, revision: &mut i64, times: usize) {
        for _ in 0..times {
            *revision += 1;
            let Ok(Response::Put(put)) = self.ask(put("again")).await else { panic!("it puts") };
            let Ok(Response::Range(read)) = self.ask(read(false)).await else { panic!("it reads") };
            assert_eq!([put.header.revision, read.header.revision], [*revision; 2]);
        }
    }

    async fn answer(&mut self) -> (u64, Result<Response, Error>) {
        let (_, body) = timeout(WAIT, self.replies.recv()).await.expect("in time").expect("one");
        match decode_body(&body).expect("a message") {
            ServerMessage::Response { id, result } => (id, result),
            other => panic!("{other:?}"),
        }
    }
}

fn put(key: &'static str) -> Request {
    let (key, value) = (Bytes::from_static(key.as_bytes()), Bytes::from_static(b"x"));
    Request::Put(PutRequest { key, value, ..PutRequest::default() })
}

fn read(serializable: bool) -> Request {
    let key = Bytes::from_static(b"ready");
    Request::Range(RangeRequest { key, serializable, ..RangeRequest::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_disk_hangs_what_needs_no_disk_is_answered() {
    let mut one = One::start(Pace::NATIVE).await;
    one.directory.hang(Some(""));
    let since = Instant::now();
    let mut puts = Vec::new();
    for _ in 0..300 {
        puts.push(one.say(put("late")).await);
        // Each makes a batch of its own.
        sleep(Duration::from_millis(1)).await;
    }
    for request in [read(true), read(false), Request::Status] {
        let asked = Instant::now();
        one.ask(request).await.expect("answers");
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }
    reports(&one.node).await;
    while let Some(id) = puts.pop() {
        let (_, result) = one.answer().await;
        assert_eq!(result, Err(Error::Timeout), "{id}");
    }
    let took = since.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(8), "{took:?}");

    // What was too late for its callers is there all the same.
    one.directory.hang(None);
    let Ok(Response::Put(put)) = one.ask(put("after")).await else { panic!("it goes on") };
    assert_eq!(put.header.revision, 303);
}

/// No put and no read waits for the store's syncs, be it that changes are moved down, that the
/// rows that a compaction dropped are, or that the file is written anew.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_stores_file_hangs_all_is_answered() {
    let mut one = One::start(Pace { run_rows: 10, rewrite_bytes: 1, ..Pace::NATIVE }).await;
    let mut revision = 2;
    for _ in 0..20 {
        one.directory.hang(Some("store-"));
        one.put_and_read(&mut revision, 20).await;
        let hangs = async {
            while one.directory.hangs().waiting == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(WAIT, hangs).await.expect("what was put is on its way to the store");
        one.put_and_read(&mut revision, 20).await;
        let compact = CompactRequest { revision, physical: false };
        one.ask(Request::Compact(compact)).await.expect("it forgets");
        one.put_and_read(&mut revision, 1).await;
        assert!(one.directory.hangs().waiting > 0, "it still is");
        one.directory.hang(None);
    }
}

/// A relay hears how the member is.
async fn reports(node: &NodeHandle) {
    let mut link = node.open(LinkKind::Relay).await.expect("the node runs");
    let attached = Frame::Attached(Attached { bound: None }).encode();
    link.sender().send(attached.into()).await.expect("the node runs");
    loop {
        let next = timeout(WAIT, link.next()).await.expect("in time");
        let Some(Outgoing::Frame(frame)) = next else { panic!("{next:?}") };
        if matches!(Frame::decode(&frame), Ok(Frame::Report(_))) {
            return;
        }
    }
}
