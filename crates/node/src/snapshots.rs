//! Snapshots of the store, for followers that are too far behind: sent beside raft, in pieces that
//! the follower asks for. The exchange is drawn at [`PeerBody::Offer`].
//!
//! raft stops at the leader when it finds that it has to send one, and goes on when the follower
//! acknowledges entries at its index or above. At the follower raft hears of it when all of it is
//! there, checked and safe.

use litemap::LiteMap;
use std::collections::VecDeque;

use api::frame::PeerBody;
use api::identity::RaftId;
use api::{Bytes, limits};
use mvcc::base::{SharedBase, Summary};
use mvcc::job::{Job, Source};
use mvcc::{Revision, Store, piece};
use raft::eraftpb::Message;
use raft_prost::Message as _;
use wal::Record;

use crate::apply::Committed;
use crate::identity::Stored;
use crate::log::Place;
use crate::mover::{Kind, Next, Note};
use crate::node::Node;

/// An offer, or a question, is repeated after this long.
const REPEAT_MS: u64 = 1000;

/// A follower that hears nothing gives up after so many questions.
const QUESTIONS: u32 = 30;

/// A snapshot that is not taken within this time is given up: it keeps what was freed since from
/// being used again, and the log from being cut.
const TAKE_MS: u64 = 10 * 60 * 1000;

/// Pieces that travel, or wait, while one is written.
const AHEAD: usize = 2;

/// A snapshot for a follower.
struct Outgoing {
    id: u64,
    /// raft's own, encoded.
    message: Vec<u8>,
    place: Place,
    base: SharedBase,
    begun: u64,
    /// When the follower was last heard of, or told.
    spoke: u64,
}

/// A snapshot from the leader.
pub(crate) struct Incoming {
    from: RaftId,
    id: u64,
    message: Message,
    place: Place,
    /// Where the next piece begins; nothing once the last has come.
    next: Option<Revision>,
    /// It is asked for since then, and so many times.
    asked_at: Option<u64>,
    questions: u32,
    /// Pieces that wait to be written. Invariant: at most [`AHEAD`].
    pieces: VecDeque<Bytes>,
    /// Comes with the last piece.
    summary: Option<Summary>,
    stage: Stage,
}

/// How far a snapshot is.
enum Stage {
    /// Its generation has to be begun.
    Wanted,
    /// It is written as it comes.
    Filling,
    /// It is complete and safe.
    Here(SharedBase),
}

/// All snapshots that are on their way.
#[derive(Default)]
pub(crate) struct Snapshots {
    last_id: u64,
    outgoing: LiteMap<u64, Outgoing>,
    incoming: Option<Incoming>,
}

impl Node {
    /// raft wants a follower to have a snapshot.
    pub(crate) fn offer_snapshot(&mut self, message: &Message) {
        let Some(base) = self.state.store.base().cloned() else { return };
        let metadata = message.get_snapshot().get_metadata();
        let place = Place { index: metadata.index, term: metadata.term };
        let (peer, now) = (message.to, self.clock.now);
        let stands = Note::of(base.summary()).map(|note| note.applied());
        if stands != Ok(place) {
            // It went on since raft looked: raft looks again.
            return self.raft.iter_mut().for_each(|raft| raft.snapshot_failed(peer));
        }
        let message = message.encode_to_vec();
        match self.snapshots.outgoing.get_mut(&peer) {
            // The same again: perhaps of a later term.
            Some(outgoing) if outgoing.place == place => outgoing.message = message,
            _ => {
                self.snapshots.last_id += 1;
                let id = self.snapshots.last_id;
                let outgoing = Outgoing { id, message, place, base, begun: now, spoke: now };
                self.snapshots.outgoing.insert(peer, outgoing);
            }
        }
        self.send_offer(peer);
    }

    fn send_offer(&mut self, peer: u64) {
        let Some(outgoing) = self.snapshots.outgoing.get_mut(&peer) else { return };
        outgoing.spoke = self.clock.now;
        let (id, message) = (outgoing.id, outgoing.message.clone());
        self.send_to(RaftId(peer), &PeerBody::Offer { id, message: &message });
    }

    /// The log keeps entries from here on for followers that take a snapshot.
    pub(crate) fn held_for_snapshots(&self) -> Option<u64> {
        self.snapshots.outgoing.values().map(|outgoing| outgoing.place.index).min()
    }

    /// What they read is about to go, or is kept for too long: raft begins anew.
    pub(crate) fn end_snapshots(&mut self) {
        for (peer, _) in std::mem::take(&mut self.snapshots.outgoing) {
            if let Some(raft) = &mut self.raft {
                raft.snapshot_failed(peer);
            }
        }
    }

    /// Time passes for snapshots.
    pub(crate) fn tick_snapshots(&mut self) {
        let now = self.clock.now;
        let Some(raft) = &mut self.raft else { return };
        self.snapshots.outgoing.retain(|peer, _| raft.awaits_snapshot(*peer));
        let full = raft.log_bytes() > 2 * self.config.pace.keep_bytes;
        let moved = self.state.moved.index;
        let too_long = |outgoing: &Outgoing| {
            outgoing.begun + TAKE_MS <= now || full && outgoing.place.index < moved
        };
        if self.snapshots.outgoing.values().any(too_long) {
            self.end_snapshots();
            self.cut_log();
        }
        let late = |outgoing: &Outgoing| outgoing.spoke + REPEAT_MS <= now;
        let late = self.snapshots.outgoing.iter().filter(|(_, outgoing)| late(outgoing));
        for peer in late.map(|(peer, _)| *peer).collect::<Vec<_>>() {
            self.send_offer(peer);
        }
        self.ask_again();
    }

    fn ask_again(&mut self) {
        let now = self.clock.now;
        let Some(incoming) = &mut self.snapshots.incoming else { return };
        if incoming.asked_at.is_none_or(|asked_at| asked_at + REPEAT_MS > now) {
            return;
        }
        incoming.asked_at = None;
        incoming.questions += 1;
        match incoming.questions > QUESTIONS {
            // The leader does not send it any more.
            true => self.drop_incoming(),
            false => self.ask(),
        }
    }

    /// A follower asks for a piece.
    pub(crate) fn asked(&mut self, from: RaftId, id: u64, (main, sub): (i64, u32)) {
        let now = self.clock.now;
        let Some(outgoing) = self.snapshots.outgoing.get_mut(&from.0).filter(|o| o.id == id) else {
            return;
        };
        outgoing.spoke = now;
        let base = outgoing.base.clone();
        let at = Revision { main, sub };
        let piece = match piece::read_piece(&*base, at, limits::SNAPSHOT_PIECE_BYTES) {
            Ok(piece) => piece,
            Err(damage) => return self.halt(damage.0),
        };
        let summary = match piece.next {
            None => base.summary().encode(),
            Some(_) => Vec::new(),
        };
        let next = piece.next.map(|next| (next.main, next.sub));
        let (rows, from_place) = (&piece.rows, (main, sub));
        self.send_to(
            from,
            &PeerBody::Piece { id, from: from_place, next, rows, summary: &summary },
        );
    }

    /// The leader offers a snapshot.
    pub(crate) fn offered(&mut self, from: RaftId, id: u64, bytes: &[u8]) -> Result<(), String> {
        let Some(raft) = &mut self.raft else { return Ok(()) };
        let (message, place) = raft.check_offer(from.0, bytes)?;
        if place.index <= raft.commit() || raft.term_of(place.index) == Some(place.term) {
            // Its entries are here; raft says so.
            raft.step_snapshot(message);
            return Ok(());
        }
        if raft.leader() != from.0 || raft.term() != message.term {
            // A heartbeat has to show first who leads. The offer comes again.
            return Ok(());
        }
        match &mut self.snapshots.incoming {
            Some(known) if (known.from, known.id) == (from, id) => known.message = message,
            Some(known) if matches!(known.stage, Stage::Here(_)) => {}
            _ => {
                self.snapshots.incoming = Some(Incoming {
                    from,
                    id,
                    message,
                    place,
                    next: Some(Revision::first(0)),
                    asked_at: None,
                    questions: 0,
                    pieces: VecDeque::new(),
                    summary: None,
                    stage: Stage::Wanted,
                });
            }
        }
        Ok(())
    }

    /// What has to be done for a snapshot that comes in.
    pub(crate) fn snapshot_job(&mut self) -> Option<(Kind, Job)> {
        let filling = self.mover.next;
        let Some(incoming) = &mut self.snapshots.incoming else {
            // One that was given up leaves its generation behind.
            let left = filling == Next::Filling(Source::Peer);
            return left.then_some((Kind::Abandon, Job::Abandon));
        };
        match (&incoming.stage, filling) {
            (Stage::Wanted, Next::None) => {
                let (generation, from) = (self.mover.next_generation(), Source::Peer);
                Some((Kind::Begin(from), Job::Begin { generation, from }))
            }
            // A copy of what is too old is of no use, nor is another snapshot.
            (Stage::Wanted, _) => Some((Kind::Abandon, Job::Abandon)),
            (Stage::Filling, _) => {
                let job = match incoming.pieces.pop_front() {
                    Some(piece) => (Kind::Fill, Job::Fill(piece)),
                    None if incoming.next.is_none() => {
                        let summary = incoming.summary.clone();
                        (Kind::Finish(Source::Peer), Job::Finish { summary })
                    }
                    None => return None,
                };
                self.ask();
                Some(job)
            }
            (Stage::Here(_), _) => None,
        }
    }

    /// Its generation is begun.
    pub(crate) fn snapshot_begun(&mut self) {
        let Some(incoming) = &mut self.snapshots.incoming else { return };
        if matches!(incoming.stage, Stage::Wanted) && self.mover.next == PEERS {
            incoming.stage = Stage::Filling;
            self.ask();
        }
    }

    /// Asks for the next piece, if there is a place for it and it is not asked for.
    fn ask(&mut self) {
        let Some(incoming) = &mut self.snapshots.incoming else { return };
        let Some(Revision { main, sub }) = incoming.next else { return };
        if incoming.asked_at.is_some() || incoming.pieces.len() >= AHEAD {
            return;
        }
        incoming.asked_at = Some(self.clock.now);
        let (to, id) = (incoming.from, incoming.id);
        self.send_to(to, &PeerBody::Ask { id, from: (main, sub) });
    }

    /// A piece comes.
    pub(crate) fn piece(
        &mut self,
        sender: RaftId,
        id: u64,
        from: (i64, u32),
        next: Option<(i64, u32)>,
        (rows, summary): (&[u8], &[u8]),
    ) -> Result<(), String> {
        let revision = |(main, sub)| Revision { main, sub };
        let Some(incoming) = &mut self.snapshots.incoming else { return Ok(()) };
        let expected = (incoming.from, incoming.id) == (sender, id)
            && incoming.next == Some(revision(from))
            && incoming.asked_at.is_some();
        if !expected {
            // Doubled, or late.
            return Ok(());
        }
        let next = next.map(revision);
        if next.is_some_and(|next| next <= revision(from)) {
            return Err("a snapshot that goes back".into());
        }
        if next.is_none() {
            let summary = Summary::decode(summary).map_err(|damage| damage.0)?;
            Note::of(&summary).map_err(|error| error.to_string())?;
            incoming.summary = Some(summary);
        }
        incoming.pieces.push_back(Bytes::copy_from_slice(rows));
        (incoming.next, incoming.asked_at, incoming.questions) = (next, None, 0);
        // It travels while this one is written.
        self.ask();
        Ok(())
    }

    /// All of it is here: raft hears of it, and whether raft takes it shows at once.
    pub(crate) fn snapshot_arrived(&mut self, base: SharedBase) {
        let Some(incoming) = &mut self.snapshots.incoming else { return };
        let at = Note::of(base.summary()).map(|note| note.applied());
        if at != Ok(incoming.place) {
            // It stands elsewhere than its leader said.
            return self.drop_incoming();
        }
        incoming.stage = Stage::Here(base);
        let message = incoming.message.clone();
        if let Some(raft) = &mut self.raft {
            raft.step_snapshot(message);
        }
        if let Err(reason) = self.step_raft() {
            return self.halt(reason);
        }
        // If raft did not want it any more, its generation goes.
        self.drop_incoming();
    }

    /// raft goes on behind a snapshot: the store is the one that has arrived. Gives what the log
    /// must hold of that.
    pub(crate) fn install_snapshot(&mut self, place: Place) -> Result<Record, String> {
        let incoming = self.snapshots.incoming.take();
        let Some(Incoming { stage: Stage::Here(base), place: at, .. }) = incoming else {
            return Err("raft takes a snapshot that is not here".into());
        };
        if at != place {
            return Err(format!("raft takes a snapshot at {place:?}, and here is one at {at:?}"));
        }
        let note = Note::of(base.summary()).map_err(|error| error.to_string())?;
        self.state.store = Store::on(base);
        self.state.alarms = note.into_alarms();
        (self.state.applied, self.state.moved) = (place.index, place);
        // All of it is in the snapshot.
        self.state.committed = Committed::default();
        self.mover.next = Next::Named { batch: self.outbox.batch() };
        self.mover.forget_store();
        self.found_room();
        self.end_snapshots();
        let generation = self.mover.next_generation();
        let record = self.name(Stored { generation, anchor: (place.index, place.term) });
        for caller in self.state.proposals.skipped() {
            // Whether they are in it nobody knows.
            self.answer(caller, Err(api::Error::Timeout));
        }
        self.state.watchers.changed(&self.state.store).map_err(|error| error.to_string())?;
        self.clock.watches_wait |= !self.state.watchers.is_empty();
        Ok(record)
    }

    /// A snapshot that comes in is given up; the leader offers it again, or another one.
    pub(crate) fn drop_incoming(&mut self) {
        self.snapshots.incoming = None;
    }
}

/// A peer's snapshot is being filled in.
const PEERS: Next = Next::Filling(Source::Peer);
