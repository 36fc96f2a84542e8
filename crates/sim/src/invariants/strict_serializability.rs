//! Strict serializability: there is one order of all requests that gives each the answer that it
//! got, and in which a request that began after another was answered comes after it. Of single
//! keys this is linearizability.
//!
//! # Why this check is complete
//!
//! In general such an order has to be searched for, which takes exponential time. A store with
//! revisions gives it away:
//!
//! 1. The committed log is an order of all writes. That it is only one is what raft's own
//!    properties say, and they are checked beside this one (`state_machine_safety`). Each write
//!    of this workload is like no other (its value, or the end of its range, holds its number),
//!    so an entry tells whose it is. A write that is in no log never happened, one that is in it
//!    twice happened twice: both can be seen, whatever its client was told.
//! 2. A read, a transaction that only reads and a write that changes nothing answer with the
//!    revision of the state that they saw. So their place is between the write that made this
//!    revision and the next one; where there does not matter, for nothing changes there.
//! 3. So all places are known, and an order exists if and only if
//!    - every answer is the one of the model at its place ([`answered`](History::answered)), and
//!    - no request has a place before one that was answered before it began.
//!
//! For the second half each request notes, when it begins, the newest committed revision: its
//! *floor*. Whatever was answered before has a place at or below the floor, since only what is
//! committed is answered (the first half shows that). So a read must have its revision at or
//! above its floor, and a write must make a revision above it. This asks for a little more than
//! clients could notice: a read must see what is committed already though nobody was told. A
//! read by ReadIndex does.
//!
//! *Unknown* fates: a request that timed out, ended with its session, or never, may have
//! happened at any time after it began. If it is in the log, it must be above its floor like any
//! other; if not, nothing follows. Other errors are *promises*: a write that was refused changes
//! nothing, then or later, in the log or not.
//!
//! Serializable reads may be old: they must be right at the revision that they name, and no more.

use std::collections::BTreeMap;

use api::Error;
use api::frame::encode_body;
use api::session::{Request, Response};

use super::{Check, ensure};
use crate::model::bare;
use crate::truth::{Committed, Truth, is_unique};

const NAME: &str = "strict_serializability";

/// What a request is to this property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Write,
    Read,
    Serializable,
}

#[derive(Debug)]
struct Asked {
    client: String,
    request: Request,
    sort: Sort,
    floor: i64,
    /// The compact revision that was there before it was asked.
    compacted: i64,
}

/// All requests of all clients.
#[derive(Debug, Default)]
pub struct History {
    last: u64,
    open: BTreeMap<u64, Asked>,
    /// By content: the floor of each write that was ever asked for.
    writes: BTreeMap<Vec<u8>, i64>,
    /// Writes whose client was told that they did not happen, by content, and how it was told.
    refused: BTreeMap<Vec<u8>, Error>,
    /// How many were answered.
    pub answered: u64,
    /// Requests that ended with an error.
    pub failed: u64,
    /// The last of them, and its error.
    last_error: Option<(u64, Error)>,
}

impl History {
    /// The number of the next request.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    /// A client asks. The number of its request.
    pub fn ask(&mut self, client: &str, request: Request, truth: &Truth) -> u64 {
        self.last += 1;
        let (sort, floor) = (sort(&request), truth.model().revision());
        if sort == Sort::Write {
            self.writes.insert(encode_body(&request), floor);
        }
        let compacted = truth.model().compacted();
        let client = client.into();
        self.open.insert(self.last, Asked { client, request, sort, floor, compacted });
        self.last
    }

    /// Whether a request has no answer yet.
    #[must_use]
    pub fn is_open(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// The error of a request, if it was the last that ended with one.
    #[must_use]
    pub fn error_of(&self, id: u64) -> Option<&Error> {
        self.last_error.as_ref().filter(|(last, _)| *last == id).map(|(_, error)| error)
    }

    /// The session of a client is over: nobody will tell it any more.
    pub fn lost(&mut self, client: &str) {
        self.open.retain(|_, asked| asked.client != client);
    }

    /// An entry is committed for the first time.
    ///
    /// # Errors
    /// If nobody asked for it, or it comes before something that was answered before it began.
    pub fn committed(&self, index: u64, entry: &Committed) -> Check {
        let Some((request, result)) = &entry.command else { return Ok(()) };
        // Members raise alarms by themselves.
        if matches!(request, Request::Alarm(_)) {
            return Ok(());
        }
        let content = encode_body(request);
        let floor = self.writes.get(&content);
        let promised = self.refused.get(&content).filter(|_| result.is_ok());
        ensure(promised.is_none(), NAME, || {
            format!("entry {index} does what was refused as {promised:?}: {request:?}")
        })?;
        let (before, after) = entry.revisions;
        ensure(floor.is_some(), NAME, || format!("nobody asked for entry {index}: {request:?}"))?;
        ensure(floor.is_none_or(|floor| before >= *floor), NAME, || {
            format!("entry {index} makes revision {after} after {floor:?} was there: {request:?}")
        })
    }

    /// A request is answered.
    ///
    /// # Errors
    /// If the answer is wrong where the request has its place, or its place is too early.
    pub fn answered(
        &mut self,
        client: &str,
        id: u64,
        result: Result<Response, Error>,
        truth: &Truth,
    ) -> Check {
        let Some(asked) = self.open.remove(&id) else {
            let text = format!("{client} was answered twice, or never asked #{id}: {result:?}");
            return Err(super::Violation { property: NAME, text });
        };
        let response = match result {
            Ok(response) => bare(response),
            Err(error) => {
                self.failed += 1;
                self.last_error = Some((id, error.clone()));
                if asked.sort == Sort::Write {
                    return self.promised(&asked, error, truth);
                }
                return refused(&asked, &error, truth);
            }
        };
        self.answered += 1;
        match asked.sort {
            Sort::Write => wrote(client, &asked, &response, truth),
            Sort::Read | Sort::Serializable => read(client, &asked, response, truth),
        }
    }

    /// A write ended with an error. If that is a promise it must hold.
    fn promised(&mut self, asked: &Asked, error: Error, truth: &Truth) -> Check {
        let Asked { client, request, .. } = asked;
        if !is_unique(request) || !is_promise(&error) {
            return Ok(());
        }
        let done = truth.place_of(request).and_then(|entry| entry.command.as_ref());
        ensure(!done.is_some_and(|(_, result)| result.is_ok()), NAME, || {
            format!("{client} was refused {request:?}, which is done: {error}")
        })?;
        self.refused.insert(encode_body(request), error);
        Ok(())
    }
}

/// Whether a write that ended so did not happen, and never will.
fn is_promise(error: &Error) -> bool {
    !matches!(
        error,
        Error::Timeout
            | Error::TimeoutLeaderFail
            | Error::TimeoutConnectionLost
            | Error::Stopped
            | Error::Canceled
            | Error::Unavailable(_)
            | Error::Damaged(_)
    )
}

fn wrote(client: &str, asked: &Asked, response: &Response, truth: &Truth) -> Check {
    let request = &asked.request;
    if let Request::Compact(compact) = request {
        let compacted = truth.model().compacted();
        return ensure(compact.revision <= compacted, NAME, || {
            format!("{client} was told that {} is compacted, and {compacted} is", compact.revision)
        });
    }
    if !is_unique(request) {
        return Ok(());
    }
    let right = truth.place_of(request).and_then(|entry| entry.command.as_ref());
    ensure(right.is_some(), NAME, || {
        format!("{client} was told of {request:?}, which is not committed: {response:?}")
    })?;
    ensure(right.is_none_or(|(_, right)| right.as_ref() == Ok(response)), NAME, || {
        format!("{client} was told {response:?}, not {right:?}")
    })
}

fn read(client: &str, asked: &Asked, response: Response, truth: &Truth) -> Check {
    let (request, floor) = (&asked.request, asked.floor);
    let revision = response.header().revision;
    ensure(asked.sort == Sort::Serializable || revision >= floor, NAME, || {
        format!("{client} read revision {revision} when {floor} was there before it asked")
    })?;
    if let Request::Range(range) = request {
        let gone = asked.sort == Sort::Read && (1..asked.compacted).contains(&range.revision);
        ensure(!gone, NAME, || {
            let compacted = asked.compacted;
            format!("{client} read revision {} when {compacted} was compacted", range.revision)
        })?;
    }
    ensure(revision <= truth.model().revision(), NAME, || {
        format!("{client} read revision {revision}, which is not there")
    })?;
    let right = truth.model().read_at(request, revision);
    ensure(right == response, NAME, || {
        format!("{client} read {response:?} by {request:?}, not {right:?}")
    })
}

/// Of a read's errors two are promises: that a revision is not there yet, or not any more.
fn refused(asked: &Asked, error: &Error, truth: &Truth) -> Check {
    let Request::Range(range) = &asked.request else { return Ok(()) };
    let revision = range.revision;
    let early = *error == Error::FutureRev && asked.sort == Sort::Read && revision <= asked.floor;
    let late = *error == Error::Compacted && revision >= truth.model().compacted();
    ensure(!early && !late, NAME, || {
        let (client, floor) = (&asked.client, asked.floor);
        format!("{client} was refused revision {revision} of {floor}: {error}")
    })
}

fn sort(request: &Request) -> Sort {
    use api::kv::RequestOp;
    match request {
        Request::Range(range) if range.serializable => Sort::Serializable,
        Request::Txn(txn) => {
            let mut ops = txn.success.iter().chain(&txn.failure);
            if ops.any(|op| !matches!(op, RequestOp::Range(_))) { Sort::Write } else { Sort::Read }
        }
        Request::Put(_) | Request::DeleteRange(_) | Request::Compact(_) | Request::Alarm(_) => {
            Sort::Write
        }
        Request::Range(_) | Request::MemberList(_) | Request::Status | Request::HashKv(_) => {
            Sort::Read
        }
    }
}
