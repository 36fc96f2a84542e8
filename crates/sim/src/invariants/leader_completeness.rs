//! Leader completeness: if a log entry is committed in a given term, then that entry will be
//! present in the logs of the leaders for all higher-numbered terms (raft, 5.4).

use std::collections::BTreeSet;

use super::log_matching::Logs;
use super::{Check, Sight, ensure};
use crate::truth::Truth;

/// The leaders whose logs were looked at: place and term.
#[derive(Debug, Default)]
pub struct Seen(BTreeSet<(String, u64)>);

impl Seen {
    /// Looks at the log of a node that has begun to lead.
    ///
    /// # Errors
    /// If something that was committed before its term is not in it.
    pub fn check(&mut self, sight: &Sight<'_>, logs: &Logs, truth: &Truth) -> Check {
        let (place, term) = (sight.place, sight.view.term);
        if !sight.view.leads || !self.0.insert((place.into(), term)) {
            return Ok(());
        }
        // What is before its log is in its store.
        let last = truth.last_before(term).max(sight.view.anchor.0);
        let Some(committed) = truth.at(last) else { return Ok(()) };
        ensure(logs.chain(place, last) == Some(committed.chain), "leader_completeness", || {
            format!("{place} leads term {term} without what was committed up to entry {last}")
        })
    }
}
