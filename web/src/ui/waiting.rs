//! What has no answer yet: for how long, and what it waits for.

use std::time::Duration;

use leptos::leptos_dom::helpers::IntervalHandle;
use leptos::prelude::*;

use super::app::page;
use crate::browser::time;
use crate::rules::fate::{self, Waits};

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(100);

#[component]
pub(super) fn Waiting(#[prop(into)] waits: Signal<Option<Waits>>) -> impl IntoView {
    let page = page();
    let now = RwSignal::new(0.0);
    let clock = StoredValue::new(None::<IntervalHandle>);
    let stop = move || {
        if let Some(clock) = clock.try_update_value(Option::take).flatten() {
            clock.clear();
        }
    };
    Effect::new(move |_| {
        stop();
        if waits.with(Option::is_some) {
            now.set(time::now_ms());
            let tick = move || now.set(time::now_ms());
            clock.set_value(set_interval_with_handle(tick, TICK).ok());
        }
    });
    on_cleanup(stop);
    let words = Memo::new(move |_| {
        let awaited = || fate::awaited(&page.notices(), page.reached.get(), page.led.get());
        waits.with(|waits| waits.as_ref()?.words(now.get(), &awaited()))
    });
    let what = move || words.with(|words| words.as_ref().map(|(what, _)| what.clone()));
    let how_long = move || words.with(|words| words.as_ref().map(|(_, long)| long.clone()));
    view! {
        <p class="waits" class:none=move || words.with(Option::is_none) role="status">
            <span>{what}</span>
            <span aria-hidden="true">{how_long}</span>
        </p>
    }
}
