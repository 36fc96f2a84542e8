//! The line that says what was deleted, and takes it back.

use leptos::prelude::*;

use super::focus;
use super::waiting::Waiting;
use crate::page::Deleted;
use crate::rules::fate::Fate;
use crate::rules::{bytes, text};

#[component]
pub(super) fn Undo() -> impl IntoView {
    let deleted = expect_context::<Deleted>();
    let fate = deleted.fate;
    let waits = Signal::derive(move || fate.with(|fate| fate.as_ref()?.waits().cloned()));
    let done = move || fate.with(|fate| fate.as_ref().and_then(Fate::done));
    let error = move || fate.with(|fate| fate.as_ref()?.failed().map(ToOwned::to_owned));
    let last = Memo::new(move |_| deleted.last());
    // The row that had the focus is gone, or about to go.
    Effect::new(move |_| {
        if deleted.count.get() > 0 && (focus::is_in("td.do") || focus::is_on("#rows")) {
            focus::soon_on(&["#undo", "#rows"]);
        }
    });
    // So is the button, once there is nothing to take back.
    Effect::new(move |before: Option<bool>| {
        let now = last.with(Option::is_some);
        if before == Some(true) && !now && focus::is_in(".deleted") {
            focus::soon_on(&["#rows"]);
        }
        now
    });
    let what = move || {
        let key = last.get()?;
        Some(format!(" deleting “{}”", text::short(&bytes::readable_key(&key).text)))
    };
    view! {
        <Show when=move || fate.with(Option::is_some)>
            <div class="deleted" data-field="deleted">
                <div class="fate">
                    <Waiting waits/>
                    <p class="done" role="status">{done}</p>
                    <p class="error" role="alert">{error}</p>
                </div>
                <div class="actions">
                    <Show when=move || last.with(Option::is_some)>
                        <button id="undo" type="button" on:click=move |_| deleted.undo()>
                            "Undo"
                            <span class="unseen">{what}</span>
                        </button>
                    </Show>
                    <button type="button" class="quiet" on:click=move |_| {
                        deleted.dismiss();
                        focus::soon_on(&["#rows"]);
                    }>"Dismiss"</button>
                </div>
            </div>
        </Show>
    }
}
