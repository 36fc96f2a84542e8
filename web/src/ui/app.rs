//! The whole page.

use leptos::prelude::*;

use super::data::Data;
use super::dialog::{Question, QuestionDialog};
use super::first_minute::FirstMinute;
use super::header::Header;
use super::keys::KeysPanel;
use super::members::Members;
use super::notices::Notices;
use crate::page::Page;
use crate::rules::address::Address;
use crate::rules::source::Source;
use crate::rules::title;

/// The page of an address, or what is wrong with the address.
#[component]
pub(crate) fn App(address: Result<Address, String>, source: Source) -> impl IntoView {
    match address {
        Ok(address) => view! { <Cluster address source/> }.into_any(),
        Err(wrong) => view! { <WrongAddress wrong/> }.into_any(),
    }
}

#[component]
fn Cluster(address: Address, source: Source) -> impl IntoView {
    let cluster = address.cluster.clone();
    let page = Page::open(address, source);
    let title = Memo::new(move |_| title::title(&cluster, &page.here()));
    Effect::new(move |_| title.with(|title| document().set_title(title)));
    provide_context(page);
    provide_context(Question::default());
    view! {
        <Header/>
        <main>
            <Notices/>
            <Members/>
            <FirstMinute/>
            <KeysPanel/>
            <Data/>
        </main>
        <Show when=move || source == Source::Hub>
            <QuestionDialog/>
        </Show>
    }
}

#[component]
fn WrongAddress(wrong: String) -> impl IntoView {
    view! {
        <main>
            <section class="panel" role="alert">
                <h1>"This address leads nowhere"</h1>
                <p>{wrong}</p>
                <p><a href="/">"Go to the cluster default"</a></p>
            </section>
        </main>
    }
}

/// The page, for whatever shows a part of it.
pub(super) fn page() -> Page {
    expect_context::<Page>()
}
