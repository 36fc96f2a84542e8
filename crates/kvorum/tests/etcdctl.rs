//! The real etcdctl at a hub with three members and at servers, beside the real etcd: the same
//! commands print the same.
//!
//! Plain `cargo test` says that they are ignored, as Go has to build etcd first;
//! `cargo xtask test` builds it and runs them.

mod common;

use std::path::{Path, PathBuf};

use common::Hub;
use common::etcd::{Etcd, Said, lines, program, run};
use common::members::cluster;
use common::server;

/// etcd and etcdctl.
fn programs() -> (PathBuf, PathBuf) {
    (program("ETCD", "etcd"), program("ETCDCTL", "etcdctl"))
}

/// One command: its words, and what it reads.
struct Step {
    args: &'static [&'static str],
    input: Vec<u8>,
}

fn step(args: &'static [&'static str]) -> Step {
    Step { args, input: Vec::new() }
}

fn reads(args: &'static [&'static str], input: impl Into<Vec<u8>>) -> Step {
    Step { args, input: input.into() }
}

fn steps() -> Vec<Step> {
    let kib = |count: usize| vec![b'x'; count * 1024];
    let mut steps: Vec<Step> = COMMANDS.iter().map(|args| step(args)).collect();
    steps.extend([
        reads(&["put", "piped"], "from a pipe\nof two lines"),
        step(&["get", "piped"]),
        reads(&["put", "binary"], [0, 255, 10, 200]),
        step(&["get", "binary", "--hex"]),
        step(&["get", "binary", "-w", "json"]),
        reads(&["put", "large"], kib(1024)),
        step(&["get", "large", "--print-value-only"]),
        reads(&["put", "toolarge"], kib(1537)),
        reads(&["put", "toolarge"], kib(2049)),
        step(&["get", "toolarge"]),
        reads(&["txn"], "mod(\"a1\") > \"0\"\n\nput t1 yes\nget a1\n\nput t2 no\n\n"),
        reads(&["txn"], "value(\"a1\") = \"nothing\"\n\nput t1 no\n\ndel t1\nget t1\n\n"),
        reads(&["txn"], "ver(\"none\") = \"0\"\nc(\"a1\") < \"99\"\n\nget a --prefix\n\n\n"),
        reads(&["txn", "-w", "json"], "ver(\"a1\") != \"9\"\n\nput t3 3\ndel a1\n\n\n"),
        reads(&["txn"], "\nput t4 1\nput t4 2\n\n\n"),
        reads(&["txn"], "\n\n\n"),
        reads(&["txn"], many_puts(128)),
        reads(&["txn"], many_puts(129)),
        step(&["get", "n", "--prefix", "--limit", "3"]),
        step(&["del", "n", "--prefix"]),
        step(&["get", "", "--prefix", "-w", "fields"]),
    ]);
    steps
}

fn many_puts(count: usize) -> String {
    let puts: String = (0..count).map(|n| format!("put n{n} v\n")).collect();
    format!("\n{puts}\n\n")
}

const COMMANDS: &[&[&str]] = &[
    &["get", "nothing"],
    &["get", "nothing", "-w", "json"],
    &["put", "a1", "one"],
    &["put", "a1", "uno", "--prev-kv"],
    &["put", "a2", "two", "-w", "json"],
    &["put", "a3", ""],
    &["put", "b1", "three", "-w", "fields"],
    &["put", "ключ", "значение"],
    &["get", "a1"],
    &["get", "a1", "-w", "json"],
    &["get", "a1", "-w", "fields"],
    &["get", "a1", "--print-value-only"],
    &["get", "a1", "--hex"],
    &["get", "a1", "--rev", "2"],
    &["get", "a1", "--rev", "3", "--consistency", "s"],
    &["get", "a1", "--consistency", "s"],
    &["get", "a1", "--rev", "999"],
    &["get", "a1", "--rev", "1"],
    &["get", "a", "--prefix"],
    &["get", "a", "--prefix", "--keys-only"],
    &["get", "a", "--prefix", "--keys-only", "-w", "json"],
    &["get", "a", "--prefix", "--count-only", "-w", "fields"],
    &["get", "a", "--prefix", "--limit", "2", "-w", "json"],
    &["get", "a", "--prefix", "--order", "DESCEND"],
    &["get", "a", "--prefix", "--sort-by", "VALUE"],
    &["get", "a", "--prefix", "--sort-by", "MODIFY", "--order", "DESCEND"],
    &["get", "a", "--prefix", "--sort-by", "VERSION", "--limit", "1"],
    &["get", "a", "--prefix", "--sort-by", "CREATE", "--order", "ASCEND"],
    &["get", "a", "--prefix", "--min-mod-rev", "4", "-w", "json"],
    &["get", "a", "--prefix", "--max-create-rev", "3", "-w", "json"],
    &["get", "a2", "b2"],
    &["get", "a2", "--from-key"],
    &["get", "b", "a"],
    &["get", "", "--prefix", "--keys-only"],
    &["get", ""],
    &["put", "", "x"],
    &["put", "a1", "--ignore-value"],
    &["put", "none", "--ignore-value"],
    &["put", "a1", "x", "--ignore-lease"],
    &["put", "none", "x", "--ignore-lease"],
    &["put", "a1", "x", "--lease", "1234abcd"],
    &["put", "a1"],
    &["del", "nothing"],
    &["del", "a3", "--prev-kv"],
    &["del", "a3"],
    &["get", "a3", "--rev", "5"],
    &["put", "a3", "again", "-w", "json"],
    &["get", "a3", "-w", "json"],
    &["del", "b", "c", "--range", "-w", "json"],
    &["del", ""],
    &["get", "a", "--prefix", "-w", "json"],
    &["endpoint", "hashkv"],
    &["endpoint", "hashkv", "--rev", "4"],
    &["compact", "5"],
    &["compact", "5"],
    &["compact", "999"],
    &["get", "a1", "--rev", "4"],
    &["get", "a1", "--rev", "5"],
    &["endpoint", "hashkv", "--rev", "4"],
    &["endpoint", "hashkv", "--rev", "7"],
    &["compact", "8", "--physical"],
    &["endpoint", "hashkv"],
    &["alarm", "list"],
    &["alarm", "disarm"],
];

/// Ids and terms differ between any two clusters; sizes of messages hold them.
fn without_ids(said: Said) -> Said {
    let mut out = String::new();
    for line in said.out.lines() {
        let line = match line.split_once(" : ") {
            Some((name @ ("\"ClusterID\"" | "\"MemberID\"" | "\"RaftTerm\""), _)) => {
                format!("{name} : N")
            }
            _ => without_json_ids(line),
        };
        out += &line;
        out.push('\n');
    }
    Said { out, ..said }
}

fn without_json_ids(line: &str) -> String {
    let Ok(mut json) = serde_json::from_str::<serde_json::Value>(line) else {
        return line.to_owned();
    };
    if let Some(header) = json.get_mut("header").and_then(|header| header.as_object_mut()) {
        for name in ["cluster_id", "member_id", "raft_term"] {
            let id = header.remove(name);
            assert!(id.is_some_and(|id| id.is_number() && id != 0), "no {name} in {line}");
        }
    }
    json.to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real etcd: cargo xtask test"]
async fn the_same_commands_print_the_same() {
    let (etcd, etcdctl) = programs();
    let hub = Hub::start().await;
    let _members = cluster(&hub).await;
    let etcd = Etcd::start(&etcd, &etcdctl);
    the_same(&etcdctl, &hub.address(), &etcd.address);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real etcd: cargo xtask test"]
async fn the_same_commands_print_the_same_at_a_server() {
    let (etcd, etcdctl) = programs();
    let server = server::one().await;
    let etcd = Etcd::start(&etcd, &etcdctl);
    the_same(&etcdctl, &server.address(), &etcd.address);
}

/// Runs all steps at both.
fn the_same(etcdctl: &Path, ours: &str, theirs: &str) {
    let (our_address, their_address) = (ours, theirs);
    let mut wrong = Vec::new();
    for Step { args, input } in steps() {
        let ours = without_ids(run(etcdctl, our_address, args, &input));
        let theirs = without_ids(run(etcdctl, their_address, args, &input));
        if ours != theirs {
            let shown = String::from_utf8_lossy(&input[..input.len().min(80)]).into_owned();
            wrong.push(format!("{args:?} < {shown:?}\n ours:   {ours:?}\n theirs: {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real etcd: cargo xtask test"]
async fn the_same_watches_see_the_same() {
    let (etcd, etcdctl) = programs();
    let hub = Hub::start().await;
    let _members = cluster(&hub).await;
    let etcd = Etcd::start(&etcd, &etcdctl);
    see_the_same(&etcdctl, [hub.address(), etcd.address.clone()]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real etcd: cargo xtask test"]
async fn the_same_watches_see_the_same_at_three_servers() {
    let (etcd, etcdctl) = programs();
    let servers = server::three().await;
    let etcd = Etcd::start(&etcd, &etcdctl);
    see_the_same(&etcdctl, [servers[1].address(), etcd.address.clone()]);
}

/// Runs all watches at ours and at theirs.
fn see_the_same(etcdctl: &Path, both: [String; 2]) {
    for address in &both {
        write_history(etcdctl, address);
    }
    let watches: [(&[&str], usize); 7] = [
        (&["watch", "w", "--prefix", "--rev", "1"], 27),
        (&["watch", "w", "--prefix", "--rev", "4", "--prev-kv"], 31),
        (&["watch", "w1", "--rev", "1", "-w", "json"], 1),
        (&["watch", "w1", "w3", "--rev", "2"], 21),
        (&["watch", "w1", "--rev", "1", "--prev-kv", "--hex"], 21),
        (&["watch", "--rev", "1", "--prefix", ""], 27),
        (&["watch", "w2", "--rev", "5", "-w", "fields"], 11),
    ];
    for (args, count) in watches {
        let [ours, theirs] = both.each_ref().map(|address| {
            let lines = lines(etcdctl, address, args, count);
            lines.iter().map(|line| without_ids_of_watch(line)).collect::<Vec<_>>()
        });
        assert_eq!(ours.len(), count, "{args:?}: {ours:?}");
        assert_eq!(ours, theirs, "{args:?}");
    }
    let empty = ["watch", "b", "a"];
    let [ours, theirs] = both.each_ref().map(|address| run(etcdctl, address, &empty, b""));
    assert_eq!(ours, theirs);
    assert!(ours.err.contains("watcher range is empty"), "{ours:?}");
}

fn without_ids_of_watch(line: &str) -> String {
    let Ok(mut json) = serde_json::from_str::<serde_json::Value>(line) else {
        return without_ids(Said { code: None, out: line.into(), err: String::new() }).out;
    };
    if let Some(header) = json.get_mut("Header").and_then(|header| header.as_object_mut()) {
        for name in ["cluster_id", "member_id", "raft_term"] {
            assert!(header.remove(name).is_some(), "no {name} in {line}");
        }
    }
    json.to_string()
}

fn write_history(etcdctl: &Path, address: &str) {
    let txn = "\nput w1 x\nput w2 y\ndel w3\n\n\n";
    let steps: [(&[&str], &str); 7] = [
        (&["put", "w1", "1"], ""),
        (&["put", "w2", "1"], ""),
        (&["put", "w1", "2"], ""),
        (&["put", "w3", "1"], ""),
        (&["txn"], txn),
        (&["del", "w1"], ""),
        (&["put", "w1", "3"], ""),
    ];
    for (args, input) in steps {
        let said = run(etcdctl, address, args, input.as_bytes());
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real etcd: cargo xtask test"]
async fn members_are_healthy() {
    let (_, etcdctl) = programs();
    let hub = Hub::start().await;
    let _members = cluster(&hub).await;
    let server = server::one().await;
    for address in [hub.address(), server.address()] {
        let said = run(&etcdctl, &address, &["endpoint", "health"], b"");
        assert!(said.out.starts_with("ENDPOINT is healthy"), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real etcd: cargo xtask test"]
async fn members_and_status_have_etcds_form() {
    let (etcd, etcdctl) = programs();
    let hub = Hub::start().await;
    let members = cluster(&hub).await;
    let etcd = Etcd::start(&etcd, &etcdctl);

    let list = run(&etcdctl, &hub.address(), &["member", "list"], b"");
    assert_eq!((list.code, list.err.as_str()), (Some(0), ""));
    let mut rows: Vec<Vec<&str>> =
        list.out.lines().map(|line| line.split(", ").collect()).collect();
    rows.sort_by_key(|row| row[2].to_owned());
    for (row, member) in rows.iter().zip(&members) {
        let id = member.report().expect("it runs").raft.expect("formed");
        assert_eq!(row[..3], [&id.to_string(), "started", &member.name], "{list:?}");
        assert_eq!(row.last(), Some(&"false"));
    }
    assert_eq!(rows.len(), 3);

    let ours = run(&etcdctl, &hub.address(), &["endpoint", "status"], b"");
    let theirs = run(&etcdctl, &etcd.address, &["endpoint", "status"], b"");
    assert_eq!((ours.code, ours.err.as_str()), (Some(0), ""));
    let columns = |said: &Said| said.out.split(", ").count();
    assert_eq!(columns(&ours), columns(&theirs), "{ours:?} {theirs:?}");

    let table = ["endpoint", "status", "-w", "json"];
    let said = run(&etcdctl, &hub.address(), &table, b"");
    let json: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let leader = json[0]["Status"]["leader"].as_u64().expect("a leader");
    let ids = members.iter().map(|m| m.report().expect("it runs").raft.expect("formed").0);
    assert!(ids.into_iter().any(|id| id == leader), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real etcd: cargo xtask test"]
async fn a_server_lists_itself_as_etcd_does() {
    let (etcd, etcdctl) = programs();
    let server = server::one().await;
    let etcd = Etcd::start(&etcd, &etcdctl);
    for args in [["member", "list"], ["endpoint", "status"]] {
        let ours = run(&etcdctl, &server.address(), &args, b"");
        let theirs = run(&etcdctl, &etcd.address, &args, b"");
        assert_eq!((ours.code, ours.err.is_empty()), (theirs.code, theirs.err.is_empty()));
        let columns = |said: &Said| said.out.split(", ").count();
        assert_eq!(columns(&ours), columns(&theirs), "{ours:?} {theirs:?}");
    }
    let list = run(&etcdctl, &server.address(), &["member", "list"], b"");
    let row: Vec<&str> = list.out.trim().split(", ").collect();
    let peer = format!("http://127.0.0.1:{}", server.peer);
    assert_eq!(row[1..], ["started", "default", &peer, "http://ENDPOINT", "false"]);
}
