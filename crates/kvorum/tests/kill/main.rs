//! Three members, killed with SIGKILL at random under load, on disks that lose what was not
//! synced. All that clients were answered is held against what is there afterwards.
//!
//! ```text
//!  callers ──ask, answer──► record ──┐
//!  watch ───every revision───────────┼─► judge: one order that fits it all, and it is there
//!  kills ─► a, b, c ◄─ this program, as `kvorum server` on files that lose
//! ```
//!
//! This program is the members' program, too, so that nothing of the disk is in the product.
//! Where syncs do nothing the same judge must say so.

mod callers;
#[path = "../common/mod.rs"]
mod common;
mod history;
mod lossy;

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use api::kv::RangeRequest;
use callers::{Callers, Random};
use common::server::{Server, members};
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::maintenance_client::MaintenanceClient;
use history::Judged;
use lossy::LossyDirectory;
use tokio::time::sleep;

/// Names how many syncs do anything, where this program is a member.
const SYNCS: &str = "KVORUM_TEST_SYNCS";
/// How often they are killed, and the seed of what happens when; drawn where it is not given.
const ROUNDS: (&str, u64) = ("KVORUM_TEST_ROUNDS", 20);
const SEED: &str = "KVORUM_TEST_SEED";
const CALLERS: u64 = 12;
/// Without a quorum for so long at most, once all run.
const PAUSE_MAX: Duration = Duration::from_secs(10);

type Test = (&'static str, fn());

const TESTS: [Test; 4] = [
    ("the_disk_loses_what_was_not_synced", lossy::check),
    ("killed_at_random_under_load_they_lose_nothing", killed_at_random),
    ("syncs_that_do_nothing_are_caught", || caught(0)),
    ("syncs_that_stop_to_do_anything_are_caught", || caught(30)),
];

fn main() -> ExitCode {
    if let Ok(syncs) = std::env::var(SYNCS) {
        let syncs = syncs.parse().expect("a number of syncs");
        return kvorum::run(|path| LossyDirectory::open(path, syncs));
    }
    // As the usual harness: parts of names, and none of its flags that matter here but one.
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (flags, names): (Vec<_>, Vec<_>) = words.into_iter().partition(|w| w.starts_with("--"));
    let chosen = |test: &&Test| names.is_empty() || names.iter().any(|part| test.0.contains(part));
    let chosen: Vec<&Test> = TESTS.iter().filter(chosen).collect();
    if flags.iter().any(|flag| flag == "--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, test) in &chosen {
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += usize::from(!passed);
    }
    let (result, passed) = (if failed == 0 { "ok" } else { "FAILED" }, chosen.len() - failed);
    println!("\ntest result: {result}. {passed} passed; {failed} failed; 0 ignored");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn killed_at_random() {
    let rounds = number(ROUNDS.0).unwrap_or(ROUNDS.1);
    let seed = number(SEED).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.expect("it is later than 1970").as_nanos() as u64
    });
    println!("{rounds} rounds, {SEED}={seed}");
    let since = Instant::now();
    let judged = block_on(live(rounds, u64::MAX, seed)).unwrap_or_else(|lost| panic!("{lost}"));
    let (answered, revision) = (judged.answered, judged.revision());
    println!("{answered} answers up to revision {revision} in {:?}", since.elapsed());
    assert!(answered > 20 * rounds, "there was no load");
}

/// Of a disk that loses what it says is safe the judge says that all is lost.
fn caught(syncs: u64) {
    let lost = block_on(live(1, syncs, 7)).err().expect("it is noticed");
    println!("noticed: {lost}");
    let words = ["was acknowledged, and", "strict_serializability", "a watch saw"];
    assert!(words.iter().any(|words| lost.contains(words)), "for another reason: {lost}");
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// A cluster that is killed so often. An error is a promise that was not kept.
async fn live(rounds: u64, syncs: u64, seed: u64) -> Result<Judged, String> {
    let servers = members(&["a", "b", "c"]).into_iter();
    // Little is in memory only, and logs are cut and snapshots sent while members are away.
    let flags = ["--snapshot-count", "100"];
    let mut servers: Vec<Server> =
        servers.map(|server| callers::lossy(server.with(&flags), syncs)).collect();
    servers.iter_mut().for_each(Server::start);
    for server in &servers {
        server.ready().await;
    }
    let mut callers = Callers::start(&servers, CALLERS, seed);
    let mut random = Random(seed);
    for round in 0..rounds {
        // With one round there is but one kill, of all: of something that there is to lose.
        let least = if rounds == 1 { 500 } else { 1 };
        callers.more(least + random.below(150)).await?;
        // Mostly one, now and then two, or all of them at once.
        let (chosen, spared) = (random.below(3), random.below(3));
        let hit: Vec<usize> = match random.below(6) {
            0 | 1 if rounds > 1 => (0..3).filter(|place| *place as u64 != spared).collect(),
            2..5 if rounds > 1 => vec![chosen as usize],
            _ => vec![0, 1, 2],
        };
        hit.iter().for_each(|&place| servers[place].kill());
        sleep(Duration::from_millis(random.below(400))).await;
        hit.iter().for_each(|&place| servers[place].start());
        let pause = callers.more(1).await.map_err(|error| with_said(&error, &servers))?;
        if pause > PAUSE_MAX {
            return Err(format!("round {round}: no write for {pause:?}"));
        }
        if random.below(3) == 0 {
            compact(&servers[chosen as usize], callers.watched() - 20).await;
        }
    }
    callers.quiet().await;
    let settled = settle(&servers).await.map_err(|error| with_said(&error, &servers));
    let (record, seen) = callers.stop(*settled.as_ref().unwrap_or(&0)).await?;
    let judged = record.check(seen)?;
    settled?;
    for server in &servers {
        hold(server, &judged).await?;
    }
    for revision in [judged.revision(), judged.revision() - 10] {
        let mut hashes = Vec::new();
        for server in &servers {
            hashes.push(hash(server, revision).await?);
        }
        if hashes.iter().any(|hash| *hash != hashes[0]) {
            return Err(format!("hashes at revision {revision} differ: {hashes:?}"));
        }
    }
    Ok(judged)
}

fn with_said(error: &str, servers: &[Server]) -> String {
    let said = servers.iter().map(|server| {
        let said = server.said();
        let lines: Vec<&str> = said.lines().rev().take(8).collect();
        format!("\n{}: {}", server.name, lines.into_iter().rev().collect::<Vec<_>>().join("\n   "))
    });
    format!("{error}{}", said.collect::<String>())
}

/// Drops history that the watch has seen. Whoever is asked may be away.
async fn compact(server: &Server, revision: i64) {
    if revision > 1 {
        let request = pb::CompactionRequest { revision, ..pb::CompactionRequest::default() };
        let _ = server.kv().compact(request).await;
    }
}

/// Waits until all have the same; the revision.
async fn settle(servers: &[Server]) -> Result<i64, String> {
    let since = Instant::now();
    loop {
        let mut revisions = Vec::new();
        for server in servers {
            // A linearizable read on each: it has what was committed before.
            let read = pb::RangeRequest { key: "k".into(), ..pb::RangeRequest::default() };
            let header = server.kv().range(read).await.ok().and_then(|r| r.into_inner().header);
            revisions.extend(header.map(|header| header.revision));
        }
        if revisions.len() == servers.len() && revisions.iter().all(|r| *r == revisions[0]) {
            return Ok(revisions[0]);
        }
        if since.elapsed() > common::WAIT {
            return Err(format!("they do not come to agree: {revisions:?}"));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A member holds what was judged to be right, and hashes it as the others do.
async fn hold(server: &Server, judged: &Judged) -> Result<(), String> {
    let all = RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..Default::default() };
    let request = pb::RangeRequest { serializable: true, ..all.clone().into() };
    let mut kv = server.kv().max_decoding_message_size(usize::MAX);
    let answer = kv.range(request).await.map_err(|error| error.to_string())?.into_inner();
    let revision = answer.header.as_ref().map_or(0, |header| header.revision);
    if revision < judged.revision() {
        return Err(format!(
            "revision {} was acknowledged, and {} is at {revision}",
            judged.revision(),
            server.name
        ));
    }
    let right = judged.read(all);
    let found = api::kv::RangeResponse::from(answer).kvs;
    if found != right.kvs {
        return Err(format!("{} holds {found:?}, not {:?}", server.name, right.kvs));
    }
    Ok(())
}

/// The hash of all that was there at a revision.
async fn hash(server: &Server, revision: i64) -> Result<(u32, i64), String> {
    let mut client = MaintenanceClient::new(server.channel());
    let answer = client.hash_kv(pb::HashKvRequest { revision }).await;
    let answer = answer.map_err(|error| format!("{}: {error}", server.name))?.into_inner();
    Ok((answer.hash, answer.compact_revision))
}
