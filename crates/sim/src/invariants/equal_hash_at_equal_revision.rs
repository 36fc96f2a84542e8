//! Equal hash at equal revision: two members whose stores are at the same revision, and have
//! compacted the same, hold the same.
//!
//! A hash reads the whole store, so it is taken at every [`EVERY`]th revision while a cluster
//! lives, and once more of all members at its end. That stores are where their entries bring them
//! is looked at each time: see `revisions_only_grow`.

use std::collections::BTreeMap;

use super::{Check, Sight, ensure};

/// Revisions between two hashes.
pub const EVERY: i64 = 16;

/// All hashes.
#[derive(Debug, Default)]
pub struct Hashes {
    /// By revision and compact revision: the hash, and who had it first.
    known: BTreeMap<(i64, i64), (u32, String)>,
    /// By place: the run, and the last revision that was hashed.
    seen: BTreeMap<String, (u64, i64)>,
}

impl Hashes {
    /// Looks at one node.
    ///
    /// # Errors
    /// If its store differs from another's of the same revision.
    pub fn check(&mut self, sight: &Sight<'_>) -> Check {
        let revision = sight.view.revision / EVERY * EVERY;
        let seen = self.seen.entry(sight.place.into()).or_default();
        if revision == 0 || *seen == (sight.life, revision) {
            return Ok(());
        }
        *seen = (sight.life, revision);
        let Some(hash) = sight.node.store_hash(revision) else { return Ok(()) };
        let (place, at, hash) = (sight.place, hash.compact_revision, hash.hash);
        let known = self.known.entry((revision, at));
        let (known, who) = known.or_insert_with(|| (hash, place.into()));
        ensure(*known == hash, "equal_hash_at_equal_revision", || {
            format!("at revision {revision} {place} has hash {hash:08x}, {who} had {known:08x}")
        })
    }
}
