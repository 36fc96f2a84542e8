//! The other tabs of this browser, and the browser's own comings and goings.

use std::collections::BTreeMap;

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::PageTransitionEvent;

use super::Page;
use crate::browser::channel::{Channel, Word};
use crate::rules::life::Life;
use crate::rules::plan::Binding;
use crate::rules::source::Source;

impl Page {
    /// Listens to the other tabs.
    pub(super) fn join_tabs(self) {
        let channel = Channel::open(&self.address().cluster, move |word| self.heard(word));
        self.channel.set_value(channel);
    }

    pub(super) fn tell_tabs(self, word: &Word) {
        self.channel.with_value(|channel| {
            if let Some(channel) = channel {
                channel.say(word);
            }
        });
    }

    fn heard(self, word: Word) {
        match word {
            Word::HandOver(name) => self.hand_over(name),
            Word::Rebinding => drop(self.let_all_go()),
            Word::Rebound => {
                // A page that cannot be loaded anew is a page that is gone.
                let _ = window().location().reload();
            }
            Word::Changed => spawn_local(self.look_at_locks()),
        }
    }

    /// A page that is left may be kept for the way back, with its Workers frozen and their locks
    /// and files held. So a page lets go of everything when it is left. It does not listen to the
    /// other tabs either: a browser forgets a page that it would have to wake for a word.
    pub(super) fn follow_visits(self) {
        let before: StoredValue<BTreeMap<String, Life>> = StoredValue::new(BTreeMap::new());
        let left = window_event_listener_untyped("pagehide", move |_| {
            before.set_value(self.let_all_go());
            self.disconnect();
            self.channel.set_value(None);
        });
        let shown = window_event_listener_untyped("pageshow", move |event| {
            use wasm_bindgen::JsCast;
            let kept =
                event.dyn_ref::<PageTransitionEvent>().is_some_and(PageTransitionEvent::persisted);
            if kept {
                // Whose the name is may have changed meanwhile.
                self.binding.set(Binding::Unknown);
                self.connect();
                if self.source == Source::Hub {
                    self.join_tabs();
                }
                self.take_again(before.get_value());
            }
        });
        on_cleanup(move || {
            left.remove();
            shown.remove();
        });
    }
}
