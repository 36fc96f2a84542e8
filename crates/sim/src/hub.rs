//! The hub: the relay, its connections, and the bindings that it keeps.

use std::borrow::Cow;
use std::collections::BTreeMap;

use api::Bytes;
use api::frame::{Attach, Attachee, CloseCode, Frame};
use api::identity::ClusterId;
use api::session::ServerMessage;
use node::{Input, LinkKind};
use relay::{Guests, Relay};

use crate::clock::Event;
use crate::cluster::Cluster;
use crate::trace::Kind;

/// A host tries again to reach the hub after this long.
pub(crate) const RECONNECT_MS: u64 = 100;

/// What is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A place.
    Member(String),
    /// A console, by the script's name for it.
    Console(String),
}

/// A hub's process and its disk.
pub(crate) struct Hub {
    /// `None` while it is dead.
    pub(crate) relay: Option<Relay>,
    /// Durable.
    pub(crate) bindings: BTreeMap<String, ClusterId>,
    pub(crate) ends: BTreeMap<u64, End>,
    /// What consoles have got of large answers, each of a session.
    pieces: BTreeMap<(String, u64), Vec<u8>>,
    last: u64,
}

impl Hub {
    pub(crate) fn new() -> Self {
        let mut hub = Self {
            relay: None,
            bindings: BTreeMap::new(),
            ends: BTreeMap::new(),
            pieces: BTreeMap::new(),
            last: 0,
        };
        hub.start();
        hub
    }

    pub(crate) fn start(&mut self) {
        let bindings = self.bindings.clone();
        let page = "http://127.0.0.1:2379/".into();
        self.relay = Some(Relay::new(relay::Config { build: String::new(), page, bindings }));
    }

    /// A number for a new connection.
    pub(crate) fn connect(&mut self, end: End) -> u64 {
        self.last += 1;
        self.ends.insert(self.last, end);
        self.last
    }
}

/// The cluster's hub, and the connections to it.
impl Cluster {
    /// The place's connections break and do not come back by themselves.
    pub fn unlink(&mut self, name: &str) {
        let Some(place) = self.places.get_mut(name) else { return };
        place.wants_link = false;
        self.disconnect(name);
    }

    /// The place's host connects again.
    pub fn link(&mut self, name: &str) {
        let Some(place) = self.places.get_mut(name) else { return };
        place.wants_link = true;
        let life = place.running.as_ref().map_or(0, |running| running.life);
        self.agenda.after(0, Event::Connect { place: name.into(), life });
    }

    /// What waits to be written to the place's links has become much, or little again.
    pub fn link_full(&mut self, name: &str, full: bool) {
        for link in self.links(name) {
            let input = if full { Input::LinkFull { link } } else { Input::LinkRoom { link } };
            self.input(name, input);
        }
    }

    /// The hub's process dies.
    pub fn kill_hub(&mut self) {
        self.hub.relay = None;
        self.hub.pieces.clear();
        for (conn, end) in std::mem::take(&mut self.hub.ends) {
            if let End::Member(place) = end {
                let event = Event::LinkDown { place, conn, again: true };
                self.agenda.after(self.settings.latency_ms, event);
            }
        }
    }

    /// The hub's process starts, with the bindings that it kept.
    pub fn start_hub(&mut self) {
        self.hub.start();
    }

    /// A console attaches to the room of a cluster.
    pub fn console(&mut self, name: &str, cluster: &str) {
        let conn = self.hub.connect(End::Console(name.into()));
        self.hub_input(relay::Input::Opened { conn, guests: Guests::All });
        let who = Attachee::Console;
        let attach = Attach { cluster: cluster.into(), build: String::new(), who };
        let bytes = Frame::Attach(attach).encode();
        self.agenda.after(self.settings.latency_ms, Event::ToHub { conn, bytes });
    }

    /// A console goes away.
    pub fn drop_console(&mut self, name: &str) {
        self.hub.pieces.retain(|(console, _), _| console != name);
        let gone = End::Console(name.into());
        let conns = self.hub.ends.iter().filter(|(_, end)| **end == gone).map(|(conn, _)| *conn);
        for conn in conns.collect::<Vec<_>>() {
            self.agenda.after(self.settings.latency_ms, Event::Closed { conn });
        }
    }

    /// Whether the hub's process runs.
    #[must_use]
    pub fn hub_runs(&self) -> bool {
        self.hub.relay.is_some()
    }

    pub(crate) fn connect(&mut self, name: &str, life: u64) {
        if self.settings.direct {
            return self.dial_all(name);
        }
        let Some(place) = self.places.get_mut(name) else { return };
        let wants = place.wants_link;
        let Some(running) = place.in_life(life).filter(|r| wants && r.conn.is_none()) else {
            return;
        };
        if self.hub.relay.is_none() {
            let again = Event::Connect { place: name.into(), life };
            return self.agenda.after(RECONNECT_MS, again);
        }
        let conn = self.hub.connect(End::Member(name.into()));
        running.conn = Some(conn);
        self.hub_input(relay::Input::Opened { conn, guests: Guests::All });
        self.input(name, Input::LinkUp { link: conn as u32, kind: LinkKind::Relay });
    }

    pub(crate) fn link_down(&mut self, name: &str, conn: u64, again: bool) {
        let Some(place) = self.places.get_mut(name) else { return };
        let Some(running) = place.running.as_mut().filter(|r| r.conn == Some(conn)) else { return };
        running.conn = None;
        let life = running.life;
        if again {
            self.agenda.after(RECONNECT_MS, Event::Connect { place: name.into(), life });
        }
        self.input(name, Input::LinkDown { link: conn as u32 });
    }

    pub(crate) fn disconnect(&mut self, name: &str) {
        self.cut_wires(name);
        let running = self.places.get_mut(name).and_then(|place| place.running.as_mut());
        let Some(conn) = running.and_then(|running| running.conn) else { return };
        self.agenda.after(self.settings.latency_ms, Event::Closed { conn });
        self.link_down(name, conn, false);
    }

    pub(crate) fn hub_input(&mut self, input: relay::Input) {
        let Some(relay) = &mut self.hub.relay else { return };
        relay.handle(input);
        while let Some(output) = self.hub.relay.as_mut().and_then(Relay::poll) {
            self.hub_output(output);
        }
    }

    pub(crate) fn hub_output(&mut self, output: relay::Output) {
        match output {
            relay::Output::Send { conn, frame } => self.hub_sends(conn, &frame),
            relay::Output::Close { conn, code, .. } => {
                if let Some(End::Member(place)) = self.hub.ends.remove(&conn) {
                    use CloseCode as C;
                    let again =
                        !matches!(code, C::Foreign | C::NameTaken | C::Rebound | C::Replaced);
                    let event = Event::LinkDown { place, conn, again };
                    self.agenda.after(self.settings.latency_ms, event);
                }
            }
            relay::Output::SaveBinding { name, cluster } => {
                match cluster {
                    Some(cluster) => self.hub.bindings.insert(name.clone(), cluster),
                    None => self.hub.bindings.remove(&name),
                };
                self.agenda.after(self.settings.sync_ms, Event::Saved { name });
            }
        }
    }

    pub(crate) fn hub_sends(&mut self, conn: u64, frame: &Bytes) {
        let latency = self.settings.latency_ms;
        let bytes = frame.to_vec();
        match self.hub.ends.get(&conn).cloned() {
            None => {}
            Some(End::Console(console)) => {
                self.agenda.after(latency, Event::ToConsole { console, bytes });
            }
            Some(End::Member(place)) => match self.trace.label(&place, frame) {
                None => {
                    self.agenda.after(latency, Event::ToMember { place, conn: Some(conn), bytes });
                }
                Some(label) => {
                    for arrival in self.net.pass(self.agenda.now, &label, frame) {
                        let (place, bytes) = (place.clone(), bytes.clone());
                        let conn = (!arrival.across).then_some(conn);
                        let event = Event::ToMember { place, conn, bytes };
                        self.agenda.after(latency + arrival.delay, event);
                    }
                }
            },
        }
    }

    pub(crate) fn at_console(&mut self, console: &str, bytes: &[u8]) {
        let body = match Frame::decode(bytes) {
            Ok(Frame::Server { session, body }) => {
                // It may say that the session is lost, and with it what was half told.
                self.hub.pieces.remove(&(console.to_owned(), session));
                Some(Cow::Borrowed(body))
            }
            Ok(Frame::Piece { session, last, body }) => {
                let key = (console.to_owned(), session);
                let pieces = self.hub.pieces.entry(key.clone()).or_default();
                pieces.extend(body);
                if !last {
                    return;
                }
                self.hub.pieces.remove(&key).map(Cow::Owned)
            }
            _ => None,
        };
        if let Some(body) = body
            && let Ok(message) = api::frame::decode_body::<ServerMessage>(&body)
        {
            self.trace.reply(self.agenda.now, console, &message);
            self.replies.push((console.into(), message));
        } else {
            self.trace.note(self.agenda.now, console, Kind::Hub, bytes);
        }
    }
}
