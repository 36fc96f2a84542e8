//! How the page was come to, and how it is used.

use leptos::prelude::window;

use super::js;

/// By the way back or forth, but loaded anew: the browser had not kept the page.
pub(crate) fn goes_back() -> bool {
    let visits = window().performance().map(|p| p.get_entries_by_type("navigation"));
    let kind = visits.and_then(|visits| js::get_string(&visits.get(0), "type"));
    kind.as_deref() == Some("back_forward")
}

/// With a finger, not with a mouse and a keyboard.
pub(crate) fn by_touch() -> bool {
    let coarse = window().match_media("(pointer: coarse)").ok().flatten();
    coarse.is_some_and(|query| query.matches())
}
