//! What is not as it should be.

use leptos::prelude::*;

use super::app::page;
use super::dialog::NewCluster;
use crate::rules::notice::Notice;

#[component]
pub(super) fn Notices() -> impl IntoView {
    let page = page();
    let notices = Memo::new(move |_| page.notices());
    view! {
        <div class="notices" role="status" aria-live="polite">
            <For each=move || notices.get() key=|notice| format!("{notice:?}") let(notice)>
                <NoticeBox notice/>
            </For>
        </div>
    }
}

#[component]
fn NoticeBox(notice: Notice) -> impl IntoView {
    let (new_cluster, source) = (expect_context::<NewCluster>(), page().source);
    let action = match notice {
        Notice::OldBuild => Some(
            view! {
                <button type="button" class="primary" on:click=move |_| reload()>"Reload"</button>
            }
            .into_any(),
        ),
        Notice::Away => Some(
            view! {
                <button type="button" on:click=move |_| new_cluster.ask()>
                    "Start a new cluster here"
                </button>
            }
            .into_any(),
        ),
        _ => None,
    };
    view! {
        <div class="notice" data-notice=kind(&notice)>
            <p>
                <strong>{notice.title(source)}</strong>
                " "
                {notice.body(source)}
            </p>
            {action}
        </div>
    }
}

fn kind(notice: &Notice) -> &'static str {
    match notice {
        Notice::OldBuild => "old-build",
        Notice::CannotHost(_) => "cannot-host",
        Notice::HubDown => "hub-down",
        Notice::InMemory(_) => "in-memory",
        Notice::Forming { .. } => "forming",
        Notice::Away => "away",
        Notice::NoMajority { .. } => "no-majority",
    }
}

fn reload() {
    // A page that cannot be loaded anew is a page that is gone.
    let _ = window().location().reload();
}
