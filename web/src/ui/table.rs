//! The table of keys.

use leptos::html;
use leptos::prelude::*;

use super::focus;
use super::row::KeyRow;
use super::sorted::sorted;
use crate::page::Keys;
use crate::rules::showing::Showing;

#[component]
pub(super) fn Table() -> impl IntoView {
    let keys = expect_context::<Keys>();
    let showing = keys.showing;
    let rows = Memo::new(move |_| showing.with(Showing::keys));
    let body = NodeRef::<html::Tbody>::new();
    let place = move || body.get().map(|body| (*body).clone().into());
    sorted(place, rows, |key| view! { <KeyRow key/> }.into_any(), || focus::on("#rows"));
    let late = Memo::new(move |_| showing.with(Showing::is_late));
    view! {
        <table id="rows" tabindex="-1" aria-label="Keys" data-late=move || late.get().to_string()>
            <thead>
                <tr>
                    <th scope="col">"Key"</th>
                    <th scope="col">"Value"</th>
                    <th scope="col" class="number">"Version"</th>
                    <th scope="col" class="number">"Revision"</th>
                    <th scope="col"><span class="unseen">"What to do"</span></th>
                </tr>
            </thead>
            <tbody node_ref=body></tbody>
        </table>
        <p class="empty">{move || showing.with(Showing::nothing)}</p>
        <Below/>
    }
}

/// How many keys there are, and the way to more of them.
#[component]
fn Below() -> impl IntoView {
    let keys = expect_context::<Keys>();
    let count = Memo::new(move |_| keys.showing.with(Showing::count));
    let goes_on = Memo::new(move |_| keys.showing.with(Showing::goes_on));
    let asked = StoredValue::new(false);
    // The button goes when all keys are shown.
    Effect::new(move |_| {
        if !goes_on.get() && asked.get_value() {
            focus::soon_if_lost(&["#rows"]);
        }
        asked.set_value(false);
    });
    let show_more = move |_| {
        asked.set_value(true);
        keys.show_more();
    };
    view! {
        <div class="below">
            <p class="count" data-field="count">{move || count.get()}</p>
            <Show when=move || goes_on.get()>
                <button type="button" on:click=show_more>"Show more"</button>
            </Show>
        </div>
    }
}
