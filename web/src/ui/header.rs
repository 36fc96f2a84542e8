//! Which cluster this is, and whether the page is in touch with it.

use leptos::prelude::*;

use super::app::page;
use crate::page::Link;
use crate::rules::source::Source;

#[component]
pub(super) fn Header() -> impl IntoView {
    let page = page();
    let cluster = page.address().cluster;
    let id = move || page.cluster_id().map(|id| id.to_string());
    let revision = move || page.revision().map(|revision| revision.to_string());
    view! {
        <header class="top">
            <h1>
                <Mark/>
                "Kvorum"
            </h1>
            <dl class="facts">
                <div>
                    <dt>"Cluster"</dt>
                    <dd data-field="cluster">{cluster}</dd>
                </div>
                <div>
                    <dt>"Id"</dt>
                    <dd class="mono" data-field="cluster-id">
                        {move || id().unwrap_or_else(|| "not formed yet".into())}
                    </dd>
                </div>
                <div>
                    <dt>"Revision"</dt>
                    <dd class="mono" data-field="cluster-revision">
                        {move || revision().unwrap_or_else(|| "–".into())}
                    </dd>
                </div>
                <div>
                    <dt>{page.source.title()}</dt>
                    <dd
                        role="status"
                        data-field="hub"
                        data-state=move || link_state(&page.link.get())
                    >
                        <span class="dot" aria-hidden="true"></span>
                        {move || link_words(&page.link.get(), page.source)}
                    </dd>
                </div>
            </dl>
        </header>
    }
}

/// Three members, one of them the leader.
#[component]
fn Mark() -> impl IntoView {
    view! {
        <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
            <path d="M16 8 L7 23 H25 Z" fill="none" stroke="currentColor" stroke-width="2"/>
            <circle cx="16" cy="8" r="5.5" class="first"/>
            <circle cx="7" cy="23" r="4.5"/>
            <circle cx="25" cy="23" r="4.5"/>
        </svg>
    }
}

fn link_state(link: &Link) -> &'static str {
    match link {
        Link::Opening => "opening",
        Link::Up => "up",
        Link::Down => "down",
        Link::OldBuild => "old-build",
    }
}

fn link_words(link: &Link, source: Source) -> String {
    match link {
        Link::Opening => "connecting".into(),
        Link::Up => "connected".into(),
        Link::Down => format!("{} not reachable", source.name()),
        Link::OldBuild => "wants a newer page".into(),
    }
}
