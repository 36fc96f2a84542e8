//! Where the keyboard's focus goes when what had it is gone.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement};

/// The focus is nowhere.
pub(super) fn is_lost() -> bool {
    let body = document().body().map(Element::from);
    document().active_element().is_none_or(|on| Some(on) == body)
}

/// The focus is inside of this, or nowhere.
pub(super) fn is_in(selector: &str) -> bool {
    let closest = document().active_element().and_then(|on| on.closest(selector).ok().flatten());
    closest.is_some() || is_lost()
}

/// The focus is on this.
pub(super) fn is_on(selector: &str) -> bool {
    document().active_element().is_some_and(|on| on.matches(selector).unwrap_or(false))
}

/// Moves the focus, now.
pub(super) fn on(selector: &str) {
    let found = document().query_selector(selector).ok().flatten();
    if let Some(found) = found.and_then(|found| found.dyn_into::<HtmlElement>().ok()) {
        // An element that cannot have the focus leaves it where it is.
        let _ = found.focus();
    }
}

/// Moves the focus once the page shows what has changed: to the first of these that is there.
pub(super) fn soon_on(selectors: &'static [&'static str]) {
    set_timeout(move || on_first(selectors), Duration::ZERO);
}

/// The same, if the focus is nowhere then.
pub(super) fn soon_if_lost(selectors: &'static [&'static str]) {
    let late = move || {
        if is_lost() {
            on_first(selectors);
        }
    };
    set_timeout(late, Duration::ZERO);
}

fn on_first(selectors: &[&str]) {
    let there = |selector: &&&str| document().query_selector(selector).ok().flatten().is_some();
    if let Some(selector) = selectors.iter().find(there) {
        on(selector);
    }
}
