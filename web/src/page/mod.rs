//! The page behind what is shown: its state, and everything that changes it.
//!
//! ```text
//!              ┌────────────── Page ──────────────┐
//!  Workers ──► │ lives, reports   (members.rs)    │ ──► signals ──► ui
//!  hub     ──► │ link, presence   (hub.rs)        │
//!  tabs    ──► │ handing over     (tabs.rs)       │
//!              │ requests, watches (requests.rs)  │ ◄── ui
//!              │ the keys on show (keys.rs …)     │
//!              └──────────────────────────────────┘
//! ```
//!
//! [`Page`] is a handle: copies are the same page. What decides is in [`rules`](crate::rules).

mod alarms;
mod compact;
mod course;
mod deleted;
mod export;
mod hub;
mod import;
mod keys;
mod locks;
mod members;
mod rebind;
mod requests;
mod room;
mod rows;
mod tabs;

use std::collections::{BTreeMap, BTreeSet};

use api::frame::Presence;
use api::identity::ClusterId;
use api::maintenance::AlarmMember;
use api::report::MemberReport;
use leptos::prelude::*;

use crate::browser::channel::Channel;
use crate::browser::socket::Socket;
use crate::rules::address::{Address, MEMBERS};
use crate::rules::card::{self, Card, Facts, State};
use crate::rules::life::{Life, Storage};
use crate::rules::native;
use crate::rules::notice::{self, Notice, Situation};
use crate::rules::plan::{self, Binding, Directories};
use crate::rules::room::Room;
use crate::rules::source::Source;
use crate::rules::title::Here;

pub(crate) use alarms::Disarm;
pub(crate) use compact::Compact;
pub(crate) use deleted::Deleted;
pub(crate) use export::Export;
pub(crate) use import::Import;
pub(crate) use keys::Keys;
pub(crate) use requests::{Answer, PATIENCE};

/// The link to the hub.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// The first try is under way.
    #[default]
    Opening,
    /// Frames flow.
    Up,
    /// Lost or not found; tried again.
    Down,
    /// The hub wants a newer page. Not tried again.
    OldBuild,
}

/// The page.
#[derive(Clone, Copy)]
pub(crate) struct Page {
    address: StoredValue<Address>,
    /// Who the page comes from.
    pub(crate) source: Source,
    /// The members of the cluster, by name.
    names: Memo<Vec<String>>,
    /// The link to the hub.
    pub(crate) link: RwSignal<Link>,
    /// Who owns the cluster's name.
    pub(crate) binding: RwSignal<Binding>,
    /// Members whose sockets are at the hub.
    present: RwSignal<BTreeMap<String, Presence>>,
    /// Reports that came through the hub.
    remote: RwSignal<BTreeMap<String, MemberReport>>,
    /// Reports of members of this page.
    local: RwSignal<BTreeMap<String, MemberReport>>,
    /// Members of this page.
    lives: RwSignal<BTreeMap<String, Life>>,
    /// Members whose lock any page of this browser has.
    locked: RwSignal<BTreeSet<String>>,
    /// What this browser holds under the cluster's name.
    directories: RwSignal<Directories>,
    /// The browser refuses files to the page.
    no_files: RwSignal<bool>,
    /// How this browser stores, once a member of this page does so.
    room: RwSignal<Option<Room>>,
    /// Why this page may not run members.
    cannot_host: RwSignal<Option<String>>,
    /// The alarms that a member told of last.
    alarms: RwSignal<Vec<AlarmMember>>,
    /// Raised whenever requests go another way than before.
    pub(crate) reroutes: RwSignal<u32>,
    /// A member listens to requests, as far as the last of them tells.
    pub(crate) reached: RwSignal<bool>,
    /// Some member knows of a leader.
    pub(crate) led: Memo<bool>,
    hub: StoredValue<hub::Hub, LocalStorage>,
    hosts: StoredValue<BTreeMap<String, members::Host>, LocalStorage>,
    requests: StoredValue<requests::Requests, LocalStorage>,
    channel: StoredValue<Option<Channel>, LocalStorage>,
    rebinding: StoredValue<Option<rebind::Asker>, LocalStorage>,
}

impl Page {
    /// Opens the page: joins the hub, then takes the members that the address asks for. From a
    /// server it takes none.
    pub(crate) fn open(address: Address, source: Source) -> Self {
        let local = RwSignal::<BTreeMap<String, MemberReport>>::default();
        let remote = RwSignal::<BTreeMap<String, MemberReport>>::default();
        let knows_leader = |reports: &BTreeMap<String, MemberReport>| {
            reports.values().any(|report| report.leader.is_some())
        };
        let page = Self {
            address: StoredValue::new(address),
            source,
            names: Memo::new(move |known| names(source, known, &remote.read())),
            link: RwSignal::default(),
            binding: RwSignal::default(),
            present: RwSignal::default(),
            remote,
            local,
            lives: RwSignal::default(),
            locked: RwSignal::default(),
            directories: RwSignal::default(),
            no_files: RwSignal::default(),
            room: RwSignal::default(),
            cannot_host: RwSignal::default(),
            alarms: RwSignal::default(),
            reroutes: RwSignal::default(),
            reached: RwSignal::default(),
            led: Memo::new(move |_| local.with(knows_leader) || remote.with(knows_leader)),
            hub: StoredValue::new_local(hub::Hub::default()),
            hosts: StoredValue::new_local(BTreeMap::new()),
            requests: StoredValue::new_local(requests::Requests::default()),
            channel: StoredValue::new_local(None),
            rebinding: StoredValue::new_local(None),
        };
        page.follow_visits();
        page.connect();
        page.watch_alarms();
        if source == Source::Hub {
            page.join_tabs();
            page.watch_locks();
            page.start_members();
        }
        page
    }

    /// What the page's address asks for.
    pub(crate) fn address(self) -> Address {
        self.address.get_value()
    }

    /// A member's newest report, if it runs.
    pub(crate) fn report(self, name: &str) -> Option<MemberReport> {
        if self.lives.with(|lives| lives.contains_key(name)) {
            return self.local.with(|reports| reports.get(name).cloned());
        }
        self.remote.with(|reports| reports.get(name).cloned())
    }

    /// What this page knows of its own member beside the reports.
    pub(crate) fn life(self, name: &str) -> Option<Life> {
        self.lives.with(|lives| lives.get(name).cloned())
    }

    /// The names of the cluster's members.
    pub(crate) fn names(self) -> Vec<String> {
        self.names.get()
    }

    /// A member's card.
    pub(crate) fn card(self, name: &str) -> Card {
        if self.source == Source::Server {
            return self.remote.with(|reports| native::card(name, reports.values().next()));
        }
        card::card(&Facts {
            life: self.life(name),
            lock_elsewhere: self.locked.with(|locked| locked.contains(name)),
            present: self.present.with(|present| present.contains_key(name)),
            report: self.report(name),
            binding: self.binding.get(),
            directories: self.directories.get(),
            no_files: self.no_files.get(),
            may_host: self.cannot_host.with(Option::is_none),
        })
    }

    /// The members that this page runs.
    pub(crate) fn here(self) -> Vec<Here> {
        let names = self.lives.with(|lives| lives.keys().cloned().collect::<Vec<_>>());
        let here = |name: String| {
            let card = self.card(&name);
            Here { name, words: card.words, leads: card.state == State::Leader }
        };
        names.into_iter().map(here).collect()
    }

    /// What there is to tell.
    pub(crate) fn notices(self) -> Vec<Notice> {
        let link = self.link.get();
        notice::notices(&Situation {
            old_build: link == Link::OldBuild,
            cannot_host: self.cannot_host.get(),
            hub_down: link == Link::Down,
            in_memory: self.lives.with(|lives| lives.values().find_map(why_in_memory)),
            formed: self.cluster_id().is_some(),
            older: self.directories.with(|all| plan::holds_an_older(all, self.binding.get())),
            cards: self.names().into_iter().map(|name| (name.clone(), self.card(&name))).collect(),
            alarms: self.alarms(),
        })
    }

    /// How this browser stores the data of this page's members, in words.
    pub(crate) fn room(self) -> Option<String> {
        self.room.with(|room| room.as_ref().map(Room::words)).filter(|words| !words.is_empty())
    }

    /// The cluster, once it has formed.
    pub(crate) fn cluster_id(self) -> Option<ClusterId> {
        let (local, remote) = (self.local.get(), self.remote.get());
        card::cluster_id(self.binding.get(), local.values().chain(remote.values()))
    }

    /// The newest revision that any member tells of.
    pub(crate) fn revision(self) -> Option<i64> {
        let newest = |of: RwSignal<BTreeMap<String, MemberReport>>| {
            of.with(|reports| reports.values().map(|r| r.revision).max())
        };
        newest(self.local).max(newest(self.remote))
    }

    /// The name of the member with this raft id, as far as it is known.
    pub(crate) fn name_of(self, raft_id: u64) -> Option<String> {
        let reported = |of: RwSignal<BTreeMap<String, MemberReport>>| {
            of.with_untracked(|reports| {
                let found = reports.values().find(|r| r.raft.is_some_and(|id| id.0 == raft_id));
                found.map(|report| report.name.clone())
            })
        };
        let present = || {
            self.present.with_untracked(|present| {
                let found = present.values().find(|p| p.formed.is_some_and(|f| f.1.0 == raft_id));
                found.map(|presence| presence.name.clone())
            })
        };
        reported(self.local).or_else(|| reported(self.remote)).or_else(present)
    }

    /// What a member is called: by its name, or by its raft id if that is all that is known.
    fn called(self, raft_id: u64) -> String {
        self.name_of(raft_id).unwrap_or_else(|| format!("{raft_id:x}"))
    }

    /// Learns of the cluster's owner. A name that was unbound may be someone's now.
    fn learn_cluster(self, cluster: Option<ClusterId>) {
        if let (Some(cluster), Binding::Free) = (cluster, self.binding.get_untracked()) {
            self.binding.set(Binding::Bound(cluster));
        }
    }
}

/// In tabs they are always the same. A server tells whose they are, and they stay when it is gone.
fn names(
    source: Source,
    known: Option<&Vec<String>>,
    reports: &BTreeMap<String, MemberReport>,
) -> Vec<String> {
    match (source, known) {
        (Source::Hub, _) => MEMBERS.map(String::from).to_vec(),
        (Source::Server, Some(known)) if reports.is_empty() => known.clone(),
        (Source::Server, _) => native::names(reports.values()),
    }
}

fn why_in_memory(life: &Life) -> Option<String> {
    match &life.storage {
        Some(Storage::Memory(why)) => Some(why.clone()),
        _ => None,
    }
}

/// A socket that is open, or on its way.
type MaybeSocket = Option<Socket>;
