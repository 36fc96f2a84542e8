//! A node whose disk hangs, by its handle.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use api::frame::{Attached, Frame, decode_body, encode_body};
use api::identity::Incarnation;
use api::kv::{PutRequest, RangeRequest};
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

/// A directory whose syncs can be made to hang.
#[derive(Clone, Debug)]
struct Hanging<T> {
    inner: T,
    hangs: Arc<(Mutex<bool>, Condvar)>,
}

impl<T> Hanging<T> {
    fn hang(&self, hangs: bool) {
        *self.hangs.0.lock().unwrap_or_else(PoisonError::into_inner) = hangs;
        self.hangs.1.notify_all();
    }
}

impl Directory for Hanging<MemDirectory> {
    type File = Hanging<MemFile>;

    fn names(&self) -> Result<Vec<String>, FileError> {
        self.inner.names()
    }

    fn open(&self, name: &str) -> Result<Option<Self::File>, FileError> {
        let hanging = |inner| Hanging { inner, hangs: self.hangs.clone() };
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
        let hangs = self.hangs.0.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.hangs.1.wait_while(hangs, |hangs| *hangs);
        drop(free);
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
    async fn start() -> Self {
        let directory = Hanging { inner: MemDirectory::default(), hangs: Arc::default() };
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
            pace: Pace::NATIVE,
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
    let mut one = One::start().await;
    one.directory.hang(true);
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
    one.directory.hang(false);
    let Ok(Response::Put(put)) = one.ask(put("after")).await else { panic!("it goes on") };
    assert_eq!(put.header.revision, 303);
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
