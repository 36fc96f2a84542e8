//! Whether there is a leader, for callers that want one (`hasleader`, etcd's `WithRequireLeader`).
//!
//! As in etcd a call fails at once, and a stream, which costs more to open again, after a while.

use std::collections::BTreeMap;

use api::report::{MemberReport, Role};

/// Looks in a row without a leader after which streams end. One look is an election timeout.
const LOOKS: u32 = 3;

/// What the members that are there say of a leader.
#[derive(Default)]
pub(super) struct Leaders {
    /// By name, whether a member that serves knows one; nothing before its first report.
    members: BTreeMap<String, Option<bool>>,
    /// Looks in a row without one.
    missed: u32,
}

impl Leaders {
    /// A member is there.
    pub(super) fn present(&mut self, name: String) {
        self.members.entry(name).or_default();
    }

    /// It is gone.
    pub(super) fn gone(&mut self, name: &str) {
        self.members.remove(name);
    }

    /// It says how it is.
    pub(super) fn reported(&mut self, report: MemberReport) {
        let serves = !matches!(report.role, Role::Refused(_) | Role::Halted(_));
        self.members.insert(report.name, Some(serves && report.leader.is_some()));
    }

    /// Nothing is known of anybody.
    pub(super) fn forget(&mut self) {
        self.members.clear();
    }

    /// All members that are there have said that they know of none. Where nobody is there the
    /// caller is better told that.
    pub(super) fn is_none(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(|led| *led == Some(false))
    }

    /// Looks once more. True when there has been none for so long that streams end.
    pub(super) fn look(&mut self) -> bool {
        self.missed = if self.is_none() { self.missed.saturating_add(1) } else { 0 };
        self.missed >= LOOKS
    }
}

#[cfg(test)]
mod tests {
    use api::identity::Boot;

    use super::*;

    fn report(name: &str, role: Role, leader: Option<&str>) -> MemberReport {
        MemberReport {
            name: name.into(),
            cluster: None,
            raft: None,
            boot: Boot::default(),
            role,
            leader: leader.map(Into::into),
            term: 1,
            commit: 1,
            applied: 1,
            revision: 1,
            peers: Vec::new(),
        }
    }

    #[test]
    fn there_is_none_when_all_have_said_so() {
        let mut leaders = Leaders::default();
        assert!(!leaders.is_none(), "nobody is there");
        leaders.present("a".into());
        leaders.present("b".into());
        leaders.reported(report("a", Role::Candidate, None));
        assert!(!leaders.is_none(), "b has not said anything");
        leaders.reported(report("b", Role::Follower, Some("c")));
        assert!(!leaders.is_none());
        leaders.reported(report("b", Role::Refused("wiped".into()), Some("c")));
        assert!(leaders.is_none(), "whom b knows is no use");
        leaders.reported(report("a", Role::Leader, Some("a")));
        leaders.present("a".into());
        assert!(!leaders.is_none());
        leaders.gone("a");
        assert!(leaders.is_none());
    }

    #[test]
    fn streams_end_after_three_looks_in_a_row() {
        let mut leaders = Leaders::default();
        leaders.reported(report("a", Role::Candidate, None));
        assert!(!leaders.look() && !leaders.look());
        leaders.reported(report("a", Role::Follower, Some("b")));
        assert!(!leaders.look());
        leaders.reported(report("a", Role::Follower, None));
        assert!(!leaders.look() && !leaders.look() && leaders.look() && leaders.look());
    }
}
