//! One key's row.

use api::Bytes;
use leptos::prelude::*;

use super::app::page;
use super::entry::{Form, heals};
use super::waiting::Waiting;
use crate::page::{Deleted, Keys};
use crate::rules::bytes::{self, Readable};
use crate::rules::fate::Fate;
use crate::rules::listing::Row;
use crate::rules::showing::Showing;
use crate::rules::text;

/// Filling the form is the key's button; a click anywhere else on the row does the same.
#[component]
pub(super) fn KeyRow(key: Bytes) -> impl IntoView {
    let keys = expect_context::<Keys>();
    let form = expect_context::<Form>();
    let name = bytes::readable_key(&key);
    let data_key = name.text.clone();
    let lookup = key.clone();
    let found =
        move |_: Option<&Option<Row>>| keys.showing.with(|showing| showing.row(&lookup).cloned());
    let row = Memo::new_with_compare(found, differs);
    let fate = RwSignal::new(None::<Fate>);
    let said = move || fate.with(Option::is_some);
    heals(page(), fate);
    let fill = move |_| {
        if let Some(row) = row.get_untracked() {
            form.fill(&row.kv);
        }
    };
    view! {
        <tr
            data-key=data_key
            data-said=move || said().to_string()
            class=move || row.with(flash)
            on:click=fill
        >
            <th scope="row" class="key">
                <button type="button" class="plain mono" title="Edit"><Name name/></button>
            </th>
            <td class="value mono"><Value row/></td>
            <td class="number" data-label="version">
                {move || row.with(|row| row.as_ref().map(|r| r.kv.version))}
            </td>
            <td class="number" data-label="revision">
                {move || row.with(|row| row.as_ref().map(|r| r.kv.mod_revision))}
                {move || row.with(|row| row.as_ref().and_then(lease))}
            </td>
            <td class="do"><Delete key fate/></td>
        </tr>
        <Show when=said>
            <tr class="said"><td colspan="5"><Said fate/></td></tr>
        </Show>
    }
}

/// Values are shared, not copied: where nothing changed they are in the same place. To compare
/// what is in them would cost more than to draw them.
fn differs(before: Option<&Option<Row>>, now: Option<&Option<Row>>) -> bool {
    let (Some(Some(before)), Some(Some(now))) = (before, now) else { return true };
    let at = |row: &Row| (row.kv.value.as_ptr(), row.kv.value.len(), row.kv.mod_revision);
    at(before) != at(now) || before.changes != now.changes
}

/// Two classes with the same animation take turns, so that every change starts it anew.
fn flash(row: &Option<Row>) -> &'static str {
    match row.as_ref().map_or(0, |row| row.changes) {
        0 => "",
        n if n % 2 == 1 => "changed odd",
        _ => "changed even",
    }
}

fn lease(row: &Row) -> Option<impl IntoView + use<>> {
    let lease = row.kv.lease;
    (lease != 0).then(|| view! { <small class="lease">{format!("lease {lease:x}")}</small> })
}

/// A key. Blanks at its ends are drawn: nobody could see them.
#[component]
fn Name(name: Readable) -> impl IntoView {
    let (before, middle, after) = bytes::blanks(&name.text);
    let blanks = |blanks: &str| {
        let each = |_| view! { <span class="blank">" "</span> };
        blanks.chars().map(each).collect_view()
    };
    view! {
        {blanks(before)}
        {middle.to_owned()}
        {blanks(after)}
        {name.escaped.then(tag)}
    }
}

/// A value: the beginning of a long one, and all of it when that is asked for.
#[component]
fn Value(row: Memo<Option<Row>>) -> impl IntoView {
    let whole = RwSignal::new(false);
    let value = move || row.with(|row| row.as_ref().map(|row| row.kv.value.clone()));
    let shown = move || {
        let value = value()?;
        let head = bytes::head(&value);
        let class = if head.is_some() && !whole.get() { "head" } else { "whole" };
        let readable =
            head.filter(|_| !whole.get()).unwrap_or_else(|| bytes::readable_value(&value));
        Some(view! {
            <span class=class class:escaped=readable.escaped>{readable.text}</span>
            {readable.escaped.then(tag)}
        })
    };
    let long = Memo::new(move |_| value().filter(|v| bytes::head(v).is_some()).map(|v| v.len()));
    let empty = Memo::new(move |_| value().is_some_and(|value| value.is_empty()));
    let words = move |all: usize| match whole.get() {
        true => "Show less".to_owned(),
        false => format!("Show all {}", text::size(all as u64)),
    };
    view! {
        {shown}
        {move || empty.get().then(|| view! { <small class="tag">"empty"</small> })}
        {move || long.get().map(|all| view! {
            <button type="button" class="more" aria-expanded=move || whole.get().to_string()
                on:click=move |event| {
                    event.stop_propagation();
                    whole.update(|whole| *whole = !*whole);
                }>
                {move || words(all)}
            </button>
        })}
    }
}

fn tag() -> impl IntoView {
    view! { " " <small class="tag">"escapes"</small> }
}

#[component]
fn Delete(key: Bytes, fate: RwSignal<Option<Fate>>) -> impl IntoView {
    let keys = expect_context::<Keys>();
    let deleted = expect_context::<Deleted>();
    let may_delete = Memo::new(move |_| keys.showing.with(Showing::may_delete));
    let waits = move || fate.with(|fate| fate.as_ref().is_some_and(|fate| fate.waits().is_some()));
    view! {
        <Show when=move || may_delete.get()>
            <button type="button" class="quiet" aria-busy=move || waits().to_string() on:click={
                let key = key.clone();
                move |event| {
                    event.stop_propagation();
                    if !waits() {
                        deleted.delete(key.clone(), fate);
                    }
                }
            }>"Delete"</button>
        </Show>
    }
}

/// What becomes of a deletion that is not done at once.
#[component]
fn Said(fate: RwSignal<Option<Fate>>) -> impl IntoView {
    let waits = Signal::derive(move || fate.with(|fate| fate.as_ref()?.waits().cloned()));
    let error = move || fate.with(|fate| fate.as_ref()?.failed().map(ToOwned::to_owned));
    view! {
        <Waiting waits/>
        <p class="error" role="alert">{error}</p>
    }
}
