//! Faults that a simulator must find: each is one rule of this crate, left out on purpose.
//!
//! Without the feature `broken` nothing here is compiled in but a constant `false`.

/// A rule that is left out.
#[cfg_attr(not(feature = "broken"), allow(unreachable_pub))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Votes are answered before they are synced.
    VoteBeforeSync,
    /// Appends are acknowledged before they are synced.
    AckBeforeSync,
    /// What a new leader sends does not wait for its term and vote to be synced.
    TermBeforeSync,
    /// A start forgets whom this member voted for.
    VoteForgotten,
    /// A start forgets the last entry of the log.
    EntryForgotten,
    /// A leader answers a write when it has appended it.
    ReplyBeforeCommit,
    /// Deletions are answered and not done.
    SkippedTombstone,
    /// Some members leave some entries out.
    ApplySkips,
    /// A leader confirms reads without asking the others.
    StaleReadIndex,
    /// Reads are answered before what they must see is applied.
    ReadBeforeApply,
    /// The contexts of reads start at 1 again whenever one was lost.
    ContextsRestart,
    /// A write is proposed again though it is not lost for sure.
    ProposedAgain,
    /// A frame is accepted as often as it comes.
    WindowOpen,
    /// The runs of peers are not remembered.
    SightingForgotten,
    /// A member whose data is gone takes part again under its old id.
    WipedVotes,
    /// A watch that goes on after a lost session begins one revision too late.
    WatchSkips,
    /// A watch that goes on after a lost session begins one revision too early.
    WatchDoubles,
    /// The log is cut where the state is, not where the store below memory is.
    CutAhead,
    /// A new generation takes over before the log names it for sure.
    SwitchBeforeSync,
    /// What is moved below memory, or sent to a follower, comes without the alarms.
    AlarmsForgotten,
    /// Some members leave some compactions out.
    CompactSkips,
    /// A write counts as applied when it has begun.
    HalfApplied,
    /// A write that is refused for want of room is proposed as well.
    RefusedAnyway,
}

#[cfg(feature = "broken")]
mod switch {
    use std::cell::Cell;

    use super::Broken;

    thread_local! {
        static BROKEN: Cell<Option<Broken>> = const { Cell::new(None) };
    }

    /// Leaves a rule out, or none, on all nodes of this thread from now on.
    pub fn break_by(broken: Option<Broken>) {
        BROKEN.set(broken);
    }

    /// Whether this rule is left out.
    pub(crate) fn is(broken: Broken) -> bool {
        BROKEN.get() == Some(broken)
    }
}

#[cfg(feature = "broken")]
pub use switch::break_by;
#[cfg(feature = "broken")]
pub(crate) use switch::is;

/// Whether this rule is left out: never.
#[cfg(not(feature = "broken"))]
pub(crate) const fn is(_: Broken) -> bool {
    false
}
