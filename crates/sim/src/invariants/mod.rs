//! What must hold after every single step, one property a file, by the name that the papers have
//! for it.
//!
//! | property | says | source |
//! |---|---|---|
//! | `election_safety` | a term has one leader at most | raft, figure 3 |
//! | `log_matching` | two logs that agree at one entry agree before it | raft, figure 3 |
//! | `leader_completeness` | a leader holds all that was committed before | raft, figure 3 |
//! | `state_machine_safety` | nobody applies another entry at an index | raft, figure 3 |
//! | `revisions_only_grow` | no store goes back; each is where its entries bring it | etcd |
//! | `equal_hash_at_equal_revision` | at a revision all stores are the same | etcd's HashKV |
//! | `watch_reliable` | no event lost, doubled or out of order | etcd's watch guarantees |
//! | `strict_serializability` | answers fit one order that keeps to real time | Papadimitriou |
//! | `identity` | a true directory is never refused, another one always | ours |
//!
//! Each looks only at what changed: a node is looked at when it was given something.

pub mod election_safety;
pub mod equal_hash_at_equal_revision;
pub mod identity;
pub mod leader_completeness;
pub mod log_matching;
pub mod revisions_only_grow;
pub mod state_machine_safety;
pub mod strict_serializability;
pub mod watch_reliable;

use node::Node;
use node::testing::RaftView;

use crate::cluster::Cluster;
use crate::truth::Truth;
use strict_serializability::History;

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub property: &'static str,
    /// What was seen.
    pub text: String,
}

/// Whether a property holds.
pub type Check = Result<(), Violation>;

/// A violation, if not.
pub(crate) fn ensure(holds: bool, property: &'static str, text: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Violation { property, text: text() }) }
}

/// One node, as a property sees it.
pub struct Sight<'a> {
    /// Where it runs.
    pub place: &'a str,
    /// Which run in the cluster it is.
    pub life: u64,
    /// The node.
    pub node: &'a Node,
    /// Its raft.
    pub view: RaftView,
}

/// All properties of nodes, and what they remember.
#[derive(Debug, Default)]
pub struct Invariants {
    /// What is committed.
    pub truth: Truth,
    elections: election_safety::Leaders,
    logs: log_matching::Logs,
    completeness: leader_completeness::Seen,
    machine: state_machine_safety::Commits,
    revisions: revisions_only_grow::Revisions,
    hashes: equal_hash_at_equal_revision::Hashes,
}

impl Invariants {
    /// Looks at every node that was given something since the last time. `impostor` is a place
    /// whose directory is not the member's own.
    ///
    /// # Errors
    /// The first property that does not hold.
    pub fn look(
        &mut self,
        cluster: &mut Cluster,
        history: &History,
        impostor: Option<&str>,
    ) -> Check {
        for place in std::mem::take(&mut cluster.touched) {
            if impostor != Some(place.as_str()) {
                identity::check(&place, cluster.report(&place))?;
            }
            let (Some(node), Some(life)) = (cluster.node(&place), cluster.life(&place)) else {
                continue;
            };
            if let Some(view) = node.raft_view() {
                self.check(&Sight { place: &place, life, node, view }, history)?;
            }
        }
        Ok(())
    }

    fn check(&mut self, sight: &Sight<'_>, history: &History) -> Check {
        self.elections.check(sight)?;
        self.logs.check(sight, &self.truth)?;
        self.machine.check(sight, &self.logs, &mut self.truth, history)?;
        self.completeness.check(sight, &self.logs, &self.truth)?;
        self.revisions.check(sight, &self.truth)?;
        self.hashes.check(sight)
    }
}
