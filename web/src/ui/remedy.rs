//! What can be done about NOSPACE, beside the words that tell of it.

use leptos::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::course::{CourseButton, CourseLines};
use super::focus;
use crate::page::{Compact, Disarm, Page};
use crate::rules::course::Course;

/// The two steps behind the deletion of keys. Copies are the same.
#[derive(Clone, Copy)]
pub(super) struct Remedy {
    compact: Compact,
    disarm: Disarm,
}

impl Remedy {
    pub(super) fn new(page: Page) -> Self {
        Self { compact: Compact::new(page), disarm: Disarm::new(page) }
    }

    /// An alarm is raised: how it went with the one before is of no interest.
    pub(super) fn begin(self) {
        for course in [self.compact.course, self.disarm.course] {
            if !course.with_untracked(Course::is_busy) {
                course.set(Course::Idle);
            }
        }
    }
}

#[component]
pub(super) fn Remedies() -> impl IntoView {
    let Remedy { compact, disarm } = expect_context::<Remedy>();
    let start_disarm = move || {
        spawn_local(async move {
            disarm.start().await;
            // The button goes with the alarm.
            focus::soon_if_lost(&["#members"]);
        });
    };
    view! {
        <div class="actions">
            <CourseButton course=compact.course name="Compact" start=move || compact.start()/>
            <CourseButton course=disarm.course name="Disarm" start=start_disarm/>
        </div>
        <CourseLines course=compact.course/>
        <CourseLines course=disarm.course/>
    }
}
