//! The keys: which are read, and how they are kept up to date.

use std::time::Duration;

use api::Error;
use api::identity::ClusterId;
use api::kv::{RangeRequest, RangeResponse, ResponseHeader};
use api::session::{Request, Response};
use api::watch::{WatchCreateRequest, WatchResponse};
use client::WatchId;
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;

use super::app::page;
use super::entry::Entry;
use super::table::Table;
use crate::page::{Answer, PATIENCE, Page};
use crate::rules::listing::{Listing, PAGE_KEYS};
use crate::rules::text;

/// After the last keystroke in a filter, before the server is asked.
const TYPING: Duration = Duration::from_millis(120);

/// Before the keys are read again after a failure, if nothing else gives reason to.
const RETRY: Duration = Duration::from_secs(2);

/// The panel's state. Copies are the same panel.
#[derive(Clone, Copy)]
pub(super) struct KeysPanel {
    pub(super) page: Page,
    /// Only keys that start with this.
    pub(super) prefix: RwSignal<String>,
    /// The revision to read at, as it was typed; empty is now.
    revision: RwSignal<String>,
    /// Read one member's own copy.
    serializable: RwSignal<bool>,
    /// The keys, once they were read.
    pub(super) listing: RwSignal<Option<Listing>>,
    /// Why they could not be read.
    error: RwSignal<Option<String>>,
    /// Who answered last, in words.
    answered: RwSignal<String>,
    /// What is in the form.
    pub(super) key: RwSignal<String>,
    pub(super) value: RwSignal<String>,
    /// Counts readings; the answer to an older one is left out.
    reading: StoredValue<u64>,
    watch: StoredValue<Option<WatchId>>,
    timer: StoredValue<Option<TimeoutHandle>, LocalStorage>,
}

#[component]
pub(super) fn Keys() -> impl IntoView {
    let panel = KeysPanel {
        page: page(),
        prefix: RwSignal::default(),
        revision: RwSignal::default(),
        serializable: RwSignal::default(),
        listing: RwSignal::default(),
        error: RwSignal::default(),
        answered: RwSignal::default(),
        key: RwSignal::default(),
        value: RwSignal::default(),
        reading: StoredValue::default(),
        watch: StoredValue::default(),
        timer: StoredValue::new_local(None),
    };
    provide_context(panel);
    panel.follow();
    view! {
        <section class="panel keys">
            <h2>"Keys"</h2>
            <Entry/>
            <Filters/>
            <Past/>
            <p class="error" role="alert" data-field="read-error">{move || panel.error.get()}</p>
            <Table/>
            <p class="answered" role="status" data-field="answered">
                {move || panel.answered.get()}
            </p>
        </section>
    }
}

#[component]
fn Filters() -> impl IntoView {
    let panel = expect_context::<KeysPanel>();
    view! {
        <form class="filters" role="search" on:submit=move |event| {
            event.prevent_default();
            panel.read();
        }>
            <div class="field">
                <label for="prefix">"Prefix"</label>
                <input id="prefix" class="mono" type="text" autocomplete="off" spellcheck="false"
                    autocapitalize="off" placeholder="all" bind:value=panel.prefix/>
            </div>
            <div class="field narrow">
                <label for="revision">"Read at revision"</label>
                <input id="revision" class="mono" type="text" inputmode="numeric" autocomplete="off"
                    placeholder="now" bind:value=panel.revision/>
            </div>
            <label class="check">
                <input type="checkbox" bind:checked=panel.serializable/>
                <span>"Serializable " <small>"(this member’s own copy)"</small></span>
            </label>
        </form>
    }
}

/// Says that the keys on show are those of the past.
#[component]
fn Past() -> impl IntoView {
    let panel = expect_context::<KeysPanel>();
    view! {
        <Show when=move || panel.past().is_some()>
            <div class="past" role="status">
                <p>
                    "The keys as they were at revision "
                    <strong>{move || panel.past()}</strong>
                    ". They do not change."
                </p>
                <button type="button" on:click=move |_| panel.revision.set(String::new())>
                    "Back to now"
                </button>
            </div>
        </Show>
    }
}

impl KeysPanel {
    /// The past revision that is asked for.
    pub(super) fn past(self) -> Option<i64> {
        self.revision.with(|text| text.trim().parse().ok()).filter(|revision| *revision > 0)
    }

    /// Reads anew whenever what is asked for changes, and when a failed reading may succeed.
    fn follow(self) {
        Effect::new(move |before: Option<()>| {
            self.prefix.track();
            self.revision.track();
            self.serializable.track();
            if before.is_some() {
                self.read_after(TYPING);
            } else {
                self.read();
            }
        });
        let cluster = Memo::new(move |_| self.page.cluster_id());
        Effect::new(move |before: Option<Option<ClusterId>>| {
            let now = cluster.get();
            if before.flatten().is_some_and(|before| now != Some(before)) {
                self.forget();
            }
            now
        });
        Effect::new(move |_| {
            self.page.reroutes.track();
            self.page.led.track();
            let failed = self.error.with_untracked(Option::is_some);
            if failed || self.listing.with_untracked(Option::is_none) {
                self.read_after(Duration::ZERO);
            }
        });
    }

    /// Another cluster takes the name: what was read is of the one before, and so is the watch,
    /// whose revision the new one may reach much later.
    fn forget(self) {
        self.next_reading();
        self.listing.set(None);
        self.read_after(Duration::ZERO);
    }

    fn read_after(self, pause: Duration) {
        self.timer.update_value(|timer| {
            if let Some(timer) = timer.take() {
                timer.clear();
            }
            *timer = set_timeout_with_handle(move || self.read(), pause).ok();
        });
    }

    /// Reads the first page.
    fn read(self) {
        let reading = self.next_reading();
        let revision = match asked_revision(&self.revision.get_untracked()) {
            Ok(revision) => revision,
            Err(wrong) => return self.tell(Some(&wrong)),
        };
        let prefix = self.prefix.get_untracked();
        let request = self.range(text::prefix_start(prefix.as_bytes()), revision);
        self.ask(reading, request, move |page| {
            let from = page.header.revision + 1;
            self.listing.set(Some(Listing::first(page)));
            if revision == 0 {
                self.watch_from(from, reading);
            }
        });
    }

    /// Reads the next page.
    pub(super) fn read_more(self) {
        let next = self.listing.with_untracked(|l| l.as_ref().and_then(Listing::next_page));
        let Some(next) = next else { return };
        let reading = self.reading.get_value();
        let revision = self.past().unwrap_or(0);
        self.ask(reading, self.range(next, revision), move |page| {
            self.listing.update(|listing| {
                if let Some(listing) = listing {
                    listing.add(page);
                }
            });
        });
    }

    fn range(self, key: api::Bytes, revision: i64) -> RangeRequest {
        RangeRequest {
            key,
            range_end: text::prefix_end(self.prefix.get_untracked().as_bytes()),
            limit: PAGE_KEYS,
            revision,
            serializable: self.serializable.get_untracked(),
            ..RangeRequest::default()
        }
    }

    fn ask(self, reading: u64, request: RangeRequest, then: impl FnOnce(RangeResponse) + 'static) {
        self.page.call(&Request::Range(request), PATIENCE, move |answer| {
            if self.reading.get_value() != reading {
                return;
            }
            match self.unwrap(answer) {
                Ok(Response::Range(page)) => {
                    self.tell(None);
                    then(page);
                }
                Ok(_) => {}
                Err(error) => {
                    self.tell(Some(error.text()));
                    // Without a leader there is nothing to try before one is heard of.
                    if may_pass(&error) && self.page.led.get_untracked() {
                        self.read_after(RETRY);
                    }
                }
            }
        });
    }

    /// Shows an error, or that there is none. The same one again is not announced again.
    fn tell(self, error: Option<&str>) {
        if self.error.with_untracked(|now| now.as_deref() != error) {
            self.error.set(error.map(Into::into));
        }
    }

    /// Ends what the last reading began.
    fn next_reading(self) -> u64 {
        if let Some(watch) = self.watch.try_update_value(Option::take).flatten() {
            self.page.unwatch(watch);
        }
        self.reading.update_value(|n| *n += 1);
        self.reading.get_value()
    }

    fn watch_from(self, start_revision: i64, reading: u64) {
        let prefix = self.prefix.get_untracked();
        let create = WatchCreateRequest {
            key: text::prefix_start(prefix.as_bytes()),
            range_end: text::prefix_end(prefix.as_bytes()),
            start_revision,
            ..WatchCreateRequest::default()
        };
        let watch = self.page.watch(create, move |response| {
            if self.reading.get_value() == reading {
                self.changed(response);
            }
        });
        self.watch.set_value(Some(watch));
    }

    fn changed(self, response: WatchResponse) {
        if response.canceled {
            // Compacted under the watch: what is there now has to be read again.
            self.read_after(TYPING);
            return;
        }
        if response.events.is_empty() {
            return;
        }
        self.listing.update(|listing| {
            if let Some(listing) = listing {
                response.events.into_iter().for_each(|event| listing.apply(event));
            }
        });
    }

    /// Tells who answered, and hands the answer on.
    pub(super) fn unwrap(self, answer: Answer) -> Result<Response, Error> {
        let took = text::millis(answer.millis);
        let header = answer.result.as_ref().ok().and_then(header);
        self.answered.set(match header {
            Some(header) => {
                let member = self.page.name_of(header.member_id);
                let member = member.unwrap_or_else(|| format!("{:x}", header.member_id));
                format!("answered by member {member}, revision {}, {took}", header.revision)
            }
            None => format!("failed after {took}"),
        });
        answer.result
    }
}

/// 0 is now.
fn asked_revision(text: &str) -> Result<i64, String> {
    match text.trim() {
        "" => Ok(0),
        text => match text.parse() {
            Ok(revision) if revision > 0 => Ok(revision),
            _ => Err("A revision is a number from 1 on.".into()),
        },
    }
}

fn header(response: &Response) -> Option<&ResponseHeader> {
    Some(match response {
        Response::Range(r) => &r.header,
        Response::Put(r) => &r.header,
        Response::DeleteRange(r) => &r.header,
        Response::Txn(r) => &r.header,
        Response::MemberList(r) => &r.header,
        Response::Status(r) => &r.header,
    })
}

/// The same request may succeed later, without anyone changing it.
fn may_pass(error: &Error) -> bool {
    error.code() == api::Code::Unavailable
}
