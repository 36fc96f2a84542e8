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
use crate::truth::Truth;

/// The logs of all places, and every entry that was ever seen.
#[derive(Debug, Default)]
pub struct Logs {
    /// By place: the run, and its log.
    logs: BTreeMap<String, (u64, Log)>,
    /// By index and term: the chain.
    seen: BTreeMap<(u64, u64), u64>,
}

/// The term and chain of each entry of a log, the last one that it does not hold any more first:
/// what was before is in a store.
#[derive(Debug, Default)]
struct Log {
    first: u64,
    chains: Vec<(u64, u64)>,
}

impl Log {
    fn at(&self, index: u64) -> Option<(u64, u64)> {
        self.chains.get(usize::try_from(index.checked_sub(self.first)?).ok()?).copied()
    }
}

const NAME: &str = "log_matching";

impl Logs {
    /// Looks at what changed in one log.
    ///
    /// # Errors
    /// If an entry is not what another log has at its index in its term.
    pub fn check(&mut self, sight: &Sight<'_>, truth: &Truth) -> Check {
        let place = sight.place;
        if sight.view.alone && self.logs.get(place).is_none_or(|(run, _)| *run != sight.life) {
            self.logs.remove(place);
            self.see_again(truth);
        }
        let (anchor, anchor_term) = sight.view.anchor;
        let (run, log) = self.logs.entry(place.to_string()).or_default();
        let goes_on =
            *run == sight.life && log.at(anchor).is_some_and(|(term, _)| term == anchor_term);
        if !goes_on {
            let chain = match anchor {
                0 => Some(0),
                _ => self.seen.get(&(anchor, anchor_term)).copied(),
            };
            ensure(chain.is_some(), NAME, || {
                format!(
                    "the log of {place} goes on behind {anchor} of term {anchor_term}, nobody's"
                )
            })?;
            *log = Log { first: anchor, chains: vec![(anchor_term, chain.unwrap_or_default())] };
        }
        *run = sight.life;
        let kept = sight.view.changed.max(anchor + 1) - log.first;
        log.chains.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        for index in log.first + log.chains.len() as u64..=sight.view.last {
            let Some((term, data)) = sight.node.entry(index) else { break };
            let mut digest = Digest::default();
            digest.number(log.chains.last().map_or(0, |(_, chain)| *chain));
            digest.number(term);
            digest.bytes(data);
            let chain = *self.seen.entry((index, term)).or_insert(digest.value());
            ensure(chain == digest.value(), NAME, || {
                format!("the log of {place} up to entry {index} of term {term} is another's not")
            })?;
            log.chains.push((term, chain));
        }
        Ok(())
    }

    /// The chain of an entry in the log of a place.
    #[must_use]
    pub fn chain(&self, place: &str, index: u64) -> Option<u64> {
        let (_, log) = self.logs.get(place)?;
        log.at(index).map(|(_, chain)| chain)
    }

    /// Remembers no entry but those that are committed, or in a log.
    fn see_again(&mut self, truth: &Truth) {
        let committed = |index, chain| truth.at(index).is_some_and(|entry| entry.chain == chain);
        self.seen.retain(|(index, _), chain| committed(*index, *chain));
        let logs = self.logs.values().flat_map(|(_, log)| (log.first..).zip(&log.chains));
        self.seen.extend(logs.map(|(index, (term, chain))| ((index, *term), *chain)));
    }
}
