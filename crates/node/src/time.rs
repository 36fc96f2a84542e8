//! Time: the host's clock becomes ticks, deadlines and the next wake-up.

use api::Error;

use crate::node::Node;
use crate::raft_node::RaftNode;

/// Times of the host's clock, in milliseconds.
pub(crate) struct Clock {
    pub(crate) now: u64,
    /// raft has been told of the time up to here.
    pub(crate) ticked: u64,
    /// When to stand for election without waiting for raft's timeout.
    pub(crate) campaign_at: Option<u64>,
    /// How often that was done since a leader last committed something.
    pub(crate) campaigns: u32,
    /// The term in which that time was set, …
    pub(crate) campaign_term: u64,
    /// … and how long whoever stood in it is given, from when this member's vote is on the disk.
    pub(crate) campaign_pause: u64,
    /// Watches may have more to hear than they were told in one turn.
    pub(crate) watches_wait: bool,
    /// More is committed than was applied in one turn.
    pub(crate) entries_wait: bool,
    /// More waits to be proposed than one turn takes.
    pub(crate) proposals_wait: bool,
    /// The turn that the host is given the outputs of has left work.
    pub(crate) rests: bool,
}

impl Clock {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            now,
            ticked: now,
            campaign_at: None,
            campaigns: 0,
            campaign_term: 0,
            campaign_pause: 0,
            watches_wait: false,
            entries_wait: false,
            proposals_wait: false,
            rests: false,
        }
    }
}

impl Node {
    /// When to hand in [`Input::Tick`](crate::Input::Tick) at the latest, if nothing else happens.
    pub fn wake_at(&self) -> u64 {
        if self.work_waits() {
            return self.clock.now;
        }
        let tick = self.clock.ticked + self.config.timing.heartbeat_ms;
        // One that is due and could not be held waits for something else to happen.
        let campaign = self.clock.campaign_at.filter(|&at| at > self.clock.now);
        campaign.map_or(tick, |at| at.min(tick))
    }

    /// Whether there is something that the next turn can do, whatever else happens.
    pub(crate) fn work_waits(&self) -> bool {
        let Self { clock, state, .. } = self;
        let waits = clock.watches_wait
            || clock.entries_wait
            || clock.proposals_wait
            || state.store.is_shedding()
            || self.may_read_on()
            || state.sessions.is_due()
            || state.reads.is_ready(|origin| !state.sessions.is_held(origin));
        waits && !self.is_over()
    }

    /// Lets time pass for everything that waits for it.
    pub(crate) fn pass_time(&mut self, now: u64) {
        let gap = now - self.clock.now;
        self.clock.now = now;
        if gap > self.config.timing.election_ms {
            self.frozen();
        }
        let tick = self.config.timing.heartbeat_ms.max(1);
        while self.clock.ticked + tick <= now {
            self.clock.ticked += tick;
            let refused = self.is_refused();
            if let Some(raft) = self.raft.as_mut().filter(|_| !refused) {
                raft.tick();
                let commit = raft.lone_commit();
                self.outbox.record_raft(commit.into_iter().collect());
            }
            self.tick_rest();
        }
    }

    /// Nothing ran here for longer than the others wait: they may have gone on without us.
    fn frozen(&mut self) {
        self.clock.ticked = self.clock.now;
        self.clock.campaign_at = None;
        self.state.reads.restart();
        // Nor is a leader that was known before one to wait for: if it is there it says so within
        // a heartbeat; after a computer has slept none is.
        match &mut self.raft {
            Some(raft) if raft.is_leader() => raft.step_down(),
            Some(raft) => raft.forget_leader(),
            None => {}
        }
    }

    fn tick_rest(&mut self) {
        let now = self.clock.now;
        self.state.proposals.forget_recent(now.saturating_sub(self.config.timing.election_ms));
        for caller in self.state.proposals.expire(now) {
            self.answer(caller, Err(Error::Timeout));
        }
        for caller in self.state.reads.expire(now) {
            self.answer(caller, Err(Error::Timeout));
        }
        let term = self.raft.as_ref().map_or(0, RaftNode::term);
        self.state.reads.retry(now, self.config.timing.read_retry_ms(), term);
        self.expire_compactions();
        self.tick_snapshots();
        self.tick_space();
        self.remember_acknowledged();
        self.greet_again();
    }
}
