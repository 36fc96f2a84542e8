//! Builds that are broken on purpose, and within how many seeds lives notice.

use node::testing::{Broken, break_by};

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// A rule of the node is left out.
    Node(Broken),
    /// Disks say that they have synced and have not.
    Disk,
}

/// A broken build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mutant {
    /// Its name.
    pub name: &'static str,
    how: How,
    /// Lives notice within so many seeds, from 0 on.
    pub within: u64,
}

impl Mutant {
    /// The disks of this build do not sync.
    pub(crate) fn lying_disks(&self) -> bool {
        self.how == How::Disk
    }
}

const fn node(name: &'static str, broken: Broken, within: u64) -> Mutant {
    Mutant { name, how: How::Node(broken), within }
}

/// All broken builds, the easy ones first.
pub const MUTANTS: &[Mutant] = &[
    node("a reply before the commit", Broken::ReplyBeforeCommit, 20),
    node("a skipped tombstone", Broken::SkippedTombstone, 20),
    node("an apply that skips on some members", Broken::ApplySkips, 20),
    node("a write proposed again that was not lost", Broken::ProposedAgain, 20),
    node("a window that accepts twice", Broken::WindowOpen, 50),
    node("a watch that goes on one revision late", Broken::WatchSkips, 50),
    node("a watch that goes on one revision early", Broken::WatchDoubles, 50),
    node("a read before what it must see is applied", Broken::ReadBeforeApply, 100),
    node("a stale ReadIndex", Broken::StaleReadIndex, 200),
    node("read contexts that restart at 1", Broken::ContextsRestart, 2000),
    Mutant { name: "a sync that does nothing", how: How::Disk, within: 50 },
    node("an append acknowledged before it is synced", Broken::AckBeforeSync, 500),
    node("a vote before it is synced", Broken::VoteBeforeSync, 5000),
    node("a leader's term before it is synced", Broken::TermBeforeSync, 2000),
    node("a vote that a start forgets", Broken::VoteForgotten, 2000),
    node("an entry that a start forgets", Broken::EntryForgotten, 50),
    node("a forgotten sighting", Broken::SightingForgotten, 50),
    node("a wiped member that votes", Broken::WipedVotes, 50),
    node("a log that is cut past the synced store", Broken::CutAhead, 50),
    node("a generation that takes over before it is named", Broken::SwitchBeforeSync, 5000),
    node("alarms that a snapshot forgets", Broken::AlarmsForgotten, 500),
    node("a compaction that skips on some members", Broken::CompactSkips, 200),
    node("a write that counts as applied when it has begun", Broken::HalfApplied, 20),
    node("a write that is refused and proposed", Broken::RefusedAnyway, 50),
];

/// Puts the rule back when it goes.
pub(crate) struct LeftOut(());

impl Drop for LeftOut {
    fn drop(&mut self) {
        break_by(None);
    }
}

/// Leaves a rule out on this thread.
pub(crate) fn leave_out(mutant: Option<&Mutant>) -> LeftOut {
    break_by(mutant.and_then(|mutant| match mutant.how {
        How::Node(broken) => Some(broken),
        How::Disk => None,
    }));
    LeftOut(())
}
