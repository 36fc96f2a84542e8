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
    let promise = Promise::new(&mut |resolve: Function, _| {
        let ms = i32::try_from(ms).unwrap_or(i32::MAX);
        // It only fails in a document that is gone, where nothing waits any more.
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
    });
    let _ = JsFuture::from(promise).await;
}

/// In `0.0..1.0`.
pub(crate) fn random() -> f64 {
    js_sys::Math::random()
}
