//! The writer: everything that one request changes, at one new revision.

use api::Bytes;
use api::kv::{
    DeleteRangeRequest, DeleteRangeResponse, KeyValue, PutRequest, PutResponse, RangeRequest,
    RangeResponse,
};
use api::{Error, Result};

use crate::mark::{Mark, Revision};
use crate::span::Span;
use crate::store::{Store, header};

/// Changes a store at the revision after its own. Reads through it see what it wrote.
pub(crate) struct Writer<'a> {
    store: &'a mut Store,
    /// Changes so far; the next one has this sub revision.
    changes: u32,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(store: &'a mut Store) -> Self {
        Self { store, changes: 0 }
    }

    /// The revision that a read sees here: the new one as soon as something was written.
    pub(crate) fn revision(&self) -> i64 {
        self.store.revision + i64::from(self.changes > 0)
    }

    /// Makes the changes the store's newest revision.
    pub(crate) fn commit(self) {
        self.store.revision = self.revision();
    }

    /// Takes all changes back, the last one first.
    pub(crate) fn roll_back(mut self) {
        for _ in 0..std::mem::take(&mut self.changes) {
            self.store.recent.pop();
        }
    }

    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse> {
        self.store.range_at(request, self.revision())
    }

    pub(crate) fn put(&mut self, request: &PutRequest) -> Result<PutResponse> {
        let old = self.store.now(&request.key)?;
        let keeps = request.ignore_value || request.ignore_lease;
        if keeps && old.is_none() {
            return Err(Error::KeyNotFound);
        }
        let old_row = match old {
            Some(mark) if keeps || request.prev_kv => Some(self.store.row(mark)?),
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
            header: header(self.revision()),
            prev_kv: old_row.filter(|_| request.prev_kv),
        })
    }

    pub(crate) fn delete_range(
        &mut self,
        request: &DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse> {
        let span = Span::new(&request.key, &request.range_end);
        let doomed: Vec<(Bytes, Mark)> = self.store.live(&span, i64::MAX).collect::<Result<_>>()?;
        let mut response = DeleteRangeResponse::default();
        for (key, mark) in doomed {
            if request.prev_kv {
                response.prev_kvs.push(self.store.row(mark)?);
            }
            let at = self.next();
            let row = KeyValue { key, mod_revision: at.main, ..KeyValue::default() };
            self.change(Mark::tombstone(at), row);
            response.deleted += 1;
        }
        response.header = header(self.revision());
        Ok(response)
    }

    /// Where the next change goes.
    fn next(&self) -> Revision {
        Revision { main: self.store.revision + 1, sub: self.changes }
    }

    fn change(&mut self, mark: Mark, row: KeyValue) {
        self.changes = self.changes.checked_add(1).expect("memory holds fewer keys than 2^32");
        self.store.recent.push(mark, row);
    }
}
