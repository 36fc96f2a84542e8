//! What is copied to be pasted elsewhere.

use leptos::prelude::window;
use wasm_bindgen_futures::JsFuture;

use super::js;

/// The browser lets this page copy; it does so on secure pages only.
pub(crate) fn is_there() -> bool {
    !js::get(&window().navigator(), "clipboard").is_undefined()
}

/// Copies a text. False if the browser refuses.
pub(crate) async fn copy(text: &str) -> bool {
    is_there() && JsFuture::from(window().navigator().clipboard().write_text(text)).await.is_ok()
}
