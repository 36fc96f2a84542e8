//! Revisions only grow: as long as a member runs, neither what it has applied nor its store goes
//! back, and its store is at the revision to which the entries bring it that it has applied.

use std::collections::BTreeMap;

use super::{Check, Sight, ensure};
use crate::truth::Truth;

const NAME: &str = "revisions_only_grow";

/// By place: the run, what it had applied, its revision.
#[derive(Debug, Default)]
pub struct Revisions(BTreeMap<String, (u64, u64, i64)>);

impl Revisions {
    /// Looks at one node.
    ///
    /// # Errors
    /// If it went back, or is not where its entries bring it.
    pub fn check(&mut self, sight: &Sight<'_>, truth: &Truth) -> Check {
        let (place, view) = (sight.place, sight.view);
        let seen = self.0.entry(place.into()).or_default();
        let (applied, revision) = if seen.0 == sight.life { (seen.1, seen.2) } else { (0, 0) };
        *seen = (sight.life, view.applied, view.revision);
        ensure(applied <= view.applied && revision <= view.revision, NAME, || {
            format!(
                "{place} went from {applied} at revision {revision} to {} at {}",
                view.applied, view.revision
            )
        })?;
        let right = truth.revision_at(view.applied);
        ensure(view.revision == right, NAME, || {
            format!(
                "{place} is at revision {} after entry {}, which makes it {right}",
                view.revision, view.applied
            )
        })
    }
}
