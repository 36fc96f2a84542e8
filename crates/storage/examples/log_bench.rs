//! Append and sync of the log beside a raw write and sync, in turns, on the same disk.
//!
//! `cargo run -p kvorum-storage --example log_bench --features std-fs --release [DIRECTORY]`

use std::env;
use std::error::Error;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kvorum_storage::std_fs::StdDirectory;
use kvorum_storage::{Log, LogOptions};
use wal::{Batch, Record};

type Outcome<T> = Result<T, Box<dyn Error>>;

const PAYLOAD_BYTES: usize = 256;
const ROUNDS: usize = 4000;
const GROUP: u64 = 64;
/// As members have it.
const RESERVE: u64 = 4 * 1024 * 1024;

fn main() -> Outcome<()> {
    let directory = env::args().nth(1).map_or_else(env::temp_dir, Into::into);
    let directory = directory.join(format!("kvorum-log-bench-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let result = measure(&directory);
    fs::remove_dir_all(&directory)?;
    result
}

fn batch(number: u64) -> Batch {
    let payload = Bytes::from(vec![number as u8; PAYLOAD_BYTES]);
    Batch { number, records: vec![Record::Append { index: number, payload }] }
}

fn measure(directory: &Path) -> Outcome<()> {
    let path = directory.join("data");
    fs::create_dir(&path)?;
    let (mut log, _) = Log::open(StdDirectory::open(&path)?, LogOptions::new(1, RESERVE))?;
    let frame = batch(1).encoded_bytes();
    println!("{ROUNDS} rounds of a batch with one entry of {PAYLOAD_BYTES} B: {frame} B on disk");

    // Both files in turns, so that both meet the same disk. The raw one overwrites what was
    // written before, too.
    let raw = fs::File::create_new(directory.join("raw"))?;
    raw.write_all_at(&vec![0; ROUNDS * frame], 0)?;
    raw.sync_all()?;
    let bytes = vec![7; frame];
    let (mut raw_times, mut log_times) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let begin = Instant::now();
        raw.write_all_at(&bytes, (round * frame) as u64)?;
        raw.sync_data()?;
        raw_times.push(begin.elapsed());

        let batch = batch(log.next());
        let begin = Instant::now();
        log.append(&batch)?;
        log.sync()?;
        log_times.push(begin.elapsed());
    }
    report("raw write + fdatasync", &mut raw_times);
    report("log append + sync", &mut log_times);

    let begin = Instant::now();
    let groups = ROUNDS as u64 / GROUP;
    for _ in 0..groups {
        for _ in 0..GROUP {
            log.append(&batch(log.next()))?;
        }
        log.sync()?;
    }
    let per_second = (groups * GROUP) as f64 / begin.elapsed().as_secs_f64();
    println!("{GROUP} batches a sync: {per_second:.0} batches a second");

    for _ in 0..1_000_000 - log.durable() {
        log.append(&batch(log.next()))?;
    }
    log.sync()?;
    let segments = log.usage().segments;
    drop(log);
    let begin = Instant::now();
    let (_, recovered) = Log::open(StdDirectory::open(&path)?, LogOptions::new(1, RESERVE))?;
    let (entries, took) = (recovered.entries.len(), begin.elapsed());
    println!("recovery of {entries} batches in {segments} segments: {took:.2?}");
    Ok(())
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let mean = times.iter().sum::<Duration>() / times.len() as u32;
    println!("{what:24} mean {mean:.1?}, p50 {:.1?}, p99 {:.1?}", at(50), at(99));
}
