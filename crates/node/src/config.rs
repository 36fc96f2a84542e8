//! What a node is started with.

use std::collections::BTreeMap;

use api::identity::Incarnation;

/// A way to reach others, numbered by the host: a relay's socket, a peer's, a port. A number is
/// not used again while its link is up.
pub type LinkId = u32;

/// What is at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A relay: it says who is in reach behind it.
    Relay,
    /// One peer: both ends say who they are, and the end of the link is the peer's "gone".
    Peer,
}

/// Where a member is reached, for the list of members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Urls {
    /// By its peers.
    pub peer: Vec<String>,
    /// By clients.
    pub client: Vec<String>,
}

/// Who the node is and how it keeps time.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's name.
    pub cluster: String,
    /// Tells clusters of the same name and members apart.
    pub token: String,
    /// This member's name, one of `initial`.
    pub name: String,
    /// The names of the members that form the cluster. The first by order decides the list.
    pub initial: Vec<String>,
    /// Those of `initial` that do not vote. Empty, until membership can change.
    pub learners: Vec<String>,
    /// The number of this directory if it turns out to be empty: random, from the host.
    pub incarnation: Incarnation,
    /// Random, drawn by the host for this run.
    pub nonce: u64,
    /// Seeds everything else that must look random. The same seed and inputs give the same
    /// outputs.
    pub seed: u64,
    /// The build of the page that this member runs in; empty elsewhere.
    pub build: String,
    /// Where the members are reached, by name, as far as the host knows. Only shown.
    pub urls: BTreeMap<String, Urls>,
    /// Intervals.
    pub timing: Timing,
    /// How memory, log and store are kept in bounds.
    pub pace: Pace,
}

/// How much is kept where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Changes in memory that are moved to the base together, …
    pub run_rows: usize,
    /// … or so many bytes of them, …
    pub run_bytes: usize,
    /// … or what so many entries of the log have changed (`--snapshot-count`).
    pub run_entries: u64,
    /// Entries that the log keeps for followers beyond what the base holds, …
    pub keep_entries: u64,
    /// … and bytes of them.
    pub keep_bytes: usize,
    /// The store's file is written anew when it is larger than this, and much larger than what is
    /// in it.
    pub rewrite_bytes: u64,
    /// Bytes of all versions of all keys at which NOSPACE is raised (`--quota-backend-bytes`).
    pub quota_bytes: u64,
    /// Keys that a large read looks at before it lets others go on.
    pub read_keys: usize,
    /// Entries that are applied, and keys that they look at, before others go on.
    pub apply_entries: usize,
    /// Rows that watches are told of, or read on in, before others go on.
    pub watch_rows: usize,
    /// Bytes of writes that are in a leader's log and not committed before it takes no more of what
    /// can wait. Puts that share a sync are far from it; large ones fill it, and the next go with
    /// the next sync. A follower forwards as much before it waits for the answers.
    pub log_bytes: usize,
}

/// The usual [`Pace::log_bytes`].
const LOG_BYTES: usize = 3 * 512 * 1024;

/// What the largest request may take in a log.
const LARGEST_BYTES: usize = api::limits::REQUEST_BYTES + api::limits::REQUEST_OVERHEAD_BYTES;

impl Pace {
    /// For a process with threads and a disk of its own.
    pub const NATIVE: Self = Self {
        run_rows: 20_000,
        run_bytes: 16 * 1024 * 1024,
        run_entries: 10_000,
        keep_entries: 5000,
        keep_bytes: 64 * 1024 * 1024,
        rewrite_bytes: 64 * 1024 * 1024,
        quota_bytes: 2 * 1024 * 1024 * 1024,
        read_keys: 5000,
        apply_entries: 5000,
        watch_rows: 10_000,
        log_bytes: LOG_BYTES,
    };

    /// For a Worker, which does everything in one thread.
    pub const WORKER: Self = Self {
        run_rows: 1000,
        run_bytes: 1024 * 1024,
        run_entries: 10_000,
        keep_entries: 5000,
        keep_bytes: 16 * 1024 * 1024,
        rewrite_bytes: 16 * 1024 * 1024,
        quota_bytes: 2 * 1024 * 1024 * 1024,
        read_keys: 1000,
        apply_entries: 1000,
        watch_rows: 10_000,
        log_bytes: LOG_BYTES,
    };

    /// With so much in memory that should be below, nothing more is taken until it is.
    pub(crate) const fn behind_bytes(&self) -> usize {
        3 * self.run_bytes
    }

    /// What peers may have forwarded and waits for others, in bytes: more than they do while they
    /// hear answers. Of more the callers' time is over before its turn.
    pub(crate) const fn forwarded_bytes(&self) -> usize {
        api::limits::MEMBERS * (self.log_bytes + LARGEST_BYTES)
    }

    /// Of a log that gets full a write leaves so much: one that needs space leaves it for
    /// deletions, compactions and alarms, and these leave some for raft's own records.
    pub(crate) const fn kept_bytes(&self, needs_space: bool) -> usize {
        if needs_space { self.log_bytes / 6 } else { self.log_bytes / 24 }
    }

    /// What may be on its way to a log that has just got full, of which the largest request may be
    /// the last, and twice what is to be left then: the host has the log keep so much in reserve.
    #[must_use]
    pub const fn log_reserve_bytes(&self) -> u64 {
        (self.log_bytes + LARGEST_BYTES + 2 * self.kept_bytes(true)) as u64
    }

    /// Room on the disk for all that may be in memory, a write that is under way apart, and a
    /// third of that, as redb's pages have air: the host keeps so much in reserve for the store,
    /// or a full disk leaves changes that nobody can move.
    #[must_use]
    pub const fn reserve_bytes(&self) -> u64 {
        // Beside what waits there is the run that is on its way. It may be as large.
        let in_memory = 2 * self.behind_bytes() as u64;
        in_memory / 3 * 4
    }
}

/// Intervals, in milliseconds. Names and defaults are etcd's.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often a leader speaks to its followers; also one raft tick.
    pub heartbeat_ms: u64,
    /// How long a follower hears nothing before it stands for election.
    pub election_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat_ms: 100, election_ms: 1000 }
    }
}

impl Timing {
    /// Ticks of an election timeout. raft's smallest is 10.
    pub(crate) fn election_ticks(&self) -> usize {
        usize::try_from(self.election_ms / self.heartbeat_ms.max(1)).unwrap_or(10).max(10)
    }

    /// How long a request may wait: etcd's `ReqTimeout`, 5 s and two election timeouts.
    pub(crate) fn request_ms(&self) -> u64 {
        5000 + 2 * self.election_ms
    }

    /// After this long an attempt to read through the leader is made anew, as in etcd.
    pub(crate) fn read_retry_ms(&self) -> u64 {
        500
    }
}

/// Why a node cannot start from what its directory holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(String),
    /// The directory is another member's.
    #[error(
        "this directory belongs to member {found:?} of cluster {found_cluster:?}, not to member \
         {wanted:?} of {wanted_cluster:?}; give it its own name, or give this member another \
         directory"
    )]
    Foreign {
        /// The member in the directory.
        found: String,
        /// The cluster in the directory.
        found_cluster: String,
        /// The member that was asked for.
        wanted: String,
        /// The cluster that was asked for.
        wanted_cluster: String,
    },
    /// The log contradicts itself.
    #[error(
        "the log cannot be right: {0}; restore this member's directory, or remove it and \
             let the others tell what can be done"
    )]
    Corrupt(String),
}

/// Refuses what makes no sense, and puts the names in order.
pub(crate) fn check_config(config: &mut Config) -> Result<(), StartError> {
    let wrong = |text: String| Err(StartError::Config(text));
    config.initial.sort();
    config.initial.dedup();
    config.nonce = config.nonce.max(1);
    if !config.initial.contains(&config.name) {
        return wrong(format!("member {:?} is not one of the initial members", config.name));
    }
    if config.initial.len() > api::limits::MEMBERS {
        return wrong(format!("a cluster has at most {} members", api::limits::MEMBERS));
    }
    let names = config.initial.iter().chain([&config.cluster]);
    for name in names {
        if name.is_empty() || name.chars().count() > api::limits::NAME_CHARS {
            return wrong(format!(
                "the name {name:?} must have 1 to {} characters",
                api::limits::NAME_CHARS
            ));
        }
    }
    Ok(())
}
