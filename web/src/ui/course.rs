//! Something long: the button that begins it, and how it goes, in lines of its own.

use leptos::prelude::*;

use crate::rules::course::Course;

/// A button that says so while what it began goes on.
#[component]
pub(super) fn CourseButton(
    course: RwSignal<Course>,
    name: &'static str,
    start: impl Fn() + 'static,
) -> impl IntoView {
    let busy = move || course.with(Course::is_busy);
    view! {
        <button
            type="button"
            aria-disabled=move || busy().to_string()
            on:click=move |_| start()
        >
            {name}
        </button>
    }
}

#[component]
pub(super) fn CourseLines(course: RwSignal<Course>) -> impl IntoView {
    view! {
        <p role="status" data-field="course">{move || line(course.with(Course::words))}</p>
        <p class="error" role="alert">{move || line(course.with(Course::failed))}</p>
    }
}

/// What is there takes room; the place for it, which readers of screens listen to, takes none.
fn line(words: Option<String>) -> Option<impl IntoView> {
    words.map(|words| view! { <span>{words}</span> })
}
