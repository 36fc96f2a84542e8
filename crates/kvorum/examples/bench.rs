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
//! disk share it: compare within one run only. `BENCH_SECONDS` says how many turns each gets,
//! `BENCH_VALUE_BYTES` how long values are.

#![allow(dead_code, reason = "each program uses its own part of what they share")]

mod common;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::kv_client::KvClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;

use common::{Program, Result, Server};

/// Bytes of a value, if `BENCH_VALUE_BYTES` does not say.
static VALUE_BYTES: LazyLock<usize> = LazyLock::new(|| {
    let bytes = std::env::var("BENCH_VALUE_BYTES").ok();
    bytes.map_or(256, |text| text.parse().expect("BENCH_VALUE_BYTES is a number"))
});
/// Callers that share a connection.
const CALLERS_PER_CHANNEL: usize = 10;
/// How long one has its turn.
const TURN: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<()> {
    let turns = std::env::var("BENCH_SECONDS").map_or(Ok(5), |text| text.parse())?;
    let (kvorum, etcd) = Program::built_and_etcd()?;
    let others = std::env::args_os().skip(1).enumerate();
    let others =
        others.map(|(at, path)| Program::kvorum(&format!("other {}", at + 1), path.into()));
    let programs: Vec<Program> = [kvorum].into_iter().chain(others).chain(etcd).collect();
    println!(
        "{:8} {:>7} {:>8} {:>8} {:>8} {:>9}",
        "", "callers", "puts/s", "p50 ms", "p99 ms", "puts/sync"
    );
    for callers in [1, 100] {
        let mut contenders = Vec::new();
        for program in &programs {
            contenders.push(Contender::start(program, callers).await?);
        }
        let mut raw = 0.0;
        for _ in 0..turns {
            raw += raw_syncs(&common::built()?, TURN / 2)?;
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
    server: Server,
    channels: Vec<Channel>,
    callers: usize,
    took: Vec<Duration>,
    syncs: f64,
    seconds: f64,
}

impl Contender {
    async fn start(program: &Program, callers: usize) -> Result<Self> {
        let server = program.start(&[])?;
        server.ready().await?;
        let count = callers.div_ceil(CALLERS_PER_CHANNEL);
        let channels = (0..count).map(|_| server.channel()).collect::<Result<Vec<_>>>()?;
        measure(&channels, callers, TURN).await?;
        let (name, took) = (program.name.clone(), Vec::new());
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
        file.write_all(&vec![0; *VALUE_BYTES])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(f64::from(count) / since.elapsed().as_secs_f64())
}

fn put(caller: usize, n: u64) -> pb::PutRequest {
    let key = format!("bench/{caller}/{n}").into();
    pb::PutRequest { key, value: vec![b'x'; *VALUE_BYTES].into(), ..Default::default() }
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
