//! What the cluster has committed: the one order of all writes, and the state at each of them.

use std::collections::BTreeMap;

use api::Error;
use api::frame::encode_body;
use api::session::{Request, Response};
use node::testing;

use crate::model::Model;

/// A committed entry.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Stands for the log up to this entry.
    pub chain: u64,
    /// The term of the member that was the first to know that it is committed.
    pub term: u64,
    /// The revision before and after it.
    pub revisions: (i64, i64),
    /// What it asked for, and the right answer. Nothing for the entry that begins a term.
    pub command: Option<(Request, Result<Response, Error>)>,
}

/// All committed entries, in order.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    entries: Vec<Committed>,
    model: Model,
    /// By what was asked for: its index. Only of what is never asked for twice.
    places: BTreeMap<Vec<u8>, u64>,
}

impl Truth {
    /// The last committed index.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The entry at an index.
    #[must_use]
    pub fn at(&self, index: u64) -> Option<&Committed> {
        self.entries.get(usize::try_from(index.checked_sub(1)?).ok()?)
    }

    /// The state after the last one.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The revision of a store that holds the entries up to an index.
    #[must_use]
    pub fn revision_at(&self, index: u64) -> i64 {
        self.at(index).map_or(1, |entry| entry.revisions.1)
    }

    /// The last index that a leader before this term could know as committed.
    #[must_use]
    pub fn last_before(&self, term: u64) -> u64 {
        self.entries.partition_point(|entry| entry.term < term) as u64
    }

    /// Where a request was committed.
    #[must_use]
    pub fn place_of(&self, request: &Request) -> Option<&Committed> {
        self.at(*self.places.get(&encode_body(request))?)
    }

    /// The next entry is committed. False if the same was committed before.
    pub fn commit(&mut self, chain: u64, term: u64, data: &[u8]) -> bool {
        self.append(chain, term, testing::request_of(data).map(|(_, request)| request))
    }

    /// The next entry asks for this. False if the same was committed before.
    pub fn append(&mut self, chain: u64, term: u64, request: Option<Request>) -> bool {
        let before = self.model.revision();
        let command = request.map(|request| {
            let response = self.model.apply(&request);
            (request, response)
        });
        let index = self.last() + 1;
        let unique = command.as_ref().filter(|(request, _)| is_unique(request));
        let key = unique.map(|(request, _)| encode_body(request));
        let revisions = (before, self.model.revision());
        self.entries.push(Committed { chain, term, revisions, command });
        key.is_none_or(|key| self.places.insert(key, index).is_none())
    }
}

/// Whether no two clients ask for the same, and no client twice. Compactions and alarms are asked
/// for by whoever thinks it is time.
#[must_use]
pub fn is_unique(request: &Request) -> bool {
    !matches!(request, Request::Compact(_) | Request::Alarm(_))
}
