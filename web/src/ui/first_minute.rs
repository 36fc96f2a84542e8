//! What to try first, from a shell.

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::app::page;
use crate::browser::{clipboard, time};
use crate::rules::address::DEFAULT_CLUSTER;

/// Where etcdctl looks when it is told nothing.
const ETCD_PORT: &str = "2379";

/// How long a button says that it has copied.
const COPIED_MS: u32 = 1500;

#[component]
pub(super) fn FirstMinute() -> impl IntoView {
    let doors = page().address().cluster == DEFAULT_CLUSTER;
    let commands = move || {
        let endpoint = endpoint();
        let line = |rest| {
            let text = format!("etcdctl {endpoint}{rest}");
            view! { <Command text/> }
        };
        ["put key1 value1", "get key1"].map(line).collect_view()
    };
    view! {
        <section class="first-minute">
            <h2>"From a shell"</h2>
            <Show
                when=move || doors
                fallback=|| view! {
                    <p>
                        "etcdctl is led to the cluster " <strong>{DEFAULT_CLUSTER}</strong>
                        "; this one is reached from its page."
                    </p>
                }
            >
                <ol class="commands">{commands()}</ol>
            </Show>
        </section>
    }
}

/// A command, and a button that copies it, where the browser lets a page do that.
#[component]
fn Command(text: String) -> impl IntoView {
    let (copied, set_copied) = signal(false);
    let shown = text.clone();
    let copy = move |_| {
        let text = text.clone();
        spawn_local(async move {
            if clipboard::copy(&text).await {
                set_copied.set(true);
                time::sleep(COPIED_MS).await;
                set_copied.set(false);
            }
        });
    };
    let word = move || if copied.get() { "Copied" } else { "Copy" };
    let button = clipboard::is_there().then(|| {
        view! {
            <button type="button" class="copy" on:click=copy>
                <span aria-live="polite">{word}</span>
                <span class="unseen">" " {shown.clone()}</span>
            </button>
        }
    });
    view! {
        <li>
            <code>{shown}</code>
            {button}
        </li>
    }
}

/// The flag that leads etcdctl here, if it would not come by itself.
fn endpoint() -> String {
    let location = window().location();
    let host = location.hostname().unwrap_or_default();
    let port = location.port().unwrap_or_default();
    if host == "127.0.0.1" && port == ETCD_PORT {
        String::new()
    } else {
        format!("--endpoints={host}:{port} ")
    }
}
