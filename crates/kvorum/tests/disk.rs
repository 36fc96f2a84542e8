//! Disks that are full, read-only or damaged, under the program itself: each says what happened,
//! to what, and what to do, and nothing else is lost.

mod common;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use common::mount::Mount;
use common::server::{Load, Server, all_there, get, leader, members, put};
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::alarm_request::AlarmAction;
use etcdpb::pb::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::{Code, Status};

const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";

/// Puts values of so many bytes until there is no room; how many were acknowledged, and the error.
async fn put_until_refused(server: &Server, prefix: &str, bytes: usize) -> (usize, Status) {
    let (mut kv, value) = (server.kv(), "v".repeat(bytes));
    for n in 0.. {
        if let Err(error) = kv.put(put(&format!("{prefix}{n:04}"), &value)).await {
            return (n, error);
        }
        assert!(n < 5000, "it is never full");
    }
    unreachable!("it is full before")
}

async fn count(server: &Server, prefix: &str, end: &str) -> i64 {
    let range =
        pb::RangeRequest { range_end: end.to_owned().into(), count_only: true, ..get(prefix) };
    server.kv().range(range).await.expect("reads go on").into_inner().count
}

async fn alarms(server: &Server) -> Vec<pb::AlarmMember> {
    alarm(server, AlarmAction::Get).await
}

async fn alarm(server: &Server, action: AlarmAction) -> Vec<pb::AlarmMember> {
    let mut found = Vec::new();
    let raised = match action {
        // As `etcdctl alarm disarm` does: those that are there.
        AlarmAction::Deactivate => Box::pin(alarms(server)).await,
        _ => vec![pb::AlarmMember::default()],
    };
    for pb::AlarmMember { member_id, alarm } in raised {
        let request = pb::AlarmRequest { action: action.into(), member_id, alarm };
        let answer = MaintenanceClient::new(server.channel()).alarm(request).await;
        found.extend(answer.expect("it answers").into_inner().alarms);
    }
    found
}

/// As an operator does: disarms, and again if it is raised again, until a put succeeds.
async fn bring_back(server: &Server) {
    let since = Instant::now();
    loop {
        alarm(server, AlarmAction::Deactivate).await;
        match server.kv().put(put("again", "1")).await {
            Ok(_) => return,
            Err(error) => assert!(since.elapsed() < common::WAIT, "{error}: {}", server.said()),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_cleared_by_its_operator() {
    let Some(mount) = Mount::or_skip(256) else { return };
    let mut server = mount.holds(members(&["default"]).remove(0));
    server.start();
    server.ready().await;
    server.kv().put(put("first", "1")).await.expect("puts");
    let (acknowledged, error) = put_until_refused(&server, "k", 100_000).await;
    assert!(acknowledged > 100, "only {acknowledged}: {error}");
    assert_eq!((error.code(), error.message()), (Code::ResourceExhausted, NO_SPACE));
    let since = Instant::now();
    while alarms(&server).await.is_empty() {
        assert!(since.elapsed() < common::WAIT, "no alarm: {}", server.said());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(alarms(&server).await[0].alarm, pb::AlarmType::Nospace as i32);
    assert!(server.said().contains("etcdctl alarm disarm"), "{}", server.said());
    assert!(!server.has_ended(), "raft's own records had room: the alarm is one");
    assert_eq!(count(&server, "k", "l").await, acknowledged as i64);

    // A start needs some room, too.
    server.kill();
    server.start();
    server.ready().await;
    assert_eq!(count(&server, "k", "l").await, acknowledged as i64);
    let error = server.kv().put(put("more", "1")).await.expect_err("it is still raised");
    assert_eq!(error.message(), NO_SPACE);

    let mut kv = server.kv();
    let delete = pb::DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: false };
    let deleted = kv.delete_range(delete).await.expect("deletes").into_inner();
    assert_eq!(deleted.deleted, acknowledged as i64);
    let revision = deleted.header.expect("a header").revision;
    kv.compact(pb::CompactionRequest { revision, physical: false }).await.expect("compacts");
    bring_back(&server).await;
    let value = "w".repeat(100_000);
    for n in 0..100 {
        let put = put(&format!("w{n:03}"), &value);
        if kv.put(put.clone()).await.is_err() {
            // What was on its way to the store when all was deleted has to go there first.
            bring_back(&server).await;
            kv.put(put).await.expect("there is room");
        }
    }
    server.kill();
    server.start();
    server.ready().await;
    assert_eq!((count(&server, "k", "l").await, count(&server, "w", "x").await), (0, 100));
    assert_eq!(count(&server, "first", "").await, 1);
}

/// More comes at once than the log keeps in reserve.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_many_large_puts_fill_is_cleared_by_its_operator() {
    fill_at_once(&["default"], 400).await;
}

/// As members in one browser have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_of_three_members_that_many_large_puts_fill_is_cleared() {
    fill_at_once(&["a", "b", "c"], 1000).await;
}

async fn fill_at_once(names: &[&str], mib: u32) {
    let Some(mount) = Mount::or_skip(mib) else { return };
    let servers = members(names).into_iter().zip(names);
    let mut servers: Vec<_> = servers.map(|(server, name)| mount.holds_as(name, server)).collect();
    servers.iter_mut().for_each(Server::start);
    for server in &servers {
        server.ready().await;
    }
    let callers = (0..40).map(|caller| {
        let mut kv = servers[caller % servers.len()].kv();
        let value = "v".repeat(1_500_000);
        tokio::spawn(async move {
            let mut acknowledged = 0;
            loop {
                let put = put(&format!("k{caller:02}/{acknowledged}"), &value);
                match kv.put(put).await {
                    Ok(_) => acknowledged += 1,
                    Err(error) => return (acknowledged, error),
                }
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut acknowledged = 0;
    for caller in callers {
        let (count, error) = caller.await.expect("it ends");
        // Nobody waited in vain until the time was over.
        assert_eq!(error.message(), NO_SPACE);
        acknowledged += count;
    }
    assert!(acknowledged > 20, "{acknowledged}");
    assert_eq!(count(&servers[0], "k", "l").await, acknowledged);
    let mut kv = servers[0].kv();
    let delete = pb::DeleteRangeRequest { key: "k".into(), range_end: "l".into(), prev_kv: false };
    let deleted = kv.delete_range(delete).await.expect("deletes").into_inner();
    let revision = deleted.header.expect("a header").revision;
    kv.compact(pb::CompactionRequest { revision, physical: false }).await.expect("compacts");
    for server in &servers {
        bring_back(server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_one_members_disk_is_full_the_others_lose_nothing() {
    // Of large ones few are too many before the alarm is there.
    for bytes in [100_000, 1_000_000] {
        fill_one_disk(bytes).await;
    }
}

async fn fill_one_disk(bytes: usize) {
    let Some(mount) = Mount::or_skip(48) else { return };
    let mut servers = members(&["a", "b", "c"]);
    let full = mount.holds(servers.remove(0));
    servers.insert(0, full);
    servers.iter_mut().for_each(Server::start);
    for server in &servers {
        server.ready().await;
    }
    let load = Load::start(&servers, 4);
    load.more(200).await;
    mount.fill();
    put_until_refused(&servers[1], "k", bytes).await;
    let keys = load.stop().await;
    for server in &servers {
        let error = server.kv().put(put("more", "1")).await.expect_err("the alarm is raised");
        assert_eq!(error.message(), NO_SPACE);
        all_there(server, &keys).await;
    }
    assert_ne!(leader(&servers).await, 0, "who can write leads");
    mount.clear();
    // The one whose disk it is has to find out that there is room.
    for server in &servers {
        bring_back(server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_directory_is_told() {
    let Some(mount) = Mount::or_skip(16) else { return };
    let mut server = mount.holds(members(&["default"]).remove(0));
    server.start();
    server.ready().await;
    server.kv().put(put("a", "1")).await.expect("puts");
    server.kill();
    mount.set_read_only(true);
    let probe = fs::write(mount.data().join("probe"), "").expect_err("nobody can write");
    server.start();
    let (status, said) = server.ends();
    assert_eq!(status.code(), Some(1), "{said}");
    let data = server.data().display().to_string();
    for words in [data.as_str(), &probe.to_string(), "must be able to write"] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
    mount.set_read_only(false);
    server.start();
    server.ready().await;
    let read = server.kv().range(get("a")).await.expect("reads").into_inner();
    assert_eq!(read.kvs[0].value, "1");
}

/// Starts it once more, when it will not have its directory, and takes nothing for what it is not.
fn refused(server: &mut Server, file: &Path) -> String {
    let before = fs::read(file).expect("is there");
    server.start();
    let (status, said) = server.ends();
    assert_eq!(status.code(), Some(1), "{said}");
    let last = said.lines().rfind(|line| line.starts_with("kvorum: ")).expect("says why");
    assert!(fs::read(file).expect("is there") == before, "nothing is overwritten");
    assert!(last.contains(&server.data().display().to_string()), "{last}");
    last.to_owned()
}

/// With its file as it was, a member that was refused has all that it had.
async fn serves_again(server: &mut Server, file: &Path, good: &[u8], keys: &[String]) {
    fs::write(file, good).expect("writes");
    server.start();
    server.ready().await;
    all_there(server, keys).await;
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).expect("is there");
    bytes[at] ^= 0x10;
    fs::write(file, bytes).expect("writes");
}

/// Members most of whose data is in their stores' files; the last one is not running.
async fn settled(names: &[&str]) -> (Vec<Server>, Vec<String>) {
    let mut servers = members(names);
    servers = servers.into_iter().map(|s| s.with(&["--snapshot-count", "50"])).collect();
    servers.iter_mut().for_each(Server::start);
    for server in &servers {
        server.ready().await;
    }
    let load = Load::start(&servers, 8);
    load.more(1500).await;
    let keys = load.stop().await;
    let since = Instant::now();
    let last = servers.last_mut().expect("there is one");
    let store = last.data().join("store-00000001");
    while fs::metadata(&store).map_or(0, |meta| meta.len()) < 500_000 {
        assert!(since.elapsed() < common::WAIT, "nothing is moved to the store's file");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(last.terminate().code(), Some(0));
    (servers, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_is_told_and_the_others_go_on() {
    let (mut servers, keys) = settled(&["a", "b", "c"]).await;
    let log = servers[2].data().join("log-00000001");
    let good = fs::read(&log).expect("is there");
    let end = good.iter().rposition(|byte| *byte != 0).expect("it holds something");
    // At its front, and in the middle: of its last batches nothing says that they were safe.
    for at in [20, end / 2] {
        flip(&log, at);
        let said = refused(&mut servers[2], &log);
        assert!(said.contains("log-00000001") && said.contains("damaged"), "{said}");
        assert!(said.contains("replace this member"), "{said}");
        fs::write(&log, &good).expect("writes");
    }
    // Of a version to come, which knows how to write its checksum.
    let mut newer = good.clone();
    newer[8] = 2;
    let checksum = crc32c(&newer[..44]).to_le_bytes();
    newer[44..48].copy_from_slice(&checksum);
    fs::write(&log, &newer).expect("writes");
    let said = refused(&mut servers[2], &log);
    assert!(said.contains("it has format 2, this program knows up to 1"), "{said}");
    assert!(said.contains("or a newer one; nothing was changed"), "{said}");

    servers[0].kv().put(put("a", "1")).await.expect("the others go on");
    all_there(&servers[0], &keys).await;
    serves_again(&mut servers[2], &log, &good, &keys).await;
}

/// As a crash may leave a batch of two pages: only the second one is on the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_torn_end_of_the_log_is_told_and_cut() {
    let (mut servers, keys) = settled(&["a"]).await;
    let log = servers[0].data().join("log-00000001");
    let last = fs::read(&log).expect("reads").iter().rposition(|byte| *byte != 0);
    let file = fs::File::options().write(true).open(&log).expect("opens");
    file.write_all_at(&[7; 100], last.expect("it holds something") as u64 + 4096).expect("writes");
    servers[0].start();
    servers[0].ready().await;
    let said = servers[0].said();
    assert!(said.contains("the end of the log was not complete: cut "), "{said}");
    all_there(&servers[0], &keys).await;
}

/// Of redb's header there are two copies, with a checksum each.
#[tokio::test(flavor = "multi_thread")]
async fn one_copy_of_the_stores_header_is_enough() {
    let (mut servers, keys) = settled(&["a", "b", "c"]).await;
    let store = servers[2].data().join("store-00000001");
    let good = fs::read(&store).expect("is there");
    flip(&store, 100);
    flip(&store, 8192 + 100);
    let said = refused(&mut servers[2], &store);
    assert!(said.contains("no header that holds"), "{said}");
    assert!(said.contains("replace this member"), "{said}");
    for at in [100, 8192 + 100] {
        fs::write(&store, &good).expect("writes");
        flip(&store, at);
        servers[2].start();
        servers[2].ready().await;
        all_there(&servers[2], &keys).await;
        servers[2].kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_a_version_to_come_is_refused() {
    let (mut servers, keys) = settled(&["a"]).await;
    let store = servers[0].data().join("store-00000001");
    let good = fs::read(&store).expect("is there");
    let mut newer = good.clone();
    for copy in newer[..2 * 8192].chunks_mut(8192) {
        copy[4104] = 2;
        let checksum = crc32c(&copy[..4116]).to_le_bytes();
        copy[4116..4120].copy_from_slice(&checksum);
    }
    fs::write(&store, &newer).expect("writes");
    let said = refused(&mut servers[0], &store);
    assert!(said.contains("the store's file has format 2, this program knows up to 1"), "{said}");
    assert!(said.contains("or a newer one; nothing was changed"), "{said}");
    serves_again(&mut servers[0], &store, &good, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_rows_are_not_given_to_anybody() {
    let (mut servers, keys) = settled(&["a"]).await;
    let mut server = servers.remove(0);
    let store = server.data().join("store-00000001");
    let images: Vec<_> = fs::read_dir(server.data())
        .expect("is there")
        .map(|entry| entry.expect("is there").path())
        .map(|path| (path.clone(), fs::read(path).expect("reads")))
        .collect();
    let good = fs::read(&store).expect("is there");
    // All copies of the values of some rows, old copies too.
    let copies = |key: &str| {
        let value = [&[0x2a, key.len() as u8], key.as_bytes()].concat();
        let found = good.windows(value.len()).enumerate().filter(|(_, window)| *window == value);
        found.map(|(at, _)| at + 2).collect::<Vec<usize>>()
    };
    for places in ["load/0/3", "load/3/50", "load/7/99"].map(copies) {
        images.iter().for_each(|(path, bytes)| fs::write(path, bytes).expect("writes"));
        assert!(!places.is_empty(), "the row is in the file");
        places.iter().for_each(|at| flip(&store, *at));
        server.start();
        let said = damage_shows(&mut server, &keys).await.expect("it is noticed");
        assert!(said.contains("damaged") && said.contains("replace this member"), "{said}");
    }
}

/// Reads all; what the member says of its damage, or nothing if it gave all that there is.
async fn damage_shows(server: &mut Server, keys: &[String]) -> Option<String> {
    let before = server.said().len();
    let since = Instant::now();
    let range = pb::RangeRequest { range_end: "load0".into(), serializable: true, ..get("load/") };
    loop {
        let mut kv = server.kv().max_decoding_message_size(usize::MAX);
        match kv.range(range.clone()).await {
            Ok(answer) => {
                let found = answer.into_inner().kvs;
                // It may still read its log.
                if found.len() >= keys.len() {
                    assert!(found.iter().all(|pair| pair.key == pair.value), "wrong data");
                    server.kill();
                    return None;
                }
            }
            Err(error) if error.message().contains("replace this member") => {
                server.kill();
                return Some(error.message().to_owned());
            }
            Err(_) => {}
        }
        if server.has_ended() {
            let (_, said) = server.ends();
            return Some(said[before..].to_owned());
        }
        assert!(since.elapsed() < common::WAIT, "neither: {}", &server.said()[before..]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// As the formats have it, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    })
}

#[test]
fn the_checksum_is_the_one() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
