//! Connections: until one has attached to a room, and which room it is in.

use std::collections::BTreeMap;

use api::Bytes;
use api::frame::{Attach, Attachee, CloseCode, Frame};
use api::identity::ClusterId;
use api::limits;

use crate::BINDINGS;
use crate::io::{Config, Guests, Input, Output};
use crate::outputs::{Outputs, Refusal};
use crate::room::Room;

/// All rooms of a hub.
///
/// ```text
///  Opened        Attach             Saved, if it waits for a binding
///  ──────► new ─────────► waiting ─────────────────────────────────► in its room
///           │                │                                          │
///           └────────────────┴─── Closed, Slow, or a bad frame ─────────┴──► forgotten
/// ```
pub struct Relay {
    build: String,
    page: String,
    /// What is durable. Invariant: a room's `bound` says the same of its name.
    bindings: BTreeMap<String, ClusterId>,
    rooms: BTreeMap<String, Room>,
    /// Open connections.
    conns: BTreeMap<u64, Place>,
    out: Outputs,
}

/// Where a connection is.
enum Place {
    /// Before the door; who may come in by it.
    Outside(Guests),
    /// In the room of this name.
    Inside(String),
}

impl Relay {
    /// A relay without connections.
    pub fn new(config: Config) -> Self {
        let Config { build, page, bindings } = config;
        Self {
            build,
            page,
            bindings,
            rooms: BTreeMap::new(),
            conns: BTreeMap::new(),
            out: Outputs::default(),
        }
    }

    /// Takes one input. Drain [`poll`](Self::poll) before the next.
    pub fn handle(&mut self, input: Input) {
        match input {
            Input::Opened { conn, guests } => self.open(conn, guests),
            Input::Frame { conn, bytes } => self.frame(conn, &bytes),
            Input::Closed { conn } => self.forget(conn),
            Input::Slow { conn } => self.slow(conn),
            Input::Full { conn } => self.full(conn, true),
            Input::Room { conn } => self.full(conn, false),
            Input::Look => self.look(),
            Input::Saved { name } => self.saved(&name, Ok(())),
            Input::NotSaved { name, reason } => self.saved(&name, Err(reason)),
        }
        // Whoever caused it, a closed connection has left its room by now.
        for conn in self.out.take_ended() {
            self.conns.remove(&conn);
        }
    }

    /// The next thing to do, until there is none.
    #[must_use]
    pub fn poll(&mut self) -> Option<Output> {
        self.out.poll()
    }

    /// The cluster that owns a name, as far as that is durable.
    pub fn bound(&self, name: &str) -> Option<ClusterId> {
        self.bindings.get(name).copied()
    }

    fn open(&mut self, conn: u64, guests: Guests) {
        if self.conns.contains_key(&conn) {
            return;
        }
        if self.conns.len() >= limits::RELAY_CONNECTIONS {
            let reason = format!("the hub serves {} connections already", self.conns.len());
            return self.out.refuse(conn, Refusal::new(CloseCode::Full, reason));
        }
        self.conns.insert(conn, Place::Outside(guests));
    }

    fn frame(&mut self, conn: u64, bytes: &Bytes) {
        let Some(place) = self.conns.get(&conn) else { return };
        let result = match (Frame::decode(bytes), place) {
            (Err(error), _) => Err(Refusal::new(error.close_code(), error.to_string())),
            (Ok(Frame::Attach(attach)), Place::Outside(guests)) => {
                self.attach(conn, *guests, attach)
            }
            (Ok(_), Place::Outside(_)) => Err(Refusal::malformed("the first frame must be Attach")),
            (Ok(frame), Place::Inside(name)) => match self.rooms.get_mut(name) {
                Some(room) => room.frame(conn, frame, bytes, &mut self.out),
                None => Ok(()),
            },
        };
        if let Err(refusal) = result {
            self.out.refuse(conn, refusal);
            self.forget(conn);
        }
    }

    fn attach(&mut self, conn: u64, guests: Guests, attach: Attach) -> Result<(), Refusal> {
        let Attach { cluster, build, who } = attach;
        check_guest(guests, &who)?;
        check_build(&self.build, &build)?;
        check_name("cluster", &cluster)?;
        if !self.rooms.contains_key(&cluster) {
            let bound = self.bound(&cluster);
            if bound.is_none() && self.bindings.len() >= BINDINGS {
                let reason = format!("the hub knows {BINDINGS} clusters, which is all it can");
                return Err(Refusal::new(CloseCode::Full, reason));
            }
            let room = Room::new(cluster.clone(), bound, self.page.clone());
            self.rooms.insert(cluster.clone(), room);
        }
        // Before the room has its say: if it refuses, the connection is taken out of it again.
        self.conns.insert(conn, Place::Inside(cluster.clone()));
        let room = self.rooms.get_mut(&cluster).expect("made above if it was not there");
        match who {
            Attachee::Console => room.attach_console(conn, &mut self.out),
            Attachee::Member(presence) => {
                check_name("member", &presence.name)?;
                room.attach(conn, presence, &mut self.out)?;
            }
        }
        Ok(())
    }

    fn slow(&mut self, conn: u64) {
        if self.conns.contains_key(&conn) {
            let reason = "the connection reads too slowly for what is sent to it".to_owned();
            self.out.close(conn, CloseCode::Slow, reason);
            self.forget(conn);
        }
    }

    fn look(&mut self) {
        for conn in self.rooms.values_mut().flat_map(Room::look).collect::<Vec<_>>() {
            let reason = "the member does not answer its peers".to_owned();
            self.out.close(conn, CloseCode::Slow, reason);
            self.forget(conn);
        }
    }

    fn full(&mut self, conn: u64, full: bool) {
        if let Some(Place::Inside(name)) = self.conns.get(&conn)
            && let Some(room) = self.rooms.get_mut(name)
        {
            room.full(conn, full);
        }
    }

    /// Takes a connection out of its room; an empty room goes with it.
    fn forget(&mut self, conn: u64) {
        let Some(Place::Inside(name)) = self.conns.remove(&conn) else { return };
        if let Some(room) = self.rooms.get_mut(&name) {
            room.leave(conn, &mut self.out);
            self.sweep(&name);
        }
    }

    fn saved(&mut self, name: &str, result: Result<(), String>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        match result {
            Ok(()) => room.saved(&mut self.out),
            Err(reason) => room.not_saved(&reason, &mut self.out),
        }
        match room.bound() {
            Some(cluster) => self.bindings.insert(name.to_owned(), cluster),
            None => self.bindings.remove(name),
        };
        self.sweep(name);
    }

    fn sweep(&mut self, name: &str) {
        if self.rooms.get(name).is_some_and(Room::is_empty) {
            self.rooms.remove(name);
        }
    }
}

fn check_guest(guests: Guests, who: &Attachee) -> Result<(), Refusal> {
    match (guests, who) {
        (Guests::All, _) | (Guests::Consoles, Attachee::Console) => Ok(()),
        (Guests::Consoles, Attachee::Member(_)) => {
            let reason = "this server is a member itself, and its page hosts none";
            Err(Refusal::new(CloseCode::Foreign, reason))
        }
    }
}

fn check_build(ours: &str, theirs: &str) -> Result<(), Refusal> {
    if ours.is_empty() || theirs.is_empty() || ours == theirs {
        return Ok(());
    }
    let reason = format!("the page is of build {theirs:.64}, the hub of build {ours}; reload it");
    Err(Refusal::new(CloseCode::Reload, reason))
}

fn check_name(what: &str, name: &str) -> Result<(), Refusal> {
    let chars = name.chars().count();
    if chars == 0 {
        return Err(Refusal::malformed(format!("a {what} without a name")));
    }
    if chars > limits::NAME_CHARS {
        let max = limits::NAME_CHARS;
        let reason = format!("a {what}'s name of {chars} characters; the limit is {max}");
        return Err(Refusal::malformed(reason));
    }
    Ok(())
}
