//! Web Locks. One lock, `kvorum/<cluster>/<member>`, says which page of this browser may run a
//! member; it ends with the page that holds it. Another one, `kvorum-at-work/<cluster>/<member>`,
//! tells the other pages that the member is not at rest.

use std::collections::BTreeSet;

use js_sys::{Array, Function, Promise, Reflect};
use leptos::prelude::window;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

use super::{js, time};

/// A lock that this page holds, until it is dropped.
pub(crate) struct Held {
    release: Function,
}

impl Drop for Held {
    fn drop(&mut self) {
        // The function only resolves a promise.
        let _ = self.release.call0(&JsValue::UNDEFINED);
    }
}

/// The browser's lock manager. web-sys has it among its unstable parts only.
fn manager() -> Result<JsValue, JsValue> {
    let locks = js::get(&window().navigator(), "locks");
    if locks.is_undefined() { Err("no Web Locks".into()) } else { Ok(locks) }
}

fn method(of: &JsValue, name: &str) -> Result<Function, JsValue> {
    Reflect::get(of, &name.into())?.dyn_into()
}

/// Asks for a lock at once, and waits for it at most this long.
pub(crate) fn take(name: &str, wait_ms: u32) -> impl Future<Output = Option<Held>> + use<> {
    let taken = request(name, wait_ms);
    async {
        let release = JsFuture::from(taken.ok()?).await.ok()?.dyn_into().ok()?;
        Some(Held { release })
    }
}

/// A promise of the function that frees the lock.
fn request(name: &str, wait_ms: u32) -> Result<Promise, JsValue> {
    let locks = manager()?;
    let mut held = None;
    let granted = Promise::new(&mut |resolve: Function, _| {
        // The browser holds the lock until the promise that the callback returns is settled.
        held = Some(Closure::once_into_js(move |_lock: JsValue| {
            Promise::new(&mut |release: Function, _| {
                let _ = resolve.call1(&JsValue::UNDEFINED, &release);
            })
        }));
    });
    let callback = held.ok_or("a promise runs its function at once")?;
    let patience = AbortSignal::timeout_with_u32(wait_ms);
    let options = js::object(&[("signal", patience.into())]);
    // Settles on failure, or long after `granted`, when the lock is freed.
    let ended = method(&locks, "request")?.call3(&locks, &name.into(), &options, &callback)?;
    Ok(Promise::race(&Array::of2(&granted, &ended)))
}

/// The names of all locks that start with `prefix` and that any page of this browser holds.
pub(crate) async fn held(prefix: &str) -> BTreeSet<String> {
    let names = names("held").await.unwrap_or_default();
    names.into_iter().filter(|name| name.starts_with(prefix)).collect()
}

/// How often, and how soon again, it is looked for a request.
const LOOKS: u32 = 10;
const LOOK_MS: u32 = 50;

/// Whether any page of this browser waits for a lock. One that has just said so may be heard before
/// its request is there.
pub(crate) async fn is_awaited(name: &str) -> bool {
    for _ in 0..LOOKS {
        if names("pending").await.is_ok_and(|names| names.iter().any(|awaited| awaited == name)) {
            return true;
        }
        time::sleep(LOOK_MS).await;
    }
    false
}

/// The names of all locks in such a state.
async fn names(state: &str) -> Result<Vec<String>, JsValue> {
    let locks = manager()?;
    let all = method(&locks, "query")?.call0(&locks)?.dyn_into::<Promise>()?;
    let all = js::get(&JsFuture::from(all).await?, state);
    Ok(Array::from(&all).iter().filter_map(|lock| js::get_string(&lock, "name")).collect())
}
