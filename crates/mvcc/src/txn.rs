//! Transactions: guards, then one of two lists of operations, at one revision.
//!
//! ```text
//!  1 compare   all guards, nested ones on the chosen path too, on the state before
//!  2 validate  every operation of the chosen path; a refusal here changes nothing
//!  3 execute   in order; a read sees what was written before it
//! ```

use std::collections::VecDeque;

use api::kv::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest,
    RequestOp, ResponseOp, TxnRequest, TxnResponse,
};
use api::{Error, Result};

use crate::range::{Reading, Slice};
use crate::span::Span;
use crate::store::{Store, header};
use crate::write::Writer;

impl Store {
    /// Runs a transaction.
    pub fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse> {
        let plan = self.plan(request)?;
        self.write(|writer| {
            let mut response = execute(writer, &plan)?;
            response.header = header(writer.revision());
            Ok(response)
        })
    }

    /// Compares and validates.
    fn plan<'a>(&self, request: &'a TxnRequest) -> Result<Plan<'a>> {
        let mut succeeded = true;
        for compare in &request.compare {
            succeeded = succeeded && self.holds(compare)?;
        }
        let ops = if succeeded { &request.success } else { &request.failure };
        let step = |op: &'a RequestOp| -> Result<Step<'a>> {
            Ok(match op {
                RequestOp::Range(range) => {
                    self.check_range(range)?;
                    Step::Range(range)
                }
                RequestOp::Put(put) => {
                    self.check_put(put)?;
                    Step::Put(put)
                }
                RequestOp::DeleteRange(delete) => Step::DeleteRange(delete),
                RequestOp::Txn(txn) => Step::Txn(self.plan(txn)?),
            })
        };
        Ok(Plan { succeeded, steps: ops.iter().map(step).collect::<Result<_>>()? })
    }

    fn holds(&self, compare: &Compare) -> Result<bool> {
        let span = Span::new(&compare.key, &compare.range_end);
        let mut keys = self.live(&span, self.revision).peekable();
        if keys.peek().is_none() {
            // No value is not an empty value: a guard on it never holds. The rest is 0.
            return Ok(!matches!(compare.target, CompareTarget::Value(_))
                && holds_for(compare, &KeyValue::default()));
        }
        let needs_row = matches!(compare.target, CompareTarget::Value(_) | CompareTarget::Lease(_));
        for item in keys {
            let (key, mark) = item?;
            let kv = if needs_row { self.row(mark)? } else { mark.bare(key) };
            if !holds_for(compare, &kv) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Inside of a transaction a negative revision is a compacted one.
    fn check_range(&self, request: &RangeRequest) -> Result<()> {
        match request.revision {
            0 => Ok(()),
            revision if revision > self.revision => Err(Error::FutureRev),
            revision if revision < self.compact_revision => Err(Error::Compacted),
            _ => Ok(()),
        }
    }

    fn check_put(&self, request: &PutRequest) -> Result<()> {
        let keeps = request.ignore_value || request.ignore_lease;
        if keeps && self.now(&request.key)?.is_none() {
            return Err(Error::KeyNotFound);
        }
        self.check_lease(request.lease)
    }
}

/// A transaction that only reads, in slices, as a [`Reading`]. All of it shows one revision.
#[derive(Clone, Debug)]
pub struct TxnReading {
    request: TxnRequest,
    /// Of what is read already.
    response: TxnResponse,
    left: VecDeque<Reading>,
}

impl TxnReading {
    /// Compares all at once, and begins to read.
    ///
    /// # Errors
    /// Those of [`Store::txn`], and [`Error::Invalid`] for a transaction that does not
    /// [only read](crate::check::is_read_only).
    pub fn new(store: &Store, request: TxnRequest) -> Result<Self> {
        let plan = store.plan(&request)?;
        let read = |step: &Step<'_>| match step {
            Step::Range(range) => Reading::new(store, (*range).clone()),
            _ => Err(Error::Invalid("a transaction that writes was sent as a read".into())),
        };
        let left = plan.steps.iter().map(read).collect::<Result<_>>()?;
        let header = header(store.revision);
        let response = TxnResponse { header, succeeded: plan.succeeded, responses: Vec::new() };
        Ok(Self { request, response, left })
    }

    /// Looks at up to `keys` keys more. The answer, once there are no more.
    ///
    /// # Errors
    /// [`Error::Compacted`] if a revision that the request names, and that is not read yet, was
    /// compacted meanwhile. If the one at which it began was, all of it begins again.
    pub fn step(&mut self, store: &Store, keys: usize) -> Result<Option<TxnResponse>> {
        if self.left.iter().any(|reading| reading.is_compacted(store)) {
            *self = Self::new(store, self.request.clone())?;
        }
        let mut slice = Slice::new(keys);
        while let Some(reading) = self.left.front_mut() {
            if slice.is_over() || !reading.read_on(store, &mut slice)? {
                return Ok(None);
            }
            // To find no key is work, too.
            slice.take(0);
            self.response.responses.push(ResponseOp::Range(reading.finish()));
            self.left.pop_front();
        }
        Ok(Some(std::mem::take(&mut self.response)))
    }
}

/// A transaction whose guards are decided and whose operations are valid.
struct Plan<'a> {
    succeeded: bool,
    steps: Vec<Step<'a>>,
}

enum Step<'a> {
    Range(&'a RangeRequest),
    Put(&'a PutRequest),
    DeleteRange(&'a DeleteRangeRequest),
    Txn(Plan<'a>),
}

/// Fails only where etcd's own checks have a gap: `put --ignore-value` of a key that the same
/// transaction deletes from a key on. etcd's process ends there; here all is taken back.
fn execute(writer: &mut Writer<'_>, plan: &Plan<'_>) -> Result<TxnResponse> {
    let mut response = TxnResponse { succeeded: plan.succeeded, ..TxnResponse::default() };
    for step in &plan.steps {
        response.responses.push(match step {
            Step::Range(range) => ResponseOp::Range(writer.range(range)?),
            Step::Put(put) => ResponseOp::Put(writer.put(put)?),
            Step::DeleteRange(delete) => ResponseOp::DeleteRange(writer.delete_range(delete)?),
            Step::Txn(plan) => ResponseOp::Txn(execute(writer, plan)?),
        });
    }
    Ok(response)
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
