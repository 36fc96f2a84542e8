//! Election safety: at most one leader can be elected in a given term (raft, 5.2).

use std::collections::BTreeMap;

use super::{Check, Sight, ensure};

/// Who led which term.
#[derive(Debug, Default)]
pub struct Leaders(BTreeMap<u64, (u64, String)>);

impl Leaders {
    /// Looks at one node.
    ///
    /// # Errors
    /// If it leads a term that another member has led, or another place of its name.
    pub fn check(&mut self, sight: &Sight<'_>) -> Check {
        if !sight.view.leads {
            return Ok(());
        }
        let me = (sight.view.id, sight.place.to_string());
        let known = self.0.entry(sight.view.term).or_insert_with(|| me.clone());
        ensure(*known == me, "election_safety", || {
            format!("{} leads term {}, which {} led", me.1, sight.view.term, known.1)
        })
    }
}
