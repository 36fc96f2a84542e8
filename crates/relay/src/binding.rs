//! Whose name it is. A room's name belongs to the cluster that first formed under it, durably,
//! until a console gives it away.
//!
//! ```text
//!             a formed member attaches            Saved
//!  unbound ─────────────────────────────► binding ─────► bound to that cluster
//!     ▲  ▲                                   │             │ ▲
//!     │  └───────────── NotSaved ────────────┘             │ │ NotSaved
//!     │                         Saved                      ▼ │
//!     └──────────────────────────────────────────────── giving away ◄── Rebind
//! ```
//!
//! Unbound, a member name belongs to the first directory connected under it. Bound, a formed
//! member of another cluster is refused, and an unformed one let in: its peers refuse it and
//! tell it why. While a change is being saved, members that attach wait for it, in order.

use api::frame::{CloseCode, Frame, Presence};
use api::identity::{Boot, ClusterId};
use api::limits;

use crate::ROOM_MEMBERS;
use crate::outputs::{Outputs, Refusal};
use crate::room::Room;

/// A change that is being made durable.
pub(crate) enum Saving {
    /// The name goes to this cluster.
    Bind(ClusterId),
    /// The name becomes free.
    GiveAway {
        /// The console that asked.
        console: u64,
        /// The runs that end with it.
        hosted: Vec<(String, Boot)>,
    },
}

impl Room {
    /// A member attaches, for the first time or because it has formed.
    pub(crate) fn attach(
        &mut self,
        conn: u64,
        presence: Presence,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        if self.saving.is_some() {
            if self.waiting.len() >= ROOM_MEMBERS {
                let reason = format!("{ROOM_MEMBERS} members wait to attach already");
                return Err(Refusal::new(CloseCode::Full, reason));
            }
            self.waiting.push((conn, presence));
            return Ok(());
        }
        self.check_free(conn, &presence)?;
        match (self.bound, presence.formed) {
            (Some(bound), Some((cluster, _))) if bound != cluster => {
                let name = &self.name;
                let reason = format!(
                    "the name {name:?} belongs to cluster {bound}; this member is of {cluster}"
                );
                Err(Refusal::new(CloseCode::Foreign, reason))
            }
            (None, Some((cluster, _))) => {
                self.saving = Some(Saving::Bind(cluster));
                self.waiting.push((conn, presence));
                out.save(&self.name, Some(cluster));
                Ok(())
            }
            _ => self.enter(conn, presence, out),
        }
    }

    /// Neither an ended run nor, while the name is unbound, another directory has the name.
    fn check_free(&self, conn: u64, new: &Presence) -> Result<(), Refusal> {
        let name = &new.name;
        if self.ended.contains(&(name.clone(), new.boot)) {
            let reason = format!("the name {:?} was given to a new cluster", self.name);
            return Err(Refusal::new(CloseCode::Rebound, reason));
        }
        let mut others = self.members.iter().filter(|(other, _)| **other != conn);
        let taken = |old: &Presence| old.name == *name && old.incarnation != new.incarnation;
        if self.bound.is_none() && others.any(|(_, member)| taken(&member.presence)) {
            let reason =
                format!("member {name:?} is connected already, with another data directory");
            return Err(Refusal::new(CloseCode::NameTaken, reason));
        }
        Ok(())
    }

    /// A console gives the name to a new cluster, unless it would take it from members that run
    /// elsewhere.
    pub(crate) fn rebind(
        &mut self,
        console: u64,
        hosted: Vec<(String, Boot)>,
        out: &mut Outputs,
    ) -> Result<(), Refusal> {
        if hosted.len() > limits::MEMBERS {
            let (count, max) = (hosted.len(), limits::MEMBERS);
            let reason = format!("a page that runs {count} members; a cluster has {max} at most");
            return Err(Refusal::malformed(reason));
        }
        if let Some(reason) = self.keeps_name(&hosted) {
            out.send(console, &Frame::Rebound(Err(reason)));
            return Ok(());
        }
        self.saving = Some(Saving::GiveAway { console, hosted });
        match self.bound {
            Some(_) => out.save(&self.name, None),
            // Nothing to forget: as if it were saved.
            None => self.saved(out),
        }
        Ok(())
    }

    /// Why the name cannot be given away now.
    fn keeps_name(&self, hosted: &[(String, Boot)]) -> Option<String> {
        if self.saving.is_some() {
            return Some("the owner of this name is just changing; try again".into());
        }
        let mut members = self.members.values().map(|member| &member.presence);
        let owns = |p: &&Presence| self.bound.is_some() && p.formed.map(|(c, _)| c) == self.bound;
        let elsewhere = |p: &&Presence| !hosted.contains(&(p.name.clone(), p.boot));
        let member = &members.find(|p| owns(p) && elsewhere(p))?.name;
        Some(format!("member {member:?} of this cluster runs elsewhere; stop it there first"))
    }

    /// The change is durable.
    pub(crate) fn saved(&mut self, out: &mut Outputs) {
        match self.saving.take() {
            None => return,
            Some(Saving::Bind(cluster)) => {
                self.bound = Some(cluster);
                self.ended.clear();
            }
            Some(Saving::GiveAway { console, hosted }) => {
                self.bound = None;
                self.ended = hosted.into_iter().collect();
                if self.consoles.contains_key(&console) {
                    out.send(console, &Frame::Rebound(Ok(())));
                }
                self.end_runs(out);
            }
        }
        self.admit_waiting(out);
    }

    /// Closes the sockets of the runs that ended.
    fn end_runs(&mut self, out: &mut Outputs) {
        let ended = |p: &Presence| self.ended.contains(&(p.name.clone(), p.boot));
        let members = self.members.iter().filter(|(_, member)| ended(&member.presence));
        let conns: Vec<u64> = members.map(|(conn, _)| *conn).collect();
        for conn in conns {
            let reason = format!("the name {:?} was given to a new cluster", self.name);
            out.refuse(conn, Refusal::new(CloseCode::Rebound, reason));
            self.leave(conn, out);
        }
    }

    /// The change could not be made durable.
    pub(crate) fn not_saved(&mut self, reason: &str, out: &mut Outputs) {
        match self.saving.take() {
            None => return,
            Some(Saving::Bind(_)) => {
                // Asked again at once, the host would fail again at once.
                let formed = |(_, p): &(u64, Presence)| p.formed.is_some();
                let (formed, rest) =
                    std::mem::take(&mut self.waiting).into_iter().partition(formed);
                self.waiting = rest;
                for (conn, _) in formed {
                    let reason = format!("the hub cannot keep whose name it is: {reason}");
                    out.refuse(conn, Refusal::new(CloseCode::Unsaved, reason));
                    self.leave(conn, out);
                }
            }
            Some(Saving::GiveAway { console, .. }) => {
                if self.consoles.contains_key(&console) {
                    out.send(console, &Frame::Rebound(Err(reason.to_owned())));
                }
            }
        }
        self.admit_waiting(out);
    }

    /// Those who waited, in order; one of them may start the next change.
    fn admit_waiting(&mut self, out: &mut Outputs) {
        for (conn, presence) in std::mem::take(&mut self.waiting) {
            if let Err(refusal) = self.attach(conn, presence, out) {
                out.refuse(conn, refusal);
                self.leave(conn, out);
            }
        }
    }
}
