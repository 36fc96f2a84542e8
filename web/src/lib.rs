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
use rules::source::Source;
use wasm_bindgen_futures::spawn_local;

/// Shows the page, once it knows whom it comes from.
pub fn start() {
    spawn_local(async {
        let source = browser::build::source().await;
        let query = window().location().search().unwrap_or_default();
        let address = match source {
            Source::Hub => Address::parse(&query),
            Source::Server => Address::of_server(&query),
        };
        if let Some(loading) = document().get_element_by_id("loading") {
            loading.remove();
        }
        mount_to_body(move || view! { <ui::App address source/> });
    });
}
