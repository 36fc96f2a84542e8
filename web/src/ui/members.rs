//! The members' cards.

use api::report::{LinkState, MemberReport, PeerReport};
use leptos::prelude::*;

use super::app::page;
use super::dialog::Question;
use crate::page::Page;
use crate::rules::card::{self, Card, Place, State};
use crate::rules::giving::Rebind;
use crate::rules::life::Life;
use crate::rules::source::Source;
use crate::rules::text;

#[component]
pub(super) fn Members() -> impl IntoView {
    let page = page();
    view! {
        <section class="members">
            <h2 id="members" tabindex="-1">"Members"</h2>
            <Show when=move || page.source == Source::Server>
                <p class="about" data-field="native">
                    "This page shows a native cluster: its members are servers, each a process of \
                    its own. It runs none of them, and of the others it shows what its own server \
                    knows."
                </p>
            </Show>
            <div class="cards">
                <For each=move || page.names() key=String::clone let(name)>
                    <MemberCard name/>
                </For>
            </div>
            <Show when=move || page.room().is_some()>
                <p class="about after" data-field="room">{move || page.room()}</p>
            </Show>
        </section>
    }
}

#[component]
fn MemberCard(name: String) -> impl IntoView {
    let page = page();
    let known = StoredValue::new(name.clone());
    let card = Memo::new(move |_| page.card(&known.read_value()));
    let report = Memo::new(move |_| page.report(&known.read_value()));
    let heading = format!("member-{}", text::token(&name));
    let storage = move || storage_words(page.life(&known.read_value()).as_ref());
    // A stopped member's last figures would pass for its present ones.
    let shown = move || report.get().filter(|_| card.with(|c| c.state.runs()));
    view! {
        <article
            class="card"
            aria-labelledby=heading.clone()
            data-member=name.clone()
            data-role=move || card.with(|c| c.state.role())
            data-reason=move || card.with(|c| c.state.reason())
        >
            <header>
                <h3 id=heading.clone()>"Member " {name.clone()}</h3>
                <span class="role" role="status">{move || card.with(|c| c.words.clone())}</span>
            </header>
            <p class="place">
                {move || card.with(|c| place_words(c.place))}
                <span data-field="storage">{storage}</span>
            </p>
            <Figures report=Signal::derive(shown)/>
            <Links report=Signal::derive(shown)/>
            <p class="note">{move || card.with(|c| c.note.clone())}</p>
            <Actions name=name.clone() heading=heading.clone() card/>
        </article>
    }
}

fn storage_words(life: Option<&Life>) -> Option<String> {
    card::storage_word(life).map(|word| format!(" · {word}"))
}

fn place_words(place: Place) -> &'static str {
    match place {
        Place::Here => "in this tab",
        Place::OtherTab => "in another tab",
        Place::OtherBrowser => "elsewhere",
        Place::Server => "on this server",
        Place::OtherServer => "on another server",
        Place::SomeServer => "on a server",
        Place::Nowhere => "runs nowhere",
    }
}

/// Term, commit, applied and revision.
#[component]
fn Figures(report: Signal<Option<MemberReport>>) -> impl IntoView {
    let figure = move |name: &'static str, field: &'static str, of: fn(&MemberReport) -> i128| {
        let text = move || {
            report.with(|r| r.as_ref().map_or_else(|| "–".to_owned(), |r| of(r).to_string()))
        };
        view! {
            <div>
                <dt>{name}</dt>
                <dd data-field=field>{text}</dd>
            </div>
        }
    };
    view! {
        <dl class="figures">
            {figure("Term", "term", |r| r.term.into())}
            {figure("Commit", "commit", |r| r.commit.into())}
            {figure("Applied", "applied", |r| r.applied.into())}
            {figure("Revision", "revision", |r| r.revision.into())}
        </dl>
    }
}

/// The links to its peers, as it sees them.
#[component]
fn Links(report: Signal<Option<MemberReport>>) -> impl IntoView {
    let peers = move || report.with(|r| r.as_ref().map_or_else(Vec::new, |r| r.peers.clone()));
    let link = |peer: PeerReport| {
        let (state, words) = link_words(peer.link);
        view! {
            <li data-peer=peer.name.clone() data-link=state>
                <span class="dot" aria-hidden="true"></span>
                {format!("to {} {words}", peer.name)}
            </li>
        }
    };
    view! { <ul class="links">{move || peers().into_iter().map(link).collect_view()}</ul> }
}

fn link_words(link: LinkState) -> (&'static str, &'static str) {
    match link {
        LinkState::Down => ("down", "down"),
        LinkState::Greeting => ("greeting", "greeting"),
        LinkState::Up => ("up", "up"),
    }
}

/// What can be done with the member.
#[component]
fn Actions(name: String, heading: String, card: Memo<Card>) -> impl IntoView {
    let page = page();
    let question = expect_context::<Question>();
    let address = page.address();
    let moves = address.member.as_deref() != Some(&name);
    let own_tab = address.of_member(&name);
    let (name, heading) = (StoredValue::new(name), StoredValue::new(heading));
    view! {
        <footer>
            <div class="actions">
                <StartStop name heading card/>
                <Show when=move || card.with(|c| c.new_cluster)>
                    <button
                        type="button"
                        aria-describedby=heading.get_value()
                        on:click=move |_| question.ask(Rebind::New)
                    >
                        "Start a new cluster here"
                    </button>
                </Show>
                <Show when=move || moves && card.with(|c| c.own_tab)>
                    <a href=own_tab.clone() target="_blank" aria-describedby=heading.get_value()>
                        "open in its own tab"
                    </a>
                </Show>
            </div>
        </footer>
    }
}

type Act = (&'static str, fn(Page, &str));

/// One button whose word changes with the member, so that the keyboard's focus stays on it. While
/// the member is on its way from one state to the next, there is nothing to press.
#[component]
fn StartStop(
    name: StoredValue<String>,
    heading: StoredValue<String>,
    card: Memo<Card>,
) -> impl IntoView {
    let page = page();
    let act = move || {
        card.with(|c| match (c.stop, c.restart, c.run_here) {
            (true, ..) => Some(("Stop", Page::stop as fn(Page, &str))),
            (_, true, _) => Some(("Restart", Page::restart as fn(Page, &str))),
            (.., true) => Some(("Run here", Page::run_here as fn(Page, &str))),
            _ => None,
        })
    };
    let between = move || card.with(|c| c.place == Place::Here && c.state == State::Waiting);
    let last = Memo::new(move |before: Option<&Option<Act>>| {
        act().or_else(|| before.copied().flatten().filter(|_| between()))
    });
    view! {
        <Show when=move || last.get().is_some()>
            <button
                type="button"
                aria-describedby=heading.get_value()
                aria-disabled=move || act().is_none().to_string()
                on:click=move |_| {
                    if let Some((_, act)) = act() {
                        act(page, &name.read_value());
                    }
                }
            >
                {move || last.get().map(|(word, _)| word)}
            </button>
        </Show>
    }
}
