//! The keys on show: what is asked for, and how it is read.
//!
//! ```text
//!                keys.rs              │               rows.rs
//!  fields ──► read ──► first page ────┼► watch ──► changes ──► rows go? ──► fill
//!              ▲                      │    │                      ▲           │
//!              └── revisions are gone ┼────┘                      └───────────┘
//! ```

use std::time::Duration;

use api::Error;
use api::identity::ClusterId;
use api::kv::{RangeRequest, RangeResponse};
use api::session::{Request, Response};
use client::{CallId, WatchId};
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;

use super::rows::{DRAW_MS, FILL_MS};
use super::{Answer, PATIENCE, Page};
use crate::browser::time;
use crate::rules::fate::{Answered, Waits};
use crate::rules::listing::PAGE_KEYS;
use crate::rules::pace::Pace;
use crate::rules::scope::Scope;
use crate::rules::showing::{Showing, Touch};

/// After the last keystroke in a filter, before the server is asked.
pub(super) const TYPING: Duration = Duration::from_millis(120);

/// Before the keys are read again after a failure, if nothing else gives reason to.
const RETRY: Duration = Duration::from_secs(2);

/// The keys on show. Copies are the same.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    pub(crate) page: Page,
    /// The prefix, as it was typed.
    pub(crate) prefix: RwSignal<String>,
    /// The revision, as it was typed; empty is now.
    pub(crate) revision: RwSignal<String>,
    /// One member's own copy will do.
    pub(crate) serializable: RwSignal<bool>,
    /// What the table shows.
    pub(crate) showing: RwSignal<Showing>,
    /// The reading that has no answer yet.
    pub(crate) waits: RwSignal<Option<Waits>>,
    pub(super) work: StoredValue<Work, LocalStorage>,
}

/// What is under way.
pub(super) struct Work {
    /// Counts the readings that were shown: a fill of an older one is left out.
    pub(super) shown: u64,
    call: Option<CallId>,
    pub(super) watch: Option<WatchId>,
    /// Limits of size make pages smaller than the room for rows.
    pub(super) page_keys: usize,
    pub(super) filling: bool,
    read_timer: Option<TimeoutHandle>,
    pub(super) fill_timer: Option<TimeoutHandle>,
    pub(super) draw_timer: Option<TimeoutHandle>,
    pub(super) fills: Pace,
    pub(super) draws: Pace,
}

impl Keys {
    /// Reads all keys, and goes on with whatever is asked for.
    pub(crate) fn open(page: Page) -> Self {
        let work = Work {
            shown: 0,
            call: None,
            watch: None,
            page_keys: PAGE_KEYS,
            filling: false,
            read_timer: None,
            fill_timer: None,
            draw_timer: None,
            fills: Pace::new(FILL_MS),
            draws: Pace::new(DRAW_MS),
        };
        let keys = Self {
            page,
            prefix: RwSignal::default(),
            revision: RwSignal::default(),
            serializable: RwSignal::default(),
            showing: RwSignal::default(),
            waits: RwSignal::default(),
            work: StoredValue::new_local(work),
        };
        keys.follow();
        keys
    }

    /// How the page is in touch with the cluster.
    pub(crate) fn touch(self) -> Touch {
        Touch { reached: self.page.reached.get(), led: self.page.led.get() }
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
            let reads = self.work.with_value(|work| work.call.is_some());
            let again = self.showing.with_untracked(|showing| {
                // Another way leads to another member, which has a copy of its own.
                let own_copy = showing.scope().is_some_and(|scope| scope.serializable);
                let lacks = !showing.has_read() || showing.error().is_some();
                own_copy || (lacks && !reads)
            });
            if again {
                self.read_after(Duration::ZERO);
            }
        });
    }

    /// Another cluster takes the name: what was read is of the one before, and so is the watch,
    /// whose revision the new one may reach much later.
    fn forget(self) {
        self.unwatch();
        self.showing.update(Showing::forget);
        self.read_after(Duration::ZERO);
    }

    pub(super) fn read_after(self, pause: Duration) {
        self.work.update_value(|work| {
            clear(&mut work.read_timer);
            work.read_timer = set_timeout_with_handle(move || self.read(), pause).ok();
        });
    }

    /// Reads what is asked for. Until it comes, the watch keeps up what is on show.
    pub(crate) fn read(self) {
        self.work.update_value(|work| clear(&mut work.read_timer));
        self.give_up_reading();
        let asked = Scope::parse(
            &self.prefix.get_untracked(),
            &self.revision.get_untracked(),
            self.serializable.get_untracked(),
        );
        if self.showing.try_update(|showing| showing.ask(asked.clone())) == Some(true) {
            self.work.update_value(|work| work.page_keys = PAGE_KEYS);
        }
        let Ok(scope) = asked else { return self.unwatch() };
        self.waits.set(Some(Waits { what: scope.read(), since: time::now_ms() }));
        let limit = self.work.with_value(|work| work.page_keys);
        let call = self.ask(scope.range(scope.start(), limit), move |result| {
            self.work.update_value(|work| work.call = None);
            self.waits.set(None);
            match result {
                Ok((page, answered)) => self.show(scope, page, answered),
                Err(error) => self.failed(&error, Self::read_after),
            }
        });
        self.work.update_value(|work| work.call = Some(call));
    }

    fn give_up_reading(self) {
        if let Some(call) = self.work.try_update_value(|work| work.call.take()).flatten() {
            self.page.abandon(call);
        }
        if self.waits.with_untracked(Option::is_some) {
            self.waits.set(None);
        }
    }

    fn show(self, scope: Scope, page: RangeResponse, answered: Answered) {
        self.unwatch();
        self.work.update_value(|work| {
            work.shown += 1;
            work.filling = false;
        });
        let next = page.header.revision + 1;
        self.showing.update(|showing| showing.read(scope.clone(), page, answered));
        if scope.revision.is_none() {
            let watch = self.page.watch(scope.watch(next), move |news| self.changed(news));
            self.work.update_value(|work| work.watch = Some(watch));
        }
        self.fill();
    }

    fn unwatch(self) {
        if let Some(watch) = self.work.try_update_value(|work| work.watch.take()).flatten() {
            self.page.unwatch(watch);
        }
    }

    pub(super) fn ask(
        self,
        request: RangeRequest,
        then: impl FnOnce(Result<(RangeResponse, Answered), Error>) + 'static,
    ) -> CallId {
        self.page.call(&Request::Range(request), PATIENCE, move |answer| {
            let Answer { result, millis } = answer;
            match result {
                Ok(response) => {
                    let answered = self.page.answered(&response, millis);
                    if let Response::Range(page) = response {
                        then(Ok((page, answered)));
                    }
                }
                Err(error) => then(Err(error)),
            }
        })
    }

    /// A reading failed, and may be tried `again`.
    pub(super) fn failed(self, error: &Error, again: fn(Self, Duration)) {
        if self.take_smaller_pages(error) {
            return again(self, Duration::ZERO);
        }
        self.showing.update(|showing| showing.failed(error.text()));
        if self.showing.with_untracked(|showing| !showing.has_read()) {
            self.unwatch();
        }
        // Without a leader there is nothing to try before one is heard of.
        if may_pass(error) && self.page.led.get_untracked() {
            again(self, RETRY);
        }
    }

    /// Large values: a page of them may be more than a link carries.
    fn take_smaller_pages(self, error: &Error) -> bool {
        let smaller = self.work.try_update_value(|work| {
            let smaller = matches!(error, Error::Invalid(_)) && work.page_keys > 1;
            if smaller {
                work.page_keys = (work.page_keys / 4).max(1);
            }
            smaller
        });
        smaller.unwrap_or(false)
    }
}

/// Stops a timer.
pub(super) fn clear(timer: &mut Option<TimeoutHandle>) {
    if let Some(timer) = timer.take() {
        timer.clear();
    }
}

/// The same request may succeed later, without anyone changing it.
fn may_pass(error: &Error) -> bool {
    error.code() == api::Code::Unavailable
}

/// Milliseconds since the page was opened.
pub(super) fn now() -> u64 {
    time::now_ms() as u64
}
