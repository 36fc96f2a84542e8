//! The page.
use leptos::prelude::*;
/// Shows the page.
pub fn start() {
    mount_to_body(|| view! { <p>"hi"</p> });
}
