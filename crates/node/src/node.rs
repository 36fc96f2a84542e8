//! The node: routes what comes in to the parts that it is about, and drains them.

use api::frame::{CloseCode, PeerBody};
use api::identity::{ClusterId, RaftId};
use api::report::MemberReport;
use api::session::ServerMessage;
use api::{Error, Result};
use mvcc::{Store, Watchers};
use raft::eraftpb::{ConfState, Entry, EntryType};
use wal::{Batch, Recovered};

use crate::apply::{Signature, apply};
use crate::command::{Command, RequestId};
use crate::config::{Config, LinkId, LinkKind, StartError};
use crate::identity::{Identity, RaftStart, raft_start};
use crate::outbox::{Outbox, Then};
use crate::peers::Peers;
use crate::propose::Proposals;
use crate::raft_node::RaftNode;
use crate::read::Reads;
use crate::seed::{Seed, mix_all};
use crate::sessions::{Caller, Sessions};
use crate::status::Reporter;

/// What happens to a node.
#[derive(Clone, Copy, Debug)]
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
    /// Leave in order: hand over leadership if it is here, then say [`Output::Left`].
    Leave,
}

/// What a node wants done.
#[derive(Clone, Debug, PartialEq)]
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

/// Where a node is in its life.
///
/// ```text
///  Starting ──► Forming ──► Running ──► Leaving ──► Over
///      └───────────────────────▲          │
///                  any ────────┴──────────┴──► Over (refused, halted)
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// This run is not counted durably yet.
    Starting,
    /// The cluster's list is not there yet.
    Forming,
    /// raft runs.
    Running,
    /// As running, until leadership is handed over or this time has come.
    Leaving(u64),
    /// Left.
    Left,
    /// Refused by a peer or a relay, in words.
    Refused(String),
    /// Stopped itself, in words.
    Halted(String),
}

/// Times of the host's clock, in milliseconds.
pub(crate) struct Clock {
    pub(crate) now: u64,
    /// raft has been told of the time up to here.
    pub(crate) ticked: u64,
    /// When to stand for election without waiting for raft's timeout.
    pub(crate) campaign_at: Option<u64>,
    /// Watches are behind: the next turn goes on with them.
    pub(crate) watches_wait: bool,
}

/// One running member.
pub struct Node {
    pub(crate) config: Config,
    pub(crate) identity: Identity,
    pub(crate) phase: Phase,
    pub(crate) clock: Clock,
    pub(crate) seed: Seed,
    pub(crate) peers: Peers,
    /// Invariant: there exactly in `Running` and `Leaving`, and kept after.
    pub(crate) raft: Option<RaftNode>,
    /// What raft starts from, until it does.
    pub(crate) raft_start: Option<RaftStart>,
    pub(crate) state: State,
    pub(crate) outbox: Outbox,
    pub(crate) reporter: Reporter,
}

/// The replicated state and everybody who waits for it.
pub(crate) struct State {
    pub(crate) store: Store,
    /// The last index that is applied.
    pub(crate) applied: u64,
    pub(crate) watchers: Watchers,
    pub(crate) sessions: Sessions,
    pub(crate) proposals: Proposals,
    pub(crate) reads: Reads,
}

/// Leadership is handed over within this time, or the member leaves without.
const HAND_OVER_MS: u64 = 1000;

impl Node {
    /// Starts a node from what its directory holds.
    pub fn new(mut config: Config, now: u64, recovered: &Recovered) -> Result<Self, StartError> {
        check_config(&mut config)?;
        let (identity, records) = Identity::open(&config, &recovered.slots)?;
        let raft_start = raft_start(recovered)?;
        let mut seed = Seed::new(mix_all(&[config.seed, config.nonce]));
        let others = config.initial.iter().filter(|name| **name != config.name);
        let peers = Peers::new(others, Seed::new(seed.next()));
        let store = Store::new();
        let state = State {
            applied: 0,
            watchers: Watchers::new(&store),
            store,
            sessions: Sessions::default(),
            proposals: Proposals::default(),
            reads: Reads::default(),
        };
        let mut outbox = Outbox::new(recovered.next);
        outbox.record_identity(records, Then::Start);
        Ok(Self {
            config,
            identity,
            phase: Phase::Starting,
            clock: Clock { now, ticked: now, campaign_at: None, watches_wait: false },
            seed,
            peers,
            raft: None,
            raft_start: Some(raft_start),
            state,
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
        match input {
            Input::Tick => {}
            Input::LinkUp { link, kind } => self.link_up(link, kind),
            Input::LinkDown { link } => self.link_down(link),
            Input::Frame { link, bytes } => self.frame(link, bytes),
            Input::Client { session, body } => self.host_client(session, body),
            Input::Persisted { number } => self.persisted(number),
            Input::Leave => self.leave(),
        }
    }

    /// The next thing to do, if any.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        if self.outbox.is_empty() && !self.is_over() {
            self.turn();
        }
        self.outbox.pop()
    }

    /// When to hand in [`Input::Tick`] at the latest, if nothing else happens.
    pub fn wake_at(&self) -> u64 {
        if self.state_waits() {
            return self.clock.now;
        }
        let tick = self.clock.ticked + self.config.timing.heartbeat_ms;
        // One that is due and could not be held waits for something else to happen.
        let campaign = self.clock.campaign_at.filter(|&at| at > self.clock.now);
        campaign.map_or(tick, |at| at.min(tick))
    }

    fn state_waits(&self) -> bool {
        self.clock.watches_wait && !self.is_over()
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.phase, Phase::Refused(_))
    }

    fn is_over(&self) -> bool {
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

    fn persisted(&mut self, number: u64) {
        for then in self.outbox.persisted(number) {
            match then {
                Then::Start => self.start(),
                Then::Formed => self.formed(),
                Then::Sighted(name, boot) => self.accept(&name, boot),
            }
        }
        if let Some(raft) = &mut self.raft {
            raft.persisted(number);
        }
    }

    fn start(&mut self) {
        self.phase = Phase::Forming;
        if self.identity.formation().is_some() {
            return self.formed();
        }
        match self.greeting().decide() {
            // Only a cluster of one decides alone; it attaches when it has formed.
            Some(list) => self.form(list),
            None => self.attach_all(),
        }
    }

    /// The list is durable: raft begins.
    fn formed(&mut self) {
        if self.is_refused() {
            return;
        }
        let Some(formation) = self.identity.formation().cloned() else { return };
        let Some((cluster, me)) = self.me() else { return };
        let Some(start) = self.raft_start.take() else { return };
        let ids = formation.members.iter().map(|m| (m.name.clone(), formation.raft_id(m)));
        let learner = |name: &str| self.config.learners.iter().any(|l| l == name);
        let mut conf = ConfState::default();
        for (name, id) in ids.clone() {
            let group = if learner(&name) { &mut conf.learners } else { &mut conf.voters };
            group.push(id.0);
        }
        conf.voters.sort_unstable();
        conf.learners.sort_unstable();
        self.peers.name_ids(ids.filter(|(name, _)| *name != self.config.name));
        let (hard_state, entries) = (start.hard_state, start.entries);
        let (seed, timing) = (self.config.seed, self.config.timing);
        match RaftNode::new(me.0, conf, hard_state, entries, seed, timing) {
            Ok(raft) => self.raft = Some(raft),
            Err(error) => return self.halt(error.to_string()),
        }
        self.phase = Phase::Running;
        self.outbox.push(Output::Formed(cluster));
        self.attach_all();
        self.tell_list();
    }

    fn leave(&mut self) {
        match (&self.phase, &mut self.raft) {
            (Phase::Running, Some(raft)) if raft.is_leader() => {
                let reachable = self.peers.up();
                self.phase = match raft.hand_over(&reachable) {
                    true => Phase::Leaving(self.clock.now + HAND_OVER_MS),
                    false => Phase::Leaving(self.clock.now),
                };
            }
            (Phase::Leaving(_), _) => {}
            _ => self.phase = Phase::Leaving(self.clock.now),
        }
    }

    /// True once nothing keeps a leaving member any more.
    fn may_leave(&self) -> bool {
        let Phase::Leaving(until) = self.phase else { return false };
        let leads = self.raft.as_ref().is_some_and(RaftNode::is_leader);
        !leads || until <= self.clock.now
    }

    /// Lets time pass for everything that waits for it.
    fn pass_time(&mut self, now: u64) {
        let gap = now - self.clock.now;
        self.clock.now = now;
        if gap > self.config.timing.election_ms {
            self.frozen();
        }
        let tick = self.config.timing.heartbeat_ms.max(1);
        while self.clock.ticked + tick <= now {
            self.clock.ticked += tick;
            let refused = self.is_refused();
            if let Some(raft) = self.raft.as_mut().filter(|_| !refused) {
                raft.tick();
                let commit = raft.lone_commit();
                self.outbox.record_raft(commit.into_iter().collect());
            }
            self.tick_rest();
        }
    }

    /// Nothing ran here for longer than the others wait: they may have gone on without us.
    fn frozen(&mut self) {
        self.clock.ticked = self.clock.now;
        self.clock.campaign_at = None;
        self.state.reads.restart();
        // Nor is a leader that was known before one to wait for: if it is there it says so within
        // a heartbeat; after a computer has slept none is.
        match &mut self.raft {
            Some(raft) if raft.is_leader() => raft.step_down(),
            Some(raft) => raft.forget_leader(),
            None => {}
        }
    }

    fn tick_rest(&mut self) {
        let now = self.clock.now;
        for caller in self.state.proposals.expire(now) {
            self.answer(caller, Err(Error::Timeout));
        }
        for caller in self.state.reads.expire(now) {
            self.answer(caller, Err(Error::Timeout));
        }
        let term = self.raft.as_ref().map_or(0, RaftNode::term);
        self.state.reads.retry(now, self.config.timing.read_retry_ms(), term);
        self.remember_acknowledged();
        self.greet_again();
    }

    /// Does all that can be done with what is there.
    fn turn(&mut self) {
        self.campaign_if_due();
        self.propose_waiting();
        self.begin_read();
        self.run_raft();
        self.answer_reads();
        self.step_watches();
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
            raft.read_index(context);
        }
    }

    /// Takes what raft has decided until it has nothing more to say.
    pub(crate) fn run_raft(&mut self) {
        while let Some(raft) = self.raft.as_mut().filter(|raft| raft.has_ready()) {
            let step = raft.step_ready(self.outbox.batch());
            self.outbox.record_raft(step.records);
            for read in step.reads {
                self.state.reads.confirm(&read.request_ctx, read.index);
            }
            for entry in step.committed {
                if let Err(reason) = self.apply(&entry) {
                    return self.halt(reason);
                }
            }
        }
    }

    /// Applies one committed entry and answers who waits for it.
    fn apply(&mut self, entry: &Entry) -> Result<(), String> {
        let waiting = match (entry.entry_type(), entry.data.is_empty()) {
            (EntryType::EntryNormal, true) => None,
            (EntryType::EntryNormal, false) => Some(self.apply_command(entry)?),
            _ => return Err(format!("entry {} is of an unknown kind", entry.index)),
        };
        self.state.applied = entry.index;
        self.state.proposals.term_applied(entry.term);
        if let Some(raft) = &mut self.raft {
            raft.applied(entry.index);
        }
        if let Some((Some(caller), result)) = waiting {
            self.answer(caller, result);
        }
        Ok(())
    }

    fn apply_command(
        &mut self,
        entry: &Entry,
    ) -> Result<(Option<Caller>, Result<api::session::Response>), String> {
        let command = Command::decode(&entry.data)
            .map_err(|error| format!("entry {} cannot be read: {error}", entry.index))?;
        let result = apply(&mut self.state.store, &command.op);
        self.state.watchers.changed(&self.state.store);
        self.clock.watches_wait |= !self.state.watchers.is_empty();
        Ok((self.caller_of(command.id), result))
    }

    /// Who waits for this request: only one of this very run.
    fn caller_of(&mut self, id: RequestId) -> Option<Caller> {
        let mine = self.me().is_some_and(|(_, me)| me == id.raft);
        if !mine || id.nonce != self.identity.boot().nonce {
            return None;
        }
        self.state.proposals.applied(id.sequence)
    }

    /// Sends what raft has to say, one frame to each peer. To one that is out of reach it is
    /// lost: raft says it again.
    fn send_raft(&mut self) {
        let boot = self.identity.boot();
        let Some((cluster, me)) = self.me() else { return };
        let Some(raft) = &mut self.raft else { return };
        let messages = raft.take_messages();
        for group in messages.chunk_by(|a, b| a.to == b.to) {
            let encoded: Vec<Vec<u8>> =
                group.iter().map(raft_prost::Message::encode_to_vec).collect();
            let to = RaftId(group[0].to);
            for bodies in by_size(&encoded) {
                let body = PeerBody::Raft(bodies);
                if let Some((link, frame)) = self.peers.frame((cluster, me, boot), to, &body) {
                    self.outbox.send(link, frame);
                }
            }
        }
    }

    fn step_watches(&mut self) {
        if !std::mem::take(&mut self.clock.watches_wait) {
            return;
        }
        let signature = self.signature();
        let step = self.state.watchers.step(&self.state.store);
        self.clock.watches_wait = step.more;
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

fn check_config(config: &mut Config) -> Result<(), StartError> {
    let wrong = |text: String| Err(StartError::Config(text));
    config.initial.sort();
    config.initial.dedup();
    config.nonce = config.nonce.max(1);
    if !config.initial.contains(&config.name) {
        return wrong(format!("member {:?} is not one of the initial members", config.name));
    }
    if config.initial.len() > api::limits::MEMBERS {
        return wrong(format!("a cluster has at most {} members", api::limits::MEMBERS));
    }
    let names = config.initial.iter().chain([&config.cluster]);
    for name in names {
        if name.is_empty() || name.chars().count() > api::limits::NAME_CHARS {
            return wrong(format!(
                "the name {name:?} must have 1 to {} characters",
                api::limits::NAME_CHARS
            ));
        }
    }
    Ok(())
}
