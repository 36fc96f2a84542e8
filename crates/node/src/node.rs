//! The node: routes what comes in to the parts that it is about, and drains them.

use std::collections::VecDeque;

use api::Result;
use api::frame::{CloseCode, PeerBody};
use api::identity::{ClusterId, RaftId};
use api::report::MemberReport;
use api::session::ServerMessage;
use mvcc::base::SharedBase;
use mvcc::job::{Done, Job};
use mvcc::{Hashing, Reading, Store, TxnReading, Watchers};
use raft::eraftpb::{Message, MessageType};
use wal::{Batch, Recovered};

use crate::alarms::Alarms;
use crate::apply::{Committed, Signature};
use crate::broken::{Broken, is};
use crate::config::{Config, LinkId, LinkKind, StartError, check_config};
use crate::identity::{Identity, raft_start, stored};
use crate::life::Phase;
use crate::log::Place;
use crate::mover::{Mover, Note};
use crate::outbox::{Outbox, Then};
use crate::peers::Peers;
use crate::propose::Proposals;
use crate::raft_node::{RaftNode, RaftStart};
use crate::read::Reads;
use crate::seed::{Seed, mix_all};
use crate::sessions::{Caller, Sessions};
use crate::snapshots::Snapshots;
use crate::space::Space;
use crate::status::Reporter;
use crate::time::Clock;

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Nothing but time.
    Tick,
    /// A link to a relay or a peer is open.
    LinkUp {
        /// The link.
        link: LinkId,
        /// What is at its other end.
        kind: LinkKind,
    },
    /// It is closed, whoever closed it.
    LinkDown {
        /// The link.
        link: LinkId,
    },
    /// So much waits to be written to a link that its clients get nothing large for now.
    LinkFull {
        /// The link.
        link: LinkId,
    },
    /// It has room again.
    LinkRoom {
        /// The link.
        link: LinkId,
    },
    /// A frame came in.
    Frame {
        /// The link that it came by.
        link: LinkId,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A client at this host says something.
    Client {
        /// The client's session, by the host's number.
        session: u64,
        /// A [`ClientMessage`](api::session::ClientMessage).
        body: &'a [u8],
    },
    /// This batch and all before it are durable.
    Persisted {
        /// The batch's number.
        number: u64,
    },
    /// The job is done.
    Done(Done),
    /// How the log stands for room: so many bytes surely fit, and if it is `low` there is no more
    /// beyond what was kept in reserve.
    Room {
        /// Bytes.
        bytes: u64,
        /// The disk is full, or nearly so.
        low: bool,
    },
    /// Leave in order: hand over leadership if it is here, then say [`Output::Left`].
    Leave,
}

/// What a node wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send a frame.
    Send {
        /// The link to send it by.
        link: LinkId,
        /// Its bytes.
        frame: Vec<u8>,
    },
    /// Close a link to a peer, after what was sent by it, and say [`Input::LinkDown`]. Links to
    /// relays are never closed: who misbehaves there is not who holds the link.
    Close {
        /// The link.
        link: LinkId,
        /// The WebSocket's close code.
        code: CloseCode,
        /// In words.
        reason: String,
    },
    /// Make this durable, in order, then say [`Input::Persisted`].
    Persist(Batch),
    /// Do this beside all else, then say [`Input::Done`]. There is one at a time.
    Job(Job),
    /// Tell a client at this host.
    Reply {
        /// The client's session.
        session: u64,
        /// A [`ServerMessage`].
        body: Vec<u8>,
    },
    /// What this member shows of itself has changed.
    Report(MemberReport),
    /// The cluster has formed, or had before this start.
    Formed(ClusterId),
    /// The node has left in order and does nothing any more.
    Left,
    /// The node can not go on without danger to the data and does nothing any more.
    Halt(String),
}

/// One running member.
pub struct Node {
    pub(crate) config: Config,
    pub(crate) identity: Identity,
    pub(crate) phase: Phase,
    pub(crate) clock: Clock,
    pub(crate) seed: Seed,
    pub(crate) peers: Peers,
    /// There from `Running` on, and kept after.
    pub(crate) raft: Option<RaftNode>,
    /// What raft starts from, until it does.
    pub(crate) raft_start: Option<RaftStart>,
    pub(crate) state: State,
    pub(crate) mover: Mover,
    pub(crate) snapshots: Snapshots,
    pub(crate) space: Space,
    pub(crate) outbox: Outbox,
    pub(crate) reporter: Reporter,
}

/// The replicated state and everybody who waits for it.
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) alarms: Alarms,
    /// The last index that is applied.
    pub(crate) applied: u64,
    /// What comes after it.
    pub(crate) committed: Committed,
    /// The last entry that is in the store's base.
    pub(crate) moved: Place,
    pub(crate) watchers: Watchers,
    pub(crate) sessions: Sessions,
    pub(crate) proposals: Proposals,
    pub(crate) reads: Reads,
    /// Large reads that are answered in slices.
    pub(crate) readings: VecDeque<(Caller, Large)>,
}

/// What is read in slices.
#[derive(Debug)]
pub(crate) enum Large {
    Range(Reading),
    Txn(TxnReading),
    Hash(Hashing),
}

impl Node {
    /// Starts a node from what its directory holds: its log, and the base that
    /// [`generation`](crate::generation) names.
    pub fn new(
        mut config: Config,
        now: u64,
        recovered: &Recovered,
        base: Option<SharedBase>,
    ) -> Result<Self, StartError> {
        check_config(&mut config)?;
        let (identity, records) = Identity::open(&config, &recovered.slots)?;
        if let Some(formation) = identity.formation() {
            // Once formed, the list is the log's, whatever this start was told.
            config.initial = formation.members.iter().map(|m| m.name.clone()).collect();
        }
        let note = base.as_ref().map(|base| Note::of(base.summary())).transpose()?;
        let note = note.unwrap_or_default();
        let moved = note.applied();
        let raft_start = raft_start(recovered, moved.index)?;
        let mut seed = Seed::new(mix_all(&[config.seed, config.nonce]));
        let others = config.initial.iter().filter(|name| **name != config.name);
        let peers = Peers::new(others, Seed::new(seed.next()));
        let store = base.map_or_else(Store::new, Store::on);
        let state = State {
            alarms: note.into_alarms(),
            applied: moved.index,
            committed: Committed::default(),
            moved,
            watchers: Watchers::new(&store).in_slices(config.pace.watch_rows),
            store,
            sessions: Sessions::default(),
            proposals: Proposals::default(),
            reads: Reads::default(),
            readings: VecDeque::new(),
        };
        let mut outbox = Outbox::new(recovered.next);
        outbox.record_identity(records, Then::Start);
        Ok(Self {
            config,
            identity,
            phase: Phase::Starting,
            clock: Clock::new(now),
            seed,
            peers,
            raft: None,
            raft_start: Some(raft_start),
            state,
            mover: Mover::new(stored(&recovered.slots)?),
            snapshots: Snapshots::default(),
            space: Space::default(),
            outbox,
            reporter: Reporter::default(),
        })
    }

    /// Takes in what happened at `now`, a time that never goes back. Drain [`Self::poll`]
    /// before waiting for more.
    pub fn handle(&mut self, now: u64, input: Input<'_>) {
        if self.is_over() {
            return;
        }
        self.pass_time(now.max(self.clock.now));
        // These may come while the host does what a turn gave it, and give nothing new to do.
        self.clock.rests &= matches!(input, Input::LinkFull { .. } | Input::Room { .. });
        match input {
            Input::Tick => {}
            Input::LinkUp { link, kind } => self.link_up(link, kind),
            Input::LinkDown { link } => self.link_down(link),
            Input::LinkFull { link } => self.hold_link(link, true),
            Input::LinkRoom { link } => self.hold_link(link, false),
            Input::Frame { link, bytes } => self.frame(link, bytes),
            Input::Client { session, body } => self.host_client(session, body),
            Input::Persisted { number } => self.persisted(number),
            Input::Done(done) => self.done(done),
            Input::Room { bytes, low } => self.room(bytes, low),
            Input::Leave => self.leave(),
        }
    }

    /// The next thing to do, if any. Of what is to be done in slices this gives one: what is left
    /// is for [`Self::wake_at`], so that no host is held up for long.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        if self.outbox.is_empty() && !self.is_over() && !std::mem::take(&mut self.clock.rests) {
            self.turn();
            self.clock.rests = self.work_waits();
        }
        let next = self.outbox.pop();
        self.clock.rests &= next.is_some();
        next
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.phase, Phase::Refused(_))
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Left | Phase::Halted(_))
    }

    /// The member can not go on; what it waits for ends with an error.
    pub(crate) fn halt(&mut self, reason: String) {
        self.phase = Phase::Halted(reason.clone());
        self.report();
        self.outbox.push(Output::Halt(reason));
    }

    /// Who this is in frames between members, once the cluster has formed.
    pub(crate) fn me(&self) -> Option<(ClusterId, RaftId)> {
        self.identity.formed()
    }

    /// How answers are signed.
    pub(crate) fn signature(&self) -> Signature {
        let formed = self.me();
        Signature {
            cluster: formed.map_or(0, |(cluster, _)| cluster.0),
            member: formed.map_or(0, |(_, member)| member.0),
            term: self.raft.as_ref().map_or(0, RaftNode::term),
        }
    }

    pub(crate) fn answer(&mut self, caller: Caller, result: Result<api::session::Response>) {
        let result = self.signature().sign_result(result);
        let message = ServerMessage::Response { id: caller.id, result };
        self.outbox.extend(self.state.sessions.deliver(caller.session, &message));
    }

    /// A link's queue has become full, or has room again: its watches fall behind meanwhile, and
    /// its reads wait.
    fn hold_link(&mut self, link: LinkId, full: bool) {
        for session in self.state.sessions.hold(link, full) {
            self.state.watchers.hold(session, full);
        }
        self.clock.watches_wait = true;
    }

    /// Does all that can be done with what is there.
    fn turn(&mut self) {
        self.outbox.extend(self.state.sessions.release());
        self.campaign_if_due();
        self.propose_waiting();
        self.begin_read();
        self.run_raft();
        // What was answered makes room for more.
        self.forward_waiting();
        self.answer_reads();
        self.read_on();
        self.step_watches();
        self.state.store.shed(self.config.pace.apply_entries);
        self.start_job();
        self.outbox.flush();
        self.send_raft();
        self.report_if_changed();
        if self.may_leave() {
            self.phase = Phase::Left;
            self.outbox.push(Output::Left);
        }
    }

    fn begin_read(&mut self) {
        let me = self.me();
        let nonce = self.identity.boot().nonce;
        let (Some(raft), Some((_, me))) = (&mut self.raft, me) else { return };
        if !raft.may_read() {
            return;
        }
        let term = raft.term();
        if let Some(context) = self.state.reads.begin((me, nonce), self.clock.now, term) {
            match is(Broken::StaleReadIndex) && raft.is_leader() {
                true => self.state.reads.confirm(&context, raft.commit()),
                false => raft.read_index(context),
            }
        }
    }

    /// Sends what raft has to say, one frame to each peer. To one that is out of reach it is
    /// lost: raft says it again.
    fn send_raft(&mut self) {
        let Some(raft) = &mut self.raft else { return };
        let (snapshots, messages): (Vec<Message>, Vec<Message>) = raft
            .take_messages()
            .into_iter()
            .partition(|message| message.msg_type() == MessageType::MsgSnapshot);
        for group in messages.chunk_by(|a, b| a.to == b.to) {
            let encoded: Vec<Vec<u8>> =
                group.iter().map(raft_prost::Message::encode_to_vec).collect();
            for bodies in by_size(&encoded) {
                self.send_to(RaftId(group[0].to), &PeerBody::Raft(bodies));
            }
        }
        for message in snapshots {
            self.offer_snapshot(&message);
        }
    }

    /// Sends a peer a frame, if it is in reach.
    pub(crate) fn send_to(&mut self, to: RaftId, body: &PeerBody<'_>) {
        let boot = self.identity.boot();
        let Some((cluster, me)) = self.me() else { return };
        if let Some((link, frame)) = self.peers.frame((cluster, me, boot), to, body) {
            self.outbox.send(link, frame);
        }
    }

    fn step_watches(&mut self) {
        if !std::mem::take(&mut self.clock.watches_wait) {
            return;
        }
        let signature = self.signature();
        let step = match self.state.watchers.step(&self.state.store) {
            Ok(step) => step,
            Err(error) => return self.halt(error.to_string()),
        };
        self.clock.watches_wait |= step.more;
        for (session, mut response) in step.messages {
            signature.sign(&mut response.header);
            let message = ServerMessage::Watch(response);
            self.outbox.extend(self.state.sessions.deliver(session, &message));
        }
    }
}

/// Groups messages so that no frame is too large. A message alone always fits: a raft append
/// holds at most a batch and one request.
pub(crate) fn by_size(messages: &[Vec<u8>]) -> Vec<Vec<&[u8]>> {
    let mut groups: Vec<Vec<&[u8]>> = Vec::new();
    let mut room = 0usize;
    for message in messages {
        match groups.last_mut().filter(|_| message.len() <= room) {
            Some(group) => group.push(message),
            None => {
                groups.push(vec![message]);
                room = 2 * api::limits::RAFT_BATCH_BYTES;
            }
        }
        room = room.saturating_sub(message.len());
    }
    groups
}
