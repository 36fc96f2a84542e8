//! Who may know whom. ARCHITECTURE.md says why; this is the test that keeps it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use cargo_metadata::{DependencyKind, Metadata, Package};

use super::none;

/// Every edge between our crates that is allowed: who, and whom it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("api", &[]),
    ("mvcc", &["api"]),
    ("wal", &[]),
    ("storage", &["mvcc", "wal"]),
    ("node", &["api", "mvcc", "wal"]),
    ("client", &["api"]),
    ("relay", &["api"]),
    ("etcdpb", &["api"]),
    ("ctl", &["api", "client", "etcdpb"]),
    ("kvorum", &["api", "client", "ctl", "etcdpb", "node", "relay", "storage"]),
    // The simulator's disk shows what came back from a log, which is of wal's types.
    ("sim", &["api", "client", "node", "relay", "storage", "wal"]),
    ("web", &["api", "client", "ctl"]),
    ("worker", &["api", "client", "etcdpb", "node", "relay", "storage"]),
    ("xtask", &[]),
];

/// Edges that only tests may use, beside those above.
const TEST_EDGES: &[(&str, &[&str])] = &[
    ("storage", &["api"]),
    ("node", &["sim", "storage"]),
    ("kvorum", &["sim"]),
    ("sim", &["mvcc"]),
    ("worker", &["mvcc", "sim", "wal"]),
];

/// The core: it holds no clock, OS randomness, thread, async runtime or browser. So what it may use
/// from outside is a list; a new name on it is a decision.
const CORE: &[(&str, &[&str])] = &[
    ("api", &["bytes", "postcard", "serde", "sha2", "thiserror"]),
    ("mvcc", &["bytes", "crc32c", "goldenscript", "litemap", "serde", "thiserror"]),
    ("wal", &["bytes", "crc32c", "goldenscript", "litemap", "thiserror"]),
    // redb is handed a backend of ours; fs4 is for the files of native hosts, in std_fs alone.
    ("storage", &["bytes", "crc32c", "fs4", "goldenscript", "litemap", "redb", "thiserror"]),
    (
        "node",
        &[
            "bytes",
            "goldenscript",
            "litemap",
            "postcard",
            "prost",
            "raft",
            "serde",
            "sha2",
            "slog",
            "thiserror",
        ],
    ),
    ("client", &["bytes", "goldenscript", "serde", "thiserror"]),
    ("relay", &["bytes", "goldenscript", "serde", "thiserror"]),
];

/// Outside crates that only these of ours may name.
const ONLY: &[(&str, &[&str])] = &[
    ("raft", &["node"]),
    ("raft-proto", &["node"]),
    ("redb", &["storage"]),
    ("fs4", &["storage"]),
    ("prost", &["node", "etcdpb", "kvorum"]),
    ("tonic", &["etcdpb", "kvorum"]),
    ("tonic-prost", &["etcdpb", "kvorum"]),
    ("leptos", &["web"]),
];

/// What must not be reached over any number of edges: who, and whom.
const NEVER: &[(&str, &str)] =
    &[("web", "node"), ("web", "mvcc"), ("mvcc", "wal"), ("wal", "mvcc")];

/// Checks the workspace.
pub(super) fn check(metadata: &Metadata) -> Result<()> {
    let crates: Vec<Crate> = metadata.workspace_packages().into_iter().map(Crate::of).collect();
    none(findings(&crates))
}

/// One of our crates: its short name, and what it names.
#[derive(Debug, Default)]
struct Crate {
    name: String,
    ours: BTreeSet<String>,
    ours_in_tests: BTreeSet<String>,
    outside: BTreeSet<String>,
}

impl Crate {
    fn of(package: &Package) -> Self {
        let mut this = Self { name: short(&package.name), ..Self::default() };
        for dependency in &package.dependencies {
            let name = short(&dependency.name);
            let ours = dependency.path.is_some();
            if ours && name == this.name {
                continue; // A crate's tests switch on features of the crate itself.
            }
            match (ours, dependency.kind) {
                (true, DependencyKind::Development) => this.ours_in_tests.insert(name),
                (true, _) => this.ours.insert(name),
                (false, DependencyKind::Normal) => this.outside.insert(name),
                (false, _) => false,
            };
        }
        this
    }
}

fn short(name: &str) -> String {
    name.strip_prefix("kvorum-").unwrap_or(name).to_owned()
}

fn findings(crates: &[Crate]) -> Vec<String> {
    let mut findings = Vec::new();
    for this in crates {
        let name = this.name.as_str();
        let Some(allowed) = row(EDGES, name) else {
            findings.push(format!("{name} is no crate that verify/edges.rs knows"));
            continue;
        };
        let in_tests = row(TEST_EDGES, name).unwrap_or_default();
        for other in this.ours.iter().filter(|other| !allowed.contains(&other.as_str())) {
            findings.push(format!("{name} may not use {other}"));
        }
        for other in &this.ours_in_tests {
            if !allowed.contains(&other.as_str()) && !in_tests.contains(&other.as_str()) {
                findings.push(format!("{name} may not use {other}, not even in tests"));
            }
        }
        for other in &this.outside {
            if row(CORE, name).is_some_and(|core| !core.contains(&other.as_str())) {
                findings.push(format!("{name} is core: it may not use {other}"));
            }
            if row(ONLY, other).is_some_and(|only| !only.contains(&name)) {
                findings
                    .push(format!("{name} may not use {other}: only {:?} may", row(ONLY, other)));
            }
        }
    }
    for (from, to) in NEVER {
        if reach(crates, from).contains(*to) {
            findings.push(format!("{from} reaches {to}, over others"));
        }
    }
    findings
}

fn row<'a>(table: &[(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(who, _)| *who == name).map(|(_, whom)| *whom)
}

/// Everything of ours that a crate is built with.
fn reach(crates: &[Crate], from: &str) -> BTreeSet<String> {
    let edges: BTreeMap<&str, &BTreeSet<String>> =
        crates.iter().map(|this| (this.name.as_str(), &this.ours)).collect();
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        for next in edges.get(name.as_str()).into_iter().copied().flatten() {
            if reached.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    reached
}

/// The names of the core crates.
pub(super) fn core() -> impl Iterator<Item = &'static str> {
    CORE.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::{Crate, EDGES, NEVER, findings, reach};

    fn named(name: &str, ours: &[&str], outside: &[&str]) -> Crate {
        let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Crate { name: name.into(), ours: set(ours), outside: set(outside), ..Crate::default() }
    }

    #[test]
    fn each_rule_bites() {
        for (bad, words) in [
            (named("mvcc", &["node"], &[]), "mvcc may not use node"),
            (named("client", &[], &["tokio"]), "client is core"),
            (named("worker", &[], &["raft"]), "worker may not use raft"),
            (named("utils", &[], &[]), "no crate"),
        ] {
            let found = findings(&[bad]);
            assert!(found.len() == 1 && found[0].contains(words), "{found:?}");
        }
        let mut tests = named("wal", &[], &[]);
        tests.ours_in_tests.insert("sim".into());
        assert_eq!(findings(&[tests]).len(), 1);
    }

    #[test]
    fn a_detour_is_found() {
        let crates = [named("web", &["client"], &[]), named("client", &["node"], &[])];
        assert!(reach(&crates, "web").contains("node"));
        assert!(findings(&crates).iter().any(|finding| finding.contains("web reaches node")));
    }

    #[test]
    fn the_list_itself_keeps_to_what_may_never_be() {
        let crates: Vec<_> = EDGES.iter().map(|(name, ours)| named(name, ours, &[])).collect();
        for (from, to) in NEVER {
            assert!(!reach(&crates, from).contains(*to), "{from} reaches {to}");
        }
        // No circles: a crate that reaches itself could not be built.
        for this in &crates {
            assert!(!reach(&crates, &this.name).contains(&this.name), "{}", this.name);
        }
    }
}
