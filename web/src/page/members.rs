//! The members of this page: taking their locks, starting and ending their Workers.

use std::collections::BTreeMap;

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{Page, hub};
use crate::browser::bell::Bell;
use crate::browser::channel::Word;
use crate::browser::locks::{self, Held};
use crate::browser::worker::{FromWorker, Start, ToWorker, Worker};
use crate::browser::{storage, time, visit};
use crate::rules::address::MEMBERS;
use crate::rules::life::{Duty, Happening, Life, Phase, Storage};
use crate::rules::plan::{self, Binding, Verdict};

/// How long a page waits for a lock that is about to be freed: by a tab that is closing, or that
/// hands the member over.
pub(super) const LOCK_WAIT_MS: u32 = 2000;

/// How long a member may take to leave in order. Less than [`LOCK_WAIT_MS`], so that whoever
/// waits for the lock still gets it when the Worker hangs.
const LEAVE_MS: u32 = 1500;

/// The token that clusters in tabs form with.
const TOKEN: &str = "kvorum";

/// What this page holds of a member. Dropping it ends the Worker, then frees the lock.
pub(crate) struct Host {
    // Fields are dropped in this order.
    worker: Option<Worker>,
    _lock: Held,
    /// Tells the other tabs that the member is at work.
    pub(super) at_work: Option<Held>,
    /// For those who wait until it has left.
    leaving: Option<Bell>,
    /// Counts its Workers. What an older one started late is left out.
    run: u32,
}

impl Page {
    /// At load, and for a new cluster: takes the members that the address asks for, or says why
    /// not.
    pub(super) fn start_members(self) {
        if !window().is_secure_context() {
            self.cannot_host.set(Some(INSECURE.into()));
            return;
        }
        let address = self.address();
        // Going back is no wish to move a member that went elsewhere meanwhile.
        let ask = address.member.is_some() && !visit::goes_back();
        for name in address.members() {
            spawn_local(async move { self.take(name, ask).await });
        }
    }

    /// `Run here`.
    pub(crate) fn run_here(self, name: &str) {
        let name = name.to_owned();
        spawn_local(async move { self.take(name, false).await });
    }

    /// Takes a member's lock, asking its holder if `ask`, and starts it if that is right.
    async fn take(self, name: String, ask: bool) {
        if self.hosts.with_value(|hosts| hosts.contains_key(&name)) {
            return;
        }
        let lock = locks::take(&self.lock_name(&name), LOCK_WAIT_MS);
        if ask {
            self.tell_tabs(&Word::HandOver(name.clone()));
        }
        if let Some(lock) = lock.await {
            let host = Host { worker: None, _lock: lock, at_work: None, leaving: None, run: 0 };
            self.hosts.update_value(|hosts| drop(hosts.insert(name.clone(), host)));
            self.lives.update(|lives| drop(lives.insert(name, Life::default())));
            self.consider().await;
        }
        self.look_at_locks().await;
    }

    /// The hub has spoken: members that waited for that may start.
    pub(super) fn consider_members(self) {
        spawn_local(self.consider());
    }

    /// Starts the members that wait to be started, or lets go of them. Those that were started
    /// before the hub was reached may turn out to be of another cluster.
    pub(super) async fn consider(self) {
        self.list_directories().await;
        let (binding, directories) =
            (self.binding.get_untracked(), self.directories.get_untracked());
        for name in self.in_phase(&Phase::Held) {
            match plan::verdict(&name, binding, &directories) {
                Verdict::Start => self.start_worker(&name),
                Verdict::AwaitHub => {}
                Verdict::Leave => self.let_go(&name),
            }
        }
        for name in self.lives.with_untracked(|lives| lives.keys().cloned().collect::<Vec<_>>()) {
            if plan::is_strange(&name, binding, &directories) {
                self.let_go(&name);
            }
        }
    }

    /// Looks what this browser holds.
    pub(super) async fn list_directories(self) {
        let listed = storage::list(&self.address().cluster).await;
        self.no_files.set(listed.is_err());
        let listed = listed.unwrap_or_default();
        if self.directories.get_untracked() != listed {
            self.directories.set(listed);
        }
    }

    fn in_phase(self, phase: &Phase) -> Vec<String> {
        self.lives.with_untracked(|lives| {
            let found = lives.iter().filter(|(_, life)| life.phase == *phase);
            found.map(|(name, _)| name.clone()).collect()
        })
    }

    fn start_worker(self, name: &str) {
        let mut run = 0;
        self.hosts.update_value(|hosts| {
            if let Some(host) = hosts.get_mut(name) {
                host.worker = None;
                host.run += 1;
                run = host.run;
            }
        });
        self.local.update(|reports| drop(reports.remove(name)));
        let (page, owner) = (self, name.to_owned());
        let heard = move |from| page.hear(&owner, run, from);
        let address = self.address();
        match Worker::new(&format!("{} {name}", address.cluster), heard) {
            Ok(worker) => {
                worker.say(&ToWorker::Start(Start {
                    cluster: address.cluster,
                    member: name.into(),
                    members: MEMBERS.map(String::from).to_vec(),
                    token: TOKEN.into(),
                    relay: hub::relay_url(),
                    build: hub::build(),
                }));
                self.hosts.update_value(|hosts| {
                    if let Some(host) = hosts.get_mut(name) {
                        host.worker = Some(worker);
                    }
                });
                self.happen(name, Happening::Started);
            }
            Err(reason) => self.happen(name, Happening::Crashed(reason)),
        }
    }

    /// A Worker said something.
    fn hear(self, name: &str, run: u32, from: FromWorker) {
        if self.hosts.with_value(|hosts| hosts.get(name).is_none_or(|host| host.run != run)) {
            return;
        }
        match from {
            FromWorker::Report(report) => {
                self.learn_cluster(report.cluster);
                self.local.update(|reports| drop(reports.insert(name.into(), report)));
                self.happen(name, Happening::Reported);
                self.reroute();
            }
            FromWorker::Server { session, body } => self.member_answered(name, session, &body),
            FromWorker::Formed(cluster) => {
                self.learn_cluster(Some(cluster));
                spawn_local(self.list_directories());
            }
            FromWorker::Storage(storage) => {
                if storage == Storage::Files {
                    self.stores_here();
                }
                self.happen(name, Happening::Stores(storage));
            }
            FromWorker::Left => self.happen(name, Happening::Left),
            FromWorker::Paused => self.happen(name, Happening::Paused),
            FromWorker::Halted(reason) => self.happen(name, Happening::Halted(reason)),
            FromWorker::Failed { reason, again } => {
                self.happen(name, Happening::Failed { reason, again });
            }
            FromWorker::Crashed(reason) => self.happen(name, Happening::Crashed(reason)),
        }
    }

    /// Takes what happened to a member, and does what follows.
    fn happen(self, name: &str, happening: Happening) {
        let Some(mut life) = self.life_untracked(name) else { return };
        let before = life.clone();
        let duty = life.after(time::now_ms() as u64, happening);
        if life != before {
            self.lives.update(|lives| drop(lives.insert(name.into(), life)));
        }
        self.tell_work(name, before.at_work());
        if before.phase == Phase::Leaving && self.phase(name) != Some(Phase::Leaving) {
            self.has_left(name);
        }
        match duty {
            Duty::None => {}
            Duty::End => self.end_worker(name),
            Duty::StartAfter(pause_ms) => {
                self.end_worker(name);
                self.start_after(name.to_owned(), pause_ms);
            }
        }
        self.reroute();
    }

    fn start_after(self, name: String, pause_ms: u32) {
        let run = self.run_of(&name);
        spawn_local(async move {
            time::sleep(pause_ms).await;
            let crashed = matches!(self.phase(&name), Some(Phase::Crashed { .. }));
            if crashed && self.run_of(&name) == run {
                self.start_worker(&name);
            }
        });
    }

    fn run_of(self, name: &str) -> Option<u32> {
        self.hosts.with_value(|hosts| hosts.get(name).map(|host| host.run))
    }

    fn phase(self, name: &str) -> Option<Phase> {
        self.lives.with_untracked(|lives| lives.get(name).map(|life| life.phase.clone()))
    }

    fn end_worker(self, name: &str) {
        self.hosts.update_value(|hosts| {
            if let Some(host) = hosts.get_mut(name) {
                host.worker = None;
                host.run += 1;
            }
        });
        self.local.update(|reports| drop(reports.remove(name)));
    }

    /// Ends the Worker and frees the lock.
    fn let_go(self, name: &str) {
        let host = self.hosts.try_update_value(|hosts| hosts.remove(name)).flatten();
        drop(host);
        self.lives.update(|lives| drop(lives.remove(name)));
        self.local.update(|reports| drop(reports.remove(name)));
        self.reroute();
        self.tell_tabs(&Word::Changed);
        spawn_local(self.look_at_locks());
    }

    /// `Stop`.
    pub(crate) fn stop(self, name: &str) {
        let name = name.to_owned();
        spawn_local(async move { self.leave(&name).await });
    }

    /// `Restart`.
    pub(crate) fn restart(self, name: &str) {
        if self.phase(name) == Some(Phase::Paused) {
            self.say(name, &ToWorker::Resume);
            self.happen(name, Happening::Resumed);
        } else {
            self.start_worker(name);
        }
    }

    /// Asks a member to leave in order and waits until it has, or has taken too long.
    async fn leave(self, name: &str) {
        let Some(life) = self.life_untracked(name) else { return };
        if !life.runs() {
            self.happen(name, Happening::Left);
            return;
        }
        let run = self.run_of(name);
        let message = if life.in_memory() { ToWorker::Pause } else { ToWorker::Stop };
        self.say(name, &message);
        self.happen(name, Happening::Asked);
        self.leaving(name).await;
        if self.phase(name) == Some(Phase::Leaving) && self.run_of(name) == run {
            // A Worker that does not answer is ended all the same; its log bears that. One in
            // memory is left alone: ending it would lose its data.
            let late = if life.in_memory() { Happening::Resumed } else { Happening::Left };
            self.happen(name, late);
        }
    }

    /// It leaves no longer. A host that is dropped rings by itself.
    fn has_left(self, name: &str) {
        self.hosts.update_value(|hosts| {
            if let Some(host) = hosts.get_mut(name) {
                host.leaving = None;
            }
        });
    }

    /// Waits while a member leaves, but not for ever.
    async fn leaving(self, name: &str) {
        let left = self.hosts.try_update_value(|hosts| {
            let bell = hosts.get_mut(name)?.leaving.get_or_insert_with(Bell::new);
            Some(bell.rings_within(LEAVE_MS))
        });
        if let Some(left) = left.flatten() {
            left.await;
        }
    }

    fn life_untracked(self, name: &str) -> Option<Life> {
        self.lives.with_untracked(|lives| lives.get(name).cloned())
    }

    /// Tells a Worker something, if there is one.
    pub(super) fn say(self, name: &str, message: &ToWorker) {
        self.hosts.with_value(|hosts| {
            if let Some(worker) = hosts.get(name).and_then(|host| host.worker.as_ref()) {
                worker.say(message);
            }
        });
    }

    /// Another tab wants this member: it leaves in order, its Worker ends, then the lock is free.
    pub(super) fn hand_over(self, name: String) {
        // What is in memory cannot move.
        if self.life_untracked(&name).is_none_or(|life| life.in_memory()) {
            return;
        }
        spawn_local(async move {
            // The word may be old: while this page was frozen whoever sent it has given up.
            if !locks::is_awaited(&self.lock_name(&name)).await {
                return;
            }
            if self.life_untracked(&name).is_some_and(|life| life.runs()) {
                self.leave(&name).await;
            }
            self.let_go(&name);
        });
    }

    /// Ends everything at once: the page is being left. Answers who ran, and who was stopped.
    pub(super) fn let_all_go(self) -> BTreeMap<String, Life> {
        let hosts = self.hosts.try_update_value(std::mem::take);
        drop(hosts);
        self.local.update(BTreeMap::clear);
        let lives = self.lives.try_update(std::mem::take).unwrap_or_default();
        self.reroute();
        lives
    }

    /// The page is shown again: takes what it had, if it is still free.
    pub(super) fn take_again(self, before: BTreeMap<String, Life>) {
        for (name, life) in before {
            if life.in_memory() {
                continue;
            }
            spawn_local(async move {
                let Some(lock) = locks::take(&self.lock_name(&name), LOCK_WAIT_MS).await else {
                    return;
                };
                let host = Host { worker: None, _lock: lock, at_work: None, leaving: None, run: 0 };
                self.hosts.update_value(|hosts| drop(hosts.insert(name.clone(), host)));
                let held = if life.can_restart() { life } else { Life::default() };
                self.lives.update(|lives| drop(lives.insert(name, held)));
                self.consider().await;
            });
        }
    }

    /// The runs of this page's members, for the hub to tell them from others.
    pub(super) fn hosted_boots(self) -> Vec<(String, api::identity::Boot)> {
        self.local.with_untracked(|reports| {
            reports.iter().map(|(name, report)| (name.clone(), report.boot)).collect()
        })
    }

    /// The hub's word on the name changed to "nobody's".
    pub(super) fn unbind(self) {
        self.binding.set(Binding::Free);
    }
}

const INSECURE: &str = "Browsers give files and locks to secure pages only. Open it on the machine \
    where the hub runs, at its 127.0.0.1 address, or serve it over https. As a console it works \
    here, too.";
