//! The locks by which the tabs of this browser know of each other's members.

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::Page;
use super::members::LOCK_WAIT_MS;
use crate::browser::locks::{self, Held};
use crate::browser::time;
use crate::rules::life::Life;
use crate::rules::plan;

/// How often the page looks which locks other tabs hold; the browser does not tell.
const LOCKS_MS: u32 = 1000;

impl Page {
    pub(super) fn lock_name(self, member: &str) -> String {
        format!("kvorum/{}/{member}", self.address().cluster)
    }

    fn work_lock_name(self, member: &str) -> String {
        format!("kvorum-at-work/{}/{member}", self.address().cluster)
    }

    /// Keeps up with the locks of other tabs, as long as the page is open.
    pub(super) fn watch_locks(self) {
        spawn_local(async move {
            loop {
                self.look_at_locks().await;
                time::sleep(LOCKS_MS).await;
            }
        });
    }

    pub(super) async fn look_at_locks(self) {
        let prefix = self.lock_name("");
        let held = locks::held(&prefix).await;
        let held = held.iter().filter_map(|name| name.strip_prefix(&prefix)).map(String::from);
        let held = held.collect();
        if self.locked.with_untracked(|locked| *locked != held) {
            self.locked.set(held);
            // Whoever took or freed a lock may have made or removed a directory.
            self.list_directories().await;
        }
    }

    /// Takes or frees the lock by which other tabs know that a member is at work.
    pub(super) fn tell_work(self, name: &str, before: bool) {
        let now = self.at_work(name);
        if before && !now {
            self.set_work_lock(name, None);
        }
        if now && !before {
            let name = name.to_owned();
            spawn_local(async move {
                let lock = locks::take(&self.work_lock_name(&name), LOCK_WAIT_MS).await;
                // It may have come to rest meanwhile.
                if lock.is_some() && self.at_work(&name) {
                    self.set_work_lock(&name, lock);
                }
            });
        }
    }

    fn set_work_lock(self, name: &str, lock: Option<Held>) {
        self.hosts.update_value(|hosts| {
            if let Some(host) = hosts.get_mut(name) {
                host.at_work = lock;
            }
        });
    }

    fn at_work(self, name: &str) -> bool {
        self.lives.with_untracked(|lives| lives.get(name).is_some_and(Life::at_work))
    }

    /// Why no new cluster may be started now, as far as this browser knows.
    pub(super) async fn in_the_way(self) -> Option<String> {
        let prefix = self.work_lock_name("");
        let held = locks::held(&prefix).await;
        let at_work = held.iter().filter_map(|name| name.strip_prefix(&prefix)).map(String::from);
        let own = self.hosts.with_value(|hosts| hosts.keys().cloned().collect());
        plan::in_the_way(&at_work.collect(), &own)
    }
}
