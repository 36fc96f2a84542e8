//! Something to wait for that no timer slows: the timers of a hidden page are late.

use js_sys::{Array, Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::time;

/// Rings once, when it is dropped.
pub(crate) struct Bell {
    rung: Promise,
    ring: Function,
}

impl Bell {
    pub(crate) fn new() -> Self {
        let mut ring = None;
        let rung = Promise::new(&mut |resolve: Function, _| ring = Some(resolve));
        Self { rung, ring: ring.expect("a promise runs its function at once") }
    }

    /// Ends when the bell rings, or after this long.
    pub(crate) fn rings_within(&self, ms: u32) -> impl Future<Output = ()> + use<> {
        let either = Promise::race(&Array::of2(&self.rung, &time::after(ms)));
        async move {
            // Neither of them fails.
            let _ = JsFuture::from(either).await;
        }
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        // The function only resolves a promise.
        let _ = self.ring.call0(&JsValue::UNDEFINED);
    }
}
