//! Runs members as processes of their own, on loopback, in directories of their own.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::kv_client::KvClient;
use etcdpb::pb::etcdserverpb::maintenance_client::MaintenanceClient;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

use super::{WAIT, wait_for_end};

/// One member. Dropping it kills it.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) client: u16,
    pub(crate) peer: u16,
    cluster: String,
    flags: Vec<String>,
    program: PathBuf,
    /// What the program is told before all else.
    first: Vec<OsString>,
    env: Vec<(&'static str, String)>,
    /// The system refuses files that are larger, in its own unit of 512 or 1024 bytes.
    pub(crate) file_blocks: Option<u32>,
    child: Option<Child>,
    data: PathBuf,
    dir: TempDir,
}

/// A port that is free for as long as a test runs, also while its server is down: below those
/// that the system gives to whoever asks for any, and to connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 11_000;
    const COUNT: u32 = 20_000;
    // Tests of another file are another process.
    let offset = std::process::id().wrapping_mul(101);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(next < COUNT, "no free port");
        let port = FIRST + offset.wrapping_add(next) % COUNT;
        let port = u16::try_from(port).expect("below 31,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Members of these names that know each other, not started.
pub(crate) fn members(names: &[&str]) -> Vec<Server> {
    let ports: Vec<(u16, u16)> = names.iter().map(|_| (free_port(), free_port())).collect();
    let urls = names.iter().zip(&ports);
    let urls: Vec<_> =
        urls.map(|(name, (_, peer))| format!("{name}=http://127.0.0.1:{peer}")).collect();
    let servers = names.iter().zip(ports).map(|(name, (client, peer))| {
        let dir = tempfile::tempdir().expect("a directory");
        Server {
            name: (*name).into(),
            client,
            peer,
            cluster: urls.join(","),
            flags: Vec::new(),
            program: env!("CARGO_BIN_EXE_kvorum").into(),
            first: Vec::new(),
            env: Vec::new(),
            file_blocks: None,
            child: None,
            data: dir.path().join("data"),
            dir,
        }
    });
    servers.collect()
}

/// One member that serves.
pub(crate) async fn one() -> Server {
    let mut server = members(&["default"]).remove(0);
    server.start();
    server.ready().await;
    server
}

/// Three members that have a leader.
pub(crate) async fn three() -> Vec<Server> {
    let mut servers = members(&["a", "b", "c"]);
    servers.iter_mut().for_each(Server::start);
    for server in &servers {
        server.ready().await;
    }
    servers
}

/// The place of the one that leads.
pub(crate) async fn leader(servers: &[Server]) -> usize {
    let since = Instant::now();
    loop {
        for (place, server) in servers.iter().enumerate() {
            if server.child.is_none() {
                continue;
            }
            if let Some(status) = server.status().await
                && status.header.is_some_and(|header| header.member_id == status.leader)
            {
                return place;
            }
        }
        assert!(since.elapsed() < WAIT, "no leader");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Server {
    /// With these flags as well.
    pub(crate) fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// By another program, which is told this before all that members are told.
    pub(crate) fn run_by(mut self, program: impl Into<PathBuf>, first: Vec<OsString>) -> Self {
        (self.program, self.first) = (program.into(), first);
        self
    }

    /// With this in its environment.
    pub(crate) fn with_env(mut self, name: &'static str, value: String) -> Self {
        self.env.push((name, value));
        self
    }

    /// In this data directory.
    pub(crate) fn at(mut self, data: PathBuf) -> Self {
        self.data = data;
        self
    }

    /// Moves it to the peer port of another.
    pub(crate) fn take_place_of(&mut self, other: &Self) {
        let url = |peer: u16| format!("=http://127.0.0.1:{peer}");
        self.cluster = self.cluster.replace(&url(self.peer), &url(other.peer));
        self.peer = other.peer;
    }

    /// Another process that says that it is this member, in a directory of its own.
    pub(crate) fn twin(&self) -> Self {
        let mut twin = members(&[&self.name]).remove(0);
        let url = |peer: u16| format!("=http://127.0.0.1:{peer}");
        twin.cluster = self.cluster.replace(&url(self.peer), &url(twin.peer));
        twin
    }

    /// In the data directory of another.
    pub(crate) fn in_directory(self, other: &Self) -> Self {
        self.at(other.data())
    }

    /// Starts it; it need not be ready.
    pub(crate) fn start(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let log = File::options().create(true).append(true).open(self.dir.path().join("stderr"));
        let client = format!("http://127.0.0.1:{}", self.client);
        let peer = format!("http://127.0.0.1:{}", self.peer);
        let child = self
            .program()
            .args(&self.first)
            .args(["--log", "info", "server", "--name", &self.name])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.cluster, "--data-dir"])
            .arg(self.data())
            .args(&self.flags)
            .env_remove("KVORUM_LOG")
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a file"))
            .spawn()
            .expect("the program is built");
        self.child = Some(child);
    }

    fn program(&self) -> Command {
        let Some(blocks) = self.file_blocks else { return Command::new(&self.program) };
        let mut shell = Command::new("sh");
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.args(["-c", &limit]).arg(&self.program);
        shell
    }

    /// Waits until it answers as a member of a cluster that has a leader.
    pub(crate) async fn ready(&self) {
        let since = Instant::now();
        while self.status().await.is_none_or(|status| status.leader == 0) {
            assert!(since.elapsed() < WAIT, "it is not ready: {}", self.said());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn status(&self) -> Option<pb::StatusResponse> {
        let mut client = MaintenanceClient::new(self.channel());
        let status = client.status(pb::StatusRequest {}).await;
        status.ok().map(tonic::Response::into_inner)
    }

    /// With SIGKILL: nothing is tidied up.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("it runs");
        child.wait().expect("it is ours");
    }

    /// Asks it to end, and waits.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        let pid = child.id().to_string();
        let kill = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(kill.expect("there is a kill").success());
        wait_for_end(&mut child)
    }

    /// Waits until it ends by itself; how, and what it said.
    pub(crate) fn ends(&mut self) -> (ExitStatus, String) {
        let status = wait_for_end(&mut self.child.take().expect("it runs"));
        (status, self.said())
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("it was started");
        child.try_wait().expect("it is ours").is_some()
    }

    pub(crate) fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// What it has said in all its runs; nothing if it was never started.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client)
    }

    pub(crate) fn channel(&self) -> Channel {
        let url = format!("http://{}", self.address());
        Channel::from_shared(url).expect("a URL").connect_lazy()
    }

    pub(crate) fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel())
    }

    /// The whole answer to a GET of this path.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.expect("it listens");
        let host = self.address();
        let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\nHost: {host}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// How often its log was synced in this run.
    pub(crate) async fn syncs(&self) -> u64 {
        let page = self.get("/metrics").await;
        let count = page
            .lines()
            .find_map(|line| line.strip_prefix("etcd_disk_wal_fsync_duration_seconds_count "));
        count.and_then(|count| count.trim().parse().ok()).expect("the metric is there")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..Default::default()
    }
}

pub(crate) fn get(key: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_owned().into(), ..Default::default() }
}

/// Callers that put keys of their own, one after the other, wherever a member answers.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    callers: Vec<JoinHandle<Vec<String>>>,
    acknowledged: Arc<AtomicU64>,
}

impl Load {
    /// So many callers, each with a connection to every member.
    pub(crate) fn start(servers: &[Server], callers: usize) -> Self {
        let (stop, stopped) = watch::channel(false);
        let acknowledged = Arc::<AtomicU64>::default();
        let caller = |number: usize| {
            let clients: Vec<_> = servers.iter().map(Server::kv).collect();
            let (stopped, count) = (stopped.clone(), acknowledged.clone());
            tokio::spawn(call(number, clients, stopped, count))
        };
        let callers = (0..callers).map(caller).collect();
        Self { stop, callers, acknowledged }
    }

    /// How many puts were acknowledged.
    pub(crate) fn count(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until that many more are; how long it took.
    pub(crate) async fn more(&self, count: u64) -> Duration {
        let (since, target) = (Instant::now(), self.count() + count);
        while self.count() < target {
            assert!(since.elapsed() < WAIT, "no put succeeds any more");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        since.elapsed()
    }

    /// Ends it; every key that was acknowledged.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.stop.send_replace(true);
        let mut keys = Vec::new();
        for caller in self.callers {
            keys.extend(caller.await.expect("no panic"));
        }
        keys
    }
}

async fn call(
    number: usize,
    mut clients: Vec<KvClient<Channel>>,
    stopped: watch::Receiver<bool>,
    count: Arc<AtomicU64>,
) -> Vec<String> {
    let mut keys = Vec::new();
    let mut at = number % clients.len();
    for n in 0.. {
        if *stopped.borrow() {
            break;
        }
        let key = format!("load/{number}/{n}");
        let put = clients[at].put(put(&key, &key));
        // What takes longer may have happened or not; it is not counted on.
        match tokio::time::timeout(Duration::from_secs(2), put).await {
            Ok(Ok(_)) => {
                keys.push(key);
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Err(_)) | Err(_) => {
                at = (at + 1) % clients.len();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    keys
}

/// Asserts that each of these keys is there, as one member has it.
pub(crate) async fn all_there(server: &Server, keys: &[String]) {
    let mut kv = server.kv().max_decoding_message_size(usize::MAX);
    let request = pb::RangeRequest { range_end: "load0".into(), ..get("load/") };
    let answer = kv.range(request).await.expect("it reads").into_inner();
    let there: BTreeSet<&[u8]> = answer.kvs.iter().map(|pair| pair.key.as_ref()).collect();
    let lost: Vec<_> = keys.iter().filter(|key| !there.contains(key.as_bytes())).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged puts are lost: {lost:?}",
        lost.len(),
        keys.len()
    );
    assert!(answer.kvs.iter().all(|pair| pair.key == pair.value), "a value that nobody put");
}
