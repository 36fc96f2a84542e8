//! Requests and watches: one client whose link is a member of this page or the hub.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use api::Error;
use api::frame::Frame;
use api::session::{Request, Response};
use api::watch::{WatchCreateRequest, WatchResponse};
use client::{CallId, Client, Input, Output, Patience, WatchId};
use js_sys::Promise;
use leptos::leptos_dom::helpers::TimeoutHandle;
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::{Link, Page};
use crate::browser::time;
use crate::browser::worker::ToWorker;
use crate::rules::alarm;
use crate::rules::fate::Answered;
use crate::rules::life::Life;
use crate::rules::route::{self, Route};

/// A little longer than etcd's own limit for a request, so that the member's word comes first.
/// Without anyone to ask, the time that a member takes to be started again.
pub(crate) const PATIENCE: Patience = Patience { within: 10_000, wait: 1500 };

/// The end of a request.
pub(crate) struct Answer {
    pub(crate) result: Result<Response, Error>,
    /// From asking to answering.
    pub(crate) millis: f64,
}

type OnAnswer = Box<dyn FnOnce(Answer)>;
type OnWatch = Rc<dyn Fn(WatchResponse)>;

/// What is under way.
#[derive(Default)]
pub(crate) struct Requests {
    client: Client,
    route: Option<Route>,
    calls: BTreeMap<CallId, (f64, OnAnswer)>,
    watches: BTreeMap<WatchId, OnWatch>,
    timer: Option<TimeoutHandle>,
}

impl Page {
    /// Asks; `then` runs once.
    pub(crate) fn call(
        self,
        request: &Request,
        patience: Patience,
        then: impl FnOnce(Answer) + 'static,
    ) -> CallId {
        let call = self.requests.try_update_value(|r| {
            let call = r.client.call(now(), request, patience);
            r.calls.insert(call, (time::now_ms(), Box::new(then)));
            call
        });
        self.drive();
        // The page lives as long as its tab.
        call.expect("the page's state is never disposed of")
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(self, request: &Request) -> Answer {
        let slot = Rc::new(Cell::new(None));
        let told = Promise::new(&mut |resolve, _| {
            let slot = slot.clone();
            self.call(request, PATIENCE, move |answer| {
                slot.set(Some(answer));
                // The function only resolves a promise.
                let _ = resolve.call0(&JsValue::UNDEFINED);
            });
        });
        // It is only ever resolved.
        let _ = JsFuture::from(told).await;
        slot.take().expect("the promise is resolved once the answer is there")
    }

    /// Nobody wants the answer any more.
    pub(crate) fn abandon(self, call: CallId) {
        self.requests.update_value(|r| {
            r.client.abandon(call);
            r.calls.remove(&call);
        });
        self.drive();
    }

    /// Who gave an answer.
    pub(crate) fn answered(self, response: &Response, millis: f64) -> Answered {
        let header = response.header();
        Answered { by: self.called(header.member_id), revision: header.revision, millis }
    }

    /// Watches until [`unwatch`](Self::unwatch), over losses and changes of the way.
    pub(crate) fn watch(
        self,
        create: WatchCreateRequest,
        each: impl Fn(WatchResponse) + 'static,
    ) -> WatchId {
        let watch = self.requests.try_update_value(|r| {
            let watch = r.client.watch(now(), create);
            r.watches.insert(watch, Rc::new(each));
            watch
        });
        self.drive();
        // The page lives as long as its tab.
        watch.expect("the page's state is never disposed of")
    }

    /// Ends a watch.
    pub(crate) fn unwatch(self, watch: WatchId) {
        self.requests.update_value(|r| {
            r.client.unwatch(watch);
            r.watches.remove(&watch);
        });
        self.drive();
    }

    /// Looks which way is best now, and changes over if another one is.
    pub(super) fn reroute(self) {
        let hub_up = self.link.get_untracked() == Link::Up;
        let chosen = self.local.with_untracked(|reports| {
            self.lives.with_untracked(|lives| {
                let running = reports
                    .values()
                    .filter(|report| lives.get(&report.name).is_some_and(Life::serving));
                self.requests.with_value(|r| {
                    route::choose(r.route.as_ref(), !r.calls.is_empty(), running, hub_up)
                })
            })
        });
        if self.requests.with_value(|r| r.route == chosen) {
            return;
        }
        // Whoever was asked may live on: by the old way it hears that nobody listens any more.
        if self.requests.with_value(|r| r.route.is_some()) {
            let reason = "the member that held the request does not serve any more";
            self.requests.update_value(|r| r.client.handle(now(), Input::Leave { reason }));
            self.drive();
        }
        self.requests.update_value(|r| {
            if chosen.is_some() {
                r.client.handle(now(), Input::Up);
            }
            r.route = chosen;
        });
        self.drive();
        self.reroutes.update(|n| *n = n.wrapping_add(1));
    }

    /// There is a way for requests.
    pub(super) fn has_route(self) -> bool {
        self.requests.with_value(|r| r.route.is_some())
    }

    /// A member of this page answered.
    pub(super) fn member_answered(self, name: &str, session: u64, body: &[u8]) {
        self.take_answer(&Route::Local(name.into()), Input::Message { session, body });
    }

    /// A member elsewhere answered.
    pub(super) fn hub_answered(self, answer: Input<'_>) {
        self.take_answer(&Route::Hub, answer);
    }

    fn take_answer(self, from: &Route, answer: Input<'_>) {
        self.requests.update_value(|r| {
            if r.route.as_ref() == Some(from) {
                r.client.handle(now(), answer);
            }
        });
        self.drive();
    }

    /// Carries out all that the client wants done, then sets its timer.
    fn drive(self) {
        while let Some(output) = self.requests.try_update_value(|r| r.client.poll()).flatten() {
            self.carry_out(output);
        }
        let reached = self.requests.with_value(|r| r.client.trouble().is_none());
        if self.reached.get_untracked() != reached {
            self.reached.set(reached);
        }
        self.set_timer();
    }

    fn carry_out(self, output: Output) {
        match output {
            Output::Send { session, body } => self.send_to_member(session, body),
            Output::Answer { call, result } => {
                let call = self.requests.try_update_value(|r| r.calls.remove(&call)).flatten();
                if result.as_ref().is_err_and(alarm::refused) {
                    self.met_an_alarm();
                }
                if let Some((asked, then)) = call {
                    then(Answer { result, millis: time::now_ms() - asked });
                    // A better way may have been left for this answer.
                    self.reroute();
                }
            }
            Output::Watch { watch, response } => {
                let each = self.requests.with_value(|r| r.watches.get(&watch).cloned());
                if let Some(each) = each {
                    each(response);
                }
            }
            // The page opens no raw streams.
            Output::Stream { .. } => {}
        }
    }

    fn send_to_member(self, session: u64, body: Vec<u8>) {
        match self.requests.with_value(|r| r.route.clone()) {
            Some(Route::Local(name)) => self.say(&name, &ToWorker::Client { session, body }),
            Some(Route::Hub) => self.send(&Frame::Client { session, body: &body }),
            None => {}
        }
    }

    fn set_timer(self) {
        self.requests.update_value(|r| {
            if let Some(timer) = r.timer.take() {
                timer.clear();
            }
            let Some(at) = r.client.wake_at() else { return };
            let pause = Duration::from_millis(at.saturating_sub(now()));
            let wake = move || {
                self.requests.update_value(|r| r.client.handle(now(), Input::Wake));
                self.drive();
            };
            r.timer = set_timeout_with_handle(wake, pause).ok();
        });
    }
}

/// The client's clock.
fn now() -> u64 {
    time::now_ms() as u64
}
