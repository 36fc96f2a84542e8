//! Linearizable reads, by ReadIndex (raft thesis, 6.4).
//!
//! ```text
//!  waiting ──► attempt (one context for all) ──leader confirms index──► confirmed
//!     ▲            │ no answer for a while, leader changed                  │ applied >= index
//!     └────────────┘ a new context, never an old one again                  ▼
//!                                           serializable reads ─────────► ready
//!                                                                           │ their link has room
//!                                                                           ▼ answered
//! ```

use litemap::LiteMap;
use std::collections::VecDeque;

use api::frame::encode_body;
use api::identity::RaftId;
use api::session::Request;
use api::{Error, limits};

use crate::broken::{Broken, is};
use crate::command::RequestId;
use crate::sessions::{Caller, Origin};

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
    /// By where their clients are.
    ready: LiteMap<Origin, VecDeque<Read>>,
    /// Invariant: all reads above, together.
    count: usize,
    /// Invariant: the sum of their sizes.
    bytes: usize,
}

impl Reads {
    pub(crate) fn add(&mut self, read: Read) -> Result<(), Error> {
        self.count_in(&read)?;
        self.waiting.push(read);
        Ok(())
    }

    /// Takes in a read that needs no index.
    pub(crate) fn add_ready(&mut self, origin: Origin, read: Read) -> Result<(), Error> {
        self.count_in(&read)?;
        self.ready.entry(origin).or_default().push_back(read);
        Ok(())
    }

    fn count_in(&mut self, read: &Read) -> Result<(), Error> {
        if self.count >= limits::READS_IN_FLIGHT || self.bytes >= WAITING_BYTES {
            return Err(Error::TooManyRequests);
        }
        self.count += 1;
        self.bytes += read.bytes;
        Ok(())
    }

    fn count_out(&mut self, read: &Read) {
        self.count -= 1;
        self.bytes -= read.bytes;
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

    /// The store is so new: reads become ready, but for those whose session is over.
    pub(crate) fn ripen(&mut self, applied: u64, origin: impl Fn(u64) -> Option<Origin>) {
        while let Some((_, reads)) = self.confirmed.pop_front_if(|(index, _)| *index <= applied) {
            for read in reads {
                match origin(read.caller.session) {
                    Some(origin) => self.ready.entry(origin).or_default().push_back(read),
                    None => self.count_out(&read),
                }
            }
        }
    }

    /// Whether a read is ready whose client `listens`.
    pub(crate) fn is_ready(&self, listens: impl Fn(Origin) -> bool) -> bool {
        self.ready.keys().any(|origin| listens(*origin))
    }

    /// The next read that is ready and whose client `takes` an answer now.
    pub(crate) fn take_ready(&mut self, takes: impl Fn(Origin) -> bool) -> Option<Read> {
        let origin = *self.ready.keys().find(|origin| takes(**origin))?;
        let reads = self.ready.get_mut(&origin)?;
        let read = reads.pop_front();
        if reads.is_empty() {
            self.ready.remove(&origin);
        }
        read.inspect(|read| self.count_out(read))
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
        let mut keep = |read: &Read| {
            if read.deadline <= now {
                late.push(read.caller);
                bytes += read.bytes;
            }
            read.deadline > now
        };
        self.waiting.retain(&mut keep);
        if let Some(attempt) = &mut self.attempt {
            attempt.reads.retain(&mut keep);
        }
        self.confirmed.iter_mut().for_each(|(_, reads)| reads.retain(&mut keep));
        self.ready.iter_mut().map(|(_, reads)| reads).for_each(|reads| reads.retain(&mut keep));
        self.ready.retain(|_, reads| !reads.is_empty());
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

    /// How many are answered at this index.
    fn ready(reads: &mut Reads, applied: u64) -> usize {
        reads.ripen(applied, |_| Some(Origin::Host));
        std::iter::from_fn(|| reads.take_ready(|_| true)).count()
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
        assert_eq!(ready(&mut reads, 5), 0);
        assert_eq!(reads.expire(10).len(), 1);
        reads.add(read(2, 1, 20)).expect("there is room");
        let context = reads.begin((RaftId(1), 1), 11, 1).expect("a read waits");
        reads.confirm(&context, 5);
        assert_eq!(ready(&mut reads, 5), 1);
    }

    #[test]
    fn reads_wait_for_their_own_link_only() {
        let mut reads = Reads::default();
        let (one, other) = (Origin::Link(1), Origin::Link(2));
        for (id, origin) in [(1, one), (2, other), (3, one)] {
            reads.add_ready(origin, read(id, 1, 10)).expect("there is room");
        }
        let next = |reads: &mut Reads, full: Option<Origin>| {
            reads.take_ready(|origin| Some(origin) != full).map(|read| read.caller.id)
        };
        assert_eq!(next(&mut reads, Some(one)), Some(2));
        assert_eq!(next(&mut reads, Some(one)), None);
        assert_eq!(next(&mut reads, None), Some(1));
        assert_eq!(reads.expire(10).len(), 1, "no read waits for ever");
        assert_eq!((reads.count, reads.bytes, reads.ready.len()), (0, 0, 0));
    }
}
