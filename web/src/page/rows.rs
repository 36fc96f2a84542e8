//! The rows on show are kept up to date: by the watch, and where rows go, by reading more of them.

use std::time::Duration;

use api::watch::WatchResponse;
use leptos::prelude::*;

use super::keys::{Keys, TYPING, clear, now};
use crate::rules::showing::Showing;

/// Between two drawings of the table, while changes pour in.
pub(super) const DRAW_MS: u64 = 100;

/// Between two readings of the rows that lack, while others delete what is shown.
pub(super) const FILL_MS: u64 = 250;

impl Keys {
    /// The watch tells something.
    pub(super) fn changed(self, news: WatchResponse) {
        if news.canceled {
            // Compacted under the watch: what is there now has to be read again.
            self.work.update_value(|work| work.watch = None);
            self.showing.update(Showing::forget);
            self.read_after(TYPING);
        } else if !news.events.is_empty() {
            self.showing.update_untracked(|showing| showing.apply(news.events));
            self.draw();
            self.fill();
        }
    }

    /// Lets the table see the changes, now or soon.
    fn draw(self) {
        let wait = self.work.with_value(|work| work.draws.wait(now()));
        if wait == 0 {
            self.work.update_value(|work| {
                work.draws.done(now());
                clear(&mut work.draw_timer);
            });
            self.showing.notify();
        } else {
            self.work.update_value(|work| {
                let pause = Duration::from_millis(wait);
                let timer = || set_timeout_with_handle(move || self.draw_late(), pause).ok();
                work.draw_timer = work.draw_timer.take().or_else(timer);
            });
        }
    }

    fn draw_late(self) {
        self.work.update_value(|work| work.draw_timer = None);
        self.draw();
    }

    /// Makes room for another page of keys.
    pub(crate) fn show_more(self) {
        self.showing.update(Showing::grow);
        self.fill();
    }

    /// Reads the keys that lack, now or soon, until there are none.
    pub(super) fn fill(self) {
        let Some((scope, from, lacking)) = self.showing.with_untracked(Showing::wanted) else {
            return;
        };
        let busy = self.work.with_value(|work| work.filling || work.fill_timer.is_some());
        if busy {
            return;
        }
        let wait = self.work.with_value(|work| work.fills.wait(now()));
        if wait > 0 {
            return self.fill_after(Duration::from_millis(wait));
        }
        let (shown, limit) = self.begin_fill(lacking);
        self.ask(scope.range(from.clone(), limit), move |result| {
            if self.work.with_value(|work| work.shown) != shown {
                return;
            }
            self.work.update_value(|work| work.filling = false);
            match result {
                Ok((page, _)) => {
                    self.showing.update(|showing| showing.fill(&from, page));
                    self.fill();
                }
                // Other rows are about to take the place of these.
                Err(_) if self.showing.with_untracked(|showing| !showing.fits()) => {}
                Err(error) => self.failed(&error, Self::fill_after),
            }
        });
    }

    fn begin_fill(self, lacking: usize) -> (u64, usize) {
        let begun = self.work.try_update_value(|work| {
            work.filling = true;
            work.fills.done(now());
            (work.shown, lacking.min(work.page_keys))
        });
        begun.unwrap_or_default()
    }

    fn fill_after(self, pause: Duration) {
        let late = move || {
            self.work.update_value(|work| work.fill_timer = None);
            self.fill();
        };
        self.work.update_value(|work| {
            clear(&mut work.fill_timer);
            work.fill_timer = set_timeout_with_handle(late, pause).ok();
        });
    }
}
