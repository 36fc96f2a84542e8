//! `kvorum server`: real processes, killed and started again.

mod common;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use common::server::{Load, Server, all_there, get, leader, members, one, put, three};
use etcdpb::pb::etcdserverpb as pb;
use etcdpb::pb::etcdserverpb::cluster_client::ClusterClient;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn what_one_member_acknowledged_survives_a_kill() {
    let mut server = one().await;
    let mut kv = server.kv();
    for n in 0..20 {
        kv.put(put(&format!("k{n}"), &n.to_string())).await.expect("puts");
    }
    let id = kv.range(get("k0")).await.expect("reads").into_inner().header.expect("a header");
    server.kill();
    server.start();
    server.ready().await;
    let mut kv = server.kv();
    for n in 0..20 {
        let read = kv.range(get(&format!("k{n}"))).await.expect("reads").into_inner();
        assert_eq!(read.kvs[0].value, n.to_string());
        let header = read.header.expect("a header");
        assert_eq!((header.cluster_id, header.member_id), (id.cluster_id, id.member_id));
        assert_eq!(header.revision, 21);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_are_shared() {
    let server = one().await;
    let mut kv = server.kv();
    let before = server.syncs().await;
    for n in 0..50 {
        kv.put(put("one", &n.to_string())).await.expect("puts");
    }
    let alone = server.syncs().await - before;
    assert!((50..=55).contains(&alone), "one caller waits for one sync a put: {alone} for 50");

    let load = Load::start(std::slice::from_ref(&server), 100);
    load.more(1000).await;
    let (puts, before) = (load.count(), server.syncs().await);
    load.more(3000).await;
    let (puts, syncs) = (load.count() - puts, server.syncs().await - before);
    let keys = load.stop().await;
    assert!(syncs * 4 < puts, "{syncs} syncs for {puts} puts");
    all_there(&server, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_under_load_is_replaced_and_catches_up() {
    let mut servers = three().await;
    let load = Load::start(&servers, 8);
    load.more(200).await;
    let lost = leader(&servers).await;
    servers[lost].kill();
    let pause = load.more(1).await;
    // What was on its way may still have been counted: some more, by the new leader for sure.
    let after = load.more(200).await;
    eprintln!("the next put after {pause:?}, two hundred more after {after:?}");
    assert!(pause + after < Duration::from_secs(4), "{pause:?} and {after:?}");
    servers[lost].start();
    load.more(200).await;
    servers[lost].ready().await;
    let keys = load.stop().await;
    for server in &servers {
        all_there(server, &keys).await;
    }
    caught_up(&servers).await;
}

/// All have applied the same.
async fn caught_up(servers: &[Server]) {
    let since = Instant::now();
    loop {
        let mut applied = Vec::new();
        for server in servers {
            applied.push(server.status().await.expect("it answers").raft_applied_index);
        }
        if applied.iter().all(|index| *index == applied[0]) {
            return;
        }
        assert!(since.elapsed() < common::WAIT, "{applied:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_end_hands_over() {
    let mut servers = three().await;
    let load = Load::start(&servers, 4);
    load.more(100).await;
    let leaves = leader(&servers).await;
    let since = Instant::now();
    assert_eq!(servers[leaves].terminate().code(), Some(0));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let next = leader(&servers).await;
    assert_ne!(next, leaves);
    load.more(100).await;
    let keys = load.stop().await;
    all_there(&servers[next], &keys).await;
    // It was asked to lead, and did not wait for an election timeout.
    let handed_over = servers.iter().any(|server| server.said().contains("is Leader term=2"));
    assert!(handed_over, "a second term right after the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_directory_is_refused() {
    let mut servers = three().await;
    servers[0].kv().put(put("a", "1")).await.expect("puts");
    servers[2].kill();
    fs::remove_dir_all(servers[2].data()).expect("is there");
    is_refused(&mut servers[2], "what was stored here is gone").await;
    servers[1].kv().put(put("a", "2")).await.expect("the others go on");
}

/// What becomes of copies, and what can be done.
const OLDER: &str =
    "its directory is a copy or an older state of one that has run since; use that one";

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_directory_is_refused() {
    copied(0).await;
}

/// Of two members the one whose name is smaller dials, where the original is.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_directory_is_refused_that_nobody_dials() {
    copied(2).await;
}

async fn copied(which: usize) {
    let mut servers = three().await;
    servers[1].kv().put(put("a", "1")).await.expect("puts");
    servers[which].kill();
    let mut twin = servers[which].twin();
    copy(&servers[which].data(), &twin.data());
    servers[which].start();
    servers[which].ready().await;
    is_refused(&mut twin, OLDER).await;
    // The original does not notice; and when it is down the copy still counts for nothing.
    servers[which].kv().put(put("a", "2")).await.expect("it serves");
    servers[which].kill();
    twin.kill();
    is_refused(&mut twin, OLDER).await;
    servers[2 - which].kill();
    let read = servers[1].kv().range(get("a")).await.expect_err("one of three is no majority");
    assert_eq!(read.code(), Code::Unavailable, "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_went_back_in_time_is_refused() {
    let mut servers = three().await;
    let older = tempfile::tempdir().expect("a directory");
    servers[2].kill();
    copy(&servers[2].data(), older.path());
    servers[2].start();
    servers[2].ready().await;
    servers[2].kv().put(put("a", "1")).await.expect("it acknowledges");
    servers[2].kill();

    let newer = servers[2].data().with_extension("newer");
    fs::rename(servers[2].data(), &newer).expect("moves");
    copy(older.path(), &servers[2].data());
    is_refused(&mut servers[2], OLDER).await;
    servers[1].kv().put(put("b", "1")).await.expect("the others go on");

    // As it says: the one that has run since is the right one.
    servers[2].kill();
    fs::remove_dir_all(servers[2].data()).expect("is there");
    fs::rename(&newer, servers[2].data()).expect("moves");
    servers[2].start();
    servers[2].ready().await;
    let read = servers[2].kv().range(get("a")).await.expect("reads").into_inner();
    assert_eq!(read.kvs[0].value, "1");
}

/// Copies a directory of files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("makes it");
    for entry in fs::read_dir(from).expect("is there") {
        let path = entry.expect("reads").path();
        fs::copy(&path, to.join(path.file_name().expect("a file's"))).expect("copies");
    }
}

/// Starts it once more: it runs, says `words`, and serves nobody.
async fn is_refused(server: &mut Server, words: &str) {
    let before = server.said().len();
    server.start();
    let since = Instant::now();
    let error = loop {
        let error = server.kv().range(get("a")).await.expect_err("it may not serve");
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        if error.message().contains("refused") {
            break error;
        }
        assert!(since.elapsed() < common::WAIT, "{error}: {}", server.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(error.message().contains(words), "{error}");
    let said = server.said();
    assert!(said[before..].contains(words), "{said}");
    assert!(server.runs());
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_cluster_has_formed_it_says_who_is_awaited() {
    let mut servers = members(&["a", "b", "c"]);
    servers[0].start();
    servers[1].start();
    let since = Instant::now();
    loop {
        let error = servers[0].kv().put(put("a", "1")).await.expect_err("nobody serves yet");
        assert_eq!(error.code(), Code::Unavailable);
        if error.message().contains("waiting for member c") {
            break;
        }
        assert!(since.elapsed() < common::WAIT, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    servers[2].start();
    servers[0].ready().await;
    servers[0].kv().put(put("a", "1")).await.expect("puts");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_listed_with_their_urls() {
    let servers = three().await;
    let mut client = ClusterClient::new(servers[1].channel());
    let request = pb::MemberListRequest { linearizable: true };
    let list = client.member_list(request).await.expect("lists").into_inner().members;
    for server in &servers {
        let member = list.iter().find(|member| member.name == server.name).expect("is listed");
        assert_eq!(member.peer_ur_ls, [format!("http://127.0.0.1:{}", server.peer)]);
        if server.name == "b" {
            assert_eq!(member.client_ur_ls, [format!("http://{}", server.address())]);
        }
    }
    assert_eq!(list.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_under_another_name_than_expected_is_told() {
    let mut known = members(&["a", "b"]);
    let mut other = members(&["a", "x"]);
    // At the address of `b` there is `x`.
    other[1].take_place_of(&known[1]);
    known[0].start();
    other[1].start();
    let words = "member \"x\" is none of the initial members of member \"a\"";
    let since = Instant::now();
    while !known[0].said().contains(words) {
        let said = [known[0].said(), other[1].said()];
        assert!(since.elapsed() < common::WAIT, "{said:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(known[0].said().contains("WARN"), "{}", known[0].said());
}

/// Starts it once more, when it will not have its directory.
fn refused(server: &mut Server) -> String {
    server.start();
    let (status, said) = server.ends();
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_its_own_is_refused() {
    let mut server = one().await;
    server.kv().put(put("a", "1")).await.expect("puts");
    let data = server.data().display().to_string();
    let mut second = members(&["default"]).remove(0).in_directory(&server);
    let said = refused(&mut second);
    assert!(said.contains("is in use by another process") && said.contains(&data), "{said}");

    server.kill();
    let mut other = members(&["other"]).remove(0).in_directory(&server);
    let said = refused(&mut other);
    assert!(said.contains("belongs to member \"default\""), "{said}");

    let path = server.data().join("log-00000001");
    let good = fs::read(&path).expect("is there");
    let mut damaged = good.clone();
    // Within the first batch, which later ones say was synced.
    damaged[40 + 50] ^= 1;
    fs::write(&path, &damaged).expect("writes");
    let said = refused(&mut server);
    assert!(said.contains("damaged") && said.contains("replace this member"), "{said}");
    assert_eq!(fs::read(&path).expect("is there"), damaged, "nothing is overwritten");

    fs::write(&path, b"something else, by somebody else, which is longer").expect("writes");
    let said = refused(&mut server);
    assert!(said.contains("not a Kvorum log"), "{said}");

    fs::write(&path, &good).expect("writes");
    server.start();
    server.ready().await;
    let read = server.kv().range(get("a")).await.expect("reads").into_inner();
    assert_eq!(read.kvs[0].value, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_places_are_refused() {
    let mut joins = members(&["a"]).remove(0).with(&["--initial-cluster-state", "existing"]);
    let said = refused(&mut joins);
    assert!(said.contains("cannot join a running cluster"), "{said}");
    assert!(!joins.data().exists());

    let mut etcd = members(&["a"]).remove(0);
    fs::create_dir_all(etcd.data().join("member/wal")).expect("makes");
    let said = refused(&mut etcd);
    assert!(said.contains("holds the data of an etcd"), "{said}");

    let mut file = members(&["a"]).remove(0);
    fs::write(file.data(), "").expect("writes");
    let said = refused(&mut file);
    assert!(said.contains("cannot make the data directory"), "{said}");

    let mut server = one().await;
    let mut other = members(&["a"]).remove(0);
    other.client = server.client;
    let said = refused(&mut other);
    assert!(said.contains("is in use") && said.contains("--listen-client-urls"), "{said}");
    let mut other = members(&["a"]).remove(0).with(&["--election-timeout", "100"]);
    let said = refused(&mut other);
    assert!(said.contains("should be at least as 5 times as"), "{said}");
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_ends_the_member() {
    let mut server = members(&["default"]).remove(0);
    // Room for what is written ahead at the start, and not for twice that.
    server.file_blocks = Some(12_000);
    server.start();
    server.ready().await;
    let mut kv = server.kv();
    let value = "x".repeat(100_000);
    let mut acknowledged = 0;
    while kv.put(put(&format!("k{acknowledged:03}"), &value)).await.is_ok() {
        acknowledged += 1;
        assert!(acknowledged < 100, "the limit is not there");
    }
    let (status, said) = server.ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("the log stopped") && said.contains("cannot be written"), "{said}");

    server.file_blocks = None;
    server.start();
    server.ready().await;
    let mut kv = server.kv();
    let request = pb::RangeRequest { range_end: "l".into(), count_only: true, ..get("k") };
    let count = kv.range(request).await.expect("reads").into_inner().count;
    assert!(acknowledged > 5 && count >= acknowledged, "{count} of {acknowledged}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_tells_where_all_of_them_are_reached() {
    let servers = three().await;
    let mut expected: Vec<String> =
        servers.iter().map(|server| format!("http://{}", server.address())).collect();
    expected.sort_unstable();
    for server in &servers {
        let request = pb::MemberListRequest { linearizable: false };
        let mut client = ClusterClient::new(server.channel());
        let list = client.member_list(request).await.expect("lists").into_inner();
        let mut urls: Vec<String> = list.members.into_iter().flat_map(|m| m.client_ur_ls).collect();
        urls.sort_unstable();
        assert_eq!(urls, expected);
    }
}
