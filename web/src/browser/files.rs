//! Files that a person saves and chooses.

use std::time::Duration;

use js_sys::{Array, ArrayBuffer, Uint8Array};
use leptos::prelude::{document, set_timeout};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, File, HtmlAnchorElement, Url};

use super::js;

/// After that long a download has begun and holds the file by itself.
const SAVED: Duration = Duration::from_secs(60);

/// A file that is written before it is saved. The browser keeps what is large on its disk.
pub(crate) struct Draft {
    parts: Array,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self { parts: Array::new() }
    }

    /// Writes on.
    pub(crate) fn push(&self, text: &str) -> Result<(), String> {
        let part = Blob::new_with_str_sequence(&Array::of1(&text.into()));
        let part = part.map_err(|e| js::error_text(&e))?;
        self.parts.push(&part);
        Ok(())
    }

    /// Has the browser save it as a download.
    pub(crate) fn save(self, name: &str) -> Result<(), String> {
        let save = || -> Result<(), JsValue> {
            let whole = Blob::new_with_blob_sequence(&self.parts)?;
            let url = Url::create_object_url_with_blob(&whole)?;
            let link: HtmlAnchorElement = document().create_element("a")?.dyn_into()?;
            link.set_href(&url);
            link.set_download(name);
            link.click();
            // Some browsers begin the download a moment later.
            let free = move || drop(Url::revoke_object_url(&url));
            set_timeout(free, SAVED);
            Ok(())
        };
        save().map_err(|e| js::error_text(&e))
    }
}

/// Bytes of a chosen file. The error is a sentence.
pub(crate) async fn read(file: &File, from: f64, to: f64) -> Result<Vec<u8>, String> {
    let read = async {
        let slice = file.slice_with_f64_and_f64(from, to)?;
        let buffer: ArrayBuffer = JsFuture::from(slice.array_buffer()).await?.dyn_into()?;
        Ok::<_, JsValue>(Uint8Array::new(&buffer).to_vec())
    };
    read.await.map_err(|e| format!("The file cannot be read: {}", js::error_text(&e)))
}
