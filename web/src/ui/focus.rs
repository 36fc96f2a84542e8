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

/// Moves the focus, now.
pub(super) fn on(selector: &str) {
    let found = document().query_selector(selector).ok().flatten();
    if let Some(found) = found.and_then(|found| found.dyn_into::<HtmlElement>().ok()) {
        // An element that cannot have the focus leaves it where it is.
        let _ = found.focus();
    }
}

/// If the focus is nowhere once the page shows what has changed: moves it to the first of these that
/// is there.
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
