//! The form that puts a key.

use api::kv::{KeyValue, PutRequest};
use api::session::Request;
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::focus;
use super::waiting::Waiting;
use crate::browser::{time, visit};
use crate::page::{PATIENCE, Page};
use crate::rules::draft::{Draft, Field, Wrong};
use crate::rules::fate::{Fate, Waits};
use crate::rules::text;

/// What is in the form, and what became of the last put. Copies are the same.
#[derive(Clone, Copy)]
pub(super) struct Form {
    page: Page,
    key: RwSignal<String>,
    value: RwSignal<String>,
    escapes: RwSignal<bool>,
    wrong: RwSignal<Option<Wrong>>,
    fate: RwSignal<Option<Fate>>,
    /// Counts puts: only the newest one's fate is told.
    puts: StoredValue<u64>,
}

impl Form {
    pub(super) fn new(page: Page) -> Self {
        let form = Self {
            page,
            key: RwSignal::default(),
            value: RwSignal::default(),
            escapes: RwSignal::default(),
            wrong: RwSignal::default(),
            fate: RwSignal::default(),
            puts: StoredValue::default(),
        };
        heals(page, form.fate);
        form
    }

    /// Puts a pair into the form, to be edited.
    pub(super) fn fill(self, kv: &KeyValue) {
        self.spell(Draft::of(kv));
        self.edited();
    }

    fn draft(self) -> Draft {
        Draft {
            key: self.key.get_untracked(),
            value: self.value.get_untracked(),
            escapes: self.escapes.get_untracked(),
        }
    }

    fn spell(self, draft: Draft) {
        self.key.set(draft.key);
        self.value.set(draft.value);
        self.escapes.set(draft.escapes);
    }

    /// What was said of the form as it was is over; a put that is under way is not.
    fn edited(self) {
        self.wrong.set(None);
        if self.fate.with_untracked(|fate| fate.as_ref().is_some_and(|f| f.waits().is_none())) {
            self.fate.set(None);
        }
    }

    /// Spells what is there in the other way.
    fn respell(self, escapes: bool) {
        self.edited();
        match self.draft().respelled(escapes) {
            Ok(draft) => self.spell(draft),
            Err(wrong) => {
                self.wrong.set(Some(wrong));
                // The box shows its state again.
                self.escapes.notify();
            }
        }
    }

    fn put(self) {
        self.edited();
        let (key, value) = match self.draft().pair() {
            Ok(pair) => pair,
            Err((field, why)) => {
                focus::on(if field == Field::Key { "#key" } else { "#value" });
                return self.wrong.set(Some((field, why)));
            }
        };
        let what = format!("Put “{}”", text::short(&self.key.get_untracked()));
        let put = self.puts.try_update_value(|n| {
            *n += 1;
            *n
        });
        self.fate.set(Some(Fate::Waits(Waits { what: what.clone(), since: time::now_ms() })));
        let request = Request::Put(PutRequest { key, value, ..PutRequest::default() });
        self.page.call(&request, PATIENCE, move |answer| {
            if put != Some(self.puts.get_value()) {
                return;
            }
            self.fate.set(Some(match answer.result {
                Ok(response) => Fate::Done(what, self.page.answered(&response, answer.millis)),
                Err(error) => Fate::of_write(&what, &error),
            }));
        });
    }
}

/// Has a failure forgotten when the cluster is well again, if that is what it was about.
pub(super) fn heals(page: Page, fate: RwSignal<Option<Fate>>) {
    Effect::new(move |_| {
        if page.led.get() && fate.with_untracked(|fate| fate.as_ref().is_some_and(Fate::passes)) {
            fate.set(None);
        }
    });
}

#[component]
pub(super) fn Entry() -> impl IntoView {
    let form = expect_context::<Form>();
    let waits = Signal::derive(move || form.fate.with(|fate| fate.as_ref()?.waits().cloned()));
    let is_wrong =
        move |field| form.wrong.with(|wrong| wrong.as_ref().is_some_and(|w| w.0 == field));
    // A finger has no Shift+Enter, and the button is beside it.
    let enter = move |event: KeyboardEvent| {
        let alone = !event.shift_key() && !event.is_composing() && !visit::by_touch();
        if event.key() == "Enter" && alone {
            event.prevent_default();
            form.put();
        }
    };
    view! {
        <form class="entry" on:submit=move |event| {
            event.prevent_default();
            form.put();
        }>
            <div class="field">
                <label for="key">"Key"</label>
                <input id="key" class="mono" type="text" autocomplete="off" spellcheck="false"
                    autocapitalize="off" aria-describedby="put-error"
                    aria-invalid=move || is_wrong(Field::Key).to_string() prop:value=form.key
                    on:input=move |event| {
                        form.key.set(event_target_value(&event));
                        form.edited();
                    }/>
            </div>
            <div class="field wide">
                <label for="value">"Value"</label>
                <textarea id="value" class="mono" rows="1" autocomplete="off" spellcheck="false"
                    autocapitalize="off" aria-describedby="put-hint put-error"
                    aria-invalid=move || is_wrong(Field::Value).to_string() prop:value=form.value
                    on:input=move |event| {
                        form.value.set(event_target_value(&event));
                        form.edited();
                    }
                    on:keydown=enter></textarea>
            </div>
            <button type="submit" class="primary"
                aria-busy=move || waits.with(Option::is_some).to_string()>
                "Put"
            </button>
            <div class="said">
                <Said form waits/>
                <label class="check">
                    <input type="checkbox" prop:checked=form.escapes
                        on:change=move |event| form.respell(event_target_checked(&event))/>
                    <span>"Escapes " <small>"(" <code>r"\xff"</code> " is a byte)"</small></span>
                </label>
            </div>
        </form>
    }
}

/// What became of the put; before there is something to tell, how to put.
#[component]
fn Said(form: Form, waits: Signal<Option<Waits>>) -> impl IntoView {
    let done = move || form.fate.with(|fate| fate.as_ref().and_then(Fate::done));
    let error = move || {
        let wrong = form.wrong.with(|wrong| wrong.as_ref().map(|(_, why)| why.clone()));
        wrong.or_else(|| form.fate.with(|fate| fate.as_ref()?.failed().map(ToOwned::to_owned)))
    };
    let quiet = move || form.wrong.with(Option::is_none) && form.fate.with(Option::is_none);
    view! {
        <div class="fate">
            <p id="put-hint" class="hint" hidden=move || !quiet()>
                "Enter puts, Shift+Enter begins a new line."
            </p>
            <Waiting waits/>
            <p class="done" role="status" data-field="put-answer">{done}</p>
            <p id="put-error" class="error" role="alert">{error}</p>
        </div>
    }
}
