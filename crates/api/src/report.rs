//! What a member shows of itself to whoever looks: its page, and the consoles of its cluster.

use serde::{Deserialize, Serialize};

use crate::identity::{Boot, ClusterId, RaftId};

/// What a member does in its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Its cluster has not formed; these initial members are awaited.
    Waiting {
        /// Names of those that are not here yet.
        awaited: Vec<String>,
    },
    /// Leads.
    Leader,
    /// Follows.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Its peers, or the relay, refuse it; the text says what happened and what can be done.
    Refused(String),
    /// It stopped itself because going on could lose data; the text says why.
    Halted(String),
}

/// How a member sees the link to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// No way to reach it.
    Down,
    /// Hellos are under way.
    Greeting,
    /// Frames flow.
    Up,
}

/// A peer, as a member sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerReport {
    /// Its name.
    pub name: String,
    /// The link to it.
    pub link: LinkState,
}

/// One member's own view of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its name.
    pub name: String,
    /// Its cluster, once that has formed.
    pub cluster: Option<ClusterId>,
    /// Its raft id, once its cluster has formed.
    pub raft: Option<RaftId>,
    /// Which run of it this is.
    pub boot: Boot,
    /// What it does.
    pub role: Role,
    /// The leader's name, if it knows one.
    pub leader: Option<String>,
    /// Raft term.
    pub term: u64,
    /// Last committed index.
    pub commit: u64,
    /// Last applied index.
    pub applied: u64,
    /// The store's revision.
    pub revision: i64,
    /// Every other member.
    pub peers: Vec<PeerReport>,
}
