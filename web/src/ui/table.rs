//! The table of keys.

use api::Bytes;
use api::kv::DeleteRangeRequest;
use api::session::Request;
use leptos::prelude::*;

use super::keys::KeysPanel;
use crate::page::PATIENCE;
use crate::rules::listing::{Listing, Row};
use crate::rules::text::{self, Readable};

#[component]
pub(super) fn Table() -> impl IntoView {
    let panel = expect_context::<KeysPanel>();
    let keys =
        Memo::new(move |_| panel.listing.with(|l| l.as_ref().map_or_else(Vec::new, Listing::keys)));
    let more = Memo::new(move |_| {
        panel.listing.with(|l| l.as_ref().is_some_and(|l| l.next_page().is_some()))
    });
    view! {
        <table>
            <thead>
                <tr>
                    <th scope="col">"Key"</th>
                    <th scope="col">"Value"</th>
                    <th scope="col" class="number">"Version"</th>
                    <th scope="col" class="number">"Revision"</th>
                    <th scope="col"><span class="unseen">"What to do"</span></th>
                </tr>
            </thead>
            <tbody>
                <For each=move || keys.get() key=Clone::clone let(key)>
                    <KeyRow key=key/>
                </For>
            </tbody>
        </table>
        <p class="empty">{move || nothing(panel)}</p>
        <div class="below">
            <p class="count" data-field="count">
                {move || panel.listing.with(|l| l.as_ref().map(count))}
            </p>
            <Show when=move || more.get()>
                <button type="button" on:click=move |_| panel.read_more()>"Show more"</button>
            </Show>
        </div>
    }
}

fn count(listing: &Listing) -> String {
    match (listing.shown(), listing.count()) {
        (0, _) => String::new(),
        (1, 1) => "1 key".into(),
        (shown, all) if shown as i64 == all => format!("{all} keys"),
        (shown, all) => format!("{shown} of {all} keys"),
    }
}

/// What stands in the place of rows.
fn nothing(panel: KeysPanel) -> Option<String> {
    panel.listing.with(|listing| match listing {
        None => Some("No keys have been read yet.".to_owned()),
        Some(listing) if listing.shown() > 0 || listing.next_page().is_some() => None,
        Some(_) if panel.past().is_some() => Some("There were no such keys then.".into()),
        Some(_) if panel.prefix.with(String::is_empty) => {
            Some("There are no keys yet. Put the first one.".into())
        }
        Some(_) => Some("No key starts with this prefix.".into()),
    })
}

/// A key's row. Filling the form is the key's button; a click anywhere else on the row does the
/// same.
#[component]
fn KeyRow(key: Bytes) -> impl IntoView {
    let panel = expect_context::<KeysPanel>();
    let (error, set_error) = signal(None::<String>);
    let name = text::readable(&key);
    let data_key = name.text.clone();
    let lookup = key.clone();
    let row = Memo::new(move |_| panel.listing.with(|l| l.as_ref()?.row(&lookup).cloned()));
    let fill = move || fill(panel, row);
    let delete = move || {
        set_error.set(None);
        let request = DeleteRangeRequest { key: key.clone(), ..DeleteRangeRequest::default() };
        panel.page.call(&Request::DeleteRange(request), PATIENCE, move |answer| {
            if let Err(error) = panel.unwrap(answer) {
                // The row may have gone meanwhile, and its error with it.
                set_error.try_set(Some(error.text().into()));
            }
        });
    };
    view! {
        <tr data-key=data_key class=move || row.with(flash) on:click=move |_| fill()>
            <th scope="row" class="key">
                <button type="button" class="plain mono" title="Edit">{show(name)}</button>
            </th>
            <td class="value mono">
                {move || {
                    row.with(|row| row.as_ref().map(|r| show(text::readable_value(&r.kv.value))))
                }}
            </td>
            <td class="number" data-label="version">
                {move || row.with(|row| row.as_ref().map(|r| r.kv.version))}
            </td>
            <td class="number" data-label="revision">
                {move || row.with(|row| row.as_ref().map(|r| r.kv.mod_revision))}
                {move || row.with(|row| row.as_ref().and_then(lease))}
            </td>
            <td class="do">
                <Show when=move || panel.past().is_none()>
                    <button type="button" class="quiet" on:click={
                        let delete = delete.clone();
                        move |event| {
                            event.stop_propagation();
                            delete();
                        }
                    }>"Delete"</button>
                </Show>
                <span class="error" role="alert">{move || error.get()}</span>
            </td>
        </tr>
    }
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

fn show(readable: Readable) -> impl IntoView {
    let Readable { text, escaped, cut_from } = readable;
    view! {
        <span class:escaped=escaped>{text}</span>
        {escaped.then(|| view! { <small class="tag">"bytes"</small> })}
        {cut_from.map(|all| {
            view! { <small class="tag">{format!("… {} in all", text::size(all))}</small> }
        })}
    }
}

/// Puts the row into the form. What is not text stays out: it would come back changed.
fn fill(panel: KeysPanel, row: Memo<Option<Row>>) {
    let Some(row) = row.get_untracked() else { return };
    if let Some(key) = text::editable(&row.kv.key) {
        panel.key.set(key);
        panel.value.set(text::editable(&row.kv.value).unwrap_or_default());
    }
}
