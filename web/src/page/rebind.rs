//! The cluster's name goes to another cluster: a new one, the one that had it before, or none.
//!
//! ```text
//!  page            hub                     other tabs of this browser
//!   │ look whether other tabs have members at work: then no
//!   │── Rebind ───►│  refused while a member of the old cluster
//!   │◄─ Rebound ───│  is connected from elsewhere
//!   │── rebinding ────────────────────────►│ end their members
//!   │ end own members                      │
//!   │ remove directories, unless `Back`    │
//!   │── rebound, removed or not ──────────►│ load anew
//!   │ take and start the members anew, unless `Wipe`
//! ```

use api::frame::Frame;
use js_sys::{Function, Promise};
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::{Link, Page};
use crate::browser::channel::Word;
use crate::browser::{js, storage, time};
use crate::rules::giving::Rebind;

/// Ends the wait for the hub's answer: with nothing, or with why not.
pub(super) type Asker = Function;

/// Tries to remove the directories. A Worker that was ended frees its files a moment later.
const REMOVALS: u32 = 30;
const REMOVAL_PAUSE_MS: u32 = 100;

impl Page {
    /// Gives the name away. The error is for the person who asked.
    pub(crate) async fn rebind(self, to: Rebind) -> Result<(), String> {
        if let Some(why) = self.in_the_way().await {
            return Err(why);
        }
        self.ask_hub().await?;
        self.tell_tabs(&Word::Rebinding);
        drop(self.let_all_go());
        let removed = match to {
            Rebind::Back => Ok(()),
            Rebind::New | Rebind::Wipe => self.remove_directories().await,
        };
        self.unbind();
        self.list_directories().await;
        // The other tabs have ended their members, so they go on from what is there, come what may.
        self.tell_tabs(&Word::Rebound);
        removed?;
        if to != Rebind::Wipe {
            self.start_members();
        }
        Ok(())
    }

    async fn ask_hub(self) -> Result<(), String> {
        if self.link.get_untracked() != Link::Up {
            return Err("The hub is not reachable; it has to agree first.".into());
        }
        let answer = Promise::new(&mut |resolve, _| self.rebinding.set_value(Some(resolve)));
        self.send(&Frame::Rebind { hosted: self.hosted_boots() });
        let answer = JsFuture::from(answer).await.map_err(|e| js::error_text(&e))?;
        answer.as_string().map_or(Ok(()), Err)
    }

    /// The hub has answered, or never will.
    pub(super) fn rebind_answered(self, result: Result<(), String>) {
        let asker = self.rebinding.try_update_value(Option::take).flatten();
        if let Some(asker) = asker {
            let why = result.err().map_or(JsValue::UNDEFINED, JsValue::from);
            // The function only resolves a promise.
            let _ = asker.call1(&JsValue::UNDEFINED, &why);
        }
    }

    async fn remove_directories(self) -> Result<(), String> {
        if self.no_files.get_untracked() {
            return Ok(());
        }
        let cluster = self.address().cluster;
        let mut last = Ok(());
        for _ in 0..REMOVALS {
            last = storage::remove(&cluster).await;
            if last.is_ok() {
                break;
            }
            time::sleep(REMOVAL_PAUSE_MS).await;
        }
        last.map_err(|why| format!("The old data could not be removed: {why}. Load the page anew."))
    }
}
