//! Frames: what links carry to the parts of a node.

use api::frame::{Attach, Attachee, CloseCode, Frame, PeerBody, Presence, Route, decode_body};
use api::identity::{Boot, Formation, RaftId};

use crate::config::{LinkId, LinkKind};
use crate::greeting::{Action, Greeting, is_for};
use crate::life::Phase;
use crate::node::{Node, Output};
use crate::outbox::Then;
use crate::raft_node::RaftNode;
use crate::sessions::Origin;

/// The pause before one stands again doubles so often: up to more than an election timeout.
const CAMPAIGN_DOUBLES: u32 = 3;

impl Node {
    pub(crate) fn link_up(&mut self, link: LinkId, kind: LinkKind) {
        self.peers.link_up(link, kind);
        self.attach(link);
    }

    pub(crate) fn link_down(&mut self, link: LinkId) {
        let direct = self.peers.is_direct(link);
        let lost = self.peers.link_down(link);
        if direct {
            // Nobody else will say that they are gone.
            lost.into_iter().for_each(|id| self.lost(id));
        }
        self.outbox.drop_link(link);
        for session in self.state.sessions.end_link(link) {
            self.state.watchers.end(session);
        }
    }

    /// Shows this member on all links: it starts, or its cluster has formed.
    pub(crate) fn attach_all(&mut self) {
        let links: Vec<LinkId> = self.peers.links().collect();
        for link in links {
            self.attach(link);
            if let Some(presence) = self.peers.take_early(link) {
                self.present_itself(link, presence);
            }
        }
    }

    fn attach(&mut self, link: LinkId) {
        if matches!(self.phase, Phase::Starting) {
            return;
        }
        let presence = self.identity.presence();
        let frame = match self.peers.is_direct(link) {
            true => Frame::Present(presence),
            false => Frame::Attach(Attach {
                cluster: self.config.cluster.clone(),
                build: self.config.build.clone(),
                who: Attachee::Member(presence),
            }),
        };
        self.outbox.send_identity(link, frame.encode());
    }

    /// A frame came in. What is not one, or has no business here, is dropped: behind a relay
    /// the sender is not who holds the link. On a link to a peer it is, and loses it.
    pub(crate) fn frame(&mut self, link: LinkId, bytes: &[u8]) {
        if !self.peers.has_link(link) {
            return;
        }
        match Frame::decode(bytes) {
            // Nothing may be said yet. Of what others say now, only this is not said again.
            Ok(frame) if matches!(self.phase, Phase::Starting) => match frame {
                Frame::Present(presence) if self.peers.is_direct(link) => {
                    self.peers.keep_early(link, presence);
                }
                _ => {}
            },
            Ok(frame) if self.peers.is_direct(link) => self.direct_frame(link, frame),
            Ok(frame) => self.relay_frame(link, frame),
            Err(error) => self.close(link, error.close_code(), error.to_string()),
        }
    }

    fn direct_frame(&mut self, link: LinkId, frame: Frame<'_>) {
        match frame {
            Frame::Present(presence) => self.present_itself(link, presence),
            Frame::Peer { route, body } => self.peer_frame(link, &route, body),
            // The last word on this link; whoever carries it tells people.
            Frame::Refused { .. } => {}
            _ => {
                let reason = "a frame that a member may not send to a member".to_owned();
                self.close(link, CloseCode::Malformed, reason);
            }
        }
    }

    /// The peer at the other end says who it is. Of several links to one run the newest counts.
    fn present_itself(&mut self, link: LinkId, presence: Presence) {
        if !self.peers.by_name.contains_key(&presence.name) {
            let reason = format!(
                "member {:?} is none of the initial members of member {:?}",
                presence.name, self.config.name
            );
            return self.close(link, CloseCode::Foreign, reason);
        }
        for older in self.peers.holds(link, &presence) {
            let reason = "a newer connection of the same member has replaced this one".to_owned();
            self.close(older, CloseCode::Replaced, reason);
        }
        self.present(link, presence);
    }

    /// Ends a link to a peer. Of one to a relay nothing is known but that a frame was bad.
    fn close(&mut self, link: LinkId, code: CloseCode, reason: String) {
        if self.peers.is_direct(link) {
            self.outbox.push(Output::Close { link, code, reason });
        }
    }

    fn relay_frame(&mut self, link: LinkId, frame: Frame<'_>) {
        match frame {
            Frame::Attached(_) => {
                self.peers.attached(link);
                self.reporter.again();
            }
            Frame::Present(presence) => self.present(link, presence),
            Frame::Gone(presence) => self.gone(link, &presence),
            Frame::Peer { route, body } => self.peer_frame(link, &route, body),
            Frame::Client { session, body } => self.client(Origin::Link(link), session, body),
            Frame::Refused { code, reason } => self.refused_by_relay(code, reason),
            Frame::Attach(_)
            | Frame::Report(_)
            | Frame::Server { .. }
            | Frame::Piece { .. }
            | Frame::Rebind { .. }
            | Frame::Rebound(_) => {}
        }
    }

    fn present(&mut self, link: LinkId, presence: Presence) {
        let (name, boot) = (presence.name.clone(), presence.boot);
        if !self.is_refused() && self.peers.meet(link, presence) {
            let action = self.greeting().greet(&name, boot);
            self.act(action);
        }
    }

    /// A relay saw a member go. Its followers need not wait for a timeout.
    fn gone(&mut self, link: LinkId, presence: &Presence) {
        if let Some(id) = self.peers.part(link, presence) {
            self.lost(id);
        }
    }

    /// A member is out of reach for sure. If it led, there will be another leader.
    fn lost(&mut self, id: RaftId) {
        let Some(raft) = self.raft.as_mut().filter(|raft| raft.leader() == id.0) else { return };
        raft.forget_leader();
        self.clock.campaign_at = Some(self.clock.now + self.seed.between(10, 150));
    }

    fn peer_frame(&mut self, link: LinkId, route: &Route, body: &[u8]) {
        if self.is_refused() {
            return;
        }
        let body = match decode_body::<PeerBody<'_>>(body) {
            Ok(body) => body,
            Err(error) => {
                self.close(link, error.close_code(), error.to_string());
                return self.distrust(route);
            }
        };
        match (route, body) {
            (Route::Names { from, .. }, body) => self.named(link, from, body),
            (Route::Members { cluster, from, from_boot, to, to_boot, counter }, body) => {
                let me = self.me() == Some((*cluster, *to)) && self.identity.boot() == *to_boot;
                if me && self.peers.receive(*from, *from_boot, *counter) {
                    self.member_says(link, *from, body);
                }
            }
        }
    }

    /// Frames by name: hellos, and what they lead to.
    fn named(&mut self, link: LinkId, from: &str, body: PeerBody<'_>) {
        match body {
            PeerBody::Hello(hello) if hello.me.name == from => {
                let actions = self.greeting().hello(link, &hello);
                self.act(actions);
            }
            PeerBody::Formation(list) => {
                let action = self.greeting().formation(&list);
                self.act(action);
            }
            PeerBody::Refused { incarnation, boot, reason }
                if is_for(&self.identity, incarnation, boot)
                    && self.peers.may_refuse(from, self.me().map(|(cluster, _)| cluster)) =>
            {
                self.refused(reason);
            }
            _ => {}
        }
    }

    /// Frames between two runs that have greeted each other.
    fn member_says(&mut self, link: LinkId, from: RaftId, body: PeerBody<'_>) {
        match body {
            PeerBody::Raft(messages) => {
                for message in messages {
                    let Some(raft) = &mut self.raft else { return };
                    let stepped = raft.step(from.0, message);
                    if stepped.is_err() {
                        return self.judge(link, from, stepped);
                    }
                }
                // A burst of appends must not grow into one batch that the log cannot take.
                self.run_raft();
            }
            PeerBody::Forward { term, commands } => self.forwarded(from, term, &commands),
            PeerBody::NoRoom { term, nonce, sequence } => self.no_room(from, term, nonce, sequence),
            PeerBody::Room { bytes } => self.peers_room(from, bytes),
            PeerBody::Ask { id, from: place } => self.asked(from, id, place),
            PeerBody::Offer { id, message } => {
                let offered = self.offered(from, id, message);
                self.judge(link, from, offered);
            }
            PeerBody::Piece { id, from: place, next, rows, summary } => {
                let taken = self.piece(from, id, place, next, (rows, summary));
                self.judge(link, from, taken);
            }
            PeerBody::Hello(_) | PeerBody::Formation(_) | PeerBody::Refused { .. } => {}
        }
    }

    /// What no member sends costs its sender the link, or behind a relay the greeting.
    fn judge(&mut self, link: LinkId, from: RaftId, said: Result<(), String>) {
        if said.is_err() {
            let reason = "a message that no member sends".to_owned();
            self.close(link, CloseCode::Malformed, reason);
            self.peers.distrust(from);
        }
    }

    /// A bad frame costs its sender the greeting, and nobody anything else.
    fn distrust(&mut self, route: &Route) {
        if let Route::Members { from, from_boot, counter, .. } = route
            && self.peers.receive(*from, *from_boot, *counter)
        {
            self.peers.distrust(*from);
        }
    }

    fn refused_by_relay(&mut self, code: CloseCode, reason: String) {
        match code {
            CloseCode::Foreign | CloseCode::NameTaken | CloseCode::Rebound => self.refused(reason),
            // Of the link or the page, not of the member.
            CloseCode::Malformed
            | CloseCode::TooLarge
            | CloseCode::Reload
            | CloseCode::Replaced
            | CloseCode::Slow
            | CloseCode::Unsaved
            | CloseCode::Full => {}
        }
    }

    fn refused(&mut self, reason: String) {
        if let Some(raft) = self.raft.as_mut().filter(|raft| raft.is_leader()) {
            raft.step_down();
        }
        self.phase = Phase::Refused(reason);
        self.clock.campaign_at = None;
    }

    pub(crate) fn greeting(&mut self) -> Greeting<'_> {
        Greeting {
            now: self.clock.now,
            cluster: &self.config.cluster,
            token: &self.config.token,
            initial: &self.config.initial,
            client_urls: self.config.urls.get(&self.config.name).map_or(&[], |urls| &urls.client),
            last_index: self.raft.as_ref().map_or(0, RaftNode::last_index),
            identity: &mut self.identity,
            peers: &mut self.peers,
        }
    }

    pub(crate) fn greet_again(&mut self) {
        if matches!(self.phase, Phase::Forming | Phase::Running | Phase::Leaving(_)) {
            let actions = self.greeting().retry();
            self.act(actions);
        }
    }

    fn act(&mut self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            match action {
                Action::Send(link, frame) => self.outbox.send_identity(link, frame),
                Action::Sight { name, boot, record } => {
                    self.outbox.record_identity(vec![record], Then::Sighted(name, boot));
                }
                Action::Accept { name, boot } => {
                    if let Some(Then::Sighted(name, boot)) =
                        self.outbox.after_identity(Then::Sighted(name, boot))
                    {
                        self.accept(&name, boot);
                    }
                }
                Action::Form(list) => self.form(list),
                Action::Refused(reason) => self.refused(reason),
            }
        }
    }

    /// Keeps the list; raft begins when it is durable.
    pub(crate) fn form(&mut self, list: Formation) {
        let decided = list.members.first().is_some_and(|first| first.name == self.config.name);
        let record = self.identity.form(list);
        self.outbox.record_identity(vec![record], Then::Formed);
        // Nobody waits for a leader of a cluster that has just begun: the decider stands at once,
        // and the others leave it the time for that.
        let wait = if decided { 0 } else { self.seed.between(300, 600) };
        self.clock.campaign_at = Some(self.clock.now + wait);
    }

    /// The list is durable: those who wait for it get it.
    pub(crate) fn tell_list(&mut self) {
        let waiting: Vec<(String, LinkId)> = self
            .peers
            .by_name
            .iter()
            .filter_map(|(name, peer)| {
                let meeting = peer.meetings.values().rev().find(|m| m.unformed)?;
                Some((name.clone(), meeting.link))
            })
            .collect();
        for (name, link) in waiting {
            let action = self.greeting().send_list(link, &name);
            self.act(action);
        }
    }

    pub(crate) fn accept(&mut self, name: &str, boot: Boot) {
        self.peers.accept(name, boot);
        let action = self.greeting().greet(name, boot);
        self.act(action);
    }

    /// Remembers what peers have acknowledged, to know a rolled-back directory by.
    pub(crate) fn remember_acknowledged(&mut self) {
        let Some(raft) = self.raft.as_ref().filter(|raft| raft.is_leader()) else { return };
        for &id in raft.members() {
            if let (Some(index), Some(name)) =
                (raft.acknowledged(id), self.peers.name_of(RaftId(id)))
            {
                self.identity.acknowledge(name, index);
            }
        }
    }

    /// Stands for election when a leader is known to be missing, rather than wait for raft's
    /// timeout: at the start, and when a relay saw the leader go. Pre-vote keeps it harmless.
    pub(crate) fn campaign_if_due(&mut self) {
        let now = self.clock.now;
        let refused = self.is_refused();
        if self.raft.as_ref().is_some_and(RaftNode::may_read) {
            self.clock.campaigns = 0;
        }
        let Some(raft) = self.raft.as_mut().filter(|raft| raft.leader() == 0) else {
            // Before raft begins the decider's wish is kept.
            if self.raft.is_some() {
                self.clock.campaign_at = None;
            }
            return;
        };
        let up = self.peers.up().iter().filter(|id| raft.voters().contains(id)).count() + 1;
        if refused || raft.is_learner() || up <= raft.voters().len() / 2 {
            return;
        }
        // Where disks are slow, all who stand that soon again would go on doing so together.
        let longer = self.clock.campaigns.min(CAMPAIGN_DOUBLES);
        let mut pause = || self.seed.between(100 << longer, 300 << longer);
        let term_before = std::mem::replace(&mut self.clock.campaign_term, raft.term());
        let new_term = term_before != raft.term();
        if new_term {
            self.clock.campaign_pause = pause();
        }
        if let Some(at) = self.clock.campaign_at.as_mut().filter(|_| new_term || raft.is_voting()) {
            // Somebody else has just stood: that one first, from when this vote is on the disk.
            *at = (now + self.clock.campaign_pause).max(*at);
        }
        match self.clock.campaign_at {
            // One voter has nobody to wait for.
            None if raft.voters().len() == 1 => {
                raft.campaign();
            }
            None => self.clock.campaign_at = Some(now + self.seed.between(20, 150)),
            // While the disk is behind it stays due.
            Some(at) if at <= now && raft.campaign() => {
                self.clock.campaigns += 1;
                self.clock.campaign_at = Some(now + pause());
            }
            Some(_) => {}
        }
    }
}
