//! The page: hosts members in Workers, shows the cluster, and speaks to it through `client`.
//!
//! * [`rules`]: what is decided without a browser.
//! * `browser`: the browser, made safe.
//! * `page`: the state, and everything that changes it.
//! * `ui`: what is shown.

pub mod rules;

mod browser;
mod page;
mod ui;

use leptos::prelude::*;

use rules::address::Address;

/// Shows the page.
pub fn start() {
    let query = window().location().search().unwrap_or_default();
    let address = Address::parse(&query);
    if let Some(loading) = document().get_element_by_id("loading") {
        loading.remove();
    }
    mount_to_body(move || view! { <ui::App address/> });
}
