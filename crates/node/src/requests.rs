//! Requests: checked, then answered from the store, read through the leader, or proposed.

use api::cluster::{Member, MemberListRequest, MemberListResponse, StatusResponse};
use api::frame::decode_body;
use api::maintenance::HashKvResponse;
use api::session::{ClientMessage, Request, Response, ServerMessage};
use api::watch::WatchRequest;
use api::{ETCD_VERSION, Error, Result};
use mvcc::{Hash, Hashing, Reading, Slice, TxnReading, check};

use crate::broken::{Broken, is};
use crate::command::Op;
use crate::life::Phase;
use crate::node::{Large, Node, State};
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
