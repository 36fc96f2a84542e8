//! What etcd's store is by its documentation, written a second time and as simply as can be: all
//! versions of all keys, and what each revision changed. Answers of members are held against it.

use std::collections::{BTreeMap, BTreeSet};

use api::kv::{
    CompactResponse, Compare, CompareResult, CompareTarget, DeleteRangeRequest,
    DeleteRangeResponse, KeyValue, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use api::maintenance::{AlarmAction, AlarmMember, AlarmRequest, AlarmResponse, AlarmType};
use api::session::{Request, Response};
use api::watch::{Event, EventType};
use api::{Bytes, Error};

/// The store after so many requests, and at every revision before.
#[derive(Clone, Debug)]
pub struct Model {
    revision: i64,
    /// All versions of a key, oldest first. A deletion is a version 0.
    keys: BTreeMap<Bytes, Vec<KeyValue>>,
    /// What each revision changed, in order, each event with the pair before it.
    events: BTreeMap<i64, Vec<Event>>,
    /// What is older cannot be read any more. (It is kept all the same.)
    compacted: i64,
    alarms: BTreeSet<AlarmMember>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            revision: 1,
            keys: BTreeMap::new(),
            events: BTreeMap::new(),
            compacted: -1,
            alarms: BTreeSet::new(),
        }
    }
}

impl Model {
    /// The revision of the last change.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The oldest revision that can be read.
    #[must_use]
    pub fn compacted(&self) -> i64 {
        self.compacted
    }

    /// The alarms that are raised.
    #[must_use]
    pub fn alarms(&self) -> Vec<AlarmMember> {
        self.alarms.iter().copied().collect()
    }

    /// Does what a request asks for. Inner headers of transactions stay empty.
    ///
    /// # Errors
    /// What the request is refused with.
    pub fn apply(&mut self, request: &Request) -> Result<Response, Error> {
        let next = self.revision + 1;
        let no_space = self.alarms.iter().any(|alarm| alarm.alarm == AlarmType::NoSpace);
        if no_space && needs_space(request) {
            return Err(Error::NoSpace);
        }
        let mut response = match request {
            Request::Put(put) => Response::Put(self.put(put, next)),
            Request::DeleteRange(delete) => Response::DeleteRange(self.delete(delete, next)),
            Request::Txn(txn) => Response::Txn(self.txn(txn, next)?),
            Request::Range(range) => Response::Range(self.range(range)),
            Request::Compact(compact) => {
                self.compact(compact.revision)?;
                Response::Compact(CompactResponse::default())
            }
            Request::Alarm(alarm) => Response::Alarm(self.alarm(alarm)),
            Request::MemberList(_) | Request::Status | Request::HashKv(_) => {
                unreachable!("no log holds what changes nothing")
            }
        };
        if self.events.contains_key(&next) {
            self.revision = next;
        }
        response.header_mut().revision = self.revision;
        Ok(response)
    }

    fn compact(&mut self, revision: i64) -> Result<(), Error> {
        if revision <= self.compacted {
            return Err(Error::Compacted);
        }
        if revision > self.revision {
            return Err(Error::FutureRev);
        }
        self.compacted = revision;
        Ok(())
    }

    fn alarm(&mut self, request: &AlarmRequest) -> AlarmResponse {
        let AlarmRequest { action, member_id, alarm } = *request;
        let alarms = match (action, alarm) {
            (AlarmAction::Get, _) => {
                let wanted = |raised: &&AlarmMember| {
                    (member_id == 0 || raised.member_id == member_id)
                        && alarm.is_none_or(|alarm| raised.alarm == alarm)
                };
                self.alarms.iter().filter(wanted).copied().collect()
            }
            (AlarmAction::Activate, Some(alarm)) => {
                let raised = AlarmMember { member_id, alarm };
                self.alarms.insert(raised);
                vec![raised]
            }
            (AlarmAction::Deactivate, Some(alarm)) => {
                self.alarms.take(&AlarmMember { member_id, alarm }).into_iter().collect()
            }
            (_, None) => Vec::new(),
        };
        AlarmResponse { alarms, ..AlarmResponse::default() }
    }

    /// The answer to a read, or to a transaction that only reads, when the store was at a
    /// revision.
    #[must_use]
    pub fn read_at(&self, request: &Request, revision: i64) -> Response {
        let mut response = match request {
            Request::Range(range) => Response::Range(self.range_at(range, revision)),
            Request::Txn(txn) => {
                let succeeded = txn.compare.iter().all(|c| self.holds(c, revision));
                let ops = if succeeded { &txn.success } else { &txn.failure };
                let read = |op: &RequestOp| match op {
                    RequestOp::Range(range) => ResponseOp::Range(self.range_at(range, revision)),
                    _ => unreachable!("a transaction that writes is in the log"),
                };
                let responses = ops.iter().map(read).collect();
                Response::Txn(TxnResponse { succeeded, responses, ..TxnResponse::default() })
            }
            _ => unreachable!("only reads are read"),
        };
        response.header_mut().revision = revision;
        response
    }

    /// What happened to the keys of `[key, range_end)` at the revisions `from..=to`.
    #[must_use]
    pub fn events(&self, key: &Bytes, range_end: &Bytes, from: i64, to: i64) -> Vec<&Event> {
        if from > to {
            return Vec::new();
        }
        let events = self.events.range(from..=to).flat_map(|(_, events)| events);
        events.filter(|event| within(&event.kv.key, key, range_end)).collect()
    }

    fn put(&mut self, put: &PutRequest, revision: i64) -> PutResponse {
        let before = self.newest(&put.key);
        let kv = KeyValue {
            key: put.key.clone(),
            create_revision: before.as_ref().map_or(revision, |kv| kv.create_revision),
            mod_revision: revision,
            version: before.as_ref().map_or(1, |kv| kv.version + 1),
            value: put.value.clone(),
            lease: 0,
        };
        self.keys.entry(put.key.clone()).or_default().push(kv.clone());
        self.event(revision, Event { kind: EventType::Put, kv, prev_kv: before.clone() });
        PutResponse { prev_kv: before.filter(|_| put.prev_kv), ..PutResponse::default() }
    }

    fn delete(&mut self, delete: &DeleteRangeRequest, revision: i64) -> DeleteRangeResponse {
        let gone = self.state(&delete.key, &delete.range_end, i64::MAX);
        for before in &gone {
            let key = before.key.clone();
            let kv = KeyValue { key: key.clone(), mod_revision: revision, ..KeyValue::default() };
            self.keys.entry(key).or_default().push(kv.clone());
            let prev_kv = Some(before.clone());
            self.event(revision, Event { kind: EventType::Delete, kv, prev_kv });
        }
        let deleted = gone.len() as i64;
        let prev_kvs = if delete.prev_kv { gone } else { Vec::new() };
        DeleteRangeResponse { deleted, prev_kvs, ..DeleteRangeResponse::default() }
    }

    fn txn(&mut self, txn: &TxnRequest, revision: i64) -> Result<TxnResponse, Error> {
        let succeeded = txn.compare.iter().all(|compare| self.holds(compare, i64::MAX));
        let ops = if succeeded { &txn.success } else { &txn.failure };
        let mut responses = Vec::new();
        for op in ops {
            responses.push(match op {
                RequestOp::Range(range) => ResponseOp::Range(self.range(range)),
                RequestOp::Put(put) => ResponseOp::Put(self.put(put, revision)),
                RequestOp::DeleteRange(delete) => {
                    ResponseOp::DeleteRange(self.delete(delete, revision))
                }
                RequestOp::Txn(txn) => ResponseOp::Txn(self.txn(txn, revision)?),
            });
        }
        Ok(TxnResponse { header: ResponseHeader::default(), succeeded, responses })
    }

    fn range(&self, range: &RangeRequest) -> RangeResponse {
        self.range_at(range, i64::MAX)
    }

    fn range_at(&self, range: &RangeRequest, now: i64) -> RangeResponse {
        let at = if range.revision > 0 { range.revision } else { now };
        let mut kvs = self.state(&range.key, &range.range_end, at);
        let count = kvs.len() as i64;
        if range.count_only {
            kvs.clear();
        }
        RangeResponse { header: ResponseHeader::default(), kvs, more: false, count }
    }

    fn holds(&self, compare: &Compare, revision: i64) -> bool {
        let kvs = self.state(&compare.key, &compare.range_end, revision);
        match kvs.is_empty() {
            true => {
                !matches!(compare.target, CompareTarget::Value(_))
                    && holds_for(compare, &KeyValue::default())
            }
            false => kvs.iter().all(|kv| holds_for(compare, kv)),
        }
    }

    /// The pairs of a range that were there at a revision.
    fn state(&self, key: &Bytes, range_end: &Bytes, revision: i64) -> Vec<KeyValue> {
        let mut found = Vec::new();
        for (at, versions) in self.keys.range(key.clone()..) {
            if !within(at, key, range_end) {
                break;
            }
            let count = versions.partition_point(|kv| kv.mod_revision <= revision);
            found.extend(versions[..count].last().filter(|kv| kv.version > 0).cloned());
        }
        found
    }

    fn newest(&self, key: &Bytes) -> Option<KeyValue> {
        self.state(key, &Bytes::new(), i64::MAX).pop()
    }

    fn event(&mut self, revision: i64, event: Event) {
        self.events.entry(revision).or_default().push(event);
    }
}

fn within(key: &Bytes, from: &Bytes, range_end: &Bytes) -> bool {
    match range_end.as_ref() {
        [] => key == from,
        [0] => key >= from,
        _ => key >= from && key < range_end,
    }
}

/// Whether a request puts anything.
fn needs_space(request: &Request) -> bool {
    fn puts(ops: &[RequestOp]) -> bool {
        ops.iter().any(|op| match op {
            RequestOp::Put(_) => true,
            RequestOp::Txn(txn) => puts(&txn.success) || puts(&txn.failure),
            RequestOp::Range(_) | RequestOp::DeleteRange(_) => false,
        })
    }
    match request {
        Request::Put(_) => true,
        Request::Txn(txn) => puts(&txn.success) || puts(&txn.failure),
        _ => false,
    }
}

/// An answer with nothing but the revision in its header, and nothing in those inside of it:
/// who answered and in which term is not the store's.
#[must_use]
pub fn bare(mut response: Response) -> Response {
    let outer = response.header_mut();
    *outer = ResponseHeader { revision: outer.revision, ..ResponseHeader::default() };
    if let Response::Txn(txn) = &mut response {
        bare_ops(txn);
    }
    response
}

fn bare_ops(txn: &mut TxnResponse) {
    for op in &mut txn.responses {
        let header = match op {
            ResponseOp::Range(response) => &mut response.header,
            ResponseOp::Put(response) => &mut response.header,
            ResponseOp::DeleteRange(response) => &mut response.header,
            ResponseOp::Txn(response) => {
                bare_ops(response);
                &mut response.header
            }
        };
        *header = ResponseHeader::default();
    }
}

fn holds_for(compare: &Compare, kv: &KeyValue) -> bool {
    let order = match &compare.target {
        CompareTarget::Version(version) => kv.version.cmp(version),
        CompareTarget::Create(revision) => kv.create_revision.cmp(revision),
        CompareTarget::Mod(revision) => kv.mod_revision.cmp(revision),
        CompareTarget::Value(value) => kv.value.cmp(value),
        CompareTarget::Lease(lease) => kv.lease.cmp(lease),
    };
    match compare.result {
        CompareResult::Equal => order.is_eq(),
        CompareResult::NotEqual => order.is_ne(),
        CompareResult::Greater => order.is_gt(),
        CompareResult::Less => order.is_lt(),
    }
}
