//! The form that puts a key.

use api::Bytes;
use api::kv::PutRequest;
use api::session::Request;
use leptos::prelude::*;
use web_sys::KeyboardEvent;

use super::keys::KeysPanel;
use crate::page::PATIENCE;

#[component]
pub(super) fn Entry() -> impl IntoView {
    let panel = expect_context::<KeysPanel>();
    let (error, set_error) = signal(None::<String>);
    let (busy, set_busy) = signal(0_u32);
    let put = move || {
        set_error.set(None);
        set_busy.update(|n| *n += 1);
        let request = Request::Put(PutRequest {
            key: Bytes::from(panel.key.get_untracked()),
            value: Bytes::from(panel.value.get_untracked()),
            ..PutRequest::default()
        });
        panel.page.call(&request, PATIENCE, move |answer| {
            set_busy.update(|n| *n -= 1);
            if let Err(error) = panel.unwrap(answer) {
                set_error.set(Some(error.text().into()));
            }
        });
    };
    // A value may have lines; Enter alone puts, as in the line above.
    let enter = move |event: KeyboardEvent| {
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            put();
        }
    };
    view! {
        <form class="entry" on:submit=move |event| {
            event.prevent_default();
            put();
        }>
            <div class="field">
                <label for="key">"Key"</label>
                <input id="key" class="mono" type="text" autocomplete="off" spellcheck="false"
                    autocapitalize="off" aria-describedby="put-error" bind:value=panel.key/>
            </div>
            <div class="field wide">
                <label for="value">"Value"</label>
                <textarea id="value" class="mono" rows="1" autocomplete="off" spellcheck="false"
                    autocapitalize="off" aria-describedby="put-error" prop:value=panel.value
                    on:input=move |event| panel.value.set(event_target_value(&event))
                    on:keydown=enter></textarea>
            </div>
            <button type="submit" class="primary" aria-busy=move || (busy.get() > 0).to_string()>
                "Put"
            </button>
            <p id="put-error" class="error" role="alert">{move || error.get()}</p>
        </form>
    }
}
