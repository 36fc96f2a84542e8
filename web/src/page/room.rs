//! Whether the browser keeps what its members store, and how much room they have.

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::Page;
use crate::browser::{storage, time};
use crate::rules::room::Room;

/// The browser does not tell when it changes.
const LOOK_MS: u32 = 5000;

impl Page {
    /// A member of this page stores in the browser: asks it, once, to keep that, and looks at the
    /// room from time to time.
    pub(super) fn stores_here(self) {
        if self.room.with_untracked(Option::is_some) {
            return;
        }
        self.room.set(Some(Room::default()));
        spawn_local(async move {
            // A browser that asks a person answers when that one does.
            storage::ask_to_keep().await;
            self.look_at_room().await;
        });
        spawn_local(async move {
            loop {
                self.look_at_room().await;
                time::sleep(LOOK_MS).await;
            }
        });
    }

    async fn look_at_room(self) {
        let room = Room { bytes: storage::bytes().await, stays: storage::stays().await };
        if self.room.get_untracked() != Some(room) {
            self.room.set(Some(room));
        }
    }
}
