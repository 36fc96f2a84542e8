//! The keys: the form, the filters, what is shown and what that is.

use leptos::prelude::*;

use super::app::page;
use super::deleted::Undo;
use super::entry::{Entry, Form};
use super::table::Table;
use super::waiting::Waiting;
use crate::page::{Deleted, Keys};
use crate::rules::showing::{Caption, Kind, Showing};

#[component]
pub(super) fn KeysPanel() -> impl IntoView {
    let page = page();
    let keys = Keys::open(page);
    let deleted = Deleted::new(page);
    let form = Form::new(page);
    provide_context(keys);
    provide_context(deleted);
    provide_context(form);
    // What another cluster had is nothing of this one.
    let cluster = Memo::new(move |_| page.cluster_id());
    Effect::new(move |before: Option<_>| {
        let now = cluster.get();
        if before.flatten().is_some_and(|before| now != Some(before)) {
            deleted.dismiss();
        }
        now
    });
    view! {
        <section class="panel keys">
            <h2>"Keys"</h2>
            <Entry/>
            <Filters/>
            <Above/>
            <div class="rows">
                <Table/>
                <Undo/>
            </div>
        </section>
    }
}

#[component]
fn Filters() -> impl IntoView {
    let keys = expect_context::<Keys>();
    let mistyped = move || keys.showing.with(Showing::mistyped);
    view! {
        <form class="filters" role="search" on:submit=move |event| {
            event.prevent_default();
            keys.read();
        }>
            <div class="field">
                <label for="prefix">"Prefix"</label>
                <input id="prefix" class="mono" type="text" autocomplete="off" spellcheck="false"
                    autocapitalize="off" placeholder="all" bind:value=keys.prefix/>
            </div>
            <div class="field narrow">
                <label for="revision">"Read at revision"</label>
                <input id="revision" class="mono" type="text" inputmode="numeric" autocomplete="off"
                    placeholder="now" aria-describedby="read-error"
                    aria-invalid=move || mistyped().to_string() bind:value=keys.revision/>
            </div>
            <label class="check">
                <input type="checkbox" bind:checked=keys.serializable/>
                <span>"Serializable " <small>"(one member’s own copy)"</small></span>
            </label>
        </form>
    }
}

/// What stands above the rows: what they are, and what comes of the reading that is under way.
#[component]
fn Above() -> impl IntoView {
    let keys = expect_context::<Keys>();
    let caption = Memo::new(move |_| keys.showing.with(|showing| showing.caption(keys.touch())));
    let error =
        Memo::new(move |_| keys.showing.with(|showing| showing.error().map(ToOwned::to_owned)));
    view! {
        <div class="above">
            {move || caption.get().map(|caption| view! { <CaptionLine caption/> })}
            <Waiting waits=keys.waits/>
            <p id="read-error" class="error" role="alert" data-field="read-error">
                {move || error.get()}
            </p>
        </div>
    }
}

#[component]
fn CaptionLine(caption: Caption) -> impl IntoView {
    let Caption { kind, words, answered } = caption;
    let (name, is_past) = match kind {
        Kind::Live => ("live", false),
        Kind::Past => ("past", true),
        Kind::Behind => ("behind", false),
    };
    view! {
        <div class="caption" role="status" data-field="caption" data-kind=name>
            <p>
                <span class="dot" aria-hidden="true"></span>
                {words}
                " "
                <small data-field="answered">{answered}</small>
            </p>
            {is_past.then(|| view! { <BackToNow/> })}
        </div>
    }
}

#[component]
fn BackToNow() -> impl IntoView {
    let keys = expect_context::<Keys>();
    let back = move |_| {
        keys.revision.set(String::new());
        // The button goes with what it stands beside.
        super::focus::on("#revision");
    };
    view! { <button type="button" on:click=back>"Back to now"</button> }
}
