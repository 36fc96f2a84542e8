//! A node's life: it starts, its cluster forms, it runs, it leaves.

use raft::eraftpb::ConfState;

use crate::broken::{Broken, is};
use crate::config::Config;
use crate::node::{Node, Output};
use crate::outbox::Then;
use crate::raft_node::RaftNode;

/// Where a node is in its life.
///
/// ```text
///  Starting ──► Forming ──► Running ──► Leaving ──► Over
///      └───────────────────────▲          │
///                  any ────────┴──────────┴──► Over (refused, halted)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// This run is not counted durably yet.
    Starting,
    /// The cluster's list is not there yet.
    Forming,
    /// raft runs.
    Running,
    /// As running, until leadership is handed over or this time has come.
    Leaving(u64),
    /// Left.
    Left,
    /// Refused by a peer or a relay, in words.
    Refused(String),
    /// Stopped itself, in words.
    Halted(String),
}

/// Leadership is handed over within this time, or the member leaves without.
const HAND_OVER_MS: u64 = 1000;

impl Node {
    pub(crate) fn persisted(&mut self, number: u64) {
        for then in self.outbox.persisted(number) {
            match then {
                Then::Start => self.start(),
                Then::Formed => self.formed(),
                Then::Sighted(name, boot) => self.accept(&name, boot),
            }
        }
        if let Some(raft) = &mut self.raft {
            raft.persisted(number);
        }
    }

    pub(crate) fn start(&mut self) {
        self.phase = Phase::Forming;
        if self.identity.formation().is_some() {
            return self.formed();
        }
        match self.greeting().decide() {
            // Only a cluster of one decides alone; it attaches when it has formed.
            Some(list) => self.form(list),
            None => self.attach_all(),
        }
    }

    /// The list is durable: raft begins.
    fn formed(&mut self) {
        if self.is_refused() {
            return;
        }
        let Some(formation) = self.identity.formation().cloned() else { return };
        let Some((cluster, me)) = self.me() else { return };
        let Some(start) = self.raft_start.take() else { return };
        let ids = formation.members.iter().map(|m| (m.name.clone(), formation.raft_id(m)));
        let learner = |name: &str| self.config.learners.iter().any(|l| l == name);
        let mut conf = ConfState::default();
        for (name, id) in ids.clone() {
            let group = if learner(&name) { &mut conf.learners } else { &mut conf.voters };
            group.push(id.0);
        }
        conf.voters.sort_unstable();
        conf.learners.sort_unstable();
        self.peers.name_ids(ids.filter(|(name, _)| *name != self.config.name));
        let mut start = start;
        if is(Broken::VoteForgotten) {
            start.hard_state.vote = 0;
        }
        if is(Broken::EntryForgotten)
            && let Some(entry) = start.entries.pop_if(|entry| entry.index > start.applied)
        {
            start.hard_state.commit = start.hard_state.commit.min(entry.index - 1);
        }
        let Config { seed, timing, .. } = self.config;
        match RaftNode::new(me.0, conf, start, seed, timing, self.intake()) {
            Ok(raft) => self.raft = Some(raft),
            Err(error) => return self.halt(error.to_string()),
        }
        self.phase = Phase::Running;
        self.outbox.push(Output::Formed(cluster));
        self.attach_all();
        self.tell_list();
    }

    pub(crate) fn leave(&mut self) {
        match (&self.phase, &mut self.raft) {
            (Phase::Running, Some(raft)) if raft.is_leader() => {
                let reachable = self.peers.up();
                self.phase = match raft.hand_over(&reachable) {
                    true => Phase::Leaving(self.clock.now + HAND_OVER_MS),
                    false => Phase::Leaving(self.clock.now),
                };
            }
            (Phase::Leaving(_), _) => {}
            _ => self.phase = Phase::Leaving(self.clock.now),
        }
    }

    /// True once nothing keeps a leaving member any more.
    pub(crate) fn may_leave(&self) -> bool {
        let Phase::Leaving(until) = self.phase else { return false };
        let leads = self.raft.as_ref().is_some_and(RaftNode::is_leader);
        !leads || until <= self.clock.now
    }
}
