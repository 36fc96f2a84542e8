//! The store as simply as it can be said: one whole map of keys for each revision.
//!
//! Nothing is shared with the store but the types of requests and answers.

use std::collections::BTreeMap;

use api::kv::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, DeleteRangeResponse, KeyValue,
    PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, ResponseHeader, ResponseOp,
    SortOrder, SortTarget, TxnRequest, TxnResponse,
};
use api::watch::{Event, EventType};
use api::{Bytes, Error, Result};

pub(crate) type State = BTreeMap<Bytes, KeyValue>;

/// Everything that ever was, and what one may still ask for.
pub(crate) struct Model {
    /// The state at each revision, from 0 on. A fresh store is at 1.
    pub(crate) states: Vec<State>,
    /// What happened at each revision.
    pub(crate) events: Vec<Vec<Event>>,
    pub(crate) compacted: i64,
}

/// A transaction under way.
struct Draft {
    state: State,
    events: Vec<Event>,
    revision: i64,
}

pub(crate) fn within(key: &[u8], start: &[u8], end: &[u8]) -> bool {
    match end {
        [] => key == start,
        [0] => key >= start,
        _ => key >= start && key < end,
    }
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..Default::default() }
}

impl Model {
    pub(crate) fn new() -> Self {
        let nothing = || vec![Default::default(), Default::default()];
        Self { states: nothing(), events: vec![vec![], vec![]], compacted: -1 }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.states.len() as i64 - 1
    }

    fn draft(&self) -> Draft {
        let state = self.states.last().unwrap().clone();
        Draft { state, events: vec![], revision: self.revision() + 1 }
    }

    fn commit(&mut self, draft: Draft) {
        if !draft.events.is_empty() {
            self.states.push(draft.state);
            self.events.push(draft.events);
        }
    }

    /// Takes the newest revision back.
    pub(crate) fn undo(&mut self) {
        self.states.pop();
        self.events.pop();
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        self.range_in(request, None)
    }

    fn range_in(&self, request: &RangeRequest, draft: Option<&Draft>) -> Result<RangeResponse> {
        let written = draft.filter(|draft| !draft.events.is_empty());
        let current = written.map_or(self.revision(), |draft| draft.revision);
        if request.revision > current {
            return Err(Error::FutureRev);
        }
        if request.revision > 0 && request.revision < self.compacted {
            return Err(Error::Compacted);
        }
        let state = match (written, request.revision) {
            (Some(draft), ..=0) => &draft.state,
            (None, ..=0) => self.states.last().unwrap(),
            (_, past) => &self.states[past as usize],
        };
        let mut kvs: Vec<KeyValue> = state
            .values()
            .filter(|kv| within(&kv.key, &request.key, &request.range_end))
            .cloned()
            .collect();
        let count = kvs.len() as i64;
        if request.count_only {
            kvs.clear();
        }

        let (min_mod, max_mod) = (request.min_mod_revision, request.max_mod_revision);
        let (min_create, max_create) = (request.min_create_revision, request.max_create_revision);
        let bounded = [min_mod, max_mod, min_create, max_create].iter().any(|bound| *bound != 0);
        // What etcd does when an order has no direction.
        if request.sort_order == SortOrder::None && !bounded && request.limit > 0 {
            kvs.truncate(request.limit as usize + 1);
        }
        kvs.retain(|kv| min_mod == 0 || kv.mod_revision >= min_mod);
        kvs.retain(|kv| max_mod == 0 || kv.mod_revision <= max_mod);
        kvs.retain(|kv| min_create == 0 || kv.create_revision >= min_create);
        kvs.retain(|kv| max_create == 0 || kv.create_revision <= max_create);
        let number = |kv: &KeyValue| match request.sort_target {
            SortTarget::Version => kv.version,
            SortTarget::Create => kv.create_revision,
            SortTarget::Mod => kv.mod_revision,
            SortTarget::Key | SortTarget::Value => 0,
        };
        let text = |kv: &KeyValue| match request.sort_target {
            SortTarget::Key => kv.key.clone(),
            SortTarget::Value => kv.value.clone(),
            _ => Bytes::new(),
        };
        match request.sort_order {
            SortOrder::Descend => kvs.sort_by_key(|kv| std::cmp::Reverse((number(kv), text(kv)))),
            _ => kvs.sort_by_key(|kv| (number(kv), text(kv))),
        }
        let more = request.limit > 0 && kvs.len() as i64 > request.limit;
        if more {
            kvs.truncate(request.limit as usize);
        }
        if request.keys_only {
            for kv in &mut kvs {
                kv.value = Bytes::new();
                if request.sort_target != SortTarget::Value {
                    kv.lease = 0;
                }
            }
        }
        Ok(RangeResponse { header: header(current), kvs, more, count })
    }

    pub(crate) fn put(&mut self, request: &PutRequest) -> Result<PutResponse> {
        let mut draft = self.draft();
        if request.lease != 0 {
            return Err(Error::LeaseNotFound);
        }
        draft.check_put(request)?;
        let response = draft.put(request);
        self.commit(draft);
        Ok(response)
    }

    pub(crate) fn delete_range(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let mut draft = self.draft();
        let response = draft.delete_range(request);
        self.commit(draft);
        response
    }

    pub(crate) fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse> {
        self.validate(request)?;
        let mut draft = self.draft();
        let mut response = self.execute(request, &mut draft);
        self.commit(draft);
        response.header = header(self.revision());
        Ok(response)
    }

    fn chosen<'a>(&self, request: &'a TxnRequest) -> (bool, &'a [RequestOp]) {
        let state = self.states.last().unwrap();
        let holds = request.compare.iter().all(|compare| holds(state, compare));
        (holds, if holds { &request.success } else { &request.failure })
    }

    fn validate(&self, request: &TxnRequest) -> Result<()> {
        for op in self.chosen(request).1 {
            match op {
                RequestOp::Put(put) => {
                    self.draft().check_put(put)?;
                    if put.lease != 0 {
                        return Err(Error::LeaseNotFound);
                    }
                }
                RequestOp::Range(range) if range.revision > self.revision() => {
                    return Err(Error::FutureRev);
                }
                RequestOp::Range(range)
                    if range.revision != 0 && range.revision < self.compacted =>
                {
                    return Err(Error::Compacted);
                }
                RequestOp::Txn(txn) => self.validate(txn)?,
                RequestOp::Range(_) | RequestOp::DeleteRange(_) => {}
            }
        }
        Ok(())
    }

    fn execute(&self, request: &TxnRequest, draft: &mut Draft) -> TxnResponse {
        let (succeeded, ops) = self.chosen(request);
        let mut responses = vec![];
        for op in ops {
            responses.push(match op {
                RequestOp::Range(range) => {
                    ResponseOp::Range(self.range_in(range, Some(draft)).unwrap())
                }
                RequestOp::Put(put) => ResponseOp::Put(draft.put(put)),
                RequestOp::DeleteRange(delete) => {
                    ResponseOp::DeleteRange(draft.delete_range(delete))
                }
                RequestOp::Txn(txn) => ResponseOp::Txn(self.execute(txn, draft)),
            });
        }
        TxnResponse { header: header(0), succeeded, responses }
    }

    pub(crate) fn compact(&mut self, revision: i64) -> Result<()> {
        if revision <= self.compacted {
            return Err(Error::Compacted);
        }
        if revision > self.revision() {
            return Err(Error::FutureRev);
        }
        self.compacted = revision;
        Ok(())
    }
}

impl Draft {
    fn check_put(&self, request: &PutRequest) -> Result<()> {
        let keeps = request.ignore_value || request.ignore_lease;
        if keeps && !self.state.contains_key(&request.key) {
            return Err(Error::KeyNotFound);
        }
        Ok(())
    }

    fn put(&mut self, request: &PutRequest) -> PutResponse {
        let old = self.state.get(&request.key).cloned();
        let kv = KeyValue {
            key: request.key.clone(),
            create_revision: old.as_ref().map_or(self.revision, |old| old.create_revision),
            mod_revision: self.revision,
            version: old.as_ref().map_or(0, |old| old.version) + 1,
            value: match &old {
                Some(old) if request.ignore_value => old.value.clone(),
                _ => request.value.clone(),
            },
            lease: 0,
        };
        self.state.insert(kv.key.clone(), kv.clone());
        self.events.push(Event { kind: EventType::Put, kv, prev_kv: None });
        let prev_kv = old.filter(|_| request.prev_kv);
        PutResponse { header: header(self.revision), prev_kv }
    }

    fn delete_range(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let doomed: Vec<KeyValue> = self
            .state
            .values()
            .filter(|kv| within(&kv.key, &request.key, &request.range_end))
            .cloned()
            .collect();
        for kv in &doomed {
            self.state.remove(&kv.key);
            let kv = KeyValue {
                key: kv.key.clone(),
                mod_revision: self.revision,
                ..KeyValue::default()
            };
            self.events.push(Event { kind: EventType::Delete, kv, prev_kv: None });
        }
        let wrote = !self.events.is_empty();
        DeleteRangeResponse {
            header: header(if wrote { self.revision } else { self.revision - 1 }),
            deleted: doomed.len() as i64,
            prev_kvs: if request.prev_kv { doomed } else { vec![] },
        }
    }
}

fn holds(state: &State, compare: &Compare) -> bool {
    let mut kvs: Vec<KeyValue> = state
        .values()
        .filter(|kv| within(&kv.key, &compare.key, &compare.range_end))
        .cloned()
        .collect();
    if kvs.is_empty() {
        if matches!(compare.target, CompareTarget::Value(_)) {
            return false;
        }
        kvs.push(KeyValue::default());
    }
    kvs.iter().all(|kv| {
        let order = match &compare.target {
            CompareTarget::Version(than) => kv.version.cmp(than),
            CompareTarget::Create(than) => kv.create_revision.cmp(than),
            CompareTarget::Mod(than) => kv.mod_revision.cmp(than),
            CompareTarget::Lease(than) => kv.lease.cmp(than),
            CompareTarget::Value(than) => kv.value.cmp(than),
        };
        match compare.result {
            CompareResult::Equal => order.is_eq(),
            CompareResult::NotEqual => order.is_ne(),
            CompareResult::Greater => order.is_gt(),
            CompareResult::Less => order.is_lt(),
        }
    })
}
