//! `Node::handle` under messages that are none of its peers', in every role.
//!
//! The member under test runs in the simulator, and no frame of its true peers reaches it any
//! more: what it gets are frames on their routes that the input makes up. It may believe much of
//! that, as it would believe a peer that lies. But it never panics, its log and its store hold
//! together, what it knew to be committed stays, and it starts again on what it has on its disk.

use std::collections::{BTreeMap, BTreeSet};

use api::frame::{Frame, PeerBody, Route, encode_body};
use api::kv::PutRequest;
use api::report::Role as Shown;
use api::session::{ClientMessage, Request};
use kvorum_sim::trace::Kind;
use kvorum_sim::{Cluster, Settings};
use node::testing::{self, RaftView};
use storage::Crash;

use crate::harness::Reader;
use crate::protobuf::Fields;

/// What the member is when the input comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Follower,
    Candidate,
    Leader,
    Learner,
}

/// How long forming, leading and the like may take.
const PATIENCE_MS: u64 = 20_000;
/// Of one input.
const STEPS_MAX: usize = 60;
/// Kinds of raft's messages: see its protocol.
const KINDS: u64 = 19;

/// Each byte of an input stands for a choice: see [`Forger`]. So one is as good as another, but
/// for these: a heartbeat, an append and its answer, votes, reads.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let message = |kind: u8| {
        let mut step = vec![0, 0, kind];
        step.extend([2; 24]);
        step
    };
    let mut seeds: Vec<Vec<u8>> = (0..KINDS as u8).map(message).collect();
    seeds.push((0..KINDS as u8).flat_map(message).collect());
    seeds.push((0..=255).collect());
    seeds.push((0..=255).rev().collect());
    seeds
}

/// Runs a member in a role through what the input makes up.
pub(crate) fn run(role: Role, input: &[u8]) -> String {
    let mut forger = Forger::new(role, input);
    forger.cluster.trace.show([Kind::Role, Kind::Raft, Kind::Persist]);
    let mut sight = Sight::of(&forger.cluster, &forger.place).expect("it runs");
    let mut steps = 0;
    while !forger.input.is_empty() && steps < STEPS_MAX {
        forger.step();
        steps += 1;
        let Some(next) = Sight::of(&forger.cluster, &forger.place) else {
            return forger.account();
        };
        next.follows(&sight);
        sight = next;
    }
    let until = forger.cluster.now() + 2500;
    forger.cluster.run_until(until);
    let Some(last) = Sight::of(&forger.cluster, &forger.place) else { return forger.account() };
    last.follows(&sight);
    let account = forger.account();
    forger.restart();
    let Some(again) = Sight::of(&forger.cluster, &forger.place) else { return account };
    again.holds();
    for (index, entry) in &last.committed {
        let kept = again.entries.get(index);
        assert!(kept.is_none_or(|kept| kept == entry), "entry {index} is another after a start");
    }
    account
}

fn role_of(cluster: &Cluster, place: &str) -> Option<Shown> {
    cluster.report(place).map(|report| report.role.clone())
}

/// What one sees of the member.
struct Sight {
    view: RaftView,
    /// All of its log: term and content.
    entries: BTreeMap<u64, (u64, Vec<u8>)>,
    committed: BTreeMap<u64, (u64, Vec<u8>)>,
}

impl Sight {
    fn of(cluster: &Cluster, place: &str) -> Option<Self> {
        if let Some(Shown::Halted(reason)) = role_of(cluster, place) {
            // What a leader commits that no program can read ends a member, in words.
            assert!(reason.contains("cannot be read"), "it halted: {reason}");
            return None;
        }
        let node = cluster.node(place)?;
        let view = node.raft_view()?;
        let entry = |index: u64| Some((index, node.entry(index)?));
        let entries = (view.anchor.0 + 1..=view.last).filter_map(entry);
        let entries: BTreeMap<_, _> =
            entries.map(|(index, (term, data))| (index, (term, data.to_vec()))).collect();
        let committed = entries.range(..=view.commit).map(|(at, e)| (*at, e.clone())).collect();
        Some(Self { view, entries, committed })
    }

    /// Its parts fit.
    fn holds(&self) {
        let RaftView { anchor, applied, commit, last, term, .. } = self.view;
        assert!(anchor.0 <= applied && applied <= commit && commit <= last, "{:?}", self.view);
        assert_eq!(self.entries.len() as u64, last - anchor.0, "entries are missing");
        let terms = self.entries.values().map(|(term, _)| *term);
        assert!(terms.clone().is_sorted() && terms.max() <= Some(term), "{:?}", self.view);
        assert!(self.entries.values().all(|(at, _)| *at >= anchor.1), "{:?}", self.view);
    }

    /// It came of another.
    fn follows(&self, before: &Self) {
        self.holds();
        let (new, old) = (&self.view, &before.view);
        assert!(new.term >= old.term, "the term went back: {old:?}, {new:?}");
        assert!(new.commit >= old.commit, "the commit went back: {old:?}, {new:?}");
        assert!(new.applied >= old.applied && new.revision >= old.revision, "{old:?}, {new:?}");
        for (index, entry) in &before.committed {
            let kept = self.entries.get(index);
            assert!(kept.is_none_or(|kept| kept == entry), "committed entry {index} is another");
        }
    }
}

/// Makes frames of an input.
struct Forger<'a> {
    input: Reader<'a>,
    cluster: Cluster,
    /// The member under test.
    place: String,
    /// All others, and those whose route is known.
    names: Vec<String>,
    peers: Vec<Peer>,
}

/// Somebody whose frames are forged.
struct Peer {
    name: String,
    route: Route,
    id: u64,
}

impl<'a> Forger<'a> {
    fn new(role: Role, input: &'a [u8]) -> Self {
        let learners: &[&str] = if role == Role::Learner { &["3"] } else { &[] };
        let learners = learners.iter().map(ToString::to_string).collect();
        let mut cluster = Cluster::new(Settings { learners, ..Settings::default() });
        let names: Vec<String> = (1..=3).map(|n| n.to_string()).collect();
        for name in &names {
            cluster.add(name, name, "default", "token", &names);
        }
        for name in &names {
            cluster.start(name).expect("it starts");
        }
        assert!(cluster.run_to(PATIENCE_MS, Cluster::is_led), "nobody leads");
        let leads = |name: &&String| role_of(&cluster, name) == Some(Shown::Leader);
        let place = match role {
            Role::Leader => names.iter().find(leads),
            Role::Learner => names.last(),
            Role::Follower | Role::Candidate => names.iter().find(|name| !leads(name)),
        };
        let place = place.expect("there is one").clone();
        for id in 0..4 {
            let put = PutRequest { key: format!("k{id}").into(), ..PutRequest::default() };
            cluster.say(&place, &ClientMessage::Request { id, request: Request::Put(put) });
        }
        cluster.run_until(cluster.now() + 300);
        let names: Vec<String> = names.into_iter().filter(|name| *name != place).collect();
        let (input, peers) = (Reader(input), Vec::new());
        let mut this = Self { input, cluster, place: place.clone(), names: names.clone(), peers };
        names.iter().for_each(|name| this.meet(name));
        this.part();
        if role == Role::Candidate {
            let until = this.cluster.now() + PATIENCE_MS;
            let stands = |cluster: &Cluster| role_of(cluster, &place) == Some(Shown::Candidate);
            assert!(this.cluster.run_to(until, stands), "it does not stand");
        }
        this
    }

    /// Learns by which route a peer speaks, if it does speak to this member. A learner and a
    /// follower hear the leader only, but know of both.
    fn meet(&mut self, name: &str) {
        let until = self.cluster.now() + 400;
        let id = self.cluster.trace.id_of(name).expect("it is known");
        let Some(bytes) = self.cluster.catch(name, &self.place.clone(), until) else { return };
        if let Ok(Frame::Peer { route: route @ Route::Members { .. }, .. }) = Frame::decode(&bytes)
        {
            self.peers.push(Peer { name: name.into(), route, id });
        }
    }

    /// A peer starts again, and is heard until it has greeted: whom the member has come to
    /// ignore it hears again from then on.
    fn greet(&mut self) {
        let at = usize::from(self.input.byte()) % self.names.len();
        let name = self.names[at].clone();
        self.cluster.net.clear();
        self.cluster.crash(&name, Crash::Keep);
        // Its peer may have made it believe all kinds of things, and it starts with them.
        self.cluster.start(&name).expect("a peer starts on what it left");
        self.cluster.run_until(self.cluster.now() + 200);
        self.peers.retain(|peer| peer.name != name);
        self.meet(&name);
        self.part();
    }

    fn part(&mut self) {
        let all = [self.names.as_slice(), std::slice::from_ref(&self.place)].concat();
        for (at, a) in all.iter().enumerate() {
            all[at + 1..].iter().for_each(|b| self.cluster.part(a, b));
        }
    }

    /// One frame, or a little time, or a request.
    fn step(&mut self) {
        let choice = self.input.byte();
        match choice % 16 {
            12 => self.greet(),
            13 => {
                let wait = u64::from(self.input.byte()) * 8;
                self.cluster.run_until(self.cluster.now() + wait);
            }
            14 => {
                let key = vec![self.input.byte() % 4 + b'a'].into();
                let request = Request::Put(PutRequest { key, ..PutRequest::default() });
                let place = self.place.clone();
                self.cluster.say(&place, &ClientMessage::Request { id: 99, request });
            }
            15 => {
                let hold = self.input.byte().is_multiple_of(2);
                let place = self.place.clone();
                self.cluster.hold_syncs(&place, hold);
            }
            _ => self.frame(),
        }
        self.cluster.run_until(self.cluster.now() + u64::from(choice >> 4));
    }

    fn frame(&mut self) {
        if self.peers.is_empty() {
            return;
        }
        let at = usize::from(self.input.byte()) % self.peers.len();
        let kind = self.input.byte();
        let messages: Vec<Vec<u8>> =
            (0..1 + kind / 128).map(|_| self.message(at, u64::from(kind) % 26)).collect();
        let raft = messages.iter().map(Vec::as_slice).collect();
        let (rows, summary) = (self.input.0, self.input.0);
        let body = match kind % 26 {
            19 => {
                let commands: Vec<_> = (0..2).map(|_| self.command()).collect();
                let term = self.near(self.view().term);
                let commands = commands.iter().map(Vec::as_slice).collect();
                encode_body(&PeerBody::Forward { term, commands })
            }
            20 => encode_body(&PeerBody::Offer { id: 1, message: &messages[0] }),
            21 => encode_body(&PeerBody::Ask { id: 1, from: (self.input.byte().into(), 0) }),
            22 => {
                let next = (self.input.byte().is_multiple_of(2)).then_some((9, 0));
                encode_body(&PeerBody::Piece { id: 1, from: (0, 0), next, rows, summary })
            }
            23 => rows.to_vec(),
            25 => {
                let (term, sequence) = (self.near(self.view().term), self.input.byte().into());
                encode_body(&PeerBody::NoRoom { term, nonce: 1, sequence })
            }
            24 => encode_body(&PeerBody::Room { bytes: u64::from(self.input.byte()) * 100 }),
            _ => encode_body(&PeerBody::Raft(raft)),
        };
        let peer = &mut self.peers[at];
        if let Route::Members { counter, .. } = &mut peer.route {
            *counter += 1;
        }
        let frame = Frame::Peer { route: peer.route.clone(), body: &body }.encode();
        let place = self.place.clone();
        self.cluster.deliver(&place, frame);
    }

    fn view(&self) -> RaftView {
        self.cluster.node(&self.place).and_then(node::Node::raft_view).expect("it runs")
    }

    /// A number near this one, mostly; or one near the end of all.
    fn near(&mut self, number: u64) -> u64 {
        match self.input.byte() {
            0..=127 => number,
            byte @ 128..=200 => number.saturating_add((byte % 8).into()).saturating_sub(2),
            byte @ 201..=230 => u64::from(byte - 201),
            byte @ 231..=245 => u64::MAX - u64::from(byte - 231),
            byte => number.saturating_add(1 << (byte % 64)),
        }
    }

    /// One of raft's messages from a peer, true in as much as the input has it.
    fn message(&mut self, at: usize, kind: u64) -> Vec<u8> {
        let kind = match kind {
            // What goes with an offer is a snapshot's.
            20 => 7,
            kind => kind % KINDS,
        };
        let view = self.view();
        let (peer, stranger) = (self.peers[at].id, self.input.byte());
        let from = if stranger == 255 { 4242 } else { peer };
        let to = if stranger == 254 { 4242 } else { view.id };
        let term = self.near(view.term);
        let index = self.near(view.last);
        let mut message = Fields::default();
        message.number(1, kind).number(2, to).number(3, from).number(4, term);
        message.number(6, index).number(5, self.term_at(index));
        let commit = self.near(view.commit);
        message.number(8, commit).number(15, self.term_at(commit));
        let shape = self.input.byte();
        let reads = matches!(kind, 15 | 16);
        let entries = if shape & 1 == 0 && !reads { 0 } else { 1 + u64::from(shape >> 6) };
        for n in 0..entries {
            let entry = self.entry(index.saturating_add(1 + n), term, shape & 2 != 0);
            message.bytes(7, &entry);
        }
        message.number(10, u64::from(shape >> 2 & 1));
        if shape & 8 != 0 {
            let hint = self.near(index);
            let request = self.input.byte();
            message.number(11, hint).number(13, request.into()).number(16, u64::MAX);
        }
        if shape & 16 != 0 {
            // Campaigns by transfer name themselves so.
            message.bytes(12, b"CampaignTransfer");
        }
        if kind == 7 || shape & 32 != 0 {
            let snapshot = self.snapshot(&view);
            message.bytes(9, &snapshot);
        }
        message.0
    }

    /// The term of an entry of the member's own log, mostly.
    fn term_at(&mut self, index: u64) -> u64 {
        let view = self.view();
        let node = self.cluster.node(&self.place).expect("it runs");
        let own = match node.entry(index) {
            Some((term, _)) => term,
            None if index == view.anchor.0 => view.anchor.1,
            None => view.term,
        };
        match self.input.byte() {
            0..=220 => own,
            _ => self.near(own),
        }
    }

    fn entry(&mut self, index: u64, term: u64, odd: bool) -> Vec<u8> {
        let mut entry = Fields::default();
        if odd {
            let kind = self.input.byte() % 4;
            let (term, index) = (self.near(term), self.near(index));
            entry.number(1, kind.into()).number(2, term).number(3, index);
        } else {
            entry.number(2, term).number(3, index);
        }
        let command = self.command();
        entry.bytes(4, &command).0.clone()
    }

    fn command(&mut self) -> Vec<u8> {
        let raft = api::identity::RaftId(self.view().id);
        let choice = self.input.byte();
        match choice % 8 {
            0 => Vec::new(),
            1 => testing::bad_command(raft, choice.into(), 1),
            2 => self.input.0[..self.input.0.len().min(choice.into())].to_vec(),
            3 => vec![choice; 40],
            _ => {
                let put = PutRequest { key: vec![choice].into(), ..PutRequest::default() };
                testing::put_command(raft, choice.into(), choice.into(), put)
            }
        }
    }

    fn snapshot(&mut self, view: &RaftView) -> Vec<u8> {
        let ids: Vec<u64> = self.peers.iter().map(|peer| peer.id).chain([view.id]).collect();
        let mut members = Fields::default();
        for id in ids {
            members.number(1 + u64::from(self.input.byte().is_multiple_of(16)), id);
        }
        let (index, term) = (self.near(view.last), self.near(view.term));
        let mut metadata = Fields::default();
        metadata.bytes(1, &members.0).number(2, index).number(3, term);
        let mut snapshot = Fields::default();
        if self.input.byte().is_multiple_of(16) {
            snapshot.bytes(1, b"data");
        }
        snapshot.bytes(2, &metadata.0).0.clone()
    }

    /// What the member did, each thing once.
    fn account(&mut self) -> String {
        let words = |line: String| line.chars().filter(|c| c.is_alphabetic()).collect::<String>();
        let lines: BTreeSet<String> = self.cluster.trace.take().into_iter().map(words).collect();
        lines.into_iter().collect()
    }

    /// Starts the member again on what is on its disk.
    fn restart(&mut self) {
        let place = self.place.clone();
        self.cluster.hold_syncs(&place, false);
        self.cluster.crash(&place, Crash::Keep);
        self.cluster.start(&place).expect("it starts on what it left");
        self.cluster.run_until(self.cluster.now() + 500);
    }
}
