//! Linearizable reads, by ReadIndex (raft thesis, 6.4).
//!
//! ```text
//!  waiting ──► attempt (one context for all) ──leader confirms index──► confirmed
//!     ▲            │ no answer for a while, leader changed                  │ applied >= index
//!     └────────────┘ a new context, never an old one again                  ▼ answered
//! ```

use std::collections::VecDeque;

use api::frame::encode_body;
use api::identity::RaftId;
use api::session::Request;
use api::{Error, limits};

use crate::broken::{Broken, is};
use crate::command::RequestId;
use crate::sessions::Caller;

/// A request that reads, and who waits for it.
pub(crate) struct Read {
    pub(crate) caller: Caller,
    pub(crate) request: Request,
    /// The request's size.
    pub(crate) bytes: usize,
    pub(crate) deadline: u64,
}

/// Bytes of reads that wait on one member, as for writes.
const WAITING_BYTES: usize = 64 * 1024 * 1024;

/// One question to the leader. Its context is never used again: a late answer to another
/// question must not confirm this one.
struct Attempt {
    context: Vec<u8>,
    reads: Vec<Read>,
    since: u64,
    term: u64,
}

/// The reads that clients of this member wait for.
#[derive(Default)]
pub(crate) struct Reads {
    last: u64,
    waiting: Vec<Read>,
    attempt: Option<Attempt>,
    /// Invariant: indexes do not fall.
    confirmed: VecDeque<(u64, Vec<Read>)>,
    /// Invariant: all reads above, together.
    count: usize,
    /// Invariant: the sum of their sizes.
    bytes: usize,
}

impl Reads {
    pub(crate) fn add(&mut self, read: Read) -> Result<(), Error> {
        if self.count >= limits::READS_IN_FLIGHT || self.bytes >= WAITING_BYTES {
            return Err(Error::TooManyRequests);
        }
        self.count += 1;
        self.bytes += read.bytes;
        self.waiting.push(read);
        Ok(())
    }

    /// Begins an attempt if reads wait and none is under way: its context, for raft.
    pub(crate) fn begin(&mut self, me: (RaftId, u64), now: u64, term: u64) -> Option<Vec<u8>> {
        if self.waiting.is_empty() || self.attempt.is_some() {
            return None;
        }
        self.last += 1;
        let (raft, nonce) = me;
        let context = encode_body(&RequestId { raft, nonce, sequence: self.last });
        let reads = std::mem::take(&mut self.waiting);
        self.attempt = Some(Attempt { context: context.clone(), reads, since: now, term });
        Some(context)
    }

    /// The leader confirmed an index for a context.
    pub(crate) fn confirm(&mut self, context: &[u8], index: u64) {
        if let Some(attempt) = self.attempt.take_if(|attempt| attempt.context == context) {
            let index = self.confirmed.back().map_or(index, |(last, _)| index.max(*last));
            self.confirmed.push_back((index, attempt.reads));
        }
    }

    /// The reads that the store is new enough for.
    pub(crate) fn take_ready(&mut self, applied: u64) -> Vec<Read> {
        let mut ready = Vec::new();
        while let Some((_, reads)) = self.confirmed.pop_front_if(|(index, _)| *index <= applied) {
            ready.extend(reads);
        }
        self.count -= ready.len();
        self.bytes -= ready.iter().map(|read: &Read| read.bytes).sum::<usize>();
        ready
    }

    /// Drops an attempt that has lasted too long or whose leader is of the past; its reads wait
    /// again.
    pub(crate) fn retry(&mut self, now: u64, patience: u64, term: u64) {
        let stale = |attempt: &mut Attempt| attempt.since + patience <= now || attempt.term != term;
        if let Some(attempt) = self.attempt.take_if(stale) {
            self.requeue(attempt.reads);
            if is(Broken::ContextsRestart) {
                self.last = 0;
            }
        }
    }

    /// This member was frozen: what was confirmed before may be long past.
    pub(crate) fn restart(&mut self) {
        let attempt = self.attempt.take().map(|attempt| attempt.reads);
        let confirmed = std::mem::take(&mut self.confirmed).into_iter().map(|(_, reads)| reads);
        let again: Vec<Read> = attempt.into_iter().chain(confirmed).flatten().collect();
        self.requeue(again);
    }

    /// Those who waited too long.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<Caller> {
        let (mut late, mut bytes) = (Vec::new(), 0);
        let mut keep = |reads: &mut Vec<Read>| {
            reads.retain(|read| {
                if read.deadline <= now {
                    late.push(read.caller);
                    bytes += read.bytes;
                }
                read.deadline > now
            });
        };
        keep(&mut self.waiting);
        if let Some(attempt) = &mut self.attempt {
            keep(&mut attempt.reads);
        }
        self.confirmed.iter_mut().for_each(|(_, reads)| keep(reads));
        // An index that never comes must not hold back the reads that are confirmed after it.
        self.confirmed.retain(|(_, reads)| !reads.is_empty());
        self.count -= late.len();
        self.bytes -= bytes;
        late
    }

    fn requeue(&mut self, mut reads: Vec<Read>) {
        reads.append(&mut self.waiting);
        self.waiting = reads;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: u64, bytes: usize, deadline: u64) -> Read {
        let caller = Caller { session: 1, id };
        Read { caller, request: Request::Status, bytes, deadline }
    }

    #[test]
    fn reads_are_bounded_by_number_and_bytes() {
        let mut reads = Reads::default();
        for id in 0..limits::READS_IN_FLIGHT as u64 {
            assert_eq!(reads.add(read(id, 1, 10)), Ok(()));
        }
        assert_eq!(reads.add(read(0, 1, 10)), Err(Error::TooManyRequests));
        assert_eq!(reads.expire(10).len(), limits::READS_IN_FLIGHT);
        assert_eq!(reads.add(read(1, WAITING_BYTES - 1, 20)), Ok(()));
        assert_eq!(reads.add(read(2, 1, 20)), Ok(()));
        assert_eq!(reads.add(read(3, 1, 20)), Err(Error::TooManyRequests));
        reads.expire(20);
        assert_eq!((reads.count, reads.bytes), (0, 0));
    }

    #[test]
    fn an_index_that_never_comes_holds_nothing_back() {
        let mut reads = Reads::default();
        reads.add(read(1, 1, 10)).expect("there is room");
        let context = reads.begin((RaftId(1), 1), 0, 1).expect("a read waits");
        reads.confirm(&context, u64::MAX);
        assert!(reads.take_ready(5).is_empty());
        assert_eq!(reads.expire(10).len(), 1);
        reads.add(read(2, 1, 20)).expect("there is room");
        let context = reads.begin((RaftId(1), 1), 11, 1).expect("a read waits");
        reads.confirm(&context, 5);
        assert_eq!(reads.take_ready(5).len(), 1);
    }
}
