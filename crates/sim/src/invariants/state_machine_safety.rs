//! State machine safety: if a server has applied a log entry at a given index to its state
//! machine, no other server will ever apply a different log entry for the same index (raft, 5.4.3).
//!
//! Asked already of what a member knows as committed. What is committed for the first time is the
//! truth from then on, and must be what a client asked for, once.

use std::collections::BTreeMap;

use super::log_matching::Logs;
use super::strict_serializability::History;
use super::{Check, Sight, ensure};
use crate::truth::Truth;

const NAME: &str = "state_machine_safety";

/// By place: the run, and up to where its commits were looked at.
#[derive(Debug, Default)]
pub struct Commits(BTreeMap<String, (u64, u64)>);

impl Commits {
    /// Looks at what one node newly knows as committed.
    ///
    /// # Errors
    /// If another entry is committed at an index, the same one twice, or one that nobody asked
    /// for.
    pub fn check(
        &mut self,
        sight: &Sight<'_>,
        logs: &Logs,
        truth: &mut Truth,
        history: &History,
    ) -> Check {
        let (place, view) = (sight.place, sight.view);
        let seen = self.0.entry(place.into()).or_default();
        let from = if seen.0 == sight.life { seen.1 } else { 0 };
        *seen = (sight.life, view.commit);
        ensure(view.applied <= view.commit, NAME, || {
            format!("{place} has applied {} and knows {} as committed", view.applied, view.commit)
        })?;
        ensure(from <= view.commit, NAME, || {
            format!("{place} went back from commit {from} to {}", view.commit)
        })?;
        // What is before the log's anchor is in the store, which has its own properties.
        let first = (from.min(truth.last()) + 1).max(view.anchor.0);
        for index in first.max(1)..=view.commit {
            let chain = logs.chain(place, index);
            if index <= truth.last() {
                let known = truth.at(index).map(|entry| entry.chain);
                ensure(chain == known, NAME, || {
                    format!("{place} commits another entry {index} than others before")
                })?;
            } else {
                commit(sight, index, chain, truth, history)?;
            }
        }
        Ok(())
    }
}

fn commit(
    sight: &Sight<'_>,
    index: u64,
    chain: Option<u64>,
    truth: &mut Truth,
    history: &History,
) -> Check {
    let place = sight.place;
    let (Some((_, data)), Some(chain)) = (sight.node.entry(index), chain) else {
        return ensure(false, NAME, || format!("{place} commits {index}, which it has not"));
    };
    let first = truth.commit(chain, sight.view.term, data);
    ensure(first, NAME, || format!("what entry {index} of {place} asks for was committed before"))?;
    match truth.at(index) {
        Some(entry) => history.committed(index, entry),
        None => Ok(()),
    }
}
