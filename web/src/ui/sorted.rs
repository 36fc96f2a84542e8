//! A list in the order of its keys. Leptos's own `For` knows of no order: when some rows come in
//! between, it takes many of those that stay out of the page and puts them in again, and the
//! browser lays all of them out anew. Here what stays is not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use api::Bytes;
use leptos::prelude::*;
use leptos::tachys::renderer::types::Element;
use leptos::tachys::view::any_view::{AnyView, AnyViewState};
use leptos::tachys::view::{Mountable, Render};

use super::focus;

/// The rows that are in the page.
type Rows = BTreeMap<Bytes, Row>;

struct Row {
    state: AnyViewState,
    /// Everything reactive in the row ends with it.
    _owner: Owner,
}

/// Keeps one row for each key inside of `parent`, which is empty at first. `lost` is told when the
/// keyboard's focus went with a row.
pub(super) fn sorted(
    parent: impl Fn() -> Option<Element> + 'static,
    keys: Memo<Vec<Bytes>>,
    row: impl Fn(Bytes) -> AnyView + 'static,
    lost: impl Fn() + 'static,
) {
    let list = Owner::current().expect("a list is part of a page");
    Effect::new(move |rows: Option<Rows>| {
        let mut rows = rows.unwrap_or_default();
        let keys = keys.get();
        let Some(parent) = parent() else { return rows };
        let focused = !focus::is_lost();
        let wanted: BTreeSet<&Bytes> = keys.iter().collect();
        rows.retain(|key, row| {
            let stays = wanted.contains(key);
            if !stays {
                row.state.unmount();
            }
            stays
        });
        for key in keys {
            if !rows.contains_key(&key) {
                let owner = list.with(Owner::new);
                let mut state = owner.with(|| row(key.clone()).build());
                let next = rows.range::<Bytes, _>((Excluded(&key), Unbounded)).next();
                match next {
                    Some((_, next)) => {
                        next.state.insert_before_this_or_marker(&parent, &mut state, None);
                    }
                    None => state.mount(&parent, None),
                }
                rows.insert(key, Row { state, _owner: owner });
            }
        }
        if focused && focus::is_lost() {
            lost();
        }
        rows
    });
}
