//! The cluster's data as a whole: out to a file, in from one, and away.

use leptos::html;
use leptos::prelude::*;

use super::app::page;
use super::course::{CourseButton, CourseLines};
use super::dialog::Question;
use crate::page::{Compact, Export, Import};
use crate::rules::address::Address;
use crate::rules::course::Course;
use crate::rules::giving::Rebind;
use crate::rules::source::Source;

#[component]
pub(super) fn Data() -> impl IntoView {
    let hub = page().source == Source::Hub;
    view! {
        <section class="panel data">
            <h2>"Data"</h2>
            <ExportRow/>
            <ImportRow/>
            <CompactRow/>
            {hub.then(|| view! { <WipeRow/> })}
        </section>
    }
}

#[component]
fn ExportRow() -> impl IntoView {
    let export = Export::new(page());
    view! {
        <div class="deed" data-deed="export">
            <p>
                <strong>"Export"</strong>
                " all keys at one revision, as a file of JSON lines."
            </p>
            <CourseButton course=export.course name="Export" start=move || export.start()/>
            <CourseLines course=export.course/>
        </div>
    }
}

#[component]
fn ImportRow() -> impl IntoView {
    let page = page();
    let import = Import::new(page);
    let chooser = NodeRef::<html::Input>::new();
    let busy = move || import.course.with(Course::is_busy);
    let is_new = Memo::new(move |_| page.revision().is_none_or(|revision| revision == 1));
    let here = move || is_new.get() || import.course.with(|course| *course != Course::Idle);
    let choose = move || {
        if let (false, Some(chooser)) = (busy(), chooser.get_untracked()) {
            chooser.click();
        }
    };
    let chosen = move |_| {
        let Some(chooser) = chooser.get_untracked() else { return };
        let file = chooser.files().and_then(|files| files.get(0));
        // The same file may be chosen again.
        chooser.set_value("");
        if let Some(file) = file {
            import.start(file);
        }
    };
    view! {
        <div class="deed" data-deed="import">
            <p>
                <strong>"Import"</strong>
                " such a file as a new cluster."
            </p>
            <Show when=here fallback=|| view! { <NewName/> }>
                <input
                    node_ref=chooser
                    type="file"
                    hidden
                    accept=".jsonl"
                    aria-label="File to import"
                    on:change=chosen
                />
                <CourseButton course=import.course name="Import" start=choose/>
            </Show>
            <CourseLines course=import.course/>
        </div>
    }
}

#[component]
fn CompactRow() -> impl IntoView {
    let compact = Compact::new(page());
    view! {
        <div class="deed" data-deed="compact">
            <p>
                <strong>"Compact"</strong>
                " the history: what was overwritten or deleted is dropped. Older revisions cannot \
                be read any more."
            </p>
            <CourseButton course=compact.course name="Compact" start=move || compact.start()/>
            <CourseLines course=compact.course/>
        </div>
    }
}

/// This cluster lives, so the file goes to one of another name.
#[component]
fn NewName() -> impl IntoView {
    let source = page().source;
    let name = RwSignal::new(String::new());
    let error = RwSignal::new(None::<String>);
    let open = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let query = format!("?cluster={}", name.get_untracked());
        match Address::parse(&query) {
            // In a tab of its own: the members of this cluster run in this one.
            Ok(_) => {
                error.set(None);
                drop(window().open_with_url_and_target(&format!("/{query}"), "_blank"));
            }
            Err(why) => error.set(Some(why)),
        }
    };
    if source == Source::Server {
        return view! {
            <p class="soft">"This one is not new: import into a server that has no data yet."</p>
        }
        .into_any();
    }
    view! {
        <form class="deed-name" on:submit=open>
            <label for="import-name">"This one is not new. Name of the new cluster"</label>
            <input id="import-name" class="mono" type="text" autocomplete="off" spellcheck="false"
                autocapitalize="off" aria-describedby="import-name-error" bind:value=name/>
            <button type="submit">"Open it"</button>
            <p id="import-name-error" class="error" role="alert">{move || error.get()}</p>
        </form>
    }
    .into_any()
}

#[component]
fn WipeRow() -> impl IntoView {
    let question = expect_context::<Question>();
    view! {
        <div class="deed" data-deed="wipe">
            <p>
                <strong>"Wipe"</strong>
                " the cluster: its members here end, and their data is removed."
            </p>
            <button type="button" class="danger" on:click=move |_| question.ask(Rebind::Wipe)>
                "Wipe"
            </button>
        </div>
    }
}
