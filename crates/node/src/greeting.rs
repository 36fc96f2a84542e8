//! Hellos: forming the cluster, and telling a member from its wiped, copied or rolled-back
//! directory. The exchange is drawn at [`Hello`].
//!
//! ```text
//!  who greets \ me │ unformed                       │ formed
//!  ────────────────┼────────────────────────────────┼─────────────────────────────────
//!  unformed        │ note it; the first by name,    │ send the list: it is in it, or it
//!                  │ once all are noted, decides    │ learns that its data is gone
//!  formed          │ greet back, it sends the list  │ check boots and log; accept
//! ```

use api::frame::{Answer, Frame, Hello, PeerBody, Presence, Route, encode_body};
use api::identity::{Boot, Formation, Incarnation, InitialMember};
use wal::Record;

use crate::broken::{Broken, is};
use crate::config::LinkId;
use crate::identity::Identity;
use crate::peers::{Meeting, Peers};

/// A hello that was not answered is sent again after this long, then after twice as long, …
const RETRY_MS: u64 = 300;

/// … up to eight times as long: one that was refused never answers. Not longer: when a way is
/// open again, its ends should not be strangers for seconds.
const RETRY_DOUBLES: u32 = 3;

/// Addresses of one member that are kept; a list of more is left out.
const URLS: usize = 16;

/// What the node must do after a hello.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send this frame.
    Send(LinkId, Vec<u8>),
    /// Sync this, then accept the peer's run and greet it.
    Sight {
        /// The peer.
        name: String,
        /// Its run.
        boot: Boot,
        /// What to sync.
        record: Record,
    },
    /// A peer is the partner already and needs to hear it.
    Accept {
        /// The peer.
        name: String,
        /// Its run.
        boot: Boot,
    },
    /// Sync this list, then start raft; if this member decided it, tell the others.
    Form(Formation),
    /// This member is not who it takes itself for.
    Refused(String),
}

/// The parts of a node that hellos are about.
pub(crate) struct Greeting<'a> {
    pub(crate) now: u64,
    pub(crate) cluster: &'a str,
    pub(crate) token: &'a str,
    /// All initial names, in order.
    pub(crate) initial: &'a [String],
    pub(crate) client_urls: &'a [String],
    pub(crate) last_index: u64,
    pub(crate) identity: &'a mut Identity,
    pub(crate) peers: &'a mut Peers,
}

impl Greeting<'_> {
    /// Says hello to one run of a peer.
    pub(crate) fn greet(&mut self, name: &str, boot: Boot) -> Option<Action> {
        let seen = self.identity.sighting(name).boot;
        let answer = |asked: Option<(u64, u64)>, identity: &Identity| {
            asked
                .map(|(challenge, counter)| Answer { challenge, proof: identity.nonce_of(counter) })
        };
        let peer = self.peers.by_name.get_mut(name)?;
        let partner = peer.partner.as_ref().filter(|partner| partner.boot == boot);
        let (accepted, sure) = (partner.map(|p| p.boot), partner.is_some_and(|p| p.accepts_us));
        let meeting = peer.meetings.get_mut(&boot)?;
        meeting.greeted_at = self.now;
        let hello = Hello {
            cluster_name: self.cluster.to_string(),
            token: self.token.to_string(),
            me: self.identity.presence(),
            to: Some(boot),
            client_urls: self.client_urls.to_vec(),
            last_index: self.last_index,
            challenge: meeting.challenge,
            seen_counter: seen.counter,
            answer: answer(meeting.asked, self.identity),
            accepted,
            sure,
        };
        let link = meeting.link;
        Some(self.send(link, name, &PeerBody::Hello(hello)))
    }

    /// Says hello again to all that have not answered for a while.
    pub(crate) fn retry(&mut self) -> Vec<Action> {
        let pause = |meeting: &Meeting| RETRY_MS << meeting.tries.min(RETRY_DOUBLES);
        let late = |meeting: &Meeting| meeting.greeted_at + pause(meeting) <= self.now;
        let mut due = Vec::new();
        for (name, peer) in &self.peers.by_name {
            let partner = peer.partner.as_ref().filter(|p| p.accepts_us).map(|p| p.boot);
            let open = peer.meetings.iter().filter(|(boot, _)| Some(**boot) != partner);
            due.extend(open.filter(|(_, m)| late(m)).map(|(boot, _)| (name.clone(), *boot)));
        }
        for (name, boot) in &due {
            let peer = self.peers.by_name.get_mut(name);
            if let Some(meeting) = peer.and_then(|peer| peer.meetings.get_mut(boot)) {
                meeting.tries += 1;
            }
        }
        due.into_iter().filter_map(|(name, boot)| self.greet(&name, boot)).collect()
    }

    /// A peer said hello.
    pub(crate) fn hello(&mut self, link: LinkId, hello: &Hello) -> Vec<Action> {
        if hello.to.is_some_and(|boot| boot != self.identity.boot()) {
            return Vec::new();
        }
        let name = hello.me.name.as_str();
        if !self.peers.by_name.contains_key(name) {
            return Vec::new();
        }
        if (hello.cluster_name.as_str(), hello.token.as_str()) != (self.cluster, self.token) {
            // Of two that have not formed, who could tell which is wrong?
            if self.identity.formation().is_none() {
                return Vec::new();
            }
            let reason = "its cluster has another name or token; start it with the same ones";
            return vec![self.refuse(link, &hello.me, reason)];
        }
        self.peers.meet(link, hello.me.clone());
        self.peers.heard(name, hello.me.boot);
        match (hello.me.formed, self.identity.formation().is_some()) {
            (None, false) => self.both_unformed(hello),
            (Some(_), false) => self.note(hello, false).into_iter().collect(),
            (None, true) => {
                self.peers.forget(name, hello.me.boot);
                self.send_list(link, name).into_iter().collect()
            }
            (Some(_), true) => self.both_formed(link, hello),
        }
    }

    /// The list that a formed peer sent.
    pub(crate) fn formation(&self, formation: &Formation) -> Option<Action> {
        if self.identity.formation().is_some() || formation.token != self.token {
            return None;
        }
        let listed: Vec<&String> = formation.members.iter().map(|m| &m.name).collect();
        if !listed.iter().copied().eq(self.initial) {
            return Some(Action::Refused(format!(
                "the cluster formed with the members {listed:?}, and this one was started with \
                 {:?}; start all of them with the same",
                self.initial
            )));
        }
        let listed = formation.member(self.identity.name())?;
        let wiped = listed.incarnation != self.identity.incarnation();
        if !wiped || is(Broken::WipedVotes) {
            return Some(Action::Form(formation.clone()));
        }
        Some(Action::Refused(format!(
            "cluster {} formed with other data of member {}: what was stored here is gone \
             (cleared, or another directory). The other members go on without it as long as \
             they are a majority. To use this place again, start a new cluster.",
            formation.cluster_id(),
            self.identity.name(),
        )))
    }

    /// The initial members that have not said that they are here and unformed.
    pub(crate) fn awaited(&self) -> Vec<String> {
        let others = self.peers.by_name.iter();
        others.filter(|(_, p)| p.unformed().is_none()).map(|(name, _)| name.clone()).collect()
    }

    /// Decides the list, if that is this member's to do and everybody is here.
    pub(crate) fn decide(&self) -> Option<Formation> {
        let name = self.identity.name();
        if self.identity.formation().is_some() || self.initial.first()?.as_str() != name {
            return None;
        }
        let mut members = Vec::new();
        for initial in self.initial {
            let incarnation = match self.peers.by_name.get(initial) {
                None => self.identity.incarnation(),
                Some(peer) => peer.unformed()?.incarnation,
            };
            members.push(InitialMember { name: initial.clone(), incarnation });
        }
        Some(Formation { token: self.token.to_string(), members })
    }

    /// The list, for an unformed peer.
    pub(crate) fn send_list(&mut self, link: LinkId, name: &str) -> Option<Action> {
        let list = self.identity.formation()?.clone();
        Some(self.send(link, name, &PeerBody::Formation(list)))
    }

    fn both_unformed(&mut self, hello: &Hello) -> Vec<Action> {
        let mut actions: Vec<Action> = self.note(hello, true).into_iter().collect();
        if let Some(list) = self.decide() {
            actions.push(Action::Form(list));
        }
        actions
    }

    /// Notes what a hello says and asks, and greets back if the other needs it.
    fn note(&mut self, hello: &Hello, unformed: bool) -> Option<Action> {
        let boot = hello.me.boot;
        let peer = self.peers.by_name.get_mut(&hello.me.name)?;
        let meeting = peer.meetings.get_mut(&boot)?;
        let fresh = hello.answer.is_some_and(|answer| answer.challenge == meeting.challenge);
        let news = meeting.asked != Some((hello.challenge, hello.seen_counter));
        meeting.asked = Some((hello.challenge, hello.seen_counter));
        meeting.unformed = unformed && fresh;
        if unformed && fresh {
            // An older directory of the name no longer counts.
            let mine = hello.me.incarnation;
            peer.meetings.retain(|_, m| m.presence.incarnation == mine || !m.unformed);
        }
        let (name, boot) = (hello.me.name.clone(), boot);
        (news || !fresh).then(|| self.greet(&name, boot)).flatten()
    }

    fn both_formed(&mut self, link: LinkId, hello: &Hello) -> Vec<Action> {
        let (name, boot) = (hello.me.name.clone(), hello.me.boot);
        if let Err(reason) = self.check(hello) {
            return vec![self.refuse(link, &hello.me, &reason)];
        }
        let Some(peer) = self.peers.by_name.get_mut(&name) else { return Vec::new() };
        if hello.client_urls.len() <= URLS {
            peer.client_urls.clone_from(&hello.client_urls);
        }
        let accepted = peer.partner.as_ref().is_some_and(|partner| partner.boot == boot);
        let Some(meeting) = peer.meetings.get_mut(&boot) else { return Vec::new() };
        let fresh = hello.answer.is_some_and(|answer| answer.challenge == meeting.challenge);
        let news = meeting.asked != Some((hello.challenge, hello.seen_counter));
        meeting.asked = Some((hello.challenge, hello.seen_counter));
        let accepts_us = hello.accepted == Some(self.identity.boot());
        meeting.accepts_us |= accepts_us && fresh;
        if let Some(partner) = peer.partner.as_mut().filter(|_| accepted) {
            partner.accepts_us |= meeting.accepts_us;
            if fresh {
                // It may have come by another link meanwhile.
                partner.link = meeting.link;
            }
        }
        if fresh && !accepted {
            if let Err(reason) = self.prove(hello) {
                return vec![self.refuse(link, &hello.me, &reason)];
            }
            return vec![self.sighted(&name, boot)];
        }
        // Of two that are unsure one answers the other until both are sure; then it is quiet.
        match news || !fresh || !accepts_us || !hello.sure {
            true => self.greet(&name, boot).into_iter().collect(),
            false => Vec::new(),
        }
    }

    fn sighted(&mut self, name: &str, boot: Boot) -> Action {
        let name = name.to_string();
        if self.identity.sighting(&name).boot == boot {
            return Action::Accept { name, boot };
        }
        let record = self.identity.sight(&name, boot);
        Action::Sight { name, boot, record }
    }

    /// What can be told before the challenge is answered.
    fn check(&self, hello: &Hello) -> Result<(), String> {
        let me = &hello.me;
        let (Some(list), Some((cluster, raft))) = (self.identity.formation(), me.formed) else {
            return Ok(());
        };
        if cluster != list.cluster_id() {
            return Err(format!(
                "it belongs to cluster {cluster}, and this is cluster {}; members of two \
                 clusters cannot be mixed",
                list.cluster_id()
            ));
        }
        let known = list.member(&me.name);
        let other = |m: &InitialMember| m.incarnation != me.incarnation && !is(Broken::WipedVotes);
        if known.is_none_or(|m| list.raft_id(m) != raft || other(m)) {
            return Err("the cluster formed with other data of this member".into());
        }
        let seen = self.identity.sighting(&me.name).boot;
        if me.boot.counter < seen.counter {
            return Err(format!(
                "its directory is an older copy: its run {} comes after run {} has been here; \
                 stop it and use the newer directory",
                me.boot.counter, seen.counter
            ));
        }
        if me.boot.counter == seen.counter && me.boot.nonce != seen.nonce {
            return Err(copied());
        }
        Ok(())
    }

    /// What the answer to the challenge shows.
    fn prove(&self, hello: &Hello) -> Result<(), String> {
        let seen = self.identity.sighting(&hello.me.name);
        // This very run has proven itself; a second answer may be to an older question.
        if hello.me.boot == seen.boot {
            return Ok(());
        }
        let proof = hello.answer.map_or(0, |answer| answer.proof);
        if seen.boot.counter > 0 && proof != seen.boot.nonce {
            return Err(copied());
        }
        if hello.last_index < seen.acknowledged {
            return Err(format!(
                "its log ends at {}, and it has acknowledged committed entries up to {}: its \
                 directory was rolled back to an older state; use the newer directory",
                hello.last_index, seen.acknowledged
            ));
        }
        Ok(())
    }

    fn refuse(&mut self, link: LinkId, who: &Presence, reason: &str) -> Action {
        self.peers.forget(&who.name, who.boot);
        let body = PeerBody::Refused {
            incarnation: who.incarnation,
            boot: who.boot,
            reason: format!("member {} refuses it: {reason}", self.identity.name()),
        };
        self.send(link, &who.name, &body)
    }

    fn send(&self, link: LinkId, name: &str, body: &PeerBody<'_>) -> Action {
        let from = self.identity.name().to_string();
        let route = Route::Names { from, to: name.to_string() };
        Action::Send(link, Frame::Peer { route, body: &encode_body(body) }.encode())
    }
}

fn copied() -> String {
    "its directory is a copy or an older state of one that has run since; use that one".into()
}

/// Whether a refusal is meant for this run.
pub(crate) fn is_for(identity: &Identity, incarnation: Incarnation, boot: Boot) -> bool {
    identity.incarnation() == incarnation && identity.boot() == boot
}
