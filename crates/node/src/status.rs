//! What a member shows of itself.

use api::frame::Frame;
use api::report::{MemberReport, Role};

use crate::config::LinkId;
use crate::life::Phase;
use crate::node::{Node, Output};
use crate::raft_node::RaftNode;

/// Reports in which only counters moved leave this far apart.
const QUIET_MS: u64 = 200;

/// The last report, and when it went.
#[derive(Default)]
pub(crate) struct Reporter {
    last: Option<MemberReport>,
    at: u64,
}

impl Reporter {
    /// Somebody is new: the next report goes whatever changed.
    pub(crate) fn again(&mut self) {
        self.last = None;
    }

    fn is_due(&self, now: u64, report: &MemberReport) -> bool {
        let Some(last) = &self.last else { return true };
        if last == report {
            return false;
        }
        let counters_only = MemberReport {
            commit: last.commit,
            applied: last.applied,
            revision: last.revision,
            ..report.clone()
        } == *last;
        !counters_only || now >= self.at + QUIET_MS
    }
}

impl Node {
    /// Tells the host and the consoles, if there is something to tell.
    pub(crate) fn report_if_changed(&mut self) {
        if matches!(self.phase, Phase::Starting) {
            return;
        }
        let report = self.make_report();
        if self.reporter.is_due(self.clock.now, &report) {
            self.tell(report);
        }
    }

    pub(crate) fn report(&mut self) {
        let report = self.make_report();
        self.tell(report);
    }

    fn tell(&mut self, report: MemberReport) {
        self.reporter.last = Some(report.clone());
        self.reporter.at = self.clock.now;
        let links: Vec<LinkId> =
            self.peers.links().filter(|&link| self.peers.is_attached(link)).collect();
        for link in links {
            self.outbox.send(link, Frame::Report(report.clone()).encode());
        }
        self.outbox.push(Output::Report(report));
    }

    fn make_report(&mut self) -> MemberReport {
        let role = self.role();
        let leader = self.raft.as_ref().map_or(0, RaftNode::leader);
        let formed = self.identity.formed();
        let name_of = |id: u64| match formed {
            Some((_, me)) if me.0 == id => Some(self.identity.name().to_string()),
            _ => self.peers.name_of(api::identity::RaftId(id)).cloned(),
        };
        let leader = if leader == 0 { None } else { name_of(leader) };
        MemberReport {
            name: self.identity.name().to_string(),
            cluster: formed.map(|(cluster, _)| cluster),
            raft: formed.map(|(_, raft)| raft),
            boot: self.identity.boot(),
            role,
            leader,
            term: self.raft.as_ref().map_or(0, RaftNode::term),
            commit: self.raft.as_ref().map_or(0, RaftNode::commit),
            applied: self.state.applied,
            revision: self.state.store.revision(),
            peers: self.peers.report(),
        }
    }

    fn role(&mut self) -> Role {
        match &self.phase {
            Phase::Refused(reason) => Role::Refused(reason.clone()),
            Phase::Halted(reason) => Role::Halted(reason.clone()),
            Phase::Starting | Phase::Forming => {
                Role::Waiting { awaited: self.greeting().awaited() }
            }
            Phase::Running | Phase::Leaving(_) | Phase::Left => match &self.raft {
                Some(raft) if raft.is_leader() => Role::Leader,
                Some(raft) if raft.is_candidate() => Role::Candidate,
                _ => Role::Follower,
            },
        }
    }
}
