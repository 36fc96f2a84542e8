//! Puts per second at `kvorum server` and at the real etcd, in one run, on one machine.
//!
//! ```text
//! cargo build --release -p kvorum
//! ETCD=target/etcd/etcd cargo run --release -p kvorum --example bench [OTHER_KVORUM ...]
//! ```
//!
//! Each gets an empty directory on the disk of `target`, and puts of 256 bytes under keys of
//! their own, from callers that wait for each answer. All run all the time, and turns of a
//! second go round, so that what else this machine does hits all alike. Callers, servers and
//! disk share it: compare within one run only. `BENCH_SECONDS` says how many turns each gets.

use std::error::Error;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::kv_client::KvClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const VALUE_BYTES: usize = 256;
/// Callers that share a connection.
const CALLERS_PER_CHANNEL: usize = 10;
/// How long one has its turn.
const TURN: Duration = Duration::from_secs(1);
const START_MAX: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    let built = std::env::current_exe()?;
    let built = built.parent().and_then(Path::parent).ok_or("not started by cargo")?;
    let kvorum = built.join("kvorum");
    if !kvorum.is_file() {
        return Err(format!("{} is not built", kvorum.display()).into());
    }
    let turns = std::env::var("BENCH_SECONDS").map_or(Ok(5), |text| text.parse())?;
    let mut programs = vec![("kvorum".to_owned(), kvorum, true)];
    for (at, other) in std::env::args_os().skip(1).enumerate() {
        programs.push((format!("other {}", at + 1), PathBuf::from(other), true));
    }
    match std::env::var_os("ETCD") {
        Some(etcd) => programs.push(("etcd".to_owned(), PathBuf::from(etcd), false)),
        None => println!("(no etcd: name its program with ETCD)"),
    }
    println!(
        "{:8} {:>7} {:>8} {:>8} {:>8} {:>9}",
        "", "callers", "puts/s", "p50 ms", "p99 ms", "puts/sync"
    );
    for callers in [1, 100] {
        let mut contenders = Vec::new();
        for (name, program, is_kvorum) in &programs {
            let first: &[&str] = if *is_kvorum { &["server"] } else { &[] };
            contenders.push(Contender::start(name, program, first, built, callers).await?);
        }
        let mut raw = 0.0;
        for _ in 0..turns {
            raw += raw_syncs(built, TURN / 2)?;
            for contender in &mut contenders {
                contender.turn().await?;
            }
        }
        for contender in contenders {
            contender.print();
        }
        println!("raw write + sync: {:.0} a second", raw / f64::from(turns));
    }
    Ok(())
}

/// One server, its callers, and what they saw.
struct Contender {
    name: String,
    server: Running,
    channels: Vec<Channel>,
    callers: usize,
    took: Vec<Duration>,
    syncs: f64,
    seconds: f64,
}

impl Contender {
    async fn start(
        name: &str,
        program: &Path,
        first: &[&str],
        place: &Path,
        callers: usize,
    ) -> Result<Self> {
        let server = start(program, first, place)?;
        let url = format!("http://{}", server.address);
        let since = Instant::now();
        let mut channels = Vec::new();
        while channels.len() * CALLERS_PER_CHANNEL < callers {
            let channel = Channel::from_shared(url.clone())?.connect_lazy();
            while KvClient::new(channel.clone()).put(put(0, 0)).await.is_err() {
                if since.elapsed() > START_MAX {
                    return Err(format!("{name} does not start").into());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            channels.push(channel);
        }
        measure(&channels, callers, TURN).await?;
        let (name, took) = (name.to_owned(), Vec::new());
        Ok(Self { name, server, channels, callers, took, syncs: 0.0, seconds: 0.0 })
    }

    async fn turn(&mut self) -> Result<()> {
        let before = syncs(&self.server.address).await?;
        let since = Instant::now();
        self.took.extend(measure(&self.channels, self.callers, TURN).await?);
        self.seconds += since.elapsed().as_secs_f64();
        self.syncs += syncs(&self.server.address).await? - before;
        Ok(())
    }

    fn print(mut self) {
        self.took.sort_unstable();
        let at = |part: f64| {
            let place = (self.took.len() as f64 * part) as usize;
            self.took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
        };
        let count = self.took.len() as f64;
        let (rate, shared) = (count / self.seconds, count / self.syncs.max(1.0));
        let (name, callers, middle, slow) = (&self.name, self.callers, at(0.5), at(0.99));
        println!("{name:8} {callers:>7} {rate:>8.0} {middle:>8.2} {slow:>8.2} {shared:>9.1}");
    }
}

/// What the disk can do for one writer that waits.
fn raw_syncs(place: &Path, time: Duration) -> Result<f64> {
    let dir = tempfile::tempdir_in(place)?;
    let mut file = File::create(dir.path().join("raw"))?;
    let (since, mut count) = (Instant::now(), 0u32);
    while since.elapsed() < time {
        file.write_all(&[0; VALUE_BYTES])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / since.elapsed().as_secs_f64())
}

/// A server that ends with its row.
struct Running {
    child: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start(program: &Path, first: &[&str], place: &Path) -> Result<Running> {
    let dir = tempfile::tempdir_in(place)?;
    let (client, peer) = (free_port()?, free_port()?);
    let [client_url, peer_url] = [client, peer].map(|port| format!("http://127.0.0.1:{port}"));
    let child = Command::new(program)
        .args(first)
        .args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url])
        .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
        .args(["--initial-cluster", &format!("default={peer_url}"), "--data-dir"])
        .arg(dir.path().join("data"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Running { child, address: format!("127.0.0.1:{client}"), _dir: dir })
}

fn put(caller: usize, n: u64) -> pb::PutRequest {
    let key = format!("bench/{caller}/{n}").into();
    pb::PutRequest { key, value: vec![b'x'; VALUE_BYTES].into(), ..Default::default() }
}

/// How long each put took.
async fn measure(channels: &[Channel], callers: usize, time: Duration) -> Result<Vec<Duration>> {
    let stop = Arc::<AtomicBool>::default();
    let mut running = Vec::new();
    for caller in 0..callers {
        let mut kv = KvClient::new(channels[caller % channels.len()].clone());
        let stop = stop.clone();
        running.push(tokio::spawn(async move {
            let mut took = Vec::new();
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let since = Instant::now();
                kv.put(put(caller, n)).await?;
                took.push(since.elapsed());
            }
            Ok::<_, tonic::Status>(took)
        }));
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for caller in running {
        all.extend(caller.await??);
    }
    Ok(all)
}

/// How often the server has synced its log, by the metric that both have.
async fn syncs(address: &str) -> Result<f64> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nConnection: close\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let count = answer
        .lines()
        .find_map(|line| line.strip_prefix("etcd_disk_wal_fsync_duration_seconds_count "));
    Ok(count.ok_or("no count of syncs in /metrics")?.trim().parse()?)
}
