//! What to try first, from a shell.

use leptos::prelude::*;

use super::app::page;
use crate::rules::address::DEFAULT_CLUSTER;

/// Where etcdctl looks when it is told nothing.
const ETCD_PORT: &str = "2379";

#[component]
pub(super) fn FirstMinute() -> impl IntoView {
    let doors = page().address().cluster == DEFAULT_CLUSTER;
    let commands = move || {
        let endpoint = endpoint();
        let line = |rest| {
            let text = format!("etcdctl {endpoint}{rest}");
            view! { <li><code>{text}</code></li> }
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
