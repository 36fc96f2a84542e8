//! Time and chance.

use js_sys::{Function, Promise};
use leptos::prelude::window;
use wasm_bindgen_futures::JsFuture;

/// Milliseconds since the page was opened.
pub(crate) fn now_ms() -> f64 {
    window().performance().map_or_else(js_sys::Date::now, |p| p.now())
}

/// Waits.
pub(crate) async fn sleep(ms: u32) {
    // It never fails.
    let _ = JsFuture::from(after(ms)).await;
}

/// A promise that is kept after this long.
pub(crate) fn after(ms: u32) -> Promise {
    Promise::new(&mut |resolve: Function, _| {
        let ms = i32::try_from(ms).unwrap_or(i32::MAX);
        // It only fails in a document that is gone, where nothing waits any more.
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
    })
}

/// In `0.0..1.0`.
pub(crate) fn random() -> f64 {
    js_sys::Math::random()
}
