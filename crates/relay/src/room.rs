//! One cluster name's room: who is in it, and what they say to each other.

use std::collections::{BTreeMap, BTreeSet};

use api::Bytes;
use api::frame::{Attach, Attached, Attachee, CloseCode, Frame, Presence, Route};
use api::identity::{Boot, ClusterId};
use api::report::{MemberReport, Role};

use crate::ROOM_MEMBERS;
use crate::binding::Saving;
use crate::outputs::{Outputs, Refusal};
use crate::session::{Calls, Seats};

/// The members and consoles of one cluster name.
///
/// Its methods stand in three files by what they are about: here who is in it and the frames
/// between members; `binding` who may be in it; `session` what consoles ask members.
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) page: String,
    pub(crate) members: BTreeMap<u64, Member>,
    pub(crate) consoles: BTreeMap<u64, Seats>,
    /// The cluster that owns the name, durably.
    pub(crate) bound: Option<ClusterId>,
    /// The change of `bound` that is being made durable.
    pub(crate) saving: Option<Saving>,
    /// Members whose attach waits for it, in order. One that attached again is in `members` too.
    pub(crate) waiting: Vec<(u64, Presence)>,
    /// Runs that ended when the name was given away; they may not come back and take it again.
    pub(crate) ended: BTreeSet<(String, Boot)>,
}

/// A member's connection.
pub(crate) struct Member {
    pub(crate) presence: Presence,
    /// The latest of this run, and its frame.
    pub(crate) report: Option<(MemberReport, Bytes)>,
    pub(crate) calls: Calls,
    /// So much waits to be written to it that consoles may not ask it for more.
    pub(crate) full: bool,
    pub(crate) spoken_to: SpokenTo,
}

/// When a peer spoke to a member that has said nothing since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SpokenTo {
    #[default]
    Never,
    SinceTheLook,
    BeforeTheLook,
}

impl Room {
    pub(crate) fn new(name: String, bound: Option<ClusterId>, page: String) -> Self {
        Self {
            name,
            page,
            members: BTreeMap::new(),
            consoles: BTreeMap::new(),
            bound,
            saving: None,
            waiting: Vec::new(),
            ended: BTreeSet::new(),
        }
    }

    pub(crate) fn bound(&self) -> Option<ClusterId> {
        self.bound
    }

    /// Nobody is here and nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
            && self.consoles.is_empty()
            && self.waiting.is_empty()
            && self.saving.is_none()
    }

    /// Consoles never wait: they change nothing by being here.
    pub(crate) fn attach_console(&mut self, conn: u64, out: &mut Outputs) {
        self.consoles.insert(conn, Seats::default());
        self.greet(conn, out);
        for (_, frame) in self.members.values().filter_map(|member| member.report.as_ref()) {
            out.pass(conn, frame.clone());
        }
    }

    /// A frame of a connection that has attached to this room.
    pub(crate) fn frame(
        &mut self,
        conn: u64,
        frame: Frame<'_>,
        bytes: &Bytes,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        if self.consoles.contains_key(&conn) {
            return self.console_frame(conn, frame, out);
        }
        if let Some(member) = self.members.get_mut(&conn) {
            member.spoken_to = SpokenTo::Never;
        }
        match frame {
            Frame::Attach(attach) => self.attach_again(conn, attach, out),
            Frame::Peer { route, .. } => self.peer(conn, &route, bytes, out),
            Frame::Report(report) => self.report(conn, report, bytes, out),
            Frame::Server { session, body } => {
                self.answer(conn, session, body, out);
                Ok(())
            }
            Frame::Piece { session, last, body } => {
                self.answer_in_part(conn, session, (last, body), out);
                Ok(())
            }
            _ => Err(Refusal::malformed("a frame that a member may not send")),
        }
    }

    fn console_frame(
        &mut self,
        conn: u64,
        frame: Frame<'_>,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        match frame {
            Frame::Client { session, body } => {
                self.ask(conn, session, body, out);
                Ok(())
            }
            Frame::Rebind { hosted } => self.rebind(conn, hosted, out),
            _ => Err(Refusal::malformed("a frame that a console may not send")),
        }
    }

    /// A member attaches again because it has formed. Nothing else of it may change.
    fn attach_again(
        &mut self,
        conn: u64,
        attach: Attach,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        let Attach { cluster, build: _, who } = attach;
        let (Attachee::Member(new), Some(old)) = (who, self.claim(conn)) else {
            return Err(Refusal::malformed("a member that attaches again as something else"));
        };
        let same = new.name == old.name && new.incarnation == old.incarnation;
        let same = same && new.boot == old.boot && cluster == self.name;
        if !same || (old.formed.is_some() && new.formed != old.formed) {
            return Err(Refusal::malformed("a member that attaches again as another"));
        }
        // It may speak under its ids from now on, also while the binding is being saved.
        if let Some(member) = self.members.get_mut(&conn) {
            member.presence = new.clone();
        }
        if let Some((_, waiting)) = self.waiting.iter_mut().find(|(other, _)| *other == conn) {
            *waiting = new;
            return Ok(());
        }
        self.attach(conn, new, out)
    }

    /// What a connection says that it is.
    fn claim(&self, conn: u64) -> Option<&Presence> {
        let member = self.members.get(&conn).map(|member| &member.presence);
        let waiting = || self.waiting.iter().find(|(other, _)| *other == conn);
        member.or_else(|| waiting().map(|(_, presence)| presence))
    }

    /// Lets a member in, tells it of the others and them of it.
    pub(crate) fn enter(
        &mut self,
        conn: u64,
        presence: Presence,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        let mut report = None;
        for older in self.older_sockets(conn, &presence) {
            let reason = "a newer connection of the same member has replaced this one";
            out.refuse(older, Refusal::new(CloseCode::Replaced, reason));
            report = self.remove_member(older, out).and_then(|member| member.report);
        }
        let here = self.members.len();
        match self.members.get_mut(&conn) {
            Some(member) => member.presence = presence.clone(),
            None if here >= ROOM_MEMBERS => {
                let reason = format!("{ROOM_MEMBERS} members of this name are connected already");
                return Err(Refusal::new(CloseCode::Full, reason));
            }
            None => {
                let calls = Calls::default();
                let presence = presence.clone();
                let spoken_to = SpokenTo::default();
                let member = Member { presence, report, calls, full: false, spoken_to };
                self.members.insert(conn, member);
            }
        }
        self.greet(conn, out);
        out.send_all(self.others(conn), &Frame::Present(presence));
        Ok(())
    }

    /// Other connections of the same run. Before formation a run is known by its directory,
    /// after it by its raft id as well.
    fn older_sockets(&self, conn: u64, new: &Presence) -> Vec<u64> {
        let same = |old: &Presence| {
            let directory = old.name == new.name && old.incarnation == new.incarnation;
            let raft = old.formed.is_some() && old.formed == new.formed;
            old.boot == new.boot && (directory || raft)
        };
        let members = self.members.iter();
        let same = members.filter(|(other, old)| **other != conn && same(&old.presence));
        same.map(|(other, _)| *other).collect()
    }

    /// `Attached`, and who is here.
    fn greet(&self, conn: u64, out: &mut Outputs) {
        out.send(conn, &Frame::Attached(Attached { bound: self.bound }));
        for (_, member) in self.members.iter().filter(|(other, _)| **other != conn) {
            out.send(conn, &Frame::Present(member.presence.clone()));
        }
    }

    /// Much waits to be written to a connection, or little again.
    pub(crate) fn full(&mut self, conn: u64, full: bool) {
        if let Some(member) = self.members.get_mut(&conn) {
            member.full = full;
        }
    }

    fn others(&self, conn: u64) -> impl Iterator<Item = u64> {
        let all = self.members.keys().chain(self.consoles.keys());
        all.copied().filter(move |other| *other != conn)
    }

    /// A connection is gone, whatever it was.
    pub(crate) fn leave(&mut self, conn: u64, out: &mut Outputs) {
        self.waiting.retain(|(other, _)| *other != conn);
        self.remove_console(conn, out);
        if let Some(member) = self.remove_member(conn, out) {
            out.send_all(self.others(conn), &Frame::Gone(member.presence));
        }
    }

    fn remove_member(&mut self, conn: u64, out: &mut Outputs) -> Option<Member> {
        let member = self.members.remove(&conn)?;
        self.lose_sessions(&member, out);
        Some(member)
    }

    /// A frame between members: to everyone whom it names, if they are here and it is the
    /// sender's to send.
    fn peer(
        &mut self,
        conn: u64,
        route: &Route,
        bytes: &Bytes,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        if !self.claim(conn).is_some_and(|presence| sends(presence, route)) {
            return Err(Refusal::malformed("a frame in the name of another member"));
        }
        // A member speaks once it is in the room; what it says before may be lost.
        if !self.members.contains_key(&conn) {
            return Ok(());
        }
        for (other, member) in &mut self.members {
            if *other != conn && receives(&member.presence, route) {
                out.pass(*other, bytes.clone());
                if member.spoken_to == SpokenTo::Never {
                    member.spoken_to = SpokenTo::SinceTheLook;
                }
            }
        }
        Ok(())
    }

    /// Looks who has said nothing for too long. Who waits for others, or is refused by them, may
    /// have nothing to say.
    pub(crate) fn look(&mut self) -> Vec<u64> {
        let mut silent = Vec::new();
        for (conn, member) in &mut self.members {
            match member.spoken_to {
                SpokenTo::Never => {}
                SpokenTo::BeforeTheLook if takes_part(member) => silent.push(*conn),
                _ => member.spoken_to = SpokenTo::BeforeTheLook,
            }
        }
        silent
    }

    fn report(
        &mut self,
        conn: u64,
        report: MemberReport,
        bytes: &Bytes,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        if !self.claim(conn).is_some_and(|presence| describes(&report, presence)) {
            return Err(Refusal::malformed("a report of another member"));
        }
        if let Some(member) = self.members.get_mut(&conn) {
            member.report = Some((report, bytes.clone()));
            for console in self.consoles.keys() {
                out.pass(*console, bytes.clone());
            }
        }
        Ok(())
    }
}

/// It leads, or follows a leader: it speaks with its peers all the time.
fn takes_part(member: &Member) -> bool {
    let report = member.report.as_ref().map(|(report, _)| report);
    report.is_some_and(|report| match report.role {
        Role::Leader => true,
        Role::Follower => report.leader.is_some(),
        _ => false,
    })
}

/// The route starts at this member.
fn sends(presence: &Presence, route: &Route) -> bool {
    match route {
        Route::Names { from, .. } => *from == presence.name,
        Route::Members { cluster, from, from_boot, .. } => {
            presence.formed == Some((*cluster, *from)) && presence.boot == *from_boot
        }
    }
}

/// The route ends at this member.
fn receives(presence: &Presence, route: &Route) -> bool {
    match route {
        Route::Names { to, .. } => *to == presence.name,
        Route::Members { cluster, to, to_boot, .. } => {
            presence.formed == Some((*cluster, *to)) && presence.boot == *to_boot
        }
    }
}

/// A member that has just formed may report so before it attaches again.
fn describes(report: &MemberReport, presence: &Presence) -> bool {
    let ids = report.cluster.zip(report.raft);
    let formed = presence.formed.is_none() || ids == presence.formed;
    report.name == presence.name && report.boot == presence.boot && formed
}
