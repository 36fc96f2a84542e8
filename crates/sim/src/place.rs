//! A directory and what runs on it.

use api::report::MemberReport;
use node::Node;
use storage::{Log, MemFile};

use crate::clock::Event;
use crate::disk::Disk;

/// A directory, and the member that is started on it.
pub(crate) struct Place {
    /// The member's name.
    pub(crate) member: String,
    pub(crate) cluster: String,
    pub(crate) token: String,
    pub(crate) initial: Vec<String>,
    pub(crate) disk: Disk,
    pub(crate) running: Option<Running>,
    /// Its host tries to reach the hub.
    pub(crate) wants_link: bool,
    /// It does nothing while time goes on; what reaches it waits.
    pub(crate) frozen: bool,
    pub(crate) waiting: Vec<Event>,
    /// The disk finishes nothing.
    pub(crate) sync_held: bool,
    /// A sync is due that the disk does not finish.
    pub(crate) sync_due: bool,
    pub(crate) report: Option<MemberReport>,
}

/// A node and its host.
pub(crate) struct Running {
    /// Counts the starts of everything in the cluster: events of an earlier run are void.
    pub(crate) life: u64,
    pub(crate) node: Node,
    pub(crate) log: Log<MemFile>,
    /// Its connection to the hub; also its link's number.
    pub(crate) conn: Option<u64>,
}

impl Place {
    pub(crate) fn new(member: &str, cluster: &str, token: &str, initial: &[String]) -> Self {
        Self {
            member: member.into(),
            cluster: cluster.into(),
            token: token.into(),
            initial: initial.to_vec(),
            disk: Disk::new(),
            running: None,
            wants_link: true,
            frozen: false,
            waiting: Vec::new(),
            sync_held: false,
            sync_due: false,
            report: None,
        }
    }

    /// The node, if this is still the run that is meant.
    pub(crate) fn in_life(&mut self, life: u64) -> Option<&mut Running> {
        self.running.as_mut().filter(|running| running.life == life)
    }
}
