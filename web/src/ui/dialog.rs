//! The question before a new cluster takes the name.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::app::page;
use super::focus;

/// Opens the question.
#[derive(Clone, Copy, Default)]
pub(super) struct NewCluster {
    asked: RwSignal<u32>,
}

impl NewCluster {
    /// Asks whether a new cluster is really wanted.
    pub(super) fn ask(self) {
        self.asked.update(|n| *n = n.wrapping_add(1));
    }
}

#[component]
pub(super) fn NewClusterDialog() -> impl IntoView {
    let page = page();
    let cluster = page.address().cluster;
    let asked = expect_context::<NewCluster>().asked;
    let dialog = NodeRef::<html::Dialog>::new();
    let (busy, set_busy) = signal(false);
    let (error, set_error) = signal(None::<String>);
    Effect::new(move |_| {
        if let (true, Some(dialog)) = (asked.get() > 0, dialog.get_untracked()) {
            set_error.set(None);
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
        spawn_local(async move {
            match page.start_new_cluster().await {
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
    view! {
        <dialog node_ref=dialog aria-labelledby="new-cluster-title">
            <h2 id="new-cluster-title">"Start a new cluster here?"</h2>
            <p>
                "The name " <strong>{cluster}</strong>
                " goes to a new, empty cluster whose members run in this browser. What this "
                "browser still holds of the old one is removed and cannot be brought back."
            </p>
            <p class="error" role="alert">{move || error.get()}</p>
            <div class="actions">
                <button type="button" autofocus on:click=move |_| close()>"Cancel"</button>
                <button type="button" class="danger" disabled=move || busy.get() on:click=start>
                    "Start a new cluster"
                </button>
            </div>
        </dialog>
    }
}
