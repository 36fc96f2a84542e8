//! Who a member is. A wiped, copied or rolled-back directory must never speak for the member
//! that it was, so an identity is more than a name:
//!
//! ```text
//!  name "2" ──┐
//!             ├─ formation list ──► ClusterId ─┐
//!  Incarnation┘ (all names and                 ├──► RaftId
//!   (random, of   incarnations)    Incarnation ┘
//!   a directory)
//!
//!  Boot = (counter, nonce): one run of one directory. A directory keeps the nonces of its
//!  boots, so a copy that goes its own way is told from the original.
//! ```

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A data directory's random number, drawn when it is made. Another directory is another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation(pub u128);

/// One run of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Boot {
    /// Counts the runs of a directory, from 1.
    pub counter: u64,
    /// Random, drawn at the start of the run.
    pub nonce: u64,
}

/// A cluster: the hash of its token, names and incarnations. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClusterId(pub u64);

/// A member in raft and in etcd's API: the hash of cluster, name and incarnation. Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RaftId(pub u64);

/// As etcd prints ids: lower-case hex without leading zeros.
impl std::fmt::Display for ClusterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

impl std::fmt::Display for RaftId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// One initial member in the list by which a cluster forms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InitialMember {
    /// Its name.
    pub name: String,
    /// Its directory at the moment of formation.
    pub incarnation: Incarnation,
}

/// The list that makes a cluster out of names. Decided once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formation {
    /// The token that the members were started with; clusters with the same names differ by it.
    pub token: String,
    /// All initial members. Invariant: sorted by name, each name once.
    pub members: Vec<InitialMember>,
}

impl Formation {
    /// The cluster that this list makes.
    pub fn cluster_id(&self) -> ClusterId {
        let mut hash = Sha256::new();
        hash.update(b"kvorum cluster 1");
        update_str(&mut hash, &self.token);
        for member in &self.members {
            update_str(&mut hash, &member.name);
            hash.update(member.incarnation.0.to_be_bytes());
        }
        ClusterId(first_u64(hash))
    }

    /// The raft id of one of its members.
    pub fn raft_id(&self, member: &InitialMember) -> RaftId {
        let mut hash = Sha256::new();
        hash.update(b"kvorum member 1");
        hash.update(self.cluster_id().0.to_be_bytes());
        update_str(&mut hash, &member.name);
        hash.update(member.incarnation.0.to_be_bytes());
        RaftId(first_u64(hash))
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&InitialMember> {
        self.members.iter().find(|m| m.name == name)
    }
}

/// With its length first, so that no two lists of strings hash alike.
fn update_str(hash: &mut Sha256, s: &str) {
    hash.update((s.len() as u64).to_be_bytes());
    hash.update(s.as_bytes());
}

/// 0 means "nobody" to raft and to etcd's clients, so it is never an id.
fn first_u64(hash: Sha256) -> u64 {
    let digest = hash.finalize();
    let bytes = digest.first_chunk::<8>().expect("SHA-256 gives 32 bytes");
    u64::from_be_bytes(*bytes).max(1)
}
