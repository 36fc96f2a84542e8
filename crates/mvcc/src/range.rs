//! Reads: which keys, at which revision, in which order, how many.

use std::cmp::Ordering;

use api::Bytes;
use api::kv::{KeyValue, RangeRequest, RangeResponse, SortOrder, SortTarget};
use api::{Error, Result};

use crate::mark::Mark;
use crate::slice::Slice;
use crate::span::Span;
use crate::store::{Store, header};

impl Store {
    /// Reads keys, now or at a revision of the past.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        let mut reading = Reading::new(self, request.clone())?;
        reading.read_on(self, &mut Slice::whole())?;
        Ok(reading.finish())
    }
}

/// A range that is read in slices, so that a large one stops nobody. It shows the state at one
/// revision, whatever is written meanwhile.
#[derive(Clone, Debug)]
pub struct Reading {
    request: RangeRequest,
    /// The revision to read at.
    at: i64,
    /// The store's revision when it began.
    current: i64,
    /// What is left to look at.
    span: Span,
    /// So many pairs are fetched; beyond them keys are only counted.
    fetch: usize,
    kvs: Vec<KeyValue>,
    count: i64,
}

impl Reading {
    /// Begins to read.
    pub fn new(store: &Store, request: RangeRequest) -> Result<Self> {
        Self::at(store, request, store.revision)
    }

    /// Begins to read in a store whose newest revision is `current`: one higher than its own for
    /// a transaction that has written something.
    pub(crate) fn at(store: &Store, request: RangeRequest, current: i64) -> Result<Self> {
        let at = match request.revision {
            ..=0 => current,
            future if future > current => return Err(Error::FutureRev),
            past if past < store.compact_revision => return Err(Error::Compacted),
            past => past,
        };
        let span = Span::new(&request.key, &request.range_end);
        let fetch = if request.count_only { 0 } else { rows_to_fetch(&request) };
        Ok(Self { request, at, current, span, fetch, kvs: Vec::new(), count: 0 })
    }

    /// Goes on as far as the slice goes. The answer, once there are no more keys.
    ///
    /// # Errors
    /// [`Error::Compacted`] if the revision that the request names was compacted meanwhile. One
    /// that names none begins again.
    pub fn step(&mut self, store: &Store, slice: &mut Slice) -> Result<Option<RangeResponse>> {
        if self.is_compacted(store) {
            *self = Self::new(store, self.request.clone())?;
        }
        Ok(self.read_on(store, slice)?.then(|| self.finish()))
    }

    /// Whether what it shows may be gone by now.
    pub(crate) fn is_compacted(&self, store: &Store) -> bool {
        self.at < store.compact_revision
    }

    /// True once there are no more keys to look at.
    pub(crate) fn read_on(&mut self, store: &Store, slice: &mut Slice) -> Result<bool> {
        let span = self.span.clone();
        for item in store.keys(&span, self.at) {
            let (key, mark) = item?;
            if slice.is_over() {
                self.span = span.from(key);
                return Ok(false);
            }
            let mut bytes = 0;
            if let Some(mark) = mark {
                self.count += 1;
                if self.kvs.len() < self.fetch {
                    let kv = self.pair(store, key, mark)?;
                    bytes = kv.key.len() + kv.value.len();
                    self.kvs.push(kv);
                }
            }
            slice.take(bytes);
        }
        Ok(true)
    }

    /// One pair of the answer. Keys alone come from the index, without their lease, as in etcd.
    fn pair(&self, store: &Store, key: Bytes, mark: Mark) -> Result<KeyValue> {
        if self.request.keys_only && self.request.sort_target != SortTarget::Value {
            return Ok(mark.bare(key));
        }
        store.row(mark)
    }

    pub(crate) fn finish(&mut self) -> RangeResponse {
        let request = &self.request;
        let mut kvs = std::mem::take(&mut self.kvs);
        kvs.retain(|kv| in_bounds(request, kv));
        sort(request, &mut kvs);
        let more = cut(request.limit, &mut kvs);
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        RangeResponse { header: header(self.current), kvs, more, count: self.count }
    }
}

/// How many keys to look at: one more than the limit, to know if there are more; all of them
/// if bounds or an order pick among them.
///
/// Kept as etcd has it: an order by a target that is named without a direction is applied to
/// the first `limit + 1` keys only.
fn rows_to_fetch(request: &RangeRequest) -> usize {
    let by_key = request.sort_order == SortOrder::None
        || (request.sort_order == SortOrder::Ascend && request.sort_target == SortTarget::Key);
    if request.limit <= 0 || !by_key || has_bounds(request) {
        return usize::MAX;
    }
    usize::try_from(request.limit).unwrap_or(usize::MAX).saturating_add(1)
}

fn has_bounds(request: &RangeRequest) -> bool {
    request.min_mod_revision != 0
        || request.max_mod_revision != 0
        || request.min_create_revision != 0
        || request.max_create_revision != 0
}

fn in_bounds(request: &RangeRequest, kv: &KeyValue) -> bool {
    let within =
        |revision, min, max| (min == 0 || revision >= min) && (max == 0 || revision <= max);
    within(kv.mod_revision, request.min_mod_revision, request.max_mod_revision)
        && within(kv.create_revision, request.min_create_revision, request.max_create_revision)
}

/// Orders pairs that are in the order of keys. Stable both ways: ties stay in that order.
fn sort(request: &RangeRequest, kvs: &mut [KeyValue]) {
    let descend = request.sort_order == SortOrder::Descend;
    let compare: fn(&KeyValue, &KeyValue) -> Ordering = match request.sort_target {
        SortTarget::Key if descend => return kvs.reverse(),
        SortTarget::Key => return,
        SortTarget::Version => |a, b| a.version.cmp(&b.version),
        SortTarget::Create => |a, b| a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => |a, b| a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => |a, b| a.value.cmp(&b.value),
    };
    kvs.sort_by(|a, b| if descend { compare(b, a) } else { compare(a, b) });
}

/// Cuts the pairs to the limit; true if some went.
fn cut(limit: i64, kvs: &mut Vec<KeyValue>) -> bool {
    let limit = match usize::try_from(limit) {
        Ok(limit) if limit > 0 => limit,
        _ => return false,
    };
    let more = kvs.len() > limit;
    kvs.truncate(limit);
    more
}
