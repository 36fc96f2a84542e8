//! Reads: which keys, at which revision, in which order, how many.

use std::cmp::Ordering;

use api::Bytes;
use api::kv::{KeyValue, RangeRequest, RangeResponse, SortOrder, SortTarget};
use api::{Error, Result};

use crate::index::Mark;
use crate::span::Span;
use crate::store::{Store, header};

impl Store {
    /// Reads keys, now or at a revision of the past.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        self.range_at(request, self.revision)
    }

    /// Reads keys in a store whose newest revision is `current`: one higher than its own for a
    /// transaction that has written something.
    pub(crate) fn range_at(&self, request: &RangeRequest, current: i64) -> Result<RangeResponse> {
        let at = match request.revision {
            ..=0 => current,
            future if future > current => return Err(Error::FutureRev),
            past if past < self.compact_revision => return Err(Error::Compacted),
            past => past,
        };

        let span = Span::new(&request.key, &request.range_end);
        let mut live = self.index.live(&span, at);
        let mut response = RangeResponse { header: header(current), ..RangeResponse::default() };
        if !request.count_only {
            let fetch = rows_to_fetch(request);
            let kvs = live.by_ref().take(fetch).map(|(key, mark)| self.fetch(request, key, mark));
            response.kvs = kvs.collect();
            response.count = response.kvs.len() as i64;
        }
        // Beyond the limit only the index is walked.
        response.count += live.count() as i64;

        response.kvs.retain(|kv| in_bounds(request, kv));
        sort(request, &mut response.kvs);
        response.more = cut(request.limit, &mut response.kvs);
        if request.keys_only {
            response.kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        Ok(response)
    }

    /// One pair of an answer. Keys alone come from the index, without their lease, as in etcd.
    fn fetch(&self, request: &RangeRequest, key: &Bytes, mark: Mark) -> KeyValue {
        if request.keys_only && request.sort_target != SortTarget::Value {
            return mark.bare(key);
        }
        self.row(mark)
    }

    /// The row of a live version.
    pub(crate) fn row(&self, mark: Mark) -> KeyValue {
        self.rows.get(mark.at).expect("invariant: each mark has its row")
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
    if descend {
        kvs.sort_by(|a, b| compare(b, a));
    } else {
        kvs.sort_by(compare);
    }
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
