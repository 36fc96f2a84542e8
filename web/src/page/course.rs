//! Something long, and how it goes.

use std::future::Future;

use leptos::prelude::*;

use crate::rules::course::Course;

/// Does something, unless it goes on already, and tells how it goes; `first` is said at once.
pub(super) async fn follow(
    course: RwSignal<Course>,
    first: &str,
    deed: impl Future<Output = Result<String, String>>,
) {
    if course.with_untracked(Course::is_busy) {
        return;
    }
    course.set(Course::Busy(first.into()));
    course.set(match deed.await {
        Ok(words) => Course::Done(words),
        Err(why) => Course::Failed(why),
    });
}
