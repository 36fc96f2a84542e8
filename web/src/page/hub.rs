//! The console link: one WebSocket to the hub, found again whenever it is lost.

use api::frame::{Attach, Attached, Attachee, CloseCode, Frame, Presence};
use api::report::MemberReport;
use client::Input;
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{Link, MaybeSocket, Page};
use crate::browser::socket::{Happened, Socket};
use crate::browser::time;
use crate::rules::backoff;
use crate::rules::plan::Binding;
use crate::rules::source::Source;

/// Failures in a row before the page says that the hub is not reachable: a restart of the hub
/// that takes no longer is not worth a word.
const QUIET_FAILURES: u32 = 3;

/// The page's end of the link.
#[derive(Default)]
pub(crate) struct Hub {
    socket: MaybeSocket,
    failures: u32,
    /// Counts sockets. What an older one starts late is left out.
    run: u32,
}

/// The relay's address, beside the page.
pub(super) fn relay_url() -> String {
    let location = window().location();
    let scheme = if location.protocol().as_deref() == Ok("https:") { "wss" } else { "ws" };
    format!("{scheme}://{}/relay", location.host().unwrap_or_default())
}

/// The build of this page, as the hub wrote it into its head.
pub(super) fn build() -> String {
    let meta = document().query_selector("meta[name=kvorum-build]").ok().flatten();
    meta.and_then(|meta| meta.get_attribute("content")).unwrap_or_default()
}

impl Page {
    /// Opens the link.
    pub(super) fn connect(self) {
        let mut run = 0;
        self.hub.update_value(|hub| {
            hub.run += 1;
            run = hub.run;
        });
        let socket = Socket::open(&relay_url(), move |happened| match happened {
            Happened::Open => self.attach(),
            Happened::Frame(bytes) => self.take_frame(&bytes),
            Happened::Closed { code, reason } => self.link_lost(code, &reason),
        });
        match socket {
            Ok(socket) => self.hub.update_value(|hub| hub.socket = Some(socket)),
            Err(_) => self.link_lost(0, ""),
        }
    }

    /// Closes the link without trying again.
    pub(super) fn disconnect(self) {
        self.hub.update_value(|hub| {
            hub.run += 1;
            hub.socket = None;
        });
        self.forget_remote();
    }

    /// Sends a frame, if the link is there.
    pub(super) fn send(self, frame: &Frame<'_>) {
        self.hub.with_value(|hub| {
            if let Some(socket) = &hub.socket {
                socket.send(&frame.encode());
            }
        });
    }

    fn attach(self) {
        let cluster = self.address().cluster;
        self.send(&Frame::Attach(Attach { cluster, build: build(), who: Attachee::Console }));
    }

    fn take_frame(self, bytes: &[u8]) {
        match Frame::decode(bytes) {
            Ok(Frame::Attached(attached)) => self.attached(&attached),
            Ok(Frame::Present(presence)) => self.present(presence),
            Ok(Frame::Gone(presence)) => self.gone(&presence),
            Ok(Frame::Report(report)) => self.remote_report(report),
            Ok(Frame::Server { session, body }) => {
                self.hub_answered(Input::Message { session, body });
            }
            Ok(Frame::Piece { session, last, body }) => {
                self.hub_answered(Input::Piece { session, last, body });
            }
            Ok(Frame::Rebound(result)) => self.rebind_answered(result),
            Ok(Frame::Refused { code: CloseCode::Reload, .. }) => self.old_build(),
            // The reason comes once more when the link is closed.
            Ok(Frame::Refused { .. }) => {}
            // Frames between members do not come to consoles.
            Ok(_) => {}
            // A frame of another version: the hub is newer, or older.
            Err(error) if error.close_code() == CloseCode::Reload => self.old_build(),
            Err(_) => {}
        }
    }

    fn attached(self, attached: &Attached) {
        self.hub.update_value(|hub| hub.failures = 0);
        self.binding.set(attached.bound.map_or(Binding::Free, Binding::Bound));
        self.link.set(Link::Up);
        self.reroute();
        if self.source == Source::Hub {
            self.consider_members();
        }
    }

    fn present(self, presence: Presence) {
        // The hub lets only the owner's members in, so another browser has given the name away.
        if let Some((cluster, _)) = presence.formed {
            self.binding.set(Binding::Bound(cluster));
        }
        let name = presence.name.clone();
        let before = self.present.with_untracked(|all| all.get(&name).map(|p| p.boot));
        if before.is_some_and(|boot| boot != presence.boot) {
            self.remote.update(|reports| drop(reports.remove(&name)));
        }
        self.present.update(|all| drop(all.insert(name, presence)));
    }

    fn gone(self, presence: &Presence) {
        let current =
            |p: &Presence| p.boot == presence.boot && p.incarnation == presence.incarnation;
        if self.present.with_untracked(|all| all.get(&presence.name).is_some_and(current)) {
            self.present.update(|all| drop(all.remove(&presence.name)));
            self.remote.update(|reports| drop(reports.remove(&presence.name)));
        }
    }

    fn remote_report(self, report: MemberReport) {
        self.learn_cluster(report.cluster);
        self.remote.update(|reports| drop(reports.insert(report.name.clone(), report)));
    }

    fn old_build(self) {
        self.link.set(Link::OldBuild);
    }

    fn link_lost(self, code: u16, _reason: &str) {
        if code == CloseCode::Reload as u16 {
            self.old_build();
        }
        let mut failures = 0;
        let mut run = 0;
        self.hub.update_value(|hub| {
            hub.socket = None;
            hub.failures = hub.failures.saturating_add(1);
            (failures, run) = (hub.failures, hub.run);
        });
        self.forget_remote();
        if self.link.get_untracked() == Link::OldBuild {
            return;
        }
        if failures >= QUIET_FAILURES {
            self.link.set(Link::Down);
        } else if self.link.get_untracked() == Link::Up {
            self.link.set(Link::Opening);
        }
        self.reroute();
        spawn_local(async move {
            time::sleep(backoff::HUB.jittered_ms(failures, time::random())).await;
            if self.hub.with_value(|hub| hub.run == run) {
                self.connect();
            }
        });
    }

    /// What came through the hub is no longer kept up to date.
    fn forget_remote(self) {
        self.present.update(std::collections::BTreeMap::clear);
        self.remote.update(std::collections::BTreeMap::clear);
        self.rebind_answered(Err("the link to the hub was lost".into()));
    }
}
