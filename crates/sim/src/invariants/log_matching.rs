//! Log matching: if two logs contain an entry with the same index and term, then the logs are
//! identical in all entries up through the given index (raft, 5.3).
//!
//! An only voter leads a term before it has synced that, as nobody is told. If it loses it, it
//! may lead the same term again with other entries: what only it had is forgotten when it starts.
//!
//! Each entry of a log has a *chain*: a hash of all entries up to it. So one comparison is enough.

use std::collections::BTreeMap;

use super::{Check, Sight, ensure};
use crate::random::Digest;

/// The logs of all places, and every entry that was ever seen.
#[derive(Debug, Default)]
pub struct Logs {
    /// By place: the run, and the term and chain of each entry of its log.
    chains: BTreeMap<String, (u64, Vec<(u64, u64)>)>,
    /// By index and term: the chain.
    seen: BTreeMap<(u64, u64), u64>,
}

impl Logs {
    /// Looks at what changed in one log.
    ///
    /// # Errors
    /// If an entry is not what another log has at its index in its term.
    pub fn check(&mut self, sight: &Sight<'_>) -> Check {
        if sight.view.alone
            && self.chains.get(sight.place).is_none_or(|(run, _)| *run != sight.life)
        {
            self.chains.remove(sight.place);
            self.see_again();
        }
        let entry = self.chains.entry(sight.place.to_string()).or_default();
        let first = if entry.0 == sight.life { sight.view.changed } else { 1 };
        entry.0 = sight.life;
        let chains = &mut entry.1;
        chains.truncate(usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX));
        for index in chains.len() as u64 + 1..=sight.view.last {
            let Some((term, data)) = sight.node.entry(index) else { break };
            let mut digest = Digest::default();
            digest.number(chains.last().map_or(0, |(_, chain)| *chain));
            digest.number(term);
            digest.bytes(data);
            let chain = *self.seen.entry((index, term)).or_insert(digest.value());
            ensure(chain == digest.value(), "log_matching", || {
                let place = sight.place;
                format!("the log of {place} up to entry {index} of term {term} is another's not")
            })?;
            chains.push((term, chain));
        }
        Ok(())
    }

    /// The chain of an entry in the log of a place.
    #[must_use]
    pub fn chain(&self, place: &str, index: u64) -> Option<u64> {
        let (_, chains) = self.chains.get(place)?;
        chains.get(usize::try_from(index.checked_sub(1)?).ok()?).map(|(_, chain)| *chain)
    }

    /// Remembers no entry but those that are in a log.
    fn see_again(&mut self) {
        let logs = self.chains.values().flat_map(|(_, chains)| (1..).zip(chains));
        self.seen = logs.map(|(index, (term, chain))| ((index, *term), *chain)).collect();
    }
}
