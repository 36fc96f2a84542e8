//! What waits to leave the node, and what must be durable before it may.

use std::collections::VecDeque;

use api::identity::Boot;
use wal::{Batch, Record};

use crate::config::LinkId;
use crate::node::Output;

/// What happens once a record is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// This run is counted: the node may speak.
    Start,
    /// The cluster's list is kept: raft begins.
    Formed,
    /// A peer's run is remembered: it may be accepted.
    Sighted(String, Boot),
}

/// Records go in by twos and threes and leave as one batch.
pub(crate) struct Outbox {
    outputs: VecDeque<Output>,
    records: Vec<Record>,
    /// Bytes of `records`.
    bytes: usize,
    /// The number of the batch that `records` will make. Invariant: next > durable.
    next: u64,
    durable: u64,
    /// The batch with the last record of an identity: frames by name wait for it.
    barrier: u64,
    held: VecDeque<(u64, LinkId, Vec<u8>)>,
    then: VecDeque<(u64, Then)>,
}

/// A batch is closed beyond this size. raft gives at most [`api::limits::RAFT_BATCH_BYTES`] and
/// two requests more at once, so it stays well below what the log takes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

impl Outbox {
    pub(crate) fn new(next: u64) -> Self {
        Self {
            outputs: VecDeque::new(),
            records: Vec::new(),
            bytes: 0,
            next,
            durable: next - 1,
            barrier: 0,
            held: VecDeque::new(),
            then: VecDeque::new(),
        }
    }

    /// The batch that records go to now.
    pub(crate) fn batch(&self) -> u64 {
        self.next
    }

    /// Batches up to this one are durable.
    pub(crate) fn durable(&self) -> u64 {
        self.durable
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn extend(&mut self, outputs: Vec<Output>) {
        self.outputs.extend(outputs);
    }

    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    pub(crate) fn send(&mut self, link: LinkId, frame: Vec<u8>) {
        self.push(Output::Send { link, frame });
    }

    /// Records of raft, for the batch that [`Self::batch`] names.
    pub(crate) fn record_raft(&mut self, records: Vec<Record>) {
        self.bytes += records.iter().map(Record::encoded_bytes).sum::<usize>();
        self.records.extend(records);
        if self.bytes >= BATCH_BYTES {
            self.flush();
        }
    }

    /// A record of who somebody is, and what to do once it is durable.
    pub(crate) fn record_identity(&mut self, records: Vec<Record>, then: Then) {
        self.bytes += records.iter().map(Record::encoded_bytes).sum::<usize>();
        self.records.extend(records);
        self.barrier = self.next;
        self.then.push_back((self.next, then));
    }

    /// Something to do once all that is known of identities is durable; given back if that is
    /// now.
    pub(crate) fn after_identity(&mut self, then: Then) -> Option<Then> {
        if self.barrier <= self.durable {
            return Some(then);
        }
        if !self.then.iter().any(|(_, known)| *known == then) {
            self.then.push_back((self.barrier, then));
        }
        None
    }

    /// A frame that speaks of identities: goes when they are durable.
    pub(crate) fn send_identity(&mut self, link: LinkId, frame: Vec<u8>) {
        match self.barrier <= self.durable {
            true => self.send(link, frame),
            // Said again while the disk is slow, it is still the same.
            false if self.held.iter().any(|(_, at, held)| *at == link && *held == frame) => {}
            false => self.held.push_back((self.barrier, link, frame)),
        }
    }

    /// The link is gone; frames for it are of no use.
    pub(crate) fn drop_link(&mut self, link: LinkId) {
        self.held.retain(|(_, held, _)| *held != link);
    }

    /// Closes the batch, if it holds anything.
    pub(crate) fn flush(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let records = std::mem::take(&mut self.records);
        self.bytes = 0;
        self.push(Output::Persist(Batch { number: self.next, records }));
        self.next += 1;
    }

    /// Batches up to this one are durable: what is to happen now, in order.
    pub(crate) fn persisted(&mut self, number: u64) -> Vec<Then> {
        self.durable = self.durable.max(number.min(self.next - 1));
        let durable = self.durable;
        while let Some((_, link, frame)) = self.held.pop_front_if(|(at, ..)| *at <= durable) {
            self.send(link, frame);
        }
        let mut due = Vec::new();
        while let Some((_, then)) = self.then.pop_front_if(|(at, _)| *at <= durable) {
            due.push(then);
        }
        due
    }
}
