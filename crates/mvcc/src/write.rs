//! What one request changes, at one new revision: at once, or in slices.
//!
//! ```text
//!                    Writing::step, step, …                     the last step
//!   revision 7 ──► revision 7, and changes 8.0 8.1 8.2 … ──────► revision 8
//!                  that only this write sees             └─────► revision 7, if it fails:
//!                                                                changes are taken back
//! ```

use api::kv::{
    DeleteRangeRequest, DeleteRangeResponse, KeyValue, PutRequest, PutResponse, ResponseOp,
    TxnRequest, TxnResponse,
};
use api::{Error, Result};

use crate::mark::{Mark, Revision};
use crate::slice::Slice;
use crate::span::Span;
use crate::store::{Store, header};
use crate::txn::{Next, Txn};

/// A write that may change any number of keys, in slices. Between them the store may be read and
/// rest on another base, and nothing else may be written. What it has changed shows when all of
/// it is done.
#[derive(Debug)]
pub struct Writing {
    what: What,
    /// Why all of it is being taken back.
    failed: Option<Error>,
}

#[derive(Debug)]
enum What {
    DeleteRange(Deletion),
    /// And the deletion in it that is under way.
    Txn(Box<Txn>, Option<Deletion>),
}

impl Writing {
    /// Begins to delete the keys of a range.
    #[must_use]
    pub fn delete_range(request: DeleteRangeRequest) -> Self {
        Self { what: What::DeleteRange(Deletion::new(request)), failed: None }
    }

    /// Begins a transaction.
    #[must_use]
    pub fn txn(store: &Store, request: TxnRequest) -> Self {
        Self { what: What::Txn(Box::new(Txn::new(store.revision, request)), None), failed: None }
    }

    /// Goes on as far as the slice goes. The answer, once all of it is done.
    ///
    /// # Errors
    /// Those of [`Store::txn`]: then nothing has changed.
    pub fn step(&mut self, store: &mut Store, slice: &mut Slice) -> Result<Option<ResponseOp>> {
        if self.failed.is_none() {
            match self.go_on(store, slice) {
                Ok(None) => return Ok(None),
                Ok(Some(response)) => {
                    store.commit();
                    return Ok(Some(response));
                }
                Err(error) => self.failed = Some(error),
            }
        }
        store.take_back(slice);
        match self.failed.take_if(|_| store.written == 0) {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }

    fn go_on(&mut self, store: &mut Store, slice: &mut Slice) -> Result<Option<ResponseOp>> {
        let (txn, under_way) = match &mut self.what {
            What::DeleteRange(deletion) => {
                let response = deletion.go_on(store, slice)?;
                return Ok(response.map(ResponseOp::DeleteRange));
            }
            What::Txn(txn, under_way) => (txn, under_way),
        };
        loop {
            if let Some(deletion) = under_way {
                let Some(response) = deletion.go_on(store, slice)? else { return Ok(None) };
                txn.answer(ResponseOp::DeleteRange(response));
                *under_way = None;
            }
            match txn.go_on(store, store.current(), slice)? {
                Next::Slice => return Ok(None),
                Next::Put(put) => {
                    slice.take(put.value.len());
                    txn.answer(ResponseOp::Put(store.write(&put)?));
                }
                Next::DeleteRange(delete) => *under_way = Some(Deletion::new(delete)),
                Next::Nothing(response) => {
                    let header = header(store.current());
                    return Ok(Some(ResponseOp::Txn(TxnResponse { header, ..response })));
                }
            }
        }
    }
}

/// A deletion under way.
#[derive(Debug)]
struct Deletion {
    /// What is left to look at.
    span: Span,
    prev_kv: bool,
    response: DeleteRangeResponse,
}

impl Deletion {
    fn new(request: DeleteRangeRequest) -> Self {
        Self {
            span: Span::new(&request.key, &request.range_end),
            prev_kv: request.prev_kv,
            response: DeleteRangeResponse::default(),
        }
    }

    /// Deletes as far as the slice goes. The answer, once there are no more keys.
    fn go_on(
        &mut self,
        store: &mut Store,
        slice: &mut Slice,
    ) -> Result<Option<DeleteRangeResponse>> {
        let (mut doomed, mut left) = (Vec::new(), None);
        for item in store.keys(&self.span, i64::MAX) {
            let (key, mark) = item?;
            if slice.is_over() {
                left = Some(self.span.from(key));
                break;
            }
            let old = mark.filter(|_| self.prev_kv).map(|mark| store.row(mark)).transpose()?;
            slice.take(old.as_ref().map_or(0, |old| old.value.len()));
            self.response.prev_kvs.extend(old);
            doomed.extend(mark.map(|_| key));
        }
        self.response.deleted += i64::try_from(doomed.len()).unwrap_or(i64::MAX);
        for key in doomed {
            let at = store.next();
            let row = KeyValue { key, mod_revision: at.main, ..KeyValue::default() };
            store.change(Mark::tombstone(at), row);
        }
        if let Some(left) = left {
            self.span = left;
            return Ok(None);
        }
        // To find no key is work, too.
        slice.take(0);
        self.response.header = header(store.current());
        Ok(Some(std::mem::take(&mut self.response)))
    }
}

impl Store {
    /// Writes a key, at a new revision.
    pub fn put(&mut self, request: &PutRequest) -> Result<PutResponse> {
        debug_assert_eq!(self.written, 0, "another write is half done");
        // etcd looks at the lease first here, and last inside of a transaction.
        self.check_lease(request.lease)?;
        let response = self.write(request)?;
        self.commit();
        Ok(response)
    }

    /// Deletes the keys of a range, all at once, at a new revision if there are any.
    pub fn delete_range(&mut self, request: &DeleteRangeRequest) -> Result<DeleteRangeResponse> {
        match self.write_whole(Writing::delete_range(request.clone()))? {
            ResponseOp::DeleteRange(response) => Ok(response),
            _ => unreachable!("a deletion answers as one"),
        }
    }

    /// Runs a transaction, all at once.
    ///
    /// It fails half-way only where etcd's own checks have a gap: `put --ignore-value` of a key
    /// that the same transaction deletes from a key on. etcd's process ends there; here all is
    /// taken back.
    pub fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse> {
        match self.write_whole(Writing::txn(self, request.clone()))? {
            ResponseOp::Txn(response) => Ok(response),
            _ => unreachable!("a transaction answers as one"),
        }
    }

    fn write_whole(&mut self, mut writing: Writing) -> Result<ResponseOp> {
        loop {
            if let Some(response) = writing.step(self, &mut Slice::whole())? {
                return Ok(response);
            }
        }
    }

    /// Refuses a lease that does not exist. No lease exists yet.
    pub(crate) fn check_lease(&self, lease: i64) -> Result<()> {
        if lease == 0 { Ok(()) } else { Err(Error::LeaseNotFound) }
    }

    /// The revision that a write sees: the new one as soon as it has changed something.
    pub(crate) fn current(&self) -> i64 {
        self.revision + i64::from(self.written > 0)
    }

    /// Changes a key, as a part of the write that is under way. What it refuses changes nothing.
    fn write(&mut self, request: &PutRequest) -> Result<PutResponse> {
        let old = self.now(&request.key)?;
        let keeps = request.ignore_value || request.ignore_lease;
        if keeps && old.is_none() {
            return Err(Error::KeyNotFound);
        }
        let old_row = match old {
            Some(mark) if keeps || request.prev_kv => Some(self.row(mark)?),
            _ => None,
        };

        let at = self.next();
        let mut row = KeyValue {
            key: request.key.clone(),
            create_revision: old.map_or(at.main, |mark| mark.create),
            mod_revision: at.main,
            version: old.map_or(1, |mark| mark.version + 1),
            value: request.value.clone(),
            lease: request.lease,
        };
        if let Some(old) = &old_row {
            if request.ignore_value {
                row.value = old.value.clone();
            }
            if request.ignore_lease {
                row.lease = old.lease;
            }
        }
        let mark = Mark { at, create: row.create_revision, version: row.version };
        self.change(mark, row);
        Ok(PutResponse {
            header: header(self.current()),
            prev_kv: old_row.filter(|_| request.prev_kv),
        })
    }

    /// Where the next change goes.
    fn next(&self) -> Revision {
        Revision { main: self.revision + 1, sub: self.written }
    }

    /// Makes the changes the newest revision.
    fn commit(&mut self) {
        self.revision = self.current();
        self.written = 0;
    }

    /// Takes changes back, the last one first, as far as the slice goes.
    fn take_back(&mut self, slice: &mut Slice) {
        while self.written > 0 && !slice.is_over() {
            self.recent.pop();
            self.written -= 1;
            slice.take(0);
        }
    }
}
