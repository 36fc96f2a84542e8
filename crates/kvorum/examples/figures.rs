//! What a member takes: to come back, of memory, of the disk. `docs/figures.md` has what it said.
//!
//! ```text
//! cargo build --release -p kvorum
//! ETCD=target/etcd/etcd cargo run --release -p kvorum --example figures recovery 10000 1000000
//! cargo run --release -p kvorum --example figures memory 2048     # MiB of keys
//! cargo run --release -p kvorum --example figures growth 20       # rounds
//! ```
//!
//! `recovery` fills a server with keys of 8 and values of 256 bytes, kills it, and measures from
//! its start to the first linearizable read, several times. `memory` fills one beyond its cache
//! and reads at random. `growth` overwrites the same keys, and compacts.

#![allow(dead_code, reason = "each program uses its own part of what they share")]

mod common;

use std::time::{Duration, Instant};

use common::{Program, Result, Server};
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::request_op::Request;

const MIB: f64 = 1024.0 * 1024.0;
/// As many as etcd takes in one transaction.
const OPS: u64 = 128;
/// Transactions that wait at once.
const CALLERS: u64 = 8;
const STARTS: usize = 5;
const LARGE: &str = "--quota-backend-bytes=17179869184";

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers =
        words.iter().skip(1).map(|word| Ok(word.parse()?)).collect::<Result<Vec<u64>>>()?;
    match (words.first().map(String::as_str), numbers.as_slice()) {
        (Some("recovery"), counts) if !counts.is_empty() => recovery(counts).await,
        (Some("memory"), [mib]) => memory(*mib).await,
        (Some("growth"), [rounds]) => growth(*rounds).await,
        _ => Err("figures recovery KEYS…, memory MIB, or growth ROUNDS".into()),
    }
}

fn key(n: u64) -> Vec<u8> {
    format!("{n:08}").into_bytes()
}

fn value(n: u64, round: u64, bytes: usize) -> Vec<u8> {
    // Nothing that a file system could make smaller.
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ round;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// Puts the keys from 0 on.
async fn fill(server: &Server, keys: u64, bytes: usize, round: u64) -> Result<Duration> {
    let since = Instant::now();
    let mut callers = Vec::new();
    for caller in 0..CALLERS {
        let mut kv = server.kv()?;
        callers.push(tokio::spawn(async move {
            let mut from = caller * OPS;
            while from < keys {
                let put = |n: u64| pb::RequestOp {
                    request: Some(Request::RequestPut(pb::PutRequest {
                        key: key(n).into(),
                        value: value(n, round, bytes).into(),
                        ..pb::PutRequest::default()
                    })),
                };
                let success = (from..(from + OPS).min(keys)).map(put).collect();
                kv.txn(pb::TxnRequest { success, ..pb::TxnRequest::default() }).await?;
                from += CALLERS * OPS;
            }
            Ok::<_, tonic::Status>(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    Ok(since.elapsed())
}

async fn recovery(counts: &[u64]) -> Result<()> {
    let (kvorum, etcd) = Program::built_and_etcd()?;
    println!(
        "{:8} {:>9} {:>9} {:>9} {:>10} {:>10} {:>10}",
        "", "keys", "log MiB", "store MiB", "best ms", "median ms", "worst ms"
    );
    for count in counts {
        for program in [Some(&kvorum), etcd.as_ref()].into_iter().flatten() {
            let mut server = program.start(&[LARGE])?;
            server.ready().await?;
            fill(&server, *count, 256, 0).await?;
            let mut took = Vec::new();
            for _ in 0..STARTS {
                server.kill();
                server.again()?;
                took.push(server.ready().await?);
            }
            took.sort_unstable();
            let log = server.bytes_of(&["log", "wal"])? as f64 / MIB;
            let store = server.bytes_of(&["store", "snap"])? as f64 / MIB;
            let ms = |at: usize| took[at].as_secs_f64() * 1000.0;
            let (best, median, worst) = (ms(0), ms(STARTS / 2), ms(STARTS - 1));
            let name = &program.name;
            println!(
                "{name:8} {count:>9} {log:>9.0} {store:>9.0} {best:>10.0} {median:>10.0} \
                 {worst:>10.0}"
            );
        }
    }
    Ok(())
}

async fn memory(mib: u64) -> Result<()> {
    const VALUE: usize = 1000;
    let (kvorum, _) = Program::built_and_etcd()?;
    let keys = mib * 1024 * 1024 / (VALUE as u64 + 8);
    let mut server = kvorum.start(&[LARGE, "--backend-cache-bytes=67108864"])?;
    server.ready().await?;
    let took = fill(&server, keys, VALUE, 0).await?;
    let show = |what: &str, (now, most): (u64, u64)| {
        println!("{what}: {:.0} MiB now, {:.0} MiB at most", now as f64 / MIB, most as f64 / MIB);
    };
    println!("{keys} keys, {mib} MiB of keys and values, put in {took:.1?}");
    show("after the puts", server.memory()?);
    server.kill();
    server.again()?;
    println!("started again in {:.0?}", server.ready().await?);
    show("after the start", server.memory()?);
    let (since, reads) = (Instant::now(), 20_000);
    let mut kv = server.kv()?;
    for n in 0..reads {
        let n = (n * 7_919_u64.wrapping_mul(104_729)) % keys;
        let read = pb::RangeRequest { key: key(n).into(), ..pb::RangeRequest::default() };
        let found = kv.range(read).await?.into_inner().kvs;
        if found.len() != 1 || found[0].value != value(n, 0, VALUE) {
            return Err(format!("key {n} is not what was put").into());
        }
    }
    println!("{reads} keys read at random by one caller in {:.1?}", since.elapsed());
    show("after the reads", server.memory()?);
    let disk = server.bytes_of(&[""])? as f64 / MIB;
    println!("{disk:.0} MiB on disk");
    Ok(())
}

async fn growth(rounds: u64) -> Result<()> {
    const KEYS: u64 = 20_000;
    const VALUE: usize = 1000;
    let (kvorum, _) = Program::built_and_etcd()?;
    let server = kvorum.start(&[LARGE])?;
    server.ready().await?;
    let live = KEYS as f64 * (VALUE as f64 + 8.0) / MIB;
    println!("{KEYS} keys, {live:.0} MiB, put again in each round, a compaction after every fifth");
    println!("{:>6} {:>12} {:>9} {:>9}", "round", "written MiB", "log MiB", "store MiB");
    for round in 1..=rounds {
        fill(&server, KEYS, VALUE, round).await?;
        if round % 5 == 0 {
            let read = pb::RangeRequest { key: key(0).into(), ..pb::RangeRequest::default() };
            let header = server.kv()?.range(read).await?.into_inner().header;
            let revision = header.ok_or("no header")?.revision;
            let request = pb::CompactionRequest { revision, physical: true };
            server.kv()?.compact(request).await?;
            // What was freed is given back by a new file, beside all else.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let (log, store) = (server.bytes_of(&["log"])?, server.bytes_of(&["store"])?);
        let (written, log, store) = (live * round as f64, log as f64 / MIB, store as f64 / MIB);
        println!("{round:>6} {written:>12.0} {log:>9.0} {store:>9.0}");
    }
    Ok(())
}
