//! The file beside the page that tells of its build.

use js_sys::Promise;
use leptos::prelude::window;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

use super::js;
use crate::rules::source::Source;

const FILE: &str = "/build.json";

/// Who serves this page: a server's file says that the page hosts no members. Where the file
/// cannot be had the page is one of a hub that has just gone.
pub(crate) async fn source() -> Source {
    let Ok(file) = read().await else { return Source::Hub };
    match js::get(&file, "members").as_bool() {
        Some(false) => Source::Server,
        _ => Source::Hub,
    }
}

async fn read() -> Result<JsValue, JsValue> {
    let response: Response = JsFuture::from(window().fetch_with_str(FILE)).await?.dyn_into()?;
    let file: Promise = response.json()?;
    JsFuture::from(file).await
}
