//! What is not as it should be.

use leptos::prelude::*;

use super::app::page;
use super::dialog::Question;
use super::remedy::{Remedies, Remedy};
use crate::rules::giving::Rebind;
use crate::rules::notice::Notice;

#[component]
pub(super) fn Notices() -> impl IntoView {
    let page = page();
    let notices = Memo::new(move |_| page.notices());
    // It outlives the notice, which is drawn anew when another member has no room either.
    let remedy = Remedy::new(page);
    provide_context(remedy);
    let full = move |all: &Vec<Notice>| all.iter().any(|one| matches!(one, Notice::NoSpace(_)));
    let full = Memo::new(move |_| notices.with(full));
    Effect::new(move |_| {
        if full.get() {
            remedy.begin();
        }
    });
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
    let (question, source) = (expect_context::<Question>(), page().source);
    let action = match notice {
        Notice::OldBuild => Some(
            view! {
                <button type="button" class="primary" on:click=move |_| reload()>"Reload"</button>
            }
            .into_any(),
        ),
        Notice::Away { older } => Some(
            view! {
                <div class="actions">
                    {older
                        .then(|| view! {
                            <button type="button" on:click=move |_| question.ask(Rebind::Back)>
                                "Take the name back"
                            </button>
                        })}
                    <button type="button" on:click=move |_| question.ask(Rebind::New)>
                        "Start a new cluster here"
                    </button>
                </div>
            }
            .into_any(),
        ),
        Notice::NoSpace(_) => Some(view! { <Remedies/> }.into_any()),
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
        Notice::Away { .. } => "away",
        Notice::NoMajority { .. } => "no-majority",
        Notice::NoSpace(_) => "no-space",
        Notice::Corrupt(_) => "corrupt",
    }
}

fn reload() {
    // A page that cannot be loaded anew is a page that is gone.
    let _ = window().location().reload();
}
