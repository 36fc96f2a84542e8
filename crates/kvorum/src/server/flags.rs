//! The flags of `kvorum server`: etcd's names and defaults, and etcd's words for what is wrong.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;
use node::{Pace, Timing, Urls};

use crate::net::url::ListenUrl;

/// The name of a member that is given none.
const DEFAULT_NAME: &str = "default";
/// etcd's longest election timeout.
const ELECTION_MAX_MS: u64 = 50_000;
/// etcd's smallest ratio of election timeout to heartbeat.
const HEARTBEATS_PER_ELECTION: u64 = 5;
/// A node counts an election timeout in at least so many heartbeats. Who asks for fewer gets the
/// timeout that he asks for, and heartbeats more often.
const HEARTBEATS_AT_LEAST: u64 = 10;

/// Enough for what is read again and again.
const DEFAULT_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// With less even one change has too little.
const CACHE_MIN_BYTES: u64 = 1024 * 1024;

/// How to run a member.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// Human-readable name of this member
    #[arg(long, env = "ETCD_NAME", default_value = DEFAULT_NAME)]
    name: String,
    /// Where the member keeps its data; made when missing [default: NAME.kvorum]
    #[arg(long, env = "ETCD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen for clients; several with commas between them
    /// [default: http://localhost:2379]
    #[arg(long, env = "ETCD_LISTEN_CLIENT_URLS", value_delimiter = ',', value_name = "URLS")]
    listen_client_urls: Vec<ListenUrl>,
    /// Where clients reach this member [default: http://localhost:2379]
    #[arg(long, env = "ETCD_ADVERTISE_CLIENT_URLS", value_delimiter = ',', value_name = "URLS")]
    advertise_client_urls: Vec<ListenUrl>,
    /// Where to listen for peers; several with commas between them
    #[arg(
        long,
        env = "ETCD_LISTEN_PEER_URLS",
        value_delimiter = ',',
        value_name = "URLS",
        default_value = "http://localhost:2380"
    )]
    listen_peer_urls: Vec<ListenUrl>,
    /// Where peers reach this member
    #[arg(
        long,
        env = "ETCD_INITIAL_ADVERTISE_PEER_URLS",
        value_delimiter = ',',
        value_name = "URLS",
        default_value = "http://localhost:2380"
    )]
    initial_advertise_peer_urls: Vec<ListenUrl>,
    /// All initial members, this one too, as NAME=URL,NAME=URL; a member with several URLs is
    /// named once for each [default: NAME=INITIAL_ADVERTISE_PEER_URLS]
    #[arg(long, env = "ETCD_INITIAL_CLUSTER", value_name = "MEMBERS")]
    initial_cluster: Option<String>,
    /// `new` forms a cluster; `existing` only goes on with one
    #[arg(long, env = "ETCD_INITIAL_CLUSTER_STATE", value_enum, default_value = "new")]
    initial_cluster_state: ClusterState,
    /// Tells clusters apart whose members have the same names
    #[arg(long, env = "ETCD_INITIAL_CLUSTER_TOKEN", default_value = "etcd-cluster")]
    initial_cluster_token: String,
    /// Milliseconds between two heartbeats of a leader; a tenth of the election timeout if that is
    /// less
    #[arg(long, env = "ETCD_HEARTBEAT_INTERVAL", value_name = "MS", default_value_t = 100)]
    heartbeat_interval: u64,
    /// Milliseconds without a heartbeat until an election
    #[arg(long, env = "ETCD_ELECTION_TIMEOUT", value_name = "MS", default_value_t = 1000)]
    election_timeout: u64,
    /// Committed entries after which what they changed is moved out of memory at the latest
    #[arg(long, env = "ETCD_SNAPSHOT_COUNT", value_name = "ENTRIES",
        default_value_t = Pace::NATIVE.run_entries)]
    snapshot_count: u64,
    /// Bytes of all versions of all keys beyond which writes are refused; 0 means 2 GiB, a
    /// negative number no limit
    #[arg(
        long,
        env = "ETCD_QUOTA_BACKEND_BYTES",
        value_name = "BYTES",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    quota_backend_bytes: i64,
    /// Memory for the parts of the store that were read last
    #[arg(long, env = "KVORUM_BACKEND_CACHE_BYTES", value_name = "BYTES",
        default_value_t = DEFAULT_CACHE_BYTES)]
    backend_cache_bytes: u64,
    /// The page's files: serves it as a console of this cluster
    #[arg(long, value_name = "DIR")]
    pub(crate) site: Option<PathBuf>,
}

/// Whether a member may begin a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClusterState {
    /// It may.
    New,
    /// It may not: its data must be there.
    Existing,
}

/// The flags, checked against each other.
#[derive(Debug)]
pub(crate) struct Settings {
    /// This member.
    pub(crate) name: String,
    /// Its directory.
    pub(crate) data_dir: PathBuf,
    /// Where it listens for clients.
    pub(crate) listen_client: Vec<ListenUrl>,
    /// Where clients reach it.
    pub(crate) advertise_client: Vec<ListenUrl>,
    /// Where it listens for peers.
    pub(crate) listen_peer: Vec<ListenUrl>,
    /// The peer URLs of all initial members, this one too.
    pub(crate) initial: BTreeMap<String, Vec<ListenUrl>>,
    /// Whether it may begin a cluster.
    pub(crate) state: ClusterState,
    /// Tells clusters apart.
    pub(crate) token: String,
    /// Intervals.
    pub(crate) timing: Timing,
    /// How much is kept where.
    pub(crate) pace: Pace,
    /// Memory for pages of the store.
    pub(crate) cache_bytes: usize,
}

impl ServerArgs {
    /// Checks the flags against each other.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let local = |port| ListenUrl { host: "localhost".into(), port };
        let listen_client = or(&self.listen_client_urls, local(2379));
        if !self.listen_client_urls.is_empty() && self.advertise_client_urls.is_empty() {
            bail!(
                "--advertise-client-urls is required when --listen-client-urls is set explicitly"
            );
        }
        Ok(Settings {
            name: self.name.clone(),
            data_dir: match &self.data_dir {
                Some(dir) => dir.clone(),
                None => PathBuf::from(format!("{}.kvorum", self.name)),
            },
            listen_client,
            advertise_client: or(&self.advertise_client_urls, local(2379)),
            listen_peer: self.listen_peer_urls.clone(),
            initial: self.initial()?,
            state: self.initial_cluster_state,
            token: self.initial_cluster_token.clone(),
            timing: self.timing()?,
            pace: self.pace()?,
            cache_bytes: usize::try_from(self.backend_cache_bytes.max(CACHE_MIN_BYTES))?,
        })
    }

    fn pace(&self) -> Result<Pace> {
        if self.snapshot_count == 0 {
            bail!("--snapshot-count must be >0 (set to 0)");
        }
        let quota_bytes = match self.quota_backend_bytes {
            0 => Pace::NATIVE.quota_bytes,
            bytes => u64::try_from(bytes).unwrap_or(u64::MAX),
        };
        Ok(Pace { run_entries: self.snapshot_count, quota_bytes, ..Pace::NATIVE })
    }

    fn timing(&self) -> Result<Timing> {
        let (heartbeat_ms, election_ms) = (self.heartbeat_interval, self.election_timeout);
        if heartbeat_ms == 0 {
            bail!("--heartbeat-interval must be >0 (set to 0ms)");
        }
        if election_ms == 0 {
            bail!("--election-timeout must be >0 (set to 0ms)");
        }
        if heartbeat_ms.saturating_mul(HEARTBEATS_PER_ELECTION) > election_ms {
            bail!(
                "--election-timeout[{election_ms}ms] should be at least as \
                 {HEARTBEATS_PER_ELECTION} times as --heartbeat-interval[{heartbeat_ms}ms]"
            );
        }
        if election_ms > ELECTION_MAX_MS {
            bail!(
                "--election-timeout[{election_ms}ms] is too long, and should be set less than \
                 {ELECTION_MAX_MS}ms"
            );
        }
        let often = (election_ms / HEARTBEATS_AT_LEAST).max(1);
        Ok(Timing { heartbeat_ms: heartbeat_ms.min(often), election_ms })
    }

    /// The initial members; this one's URLs must be those that it advertises.
    fn initial(&self) -> Result<BTreeMap<String, Vec<ListenUrl>>> {
        let ours = &self.initial_advertise_peer_urls;
        let Some(text) = &self.initial_cluster else {
            return Ok(BTreeMap::from([(self.name.clone(), ours.clone())]));
        };
        let members = parse_members(text)?;
        let Some(listed) = members.get(&self.name) else {
            bail!("couldn't find local name {:?} in the initial cluster configuration", self.name);
        };
        let missing: Vec<&ListenUrl> = listed.iter().filter(|url| !ours.contains(url)).collect();
        if !missing.is_empty() {
            bail!(
                "--initial-cluster has {} but missing from --initial-advertise-peer-urls={}",
                named(&self.name, missing),
                join(ours)
            );
        }
        let missing: Vec<&ListenUrl> = ours.iter().filter(|url| !listed.contains(url)).collect();
        if !missing.is_empty() {
            bail!(
                "--initial-advertise-peer-urls has {} but missing from --initial-cluster={}",
                named(&self.name, missing),
                named(&self.name, listed)
            );
        }
        Ok(members)
    }
}

impl Settings {
    /// The other members, by name.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&String, &Vec<ListenUrl>)> {
        self.initial.iter().filter(|(name, _)| **name != self.name)
    }

    /// Where members are reached, as far as this one is told.
    pub(crate) fn urls(&self) -> BTreeMap<String, Urls> {
        let texts = |urls: &[ListenUrl]| urls.iter().map(ToString::to_string).collect();
        let members = self.initial.iter().map(|(name, peer)| {
            let client = match *name == self.name {
                true => texts(&self.advertise_client),
                false => Vec::new(),
            };
            (name.clone(), Urls { peer: texts(peer), client })
        });
        members.collect()
    }
}

fn or(urls: &[ListenUrl], default: ListenUrl) -> Vec<ListenUrl> {
    match urls {
        [] => vec![default],
        urls => urls.to_vec(),
    }
}

fn parse_members(text: &str) -> Result<BTreeMap<String, Vec<ListenUrl>>> {
    let mut members: BTreeMap<String, Vec<ListenUrl>> = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((name, url)) = part.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            bail!("--initial-cluster: {part:?} must look like NAME=http://HOST:PORT");
        };
        let url: ListenUrl = url
            .parse()
            .map_err(|error| anyhow::anyhow!("--initial-cluster: the URL {url:?}: {error}"))?;
        if let Some((other, _)) = members.iter().find(|(_, urls)| urls.contains(&url)) {
            bail!(
                "--initial-cluster: {url} belongs to {other:?} already; each URL is one member's"
            );
        }
        members.entry(name.to_owned()).or_default().push(url);
    }
    Ok(members)
}

fn named<'a>(name: &str, urls: impl IntoIterator<Item = &'a ListenUrl>) -> String {
    let urls = urls.into_iter().map(|url| format!("{name}={url}"));
    urls.collect::<Vec<_>>().join(",")
}

fn join(urls: &[ListenUrl]) -> String {
    urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn settings(flags: &[&str]) -> Result<Settings, String> {
        let args = ["kvorum", "server"].iter().chain(flags);
        let args = Args::try_parse_from(args).map_err(|error| error.to_string())?;
        let Command::Server(server) = args.command else { panic!("a server") };
        server.settings().map_err(|error| error.to_string())
    }

    fn refused(flags: &[&str]) -> String {
        settings(flags).expect_err("refused")
    }

    #[test]
    fn defaults_are_etcds() {
        let settings = settings(&[]).expect("runs");
        assert_eq!(settings.name, "default");
        assert_eq!(settings.data_dir, PathBuf::from("default.kvorum"));
        assert_eq!(settings.listen_client[0].to_string(), "http://localhost:2379");
        assert_eq!(settings.listen_peer[0].to_string(), "http://localhost:2380");
        assert_eq!(settings.token, "etcd-cluster");
        assert_eq!(join(&settings.initial["default"]), "http://localhost:2380");
        assert_eq!((settings.timing.heartbeat_ms, settings.timing.election_ms), (100, 1000));
        assert_eq!(settings.pace, Pace::NATIVE);
        assert_eq!((settings.pace.run_entries, settings.pace.quota_bytes), (10_000, 2 << 30));
    }

    #[test]
    fn a_member_of_three() {
        let settings = settings(&[
            "--name=b",
            "--initial-advertise-peer-urls=http://10.0.0.2:2380",
            "--initial-cluster",
            "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380,c=http://10.0.0.3:2380,\
             c=http://10.1.0.3:2380",
        ]);
        let settings = settings.expect("runs");
        let others: Vec<String> =
            settings.others().map(|(n, u)| format!("{n} {}", u.len())).collect();
        assert_eq!(others, ["a 1", "c 2"]);
        let urls = settings.urls();
        assert_eq!(urls["b"].client, ["http://localhost:2379"]);
        assert_eq!(urls["c"].peer, ["http://10.0.0.3:2380", "http://10.1.0.3:2380"]);
        assert_eq!(settings.data_dir, PathBuf::from("b.kvorum"));
    }

    #[test]
    fn the_quota_is_what_etcd_makes_of_it() {
        let quota = |bytes: &str| {
            let flag = format!("--quota-backend-bytes={bytes}");
            settings(&[&flag]).expect("runs").pace.quota_bytes
        };
        assert_eq!((quota("0"), quota("4096"), quota("-1")), (2 << 30, 4096, u64::MAX));
        assert!(refused(&["--snapshot-count=0"]).contains("--snapshot-count must be >0"));
    }

    #[test]
    fn contradictions_are_told_in_etcds_words() {
        let listen = refused(&["--listen-client-urls=http://127.0.0.1:1"]);
        let words =
            "--advertise-client-urls is required when --listen-client-urls is set explicitly";
        assert_eq!(listen, words);
        let short = refused(&["--heartbeat-interval=300"]);
        assert_eq!(
            short,
            "--election-timeout[1000ms] should be at least as 5 times as \
             --heartbeat-interval[300ms]"
        );
        let timing = settings(&["--heartbeat-interval=200"]).expect("five times are enough").timing;
        assert_eq!((timing.heartbeat_ms, timing.election_ms), (100, 1000), "ten, then");
        let long = refused(&["--election-timeout=50001"]);
        assert!(long.contains("is too long, and should be set less than 50000ms"), "{long}");
        settings(&["--election-timeout=50000"]).expect("the longest");
        assert!(refused(&["--heartbeat-interval=0"]).contains("must be >0"));
        let stranger = refused(&["--initial-cluster=a=http://localhost:2380"]);
        let words = "couldn't find local name \"default\" in the initial cluster configuration";
        assert_eq!(stranger, words);
        let other = refused(&["--initial-cluster=default=http://h:1"]);
        assert_eq!(
            other,
            "--initial-cluster has default=http://h:1 but missing from \
             --initial-advertise-peer-urls=http://localhost:2380"
        );
        let more = refused(&[
            "--initial-advertise-peer-urls=http://h:1,http://h:2",
            "--initial-cluster=default=http://h:1",
        ]);
        assert_eq!(
            more,
            "--initial-advertise-peer-urls has default=http://h:2 but missing from \
             --initial-cluster=default=http://h:1"
        );
    }

    #[test]
    fn wrong_flags_are_named() {
        for wrong in ["a", "=http://h:1", "a=h:1", "a=http://h:1,b=http://h:1"] {
            let said = refused(&[&format!("--initial-cluster={wrong}")]);
            assert!(said.contains("--initial-cluster"), "{wrong}: {said}");
        }
        let tls = refused(&["--listen-peer-urls=https://h:1"]);
        assert!(tls.contains("TLS"), "{tls}");
        assert!(refused(&["--initial-cluster-state=old"]).contains("existing"));
    }
}
