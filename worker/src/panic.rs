//! What a panic said. In wasm it ends as a trap without a text, so the text is kept here for the
//! host to ask for after it has caught the trap.

use std::cell::RefCell;
use std::sync::Once;

use wasm_bindgen::prelude::*;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the text of any panic from now on.
pub(crate) fn keep_text() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            // If the cell is busy, the panic came from in here; there is no text to lose.
            LAST.with(|last| drop(last.try_borrow_mut().map(|mut l| *l = Some(panic.to_string()))));
        }));
    });
}

/// The text of the last panic, if there was one.
#[wasm_bindgen(js_name = lastPanic)]
pub fn last_panic() -> Option<String> {
    LAST.with(|last| last.try_borrow().ok().and_then(|last| last.clone()))
}
