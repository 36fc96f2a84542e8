//! Transactions: guards, then one of two lists of operations, at one revision.
//!
//! ```text
//!  1 compare   all guards, nested ones on the chosen path too, on the state before
//!  2 validate  every operation of the chosen path; a refusal here changes nothing
//!  3 execute   in order; a read sees what was written before it
//! ```
//!
//! A guard or an operation may be about any number of keys, so all of it is done in slices. Who
//! only reads and who writes take the same way: [`Txn`]. It reads itself, and leaves writes to
//! its caller.

use std::collections::VecDeque;

use api::kv::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest,
    RequestOp, ResponseOp, TxnRequest, TxnResponse,
};
use api::{Error, Result};

use crate::range::Reading;
use crate::slice::Slice;
use crate::span::Span;
use crate::store::{Store, header};

/// A transaction under way.
#[derive(Clone, Debug)]
pub(crate) struct Txn {
    /// The revision at which it compares.
    at: i64,
    /// What is not compared or validated yet, the next one last.
    todo: Vec<Todo>,
    /// What is, in order.
    steps: VecDeque<Step>,
    /// The read that is under way.
    reading: Option<Reading>,
    /// Answers of the transactions that are open, the innermost last.
    open: Vec<TxnResponse>,
}

#[derive(Clone, Debug)]
enum Todo {
    Decide(Guards),
    Check(RequestOp),
    Close,
}

/// Nested transactions lie between their `Open` and its `Close`.
#[derive(Clone, Debug)]
enum Step {
    Open { succeeded: bool },
    Range(RangeRequest),
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Close,
}

/// What a transaction needs next.
pub(crate) enum Next {
    /// Another slice.
    Slice,
    /// This to be written, and its answer.
    Put(PutRequest),
    /// And this.
    DeleteRange(DeleteRangeRequest),
    /// Nothing: this is its answer, without a header.
    Nothing(TxnResponse),
}

impl Txn {
    pub(crate) fn new(at: i64, request: TxnRequest) -> Self {
        Self {
            at,
            todo: vec![Todo::Decide(Guards::new(request))],
            steps: VecDeque::new(),
            reading: None,
            open: Vec::new(),
        }
    }

    /// Goes on as far as the slice goes. Reads see the store at `current`.
    pub(crate) fn go_on(&mut self, store: &Store, current: i64, slice: &mut Slice) -> Result<Next> {
        while let Some(todo) = self.todo.pop() {
            if let Some(again) = self.plan(store, todo, slice)? {
                self.todo.push(again);
                return Ok(Next::Slice);
            }
        }
        while !slice.is_over() {
            if let Some(mut reading) = self.reading.take() {
                if !reading.read_on(store, slice)? {
                    self.reading = Some(reading);
                    break;
                }
                // To find no key is work, too.
                slice.take(0);
                self.answer(ResponseOp::Range(reading.finish()));
            }
            match self.steps.pop_front() {
                Some(Step::Open { succeeded }) => {
                    slice.take(0);
                    self.open.push(TxnResponse { succeeded, ..TxnResponse::default() });
                }
                Some(Step::Range(range)) => {
                    self.reading = Some(Reading::at(store, range, current)?);
                }
                Some(Step::Put(put)) => return Ok(Next::Put(put)),
                Some(Step::DeleteRange(delete)) => return Ok(Next::DeleteRange(delete)),
                Some(Step::Close) | None => {
                    let closed = self.open.pop().unwrap_or_default();
                    if self.open.is_empty() {
                        return Ok(Next::Nothing(closed));
                    }
                    slice.take(0);
                    self.answer(ResponseOp::Txn(closed));
                }
            }
        }
        Ok(Next::Slice)
    }

    /// The answer to what was to be written.
    pub(crate) fn answer(&mut self, response: ResponseOp) {
        if let Some(txn) = self.open.last_mut() {
            txn.responses.push(response);
        }
    }

    /// Whether what it compares with or reads may be gone by now.
    fn is_compacted(&self, store: &Store) -> bool {
        self.at < store.compact_revision
            || self.reading.as_ref().is_some_and(|reading| reading.is_compacted(store))
    }

    /// Compares, or validates. Gives back what needs another slice.
    fn plan(&mut self, store: &Store, todo: Todo, slice: &mut Slice) -> Result<Option<Todo>> {
        if slice.is_over() {
            return Ok(Some(todo));
        }
        let step = match todo {
            Todo::Decide(mut guards) => {
                let Some(succeeded) = guards.hold(store, self.at, slice)? else {
                    return Ok(Some(Todo::Decide(guards)));
                };
                let TxnRequest { success, failure, .. } = guards.txn;
                let ops = if succeeded { success } else { failure };
                self.todo.push(Todo::Close);
                self.todo.extend(ops.into_iter().rev().map(Todo::Check));
                Step::Open { succeeded }
            }
            Todo::Check(RequestOp::Txn(txn)) => {
                slice.take(0);
                self.todo.push(Todo::Decide(Guards::new(txn)));
                return Ok(None);
            }
            Todo::Check(RequestOp::Range(range)) => {
                self.check_range(store, &range)?;
                Step::Range(range)
            }
            Todo::Check(RequestOp::Put(put)) => {
                check_put(store, &put)?;
                Step::Put(put)
            }
            Todo::Check(RequestOp::DeleteRange(delete)) => Step::DeleteRange(delete),
            Todo::Close => Step::Close,
        };
        // Whatever it is, there may be many of them.
        slice.take(0);
        self.steps.push_back(step);
        Ok(None)
    }

    /// Inside of a transaction a negative revision is a compacted one.
    fn check_range(&self, store: &Store, request: &RangeRequest) -> Result<()> {
        match request.revision {
            0 => Ok(()),
            revision if revision > self.at => Err(Error::FutureRev),
            revision if revision < store.compact_revision => Err(Error::Compacted),
            _ => Ok(()),
        }
    }
}

fn check_put(store: &Store, request: &PutRequest) -> Result<()> {
    let keeps = request.ignore_value || request.ignore_lease;
    if keeps && store.now(&request.key)?.is_none() {
        return Err(Error::KeyNotFound);
    }
    store.check_lease(request.lease)
}

/// The guards of a transaction, one after the other. The first that does not hold decides.
#[derive(Clone, Debug)]
struct Guards {
    txn: TxnRequest,
    /// Which one is next.
    next: usize,
    /// What is left of its keys, once some are looked at, …
    left: Option<Span>,
    /// … and whether one of them exists.
    found: bool,
}

impl Guards {
    fn new(txn: TxnRequest) -> Self {
        Self { txn, next: 0, left: None, found: false }
    }

    /// Whether all of them hold, if the slice was enough to know.
    fn hold(&mut self, store: &Store, at: i64, slice: &mut Slice) -> Result<Option<bool>> {
        while let Some(compare) = self.txn.compare.get(self.next) {
            let begin = || Span::new(&compare.key, &compare.range_end);
            let span = self.left.take().unwrap_or_else(begin);
            for item in store.keys(&span, at) {
                let (key, mark) = item?;
                if slice.is_over() {
                    self.left = Some(span.from(key));
                    return Ok(None);
                }
                let kv = match (mark, &compare.target) {
                    (None, _) => {
                        slice.take(0);
                        continue;
                    }
                    (Some(mark), CompareTarget::Value(_) | CompareTarget::Lease(_)) => {
                        store.row(mark)?
                    }
                    (Some(mark), _) => mark.bare(key),
                };
                slice.take(kv.value.len());
                self.found = true;
                if !holds_for(compare, &kv) {
                    return Ok(Some(false));
                }
            }
            if !std::mem::take(&mut self.found) && !holds_for_none(compare) {
                return Ok(Some(false));
            }
            self.next += 1;
            // To find no key is work, too.
            slice.take(0);
            if slice.is_over() {
                return Ok(None);
            }
        }
        Ok(Some(true))
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

/// No value is not an empty value: a guard on it never holds. The rest is 0.
fn holds_for_none(compare: &Compare) -> bool {
    !matches!(compare.target, CompareTarget::Value(_)) && holds_for(compare, &KeyValue::default())
}

/// A transaction that only reads, in slices, as a [`Reading`]. All of it shows one revision.
#[derive(Clone, Debug)]
pub struct TxnReading {
    request: TxnRequest,
    txn: Txn,
}

impl TxnReading {
    /// Begins to compare and read.
    #[must_use]
    pub fn new(store: &Store, request: TxnRequest) -> Self {
        Self { txn: Txn::new(store.revision, request.clone()), request }
    }

    /// Goes on as far as the slice goes. The answer, once there are no more keys.
    ///
    /// # Errors
    /// Those of [`Store::txn`]; [`Error::Compacted`] if a revision that the request names, and
    /// that is not read yet, was compacted meanwhile (if the one at which it began was, all of it
    /// begins again); and [`Error::Invalid`] for a transaction that does not
    /// [only read](crate::check::is_read_only).
    pub fn step(&mut self, store: &Store, slice: &mut Slice) -> Result<Option<TxnResponse>> {
        if self.txn.is_compacted(store) {
            *self = Self::new(store, self.request.clone());
        }
        let at = self.txn.at;
        match self.txn.go_on(store, at, slice)? {
            Next::Slice => Ok(None),
            Next::Nothing(response) => Ok(Some(TxnResponse { header: header(at), ..response })),
            Next::Put(_) | Next::DeleteRange(_) => {
                Err(Error::Invalid("a transaction that writes was sent as a read".into()))
            }
        }
    }
}
