//! Requests: checked, then answered from the store, read through the leader, or proposed.

use api::cluster::{Member, MemberListRequest, MemberListResponse, StatusResponse};
use api::frame::{PeerBody, decode_body};
use api::identity::RaftId;
use api::limits;
use api::maintenance::{AlarmType, HashKvResponse};
use api::session::{ClientMessage, Request, Response, ServerMessage};
use api::watch::WatchRequest;
use api::{ETCD_VERSION, Error, Result};
use mvcc::{Hash, Hashing, Reading, Slice, TxnReading, check};

use crate::alarms::needs_space;
use crate::broken::{Broken, is};
use crate::command::{Command, Op, RequestId};
use crate::intake::{Forwarded, Takes};
use crate::life::Phase;
use crate::node::{Large, Node, State, by_size};
use crate::raft_node::RaftNode;
use crate::read::Read;
use crate::sessions::{Caller, Origin, deliver_to};

impl Node {
    pub(crate) fn host_client(&mut self, session: u64, body: &[u8]) {
        self.client(Origin::Host, session, body);
    }

    /// A client says something. What cannot be read ends its session.
    pub(crate) fn client(&mut self, origin: Origin, session: u64, body: &[u8]) {
        let message = decode_body::<ClientMessage>(body);
        let Ok(message) = message else {
            let error = Error::Invalid("the client's message cannot be read".into());
            self.outbox.extend(deliver_to(origin, session, &ServerMessage::Lost(error)));
            return self.end_session(origin, session);
        };
        if matches!(message, ClientMessage::End) {
            return self.end_session(origin, session);
        }
        let Some(number) = self.state.sessions.number(origin, session) else {
            let lost = ServerMessage::Lost(Error::TooManyRequests);
            return self.outbox.extend(deliver_to(origin, session, &lost));
        };
        match shift_watch(message) {
            ClientMessage::Request { id, request } => {
                let caller = Caller { session: number, id };
                if let Err(error) = self.request(caller, request) {
                    self.answer(caller, Err(error));
                }
            }
            ClientMessage::Watch(request) => match self.serves() {
                Ok(()) => {
                    if self.state.sessions.is_held(origin) {
                        self.state.watchers.hold(number, true);
                    }
                    let (watchers, store) = (&mut self.state.watchers, &self.state.store);
                    if let Err(error) = watchers.request(store, number, &request) {
                        return self.halt(error.to_string());
                    }
                    self.clock.watches_wait = true;
                }
                Err(error) => {
                    self.outbox.extend(deliver_to(origin, session, &ServerMessage::Lost(error)));
                    self.end_session(origin, session);
                }
            },
            ClientMessage::End => {}
        }
    }

    fn end_session(&mut self, origin: Origin, session: u64) {
        if let Some(number) = self.state.sessions.end(origin, session) {
            self.state.watchers.end(number);
        }
    }

    /// Whether this member can serve at all, and if not, what is awaited.
    fn serves(&mut self) -> Result<()> {
        let unavailable = |text: String| Err(Error::Unavailable(text));
        match &self.phase {
            Phase::Running => Ok(()),
            Phase::Leaving(_) | Phase::Left => Err(Error::Stopped),
            Phase::Refused(reason) => {
                unavailable(format!("kvorum: this member is refused: {reason}"))
            }
            Phase::Halted(reason) => {
                unavailable(format!("kvorum: this member has halted: {reason}"))
            }
            Phase::Starting | Phase::Forming => {
                let awaited = self.greeting().awaited();
                let text = match awaited.as_slice() {
                    [] => "kvorum: the cluster is forming".into(),
                    names => format!(
                        "kvorum: the cluster has not formed: waiting for member {}",
                        names.join(" and ")
                    ),
                };
                unavailable(text)
            }
        }
    }

    fn request(&mut self, caller: Caller, request: Request) -> Result<()> {
        self.serves()?;
        check::request(&request)?;
        let deadline = self.clock.now + self.config.timing.request_ms();
        let bytes = check::request_bytes(&request);
        match request {
            Request::Range(range) if range.serializable => {
                self.read(caller, Request::Range(range), true, deadline)?;
            }
            Request::Txn(txn) if check::is_read_only(&txn) => {
                let serializable = check::is_serializable(&txn);
                self.read(caller, Request::Txn(txn), serializable, deadline)?;
            }
            Request::MemberList(list) => {
                let serializable = !list.linearizable;
                self.read(caller, Request::MemberList(list), serializable, deadline)?;
            }
            Request::Range(range) => self.read(caller, Request::Range(range), false, deadline)?,
            Request::Status => self.answer(caller, Ok(Response::Status(self.status()))),
            Request::Put(put) => self.write(caller, Op::Put(put), bytes, deadline)?,
            Request::DeleteRange(delete) => {
                self.write(caller, Op::DeleteRange(delete), bytes, deadline)?;
            }
            Request::Txn(txn) => self.write(caller, Op::Txn(txn), bytes, deadline)?,
            Request::Compact(compact) => {
                self.write(caller, Op::Compact(compact), bytes, deadline)?;
            }
            Request::Alarm(alarm) => self.write(caller, Op::Alarm(alarm), bytes, deadline)?,
            Request::HashKv(hash) => self.read(caller, Request::HashKv(hash), true, deadline)?,
        }
        Ok(())
    }

    fn write(&mut self, caller: Caller, op: Op, bytes: usize, deadline: u64) -> Result<()> {
        self.check_space(&op, bytes)?;
        let Some((_, me)) = self.me() else { return Err(Error::Stopped) };
        let me = (me, self.identity.boot().nonce);
        self.state.proposals.add(me, caller, op, deadline)
    }

    fn read(
        &mut self,
        caller: Caller,
        request: Request,
        serializable: bool,
        deadline: u64,
    ) -> Result<()> {
        let bytes = check::request_bytes(&request);
        let read = Read { caller, request, bytes, deadline };
        match (serializable, self.state.sessions.origin(caller.session)) {
            (true, Some(origin)) => self.state.reads.add_ready(origin, read),
            _ => self.state.reads.add(read),
        }
    }

    /// Answers the reads whose index is applied, as long as their clients are given more, and as
    /// far as one slice goes.
    pub(crate) fn answer_reads(&mut self) {
        let applied = if is(Broken::ReadBeforeApply) { u64::MAX } else { self.state.applied };
        let State { reads, sessions, .. } = &mut self.state;
        reads.ripen(applied, |session| sessions.origin(session));
        let mut slice = Slice::new(self.config.pace.read_keys);
        while !slice.is_over() {
            let State { reads, sessions, readings, .. } = &mut self.state;
            let reading = |origin| {
                let of = |caller: &Caller| sessions.origin(caller.session) == Some(origin);
                readings.iter().filter(|(caller, _)| of(caller)).count()
            };
            let takes = |origin| sessions.takes(origin) && reading(origin) < most_readings(origin);
            let Some(read) = reads.take_ready(takes) else { return };
            // Its session may be over meanwhile.
            if sessions.origin(read.caller.session).is_some() {
                // To find no key is work, too.
                slice.take(0);
                self.answer_read(read.caller, &read.request, &mut slice);
            }
        }
    }

    fn answer_read(&mut self, caller: Caller, request: &Request, slice: &mut Slice) {
        let store = &self.state.store;
        let large = match request {
            Request::Range(range) => Reading::new(store, range.clone()).map(Large::Range),
            Request::Txn(txn) => Ok(Large::Txn(TxnReading::new(store, txn.clone()))),
            Request::HashKv(hash) => Hashing::new(store, hash.revision).map(Large::Hash),
            Request::MemberList(list) => {
                return self.answer(caller, Ok(Response::MemberList(self.member_list(list))));
            }
            Request::Status
            | Request::Put(_)
            | Request::DeleteRange(_)
            | Request::Compact(_)
            | Request::Alarm(_) => {
                return self.answer(caller, Err(Error::Stopped));
            }
        };
        match large {
            Ok(large) => self.go_on_reading(caller, large, slice),
            Err(error) => self.answer_or_halt(caller, Err(error)),
        }
    }

    /// Answers, and ends if it is not the request's fault that it failed.
    fn answer_or_halt(&mut self, caller: Caller, result: Result<Response>) {
        let damage = match &result {
            Err(Error::Damaged(damage)) => Some(damage.clone()),
            _ => None,
        };
        self.answer(caller, result);
        if let Some(damage) = damage {
            self.halt(damage);
        }
    }

    /// Reads as far as the slice goes: most reads are done with their first.
    fn go_on_reading(&mut self, caller: Caller, mut large: Large, slice: &mut Slice) {
        match self.read_slice(&mut large, slice) {
            Ok(None) => self.state.readings.push_back((caller, large)),
            Ok(Some(answer)) => self.answer(caller, Ok(answer)),
            Err(error) => self.answer_or_halt(caller, Err(error)),
        }
    }

    fn read_slice(&self, large: &mut Large, slice: &mut Slice) -> Result<Option<Response>> {
        let store = &self.state.store;
        Ok(match large {
            Large::Range(reading) => reading.step(store, slice)?.map(Response::Range),
            Large::Txn(reading) => reading.step(store, slice)?.map(Response::Txn),
            Large::Hash(hashing) => hashing.step(store, slice)?.map(|hash| self.hashed(hash)),
        })
    }

    /// One slice of one large read whose client is given more, each in its turn.
    pub(crate) fn read_on(&mut self) {
        let State { readings, sessions, .. } = &mut self.state;
        // One whose session is over is dropped.
        let takes = |(caller, _): &(Caller, Large)| {
            sessions.origin(caller.session).is_none_or(|origin| sessions.takes(origin))
        };
        let next = readings.iter().position(takes);
        if let Some((caller, reading)) = next.and_then(|at| readings.remove(at))
            && sessions.origin(caller.session).is_some()
        {
            let mut slice = Slice::new(self.config.pace.read_keys);
            self.go_on_reading(caller, reading, &mut slice);
        }
    }

    /// Whether a large read may go on, now or in the next turn.
    pub(crate) fn may_read_on(&self) -> bool {
        let State { readings, sessions, .. } = &self.state;
        let held = |origin| sessions.is_held(origin);
        readings.iter().any(|(caller, _)| !sessions.origin(caller.session).is_some_and(held))
    }

    fn hashed(&self, hash: Hash) -> Response {
        let mut response = HashKvResponse {
            hash: hash.hash,
            compact_revision: hash.compact_revision,
            hash_revision: hash.revision,
            ..HashKvResponse::default()
        };
        response.header.revision = self.state.store.revision();
        Response::HashKv(response)
    }

    fn member_list(&self, _request: &MemberListRequest) -> MemberListResponse {
        let Some(list) = self.identity.formation() else { return MemberListResponse::default() };
        let learner = |name: &String| self.config.learners.contains(name);
        let mut members: Vec<Member> = Vec::new();
        for member in &list.members {
            let urls = self.config.urls.get(&member.name).cloned().unwrap_or_default();
            let peer = self.peers.by_name.get(&member.name);
            let id = list.raft_id(member).0;
            let at = members.partition_point(|other| other.id < id);
            let member = Member {
                id,
                name: member.name.clone(),
                peer_urls: urls.peer,
                client_urls: peer.map_or(urls.client, |peer| peer.client_urls.clone()),
                is_learner: learner(&member.name),
            };
            members.insert(at, member);
        }
        MemberListResponse { members, ..MemberListResponse::default() }
    }

    fn status(&self) -> StatusResponse {
        let store = &self.state.store;
        let in_use = i64::try_from(store.bytes()).unwrap_or(i64::MAX);
        let size = store.base().map_or(0, |base| i64::try_from(base.size()).unwrap_or(i64::MAX));
        let mut status = StatusResponse {
            version: ETCD_VERSION.into(),
            db_size: size.max(in_use),
            db_size_in_use: in_use,
            // None is the largest number here, and 0 there.
            db_size_quota: i64::try_from(self.config.pace.quota_bytes).unwrap_or(0),
            raft_applied_index: self.state.applied,
            ..StatusResponse::default()
        };
        status.header.revision = store.revision();
        if let Some(raft) = &self.raft {
            status.leader = raft.leader();
            status.raft_index = raft.commit();
            status.raft_term = raft.term();
            status.is_learner = raft.is_learner();
            if raft.leader() == 0 {
                status.errors.push(Error::NoLeader.text().into());
            }
        }
        status.errors.extend(self.state.alarms.words());
        status
    }

    /// Gives the writes that nobody has to raft, if this member leads: in turns those of its own
    /// clients and those of its peers, and what needs no space before all others.
    pub(crate) fn propose_waiting(&mut self) {
        self.clock.proposals_wait = false;
        self.hold_back();
        let Some(raft) = &mut self.raft else { return };
        raft.begin_intake();
        if !raft.is_leader() {
            return;
        }
        // A turn takes no more than one batch may hold, nor than there is time for.
        let (mut bytes, mut steps) = (0, 0);
        for needs_space in [false, true] {
            loop {
                if bytes >= limits::RAFT_BATCH_BYTES || steps >= self.config.pace.apply_entries {
                    self.clock.proposals_wait = true;
                    return;
                }
                let own = self.propose_next(needs_space);
                let others = self.propose_forwarded(needs_space);
                if own.is_none() && others.is_none() {
                    break;
                }
                bytes += own.unwrap_or(0) + others.unwrap_or(0);
                steps += 1;
            }
        }
    }

    /// The next write of this member's own clients: its bytes. Nothing if there is none, or it has
    /// to wait.
    fn propose_next(&mut self, needs_space: bool) -> Option<usize> {
        let full = needs_space && self.is_refusing();
        let raft = self.raft.as_mut()?;
        let (sequence, command) = self.state.proposals.next_unsent(needs_space)?;
        let takes = if full { Takes::Never } else { raft.takes(command.len(), needs_space) };
        match takes {
            Takes::Later => return None,
            Takes::Never => {
                self.refuse(sequence);
                return Some(0);
            }
            Takes::Now => {}
        }
        let (command, bytes) = (command.to_vec(), command.len());
        let early = is(Broken::ReplyBeforeCommit).then(|| command.clone());
        if !raft.propose(command, needs_space) {
            return None;
        }
        let term = raft.term();
        self.state.proposals.sent(sequence, term, self.clock.now);
        early.into_iter().for_each(|command| self.reply_early(sequence, &command));
        Some(bytes)
    }

    /// The next write that a peer has forwarded: its bytes. Nothing if there is none, or it has to
    /// wait.
    fn propose_forwarded(&mut self, needs_space: bool) -> Option<usize> {
        let full = needs_space && self.is_refusing();
        let raft = self.raft.as_mut()?;
        let (Forwarded { from, command, .. }, takes) = match full {
            true => (raft.intake().take_forwarded(true)?, Takes::Never),
            false => raft.next_forwarded(needs_space)?,
        };
        let (term, bytes) = (raft.term(), command.len());
        if takes == Takes::Now {
            return raft.propose(command, needs_space).then_some(bytes);
        }
        if let Ok(Command { id: RequestId { nonce, sequence, .. }, .. }) = Command::decode(&command)
        {
            if is(Broken::RefusedAnyway) {
                raft.propose(command, needs_space);
            }
            self.send_to(from, &PeerBody::NoRoom { term, nonce, sequence });
        }
        Some(0)
    }

    /// The leader has no room for a write that was forwarded to it in this term. It was sent to
    /// nobody else in this term, and is lost in all before: so it is in no log.
    pub(crate) fn no_room(&mut self, from: RaftId, term: u64, nonce: u64, sequence: u64) {
        let leads = |raft: &RaftNode| (raft.leader(), raft.term()) == (from.0, term);
        let asked = self.raft.as_ref().is_some_and(leads)
            && nonce == self.identity.boot().nonce
            && self.state.proposals.is_sent(sequence, term);
        if asked {
            self.refuse(sequence);
        }
    }

    /// Whether a put would be refused for sure when it is applied, so that it need not take room in
    /// the log: no member has applied more than this leader.
    fn is_refusing(&self) -> bool {
        let knows_all = |raft: &RaftNode| {
            raft.is_leader() && raft.may_read() && raft.commit() <= self.state.applied
        };
        self.state.alarms.has(AlarmType::NoSpace) && self.raft.as_ref().is_some_and(knows_all)
    }

    /// Tells its caller that there is no room for a write.
    fn refuse(&mut self, sequence: u64) {
        self.space.refused();
        if let Some(caller) = self.state.proposals.applied(sequence) {
            self.answer(caller, Err(Error::NoSpace));
        }
    }

    /// Answers a write that may yet be lost: only if the rule against it is left out.
    fn reply_early(&mut self, sequence: u64, command: &[u8]) {
        if let (Ok(command), Some(caller)) =
            (Command::decode(command), self.state.proposals.applied(sequence))
        {
            let State { store, alarms, .. } = &self.state;
            let result = crate::apply::apply(&mut store.clone(), &mut alarms.clone(), &command.op);
            self.answer(caller, result);
        }
    }

    /// Sends the writes that nobody has to the leader, if that is another member: what needs no
    /// space, and of the others no more than a leader takes at once.
    pub(crate) fn forward_waiting(&mut self) {
        let Some(raft) = self.raft.as_ref().filter(|raft| !raft.is_leader()) else { return };
        let (leader, term) = (raft.leader(), raft.term());
        if leader == 0 || !self.peers.up().contains(&leader) {
            return;
        }
        let proposals = &mut self.state.proposals;
        let mut commands = Vec::new();
        for needs_space in [false, true] {
            while !needs_space || proposals.recent_bytes() < self.config.pace.log_bytes {
                let Some((sequence, command)) = proposals.next_unsent(needs_space) else { break };
                commands.push(command.to_vec());
                proposals.sent(sequence, term, self.clock.now);
            }
        }
        for commands in by_size(&commands) {
            self.send_to(RaftId(leader), &PeerBody::Forward { term, commands });
        }
    }

    /// Writes from a peer that takes this member for the leader of `term`. Of any other term
    /// they are dropped: their sender finds out by the log.
    pub(crate) fn forwarded(&mut self, from: RaftId, term: u64, commands: &[&[u8]]) {
        let Some(raft) = &mut self.raft else { return };
        if !raft.is_leader() || raft.term() != term {
            return;
        }
        raft.begin_intake();
        for command in commands {
            let Ok(Command { op, .. }) = Command::decode(command) else { continue };
            let needs_space = needs_space(&op);
            if acceptable(op) {
                let command = command.to_vec();
                raft.intake().queue(Forwarded { from, command, needs_space });
            }
        }
        self.propose_waiting();
        if let Err(reason) = self.step_raft() {
            self.halt(reason);
        }
    }
}

/// Large reads of one origin that are under way at once: each holds what it has read so far.
fn most_readings(origin: Origin) -> usize {
    match origin {
        Origin::Host => 8,
        Origin::Link(_) => 1,
    }
}

/// A watch as the client wants it, unless the rule that it begins there is left out.
fn shift_watch(mut message: ClientMessage) -> ClientMessage {
    if let ClientMessage::Watch(WatchRequest::Create(create)) = &mut message
        && create.start_revision > 1
    {
        create.start_revision += i64::from(is(Broken::WatchSkips));
        create.start_revision -= i64::from(is(Broken::WatchDoubles));
    }
    message
}

/// A peer's command passes the same checks as a client's.
fn acceptable(op: Op) -> bool {
    let request = match op {
        Op::Put(put) => Request::Put(put),
        Op::DeleteRange(delete) => Request::DeleteRange(delete),
        Op::Txn(txn) => Request::Txn(txn),
        Op::Compact(compact) => Request::Compact(compact),
        Op::Alarm(alarm) => Request::Alarm(alarm),
    };
    check::request(&request).is_ok()
}
