//! The other members, as this one reaches them.
//!
//! ```text
//!  Present ──► met (challenge sent) ──hello answers it──► sighted (synced) ──► partner ─┐
//!     ▲                                                                                 │
//!     └──────────────────────────── Gone, link lost ◄───────────────────────────────────┘
//! ```
//!
//! A peer's name may be met in several runs at once: an original and its copy, or a run that is
//! not yet known to be gone. At most one of them is the partner.

use litemap::LiteMap;

use api::frame::{Frame, PeerBody, Presence, Route, encode_body};
use api::identity::{Boot, ClusterId, RaftId};
use api::report::{LinkState, PeerReport};

use crate::config::{LinkId, LinkKind};
use crate::seed::Seed;
use crate::window::Window;

/// Runs of one name that are kept in mind at once. One is the rule, two a copy or a late
/// "gone"; more are noise.
const MEETINGS: usize = 4;

/// A run of a peer that is in reach and may not have greeted yet.
#[derive(Clone, Debug)]
pub(crate) struct Meeting {
    pub(crate) link: LinkId,
    pub(crate) presence: Presence,
    /// What its hello must answer.
    pub(crate) challenge: u64,
    /// What its last hello asked, to answer again when ours was lost.
    pub(crate) asked: Option<(u64, u64)>,
    /// It answered the challenge, and said that it has not formed.
    pub(crate) unformed: bool,
    /// It answered the challenge, and said that it has accepted this run of ours.
    pub(crate) accepts_us: bool,
    /// When the last hello went to it.
    pub(crate) greeted_at: u64,
    /// How often it was greeted again since it last said hello.
    pub(crate) tries: u32,
}

/// The run of a peer that frames are exchanged with.
#[derive(Clone, Debug)]
pub(crate) struct Partner {
    pub(crate) link: LinkId,
    pub(crate) boot: Boot,
    /// It has accepted this run of ours, too.
    pub(crate) accepts_us: bool,
}

/// The frames exchanged with one run of a peer. Outlives links: a counter is never used twice.
#[derive(Clone, Debug, Default)]
struct Traffic {
    sent: u64,
    received: Window,
}

/// One other member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Its raft id, once the cluster has formed.
    pub(crate) raft: Option<RaftId>,
    /// Where clients reach it, as it has said last; nothing before it was met.
    pub(crate) client_urls: Vec<String>,
    pub(crate) meetings: LiteMap<Boot, Meeting>,
    pub(crate) partner: Option<Partner>,
    /// By run. An older run than the newest sighted is never accepted again, so old ones go.
    traffic: LiteMap<Boot, Traffic>,
}

impl Peer {
    /// Frames flow in both directions.
    pub(crate) fn is_up(&self) -> bool {
        self.partner.as_ref().is_some_and(|partner| partner.accepts_us)
    }

    /// Some run of it has answered that it has not formed.
    pub(crate) fn unformed(&self) -> Option<&Presence> {
        self.meetings.values().rev().find(|m| m.unformed).map(|m| &m.presence)
    }
}

/// A way to others.
#[derive(Clone, Debug)]
struct Link {
    kind: LinkKind,
    /// The relay behind it has let this member in.
    attached: bool,
    /// On a link to a peer: the run that it says it is.
    holder: Option<(String, Boot)>,
    /// What a peer has said of itself before this member could listen.
    early: Option<Presence>,
}

/// All other members, and the links to them.
pub(crate) struct Peers {
    links: LiteMap<LinkId, Link>,
    pub(crate) by_name: LiteMap<String, Peer>,
    names: LiteMap<RaftId, String>,
    seed: Seed,
}

impl Peers {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a String>, seed: Seed) -> Self {
        let by_name = names.map(|name| (name.clone(), Peer::default())).collect();
        Self { links: LiteMap::new(), by_name, names: LiteMap::new(), seed }
    }

    /// The cluster has formed: names have raft ids now.
    pub(crate) fn name_ids(&mut self, ids: impl Iterator<Item = (String, RaftId)>) {
        for (name, id) in ids {
            if let Some(peer) = self.by_name.get_mut(&name) {
                peer.raft = Some(id);
                self.names.insert(id, name);
            }
        }
    }

    pub(crate) fn name_of(&self, id: RaftId) -> Option<&String> {
        self.names.get(&id)
    }

    pub(crate) fn link_up(&mut self, link: LinkId, kind: LinkKind) {
        self.links.insert(link, Link { kind, attached: false, holder: None, early: None });
    }

    /// The other end is a peer itself, and not a relay.
    pub(crate) fn is_direct(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.kind == LinkKind::Peer)
    }

    /// A peer is here before this member has started. It says so once.
    pub(crate) fn keep_early(&mut self, link: LinkId, presence: Presence) {
        if let Some(link) = self.links.get_mut(&link) {
            link.early = Some(presence);
        }
    }

    /// Who was here before.
    pub(crate) fn take_early(&mut self, link: LinkId) -> Option<Presence> {
        self.links.get_mut(&link)?.early.take()
    }

    /// A run of a peer holds this link. Gives the older links that it holds as well.
    pub(crate) fn holds(&mut self, link: LinkId, presence: &Presence) -> Vec<LinkId> {
        let holder = Some((presence.name.clone(), presence.boot));
        let older = |(other, held): (&LinkId, &Link)| {
            (*other != link && held.holder == holder).then_some(*other)
        };
        let older = self.links.iter().filter_map(older).collect();
        if let Some(held) = self.links.get_mut(&link) {
            held.holder = holder;
        }
        older
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = LinkId> {
        self.links.keys().copied()
    }

    pub(crate) fn has_link(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    pub(crate) fn attached(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.attached = true;
        }
    }

    /// A relay has let this member in.
    pub(crate) fn is_attached(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.attached)
    }

    /// Everybody behind the link is out of reach, if they have not come by another; that says
    /// nothing of how they are. Gives the partners that are lost.
    pub(crate) fn link_down(&mut self, link: LinkId) -> Vec<RaftId> {
        self.links.remove(&link);
        let mut lost = Vec::new();
        for peer in self.by_name.iter_mut().map(|(_, peer)| peer) {
            peer.meetings.retain(|_, meeting| meeting.link != link);
            let Some(partner) = peer.partner.as_mut().filter(|partner| partner.link == link) else {
                continue;
            };
            match peer.meetings.get(&partner.boot) {
                Some(meeting) => partner.link = meeting.link,
                None => {
                    peer.partner = None;
                    lost.extend(peer.raft);
                }
            }
        }
        lost
    }

    /// A run of a peer is in reach. True if it is news.
    pub(crate) fn meet(&mut self, link: LinkId, presence: Presence) -> bool {
        let challenge = self.seed.next();
        let Some(peer) = self.by_name.get_mut(&presence.name) else { return false };
        let boot = presence.boot;
        if let Some(known) = peer.meetings.get_mut(&boot)
            && known.link == link
            && known.presence == presence
        {
            return false;
        }
        while peer.meetings.len() >= MEETINGS {
            remove_first(&mut peer.meetings);
        }
        let meeting = Meeting {
            link,
            presence,
            challenge,
            asked: None,
            unformed: false,
            accepts_us: false,
            greeted_at: 0,
            tries: 0,
        };
        peer.meetings.insert(boot, meeting);
        true
    }

    /// A run of a peer has said hello.
    pub(crate) fn heard(&mut self, name: &str, boot: Boot) {
        let peer = self.by_name.get_mut(name);
        if let Some(meeting) = peer.and_then(|peer| peer.meetings.get_mut(&boot)) {
            meeting.tries = 0;
        }
    }

    /// A run of a peer that was told all there is to tell; it meets again if it greets again.
    pub(crate) fn forget(&mut self, name: &str, boot: Boot) {
        if let Some(peer) = self.by_name.get_mut(name) {
            peer.meetings.remove(&boot);
        }
    }

    /// A run of a peer has lost its socket behind this link. The raft id, if that was the partner.
    pub(crate) fn part(&mut self, link: LinkId, presence: &Presence) -> Option<RaftId> {
        let peer = self.by_name.get_mut(&presence.name)?;
        // It may have come by another way meanwhile.
        peer.meetings.get(&presence.boot).filter(|meeting| meeting.link == link)?;
        peer.meetings.remove(&presence.boot);
        peer.partner.take_if(|partner| partner.boot == presence.boot)?;
        peer.raft
    }

    /// Whether a member of this name may tell this one, of `cluster` if it has formed, that it
    /// is not who it takes itself for. A stranger may not: a stray tab with another token would
    /// end a whole cluster.
    pub(crate) fn may_refuse(&self, name: &str, cluster: Option<ClusterId>) -> bool {
        let Some(peer) = self.by_name.get(name) else { return false };
        let mut formed = peer.meetings.values().filter_map(|meeting| meeting.presence.formed);
        formed.any(|(theirs, _)| cluster.is_none_or(|ours| ours == theirs))
    }

    /// A run has proven itself: frames go to it from now on.
    pub(crate) fn accept(&mut self, name: &str, boot: Boot) {
        let Some(peer) = self.by_name.get_mut(name) else { return };
        let Some(meeting) = peer.meetings.get(&boot) else { return };
        if peer.partner.as_ref().is_some_and(|partner| partner.boot == boot) {
            return;
        }
        peer.partner = Some(Partner { link: meeting.link, boot, accepts_us: meeting.accepts_us });
        peer.traffic.entry(boot).or_default();
        while peer.traffic.len() > MEETINGS {
            remove_first(&mut peer.traffic);
        }
    }

    /// The frame for a peer, if it is up, and the link that it goes by.
    pub(crate) fn frame(
        &mut self,
        from: (ClusterId, RaftId, Boot),
        to: RaftId,
        body: &PeerBody<'_>,
    ) -> Option<(LinkId, Vec<u8>)> {
        let peer = self.by_name.get_mut(self.names.get(&to)?)?;
        let partner = peer.partner.as_ref().filter(|partner| partner.accepts_us)?;
        let traffic = peer.traffic.entry(partner.boot).or_default();
        traffic.sent += 1;
        let (cluster, from, from_boot) = from;
        let route = Route::Members {
            cluster,
            from,
            from_boot,
            to,
            to_boot: partner.boot,
            counter: traffic.sent,
        };
        let body = encode_body(body);
        Some((partner.link, Frame::Peer { route, body: &body }.encode()))
    }

    /// Whether a frame of this run is to be read: its sender is the partner, and the counter
    /// comes for the first time. A frame shows that its sender has accepted us.
    pub(crate) fn receive(&mut self, from: RaftId, boot: Boot, counter: u64) -> bool {
        let Some(name) = self.names.get(&from) else { return false };
        let Some(peer) = self.by_name.get_mut(name) else { return false };
        let Some(partner) = peer.partner.as_mut().filter(|p| p.boot == boot) else { return false };
        partner.accepts_us = true;
        peer.traffic.entry(boot).or_default().received.accept(counter)
    }

    /// A peer sent what no member sends: it is ignored until it greets again.
    pub(crate) fn distrust(&mut self, from: RaftId) {
        let Some(name) = self.names.get(&from) else { return };
        let challenge = self.seed.next();
        let Some(peer) = self.by_name.get_mut(name) else { return };
        if let Some(partner) = peer.partner.take()
            && let Some(meeting) = peer.meetings.get_mut(&partner.boot)
        {
            meeting.challenge = challenge;
            meeting.asked = None;
            meeting.accepts_us = false;
        }
    }

    /// The raft ids that frames can go to.
    pub(crate) fn up(&self) -> Vec<u64> {
        let up = self.by_name.values().filter(|peer| peer.is_up());
        up.filter_map(|peer| peer.raft).map(|id| id.0).collect()
    }

    pub(crate) fn report(&self) -> Vec<PeerReport> {
        let state = |peer: &Peer| match (peer.is_up(), peer.meetings.is_empty()) {
            (true, _) => LinkState::Up,
            (false, false) => LinkState::Greeting,
            (false, true) => LinkState::Down,
        };
        self.by_name
            .iter()
            .map(|(name, peer)| PeerReport { name: name.clone(), link: state(peer) })
            .collect()
    }
}

/// Forgets the oldest run.
fn remove_first<T>(runs: &mut LiteMap<Boot, T>) {
    if let Some((boot, _)) = runs.first() {
        let boot = *boot;
        runs.remove(&boot);
    }
}

#[cfg(test)]
mod tests {
    use api::identity::Incarnation;

    use super::*;

    fn met(formed: Option<(ClusterId, RaftId)>) -> Peers {
        let mut peers = Peers::new([&"2".to_string()].into_iter(), Seed::new(1));
        peers.link_up(1, LinkKind::Relay);
        let boot = Boot { counter: 1, nonce: 9 };
        let presence = Presence { name: "2".into(), incarnation: Incarnation(5), boot, formed };
        assert!(peers.meet(1, presence));
        peers
    }

    #[test]
    fn strangers_may_not_refuse() {
        let formed = met(Some((ClusterId(7), RaftId(3))));
        assert!(formed.may_refuse("2", Some(ClusterId(7))), "of one's own cluster");
        assert!(formed.may_refuse("2", None), "of a cluster, an unformed one");
        assert!(!formed.may_refuse("2", Some(ClusterId(8))), "of another cluster");
        assert!(!formed.may_refuse("3", Some(ClusterId(7))), "of no known name");
        assert!(!met(None).may_refuse("2", None), "who has not formed itself");
    }
}
