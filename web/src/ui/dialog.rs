//! The question before a cluster's name is given away.

use api::kv::{RangeRequest, RangeResponse};
use api::session::{Request, Response};
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::app::page;
use super::focus;
use crate::page::{PATIENCE, Page};
use crate::rules::giving::{self, Rebind};

/// Opens the question.
#[derive(Clone, Copy, Default)]
pub(super) struct Question {
    asked: RwSignal<Option<Rebind>>,
}

impl Question {
    /// Asks whether that is really wanted.
    pub(super) fn ask(self, what: Rebind) {
        self.asked.set(Some(what));
    }
}

#[component]
pub(super) fn QuestionDialog() -> impl IntoView {
    let page = page();
    let cluster = StoredValue::new(page.address().cluster);
    let asked = expect_context::<Question>().asked;
    let what = Memo::new(move |before: Option<&Rebind>| {
        asked.get().or(before.copied()).unwrap_or_default()
    });
    let dialog = NodeRef::<html::Dialog>::new();
    let (busy, set_busy) = signal(false);
    let (error, set_error) = signal(None::<String>);
    let held = RwSignal::new(None::<i64>);
    Effect::new(move |_| {
        if let (true, Some(dialog)) = (asked.get().is_some(), dialog.get_untracked()) {
            set_error.set(None);
            count_keys(page, held);
            // Fails only if it is open already.
            let _ = dialog.show_modal();
        }
    });
    let close = move || {
        if let Some(dialog) = dialog.get_untracked() {
            dialog.close();
        }
    };
    let start = move |_| {
        set_busy.set(true);
        set_error.set(None);
        let what = what.get_untracked();
        spawn_local(async move {
            match page.rebind(what).await {
                Ok(()) => {
                    close();
                    // What had asked may be gone with the old cluster.
                    focus::soon_if_lost(&["#members"]);
                }
                Err(why) => set_error.set(Some(why)),
            }
            set_busy.set(false);
        });
    };
    let text = move || giving::consequences(what.get(), &cluster.read_value(), held.get());
    view! {
        <dialog
            node_ref=dialog
            aria-labelledby="question-title"
            on:close=move |_| asked.set(None)
        >
            <h2 id="question-title">{move || giving::question(what.get())}</h2>
            <p data-field="consequences">{text}</p>
            <p class="error" role="alert">{move || error.get()}</p>
            <div class="actions">
                <button type="button" autofocus on:click=move |_| close()>"Cancel"</button>
                <button type="button" class="danger" disabled=move || busy.get() on:click=start>
                    {move || giving::deed(what.get())}
                </button>
            </div>
        </dialog>
    }
}

/// How many keys would be lost, if any member can tell.
fn count_keys(page: Page, held: RwSignal<Option<i64>>) {
    held.set(None);
    let all = RangeRequest {
        key: [0].as_slice().into(),
        range_end: [0].as_slice().into(),
        count_only: true,
        serializable: true,
        ..RangeRequest::default()
    };
    page.call(&Request::Range(all), PATIENCE, move |answer| {
        if let Ok(Response::Range(RangeResponse { count, .. })) = answer.result {
            held.set(Some(count));
        }
    });
}
