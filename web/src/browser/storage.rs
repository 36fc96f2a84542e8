//! This browser's data directories, seen from the page. The page lists and removes; only Workers
//! read and write.
//!
//! ```text
//!  kvorum/<cluster>/<member>/log-00000001, store-00000001 …
//!  kvorum/<cluster>/<member>/cluster-<id in hex>     empty; there once the member has formed
//! ```

use api::identity::ClusterId;
use js_sys::{AsyncIterator, Function, Promise};
use leptos::prelude::window;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{FileSystemDirectoryHandle, FileSystemRemoveOptions};

use super::js;
use crate::rules::plan::{Directories, Directory};

const TOP: &str = "kvorum";
const MARKER: &str = "cluster-";

/// The directories under a cluster's name. An error means that the browser refuses files.
pub(crate) async fn list(cluster: &str) -> Result<Directories, String> {
    list_in(cluster).await.map_err(|e| js::error_text(&e))
}

async fn list_in(cluster: &str) -> Result<Directories, JsValue> {
    let Some(top) = child(&root().await?, TOP).await? else { return Ok(Directories::new()) };
    let Some(room) = child(&top, cluster).await? else { return Ok(Directories::new()) };
    let mut directories = Directories::new();
    for member in names(&room).await? {
        if let Some(home) = child(&room, &member).await? {
            let clusters = names(&home).await?.iter().filter_map(|n| marked(n)).collect();
            directories.insert(member, Directory { clusters });
        }
    }
    Ok(directories)
}

fn marked(entry: &str) -> Option<ClusterId> {
    u64::from_str_radix(entry.strip_prefix(MARKER)?, 16).ok().map(ClusterId)
}

/// Removes all directories under a cluster's name. Fails while a Worker still has one open.
pub(crate) async fn remove(cluster: &str) -> Result<(), String> {
    remove_in(cluster).await.map_err(|e| js::error_text(&e))
}

async fn remove_in(cluster: &str) -> Result<(), JsValue> {
    let Some(top) = child(&root().await?, TOP).await? else { return Ok(()) };
    let options = FileSystemRemoveOptions::new();
    options.set_recursive(true);
    match JsFuture::from(top.remove_entry_with_options(cluster, &options)).await {
        Err(e) if is_not_found(&e) => Ok(()),
        other => other.map(drop),
    }
}

/// Asks the browser to remove nothing of this site by itself.
pub(crate) async fn ask_to_keep() {
    // What it makes of that is what `stays` answers.
    let _ = ask("persist").await;
}

/// Whether the browser keeps what is here until it is told to remove it, if it says so.
pub(crate) async fn stays() -> Option<bool> {
    ask("persisted").await.ok()?.as_bool()
}

/// What this site uses, and what it may use at most, if the browser says so.
pub(crate) async fn bytes() -> Option<(u64, u64)> {
    let estimate = ask("estimate").await.ok()?;
    let bytes = |name| js::get(&estimate, name).as_f64().map(|bytes| bytes as u64);
    Some((bytes("usage")?, bytes("quota")?))
}

/// Calls a method that some browsers do not have.
async fn ask(method: &str) -> Result<JsValue, JsValue> {
    let storage = js::get(&window().navigator(), "storage");
    let method: Function = js::get(&storage, method).dyn_into()?;
    JsFuture::from(method.call0(&storage)?.dyn_into::<Promise>()?).await
}

async fn root() -> Result<FileSystemDirectoryHandle, JsValue> {
    let storage = js::get(&window().navigator(), "storage");
    if js::get(&storage, "getDirectory").is_undefined() {
        return Err("this browser has no private file system".into());
    }
    let root: Promise = window().navigator().storage().get_directory();
    JsFuture::from(root).await?.dyn_into()
}

/// A directory inside, if it is there.
async fn child(
    parent: &FileSystemDirectoryHandle,
    name: &str,
) -> Result<Option<FileSystemDirectoryHandle>, JsValue> {
    match JsFuture::from(parent.get_directory_handle(name)).await {
        Ok(handle) => handle.dyn_into().map(Some),
        Err(e) if is_not_found(&e) || is_file(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The names of everything inside.
async fn names(directory: &FileSystemDirectoryHandle) -> Result<Vec<String>, JsValue> {
    let entries: AsyncIterator = directory.keys();
    let mut names = Vec::new();
    loop {
        let step = JsFuture::from(entries.next()?).await?;
        if js::get(&step, "done").is_truthy() {
            return Ok(names);
        }
        names.extend(js::get_string(&step, "value"));
    }
}

fn is_not_found(error: &JsValue) -> bool {
    js::get_string(error, "name").as_deref() == Some("NotFoundError")
}

fn is_file(error: &JsValue) -> bool {
    js::get_string(error, "name").as_deref() == Some("TypeMismatchError")
}
