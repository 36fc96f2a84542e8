//! A legible account of what happens: one line for each output of a node.
//!
//! ```text
//!  TIME PLACE what                  TIME in ms since the beginning
//!    12 1     -> 2 hello …          a frame to member 2
//!    12 1     -> 2 append t1 after 1@t1 [2@t1 put a=1] commit 1
//!                                   term 1; the entry before; the entries; commit index
//!    12 1     persist #3 […]        a batch for the log
//!    13 1     synced #3             it is durable
//!    14 1     #2 put ok rev 2       the answer to request 2
//!    14 1     leads t1              a report, when role, leader or term changed
//!    15 2     <- gone 1             the relay says so
//! ```

use std::collections::{BTreeMap, BTreeSet};

use api::frame::{Attachee, Frame, Hello, PeerBody, Presence, Route, decode_body};
use api::report::{MemberReport, Role};
use api::session::ServerMessage;
use node::{Output, testing};
use storage::Job;
use wal::Record;

use crate::net::Label;
use crate::random::Digest;
use crate::request::show_reply;

/// Groups of lines that a trace shows or leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Hellos, lists and refusals.
    Hello,
    /// raft's messages, heartbeats and their answers apart.
    Raft,
    /// Heartbeats and their answers.
    Heartbeat,
    /// Writes on their way to the leader.
    Forward,
    /// Batches for the log.
    Persist,
    /// Jobs for the store.
    Job,
    /// What the hub says, and what is said to it.
    Hub,
    /// Answers to clients.
    Reply,
    /// Role, leader and term of a member, when they change.
    Role,
}

impl Kind {
    /// The kind of this name in a script.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "hello" => Self::Hello,
            "raft" => Self::Raft,
            "heartbeat" => Self::Heartbeat,
            "forward" => Self::Forward,
            "persist" => Self::Persist,
            "job" => Self::Job,
            "hub" => Self::Hub,
            "reply" => Self::Reply,
            "role" => Self::Role,
            _ => return None,
        })
    }
}

/// The account.
#[derive(Debug)]
pub struct Trace {
    shown: BTreeSet<Kind>,
    lines: Vec<String>,
    names: BTreeMap<u64, String>,
    roles: BTreeMap<String, String>,
    /// The time of the last step, and how many there were at it.
    steps: (u64, u64),
    /// Frames that members have sent each other.
    pub frames: u64,
    /// What members had done below memory, by name: how often.
    pub jobs: BTreeMap<&'static str, u64>,
    /// Who has begun to finish a generation, until somebody takes note of it.
    pub finisher: Option<String>,
    /// All that nodes wanted done, and when.
    digest: Digest,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            shown: BTreeSet::from([Kind::Reply, Kind::Role]),
            lines: Vec::new(),
            names: BTreeMap::new(),
            roles: BTreeMap::new(),
            steps: (0, 0),
            jobs: BTreeMap::new(),
            finisher: None,
            frames: 0,
            digest: Digest::default(),
        }
    }
}

impl Trace {
    /// Shows these kinds from now on, and no others.
    pub fn show(&mut self, kinds: impl IntoIterator<Item = Kind>) {
        self.shown = kinds.into_iter().collect();
    }

    /// Takes the lines since the last time.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// The raft id of a member, if it has shown it.
    #[must_use]
    pub fn id_of(&self, member: &str) -> Option<u64> {
        self.names.iter().rev().find(|(_, name)| *name == member).map(|(id, _)| *id)
    }

    fn name(&self, id: u64) -> String {
        self.names.get(&id).cloned().unwrap_or_else(|| format!("{id:x}"))
    }

    fn line(&mut self, now: u64, place: &str, kind: Kind, text: impl FnOnce(&Self) -> String) {
        if self.shown.contains(&kind) {
            let text = text(self);
            self.lines.push(format!("{now:>5} {place} {text}"));
        }
    }

    /// Counts a step; too many at one time are a fault.
    pub(crate) fn step(&mut self, now: u64, most: u64) {
        self.steps = if self.steps.0 == now { (now, self.steps.1 + 1) } else { (now, 1) };
        assert!(self.steps.1 < most, "no time passes at {now}: a node wants to be woken for ever");
    }

    /// A node wants something done.
    pub(crate) fn output(&mut self, now: u64, place: &str, output: &Output) {
        self.digest.number(now);
        self.digest.bytes(place.as_bytes());
        digest_output(&mut self.digest, output);
        match output {
            Output::Send { frame, .. } => self.sent(now, place, frame),
            Output::Persist(batch) => self.line(now, place, Kind::Persist, |trace| {
                let name = |id| trace.name(id);
                let records = batch.records.iter().map(|r| testing::show_record(r, &name));
                format!("persist #{} [{}]", batch.number, records.collect::<Vec<_>>().join(", "))
            }),
            Output::Job(job) => {
                if let Some(name) = deed(job) {
                    *self.jobs.entry(name).or_default() += 1;
                }
                if matches!(job, Job::Finish { .. }) {
                    self.finisher = Some(place.into());
                }
                self.line(now, place, Kind::Job, |_| format!("job {}", show_job(job)));
            }
            Output::Reply { body, .. } => match decode_body::<ServerMessage>(body) {
                Ok(message) => self.reply(now, place, &message),
                Err(error) => self.lines.push(format!("{now:>5} {place} bad answer: {error}")),
            },
            Output::Report(report) => self.report(now, place, report),
            Output::Formed(_) | Output::Close { .. } => {}
            Output::Left => self.line(now, place, Kind::Role, |_| "left".into()),
            Output::Halt(reason) => {
                self.line(now, place, Kind::Role, |_| format!("halts: {reason}"));
            }
        }
    }

    /// A disk failed, and the process on it ended.
    pub(crate) fn disk_failed(&mut self, now: u64, place: &str) {
        self.line(now, place, Kind::Role, |_| "ends: its disk failed".into());
    }

    /// Something from outside happened to the cluster.
    pub fn remark(&mut self, now: u64, text: &str) {
        self.line(now, "*", Kind::Role, |_| text.into());
    }

    /// A hash of all that nodes wanted done so far, and when.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.digest.value()
    }

    /// A client is told something.
    pub(crate) fn reply(&mut self, now: u64, place: &str, message: &ServerMessage) {
        self.line(now, place, Kind::Reply, |_| show_reply(message));
    }

    fn report(&mut self, now: u64, place: &str, report: &MemberReport) {
        let text = show_role(report);
        if self.roles.get(place) != Some(&text) {
            self.roles.insert(place.into(), text.clone());
            self.line(now, place, Kind::Role, |_| text);
        }
    }

    fn sent(&mut self, now: u64, place: &str, bytes: &[u8]) {
        let Ok(frame) = Frame::decode(bytes) else {
            return self.lines.push(format!("{now:>5} {place} sends what is no frame"));
        };
        match frame {
            Frame::Attach(attach) => {
                if let Attachee::Member(Presence { name, formed: Some((_, id)), .. }) = &attach.who
                {
                    self.names.insert(id.0, name.clone());
                }
                self.line(now, place, Kind::Hub, |_| {
                    format!("attaches as {}", show_who(&attach.who))
                });
            }
            Frame::Peer { route, body } => self.peer(now, place, &route, body),
            _ => {}
        }
    }

    fn peer(&mut self, now: u64, place: &str, route: &Route, body: &[u8]) {
        self.frames += 1;
        let to = match route {
            Route::Names { to, .. } => to.clone(),
            Route::Members { to, .. } => self.name(to.0),
        };
        let Ok(body) = decode_body::<PeerBody<'_>>(body) else { return };
        match body {
            PeerBody::Hello(hello) => {
                self.line(now, place, Kind::Hello, |_| format!("-> {to} {}", show_hello(&hello)));
            }
            PeerBody::Formation(list) => self.line(now, place, Kind::Hello, |_| {
                let names: Vec<&str> = list.members.iter().map(|m| m.name.as_str()).collect();
                format!("-> {to} list {}", names.join(" "))
            }),
            PeerBody::Refused { reason, .. } => {
                self.line(now, place, Kind::Hello, |_| format!("-> {to} refused: {reason}"));
            }
            PeerBody::Raft(messages) => {
                for message in messages {
                    let kind = match testing::kind(message) {
                        Some("heartbeat" | "heartbeat-answer") => Kind::Heartbeat,
                        _ => Kind::Raft,
                    };
                    self.line(now, place, kind, |trace| {
                        let name = |id| trace.name(id);
                        format!("-> {to} {}", testing::show_message(message, &name))
                    });
                }
            }
            PeerBody::Forward { term, commands } => self.line(now, place, Kind::Forward, |_| {
                let commands = commands.iter().map(|command| testing::show_command(command));
                format!("-> {to} forward t{term} [{}]", commands.collect::<Vec<_>>().join(", "))
            }),
            PeerBody::NoRoom { sequence, .. } => self.line(now, place, Kind::Forward, |_| {
                format!("-> {to} has no room for write {sequence}")
            }),
            PeerBody::Room { bytes } => self.line(now, place, Kind::Raft, |_| match bytes {
                u64::MAX => format!("-> {to} has room"),
                bytes => format!("-> {to} has room for {bytes}"),
            }),
            PeerBody::Offer { id, message } => self.line(now, place, Kind::Raft, |trace| {
                let name = |id| trace.name(id);
                format!("-> {to} offer {id} {}", testing::show_message(message, &name))
            }),
            PeerBody::Ask { id, from: (main, sub) } => {
                self.line(now, place, Kind::Raft, |_| {
                    format!("-> {to} ask {id} from {main}.{sub}")
                });
            }
            PeerBody::Piece { id, from: (main, sub), next, .. } => {
                self.line(now, place, Kind::Raft, |_| {
                    let last = if next.is_none() { ", the last" } else { "" };
                    format!("-> {to} piece {id} from {main}.{sub}{last}")
                });
            }
        }
    }

    /// A frame reaches a place. Only what the hub says itself is worth a line.
    pub(crate) fn arrival(&mut self, now: u64, place: &str, bytes: &[u8]) {
        self.note(now, place, Kind::Hub, bytes);
    }

    /// A frame of the hub.
    pub(crate) fn note(&mut self, now: u64, place: &str, kind: Kind, bytes: &[u8]) {
        let text = match Frame::decode(bytes) {
            Ok(Frame::Attached(_)) => "<- attached".into(),
            Ok(Frame::Present(presence)) => format!("<- present {}", show_presence(&presence)),
            Ok(Frame::Gone(presence)) => format!("<- gone {}", show_presence(&presence)),
            Ok(Frame::Refused { code, reason }) => format!("<- refused {code:?}: {reason}"),
            _ => return,
        };
        self.line(now, place, kind, |_| text);
    }

    /// What a frame between members holds. `None` for any other.
    pub(crate) fn label(&self, place: &str, bytes: &[u8]) -> Option<Label> {
        let Ok(Frame::Peer { route, body }) = Frame::decode(bytes) else { return None };
        let from = match route {
            Route::Names { from, .. } => from,
            Route::Members { from, .. } => self.name(from.0),
        };
        let kinds = match decode_body::<PeerBody<'_>>(body) {
            Ok(PeerBody::Hello(_)) => vec!["hello".into()],
            Ok(PeerBody::Formation(_)) => vec!["list".into()],
            Ok(PeerBody::Refused { .. }) => vec!["refused".into()],
            Ok(PeerBody::Forward { .. }) => vec!["forward".into()],
            Ok(PeerBody::NoRoom { .. }) => vec!["no-room".into()],
            Ok(PeerBody::Room { .. }) => vec!["room".into()],
            Ok(PeerBody::Offer { .. }) => vec!["offer".into()],
            Ok(PeerBody::Ask { .. }) => vec!["ask".into()],
            Ok(PeerBody::Piece { .. }) => vec!["piece".into()],
            Ok(PeerBody::Raft(messages)) => {
                messages.iter().map(|m| testing::kind(m).unwrap_or("?").into()).collect()
            }
            Err(_) => vec!["?".into()],
        };
        Some(Label { from, to: place.into(), kinds })
    }
}

fn digest_output(digest: &mut Digest, output: &Output) {
    match output {
        Output::Send { frame, .. } => digest.bytes(frame),
        Output::Persist(batch) => {
            digest.number(batch.number);
            for record in &batch.records {
                match record {
                    Record::Append { index, payload } => {
                        digest.number(*index);
                        digest.bytes(payload);
                    }
                    Record::Set { slot, value } => {
                        digest.number(u64::from(*slot));
                        digest.bytes(value);
                    }
                    Record::Cut { index } => digest.number(*index),
                    Record::Reset { index } => digest.number(!*index),
                }
            }
        }
        Output::Job(job) => digest.bytes(show_job(job).as_bytes()),
        Output::Reply { body, .. } => digest.bytes(body),
        Output::Report(report) => digest.bytes(show_role(report).as_bytes()),
        Output::Halt(reason) | Output::Close { reason, .. } => digest.bytes(reason.as_bytes()),
        Output::Formed(_) | Output::Left => {}
    }
}

/// What a job, or the last one of several, achieves.
fn deed(job: &Job) -> Option<&'static str> {
    match job {
        Job::Move { .. } => Some("runs moved"),
        Job::Scrub => Some("parts scrubbed"),
        Job::Finish { summary: Some(_) } => Some("snapshots taken"),
        Job::Finish { summary: None } => Some("files written anew"),
        Job::Abandon => Some("generations given up"),
        Job::Begin { .. } | Job::Fill(_) | Job::Copy | Job::Switch => None,
    }
}

/// A job in a word or two.
fn show_job(job: &Job) -> String {
    match job {
        Job::Move { generation, run } => format!("move {} rows to {generation}", run.len()),
        Job::Scrub => "scrub".into(),
        Job::Begin { generation, from } => format!("begin {generation} {from:?}").to_lowercase(),
        Job::Fill(piece) => format!("fill {} bytes", piece.len()),
        Job::Copy => "copy".into(),
        Job::Finish { .. } => "finish".into(),
        Job::Switch => "switch".into(),
        Job::Abandon => "abandon".into(),
    }
}

fn show_role(report: &MemberReport) -> String {
    let term = report.term;
    match &report.role {
        Role::Waiting { awaited } if awaited.is_empty() => "forms".into(),
        Role::Waiting { awaited } => format!("waits for {}", awaited.join(", ")),
        Role::Leader => format!("leads t{term}"),
        Role::Follower => match &report.leader {
            Some(leader) => format!("follows {leader} t{term}"),
            None => format!("follows nobody t{term}"),
        },
        Role::Candidate => format!("stands t{term}"),
        Role::Refused(reason) => format!("is refused: {reason}"),
        Role::Halted(reason) => format!("halted: {reason}"),
    }
}

fn show_who(who: &Attachee) -> String {
    match who {
        Attachee::Member(presence) => show_presence(presence),
        Attachee::Console => "console".into(),
    }
}

fn show_presence(presence: &Presence) -> String {
    let formed = if presence.formed.is_some() { "formed" } else { "unformed" };
    format!("{} run {} {formed}", presence.name, presence.boot.counter)
}

fn show_hello(hello: &Hello) -> String {
    let formed = if hello.me.formed.is_some() { "formed" } else { "unformed" };
    let mut text = format!("hello run {} {formed} log {}", hello.me.boot.counter, hello.last_index);
    if hello.answer.is_some() {
        text.push_str(" answers");
    }
    if hello.accepted.is_some() {
        text.push_str(" accepts");
    }
    text
}
