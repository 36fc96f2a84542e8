//! The browser, as the page uses it: thin, safe, and nowhere else.

pub(crate) mod bell;
pub(crate) mod build;
pub(crate) mod channel;
pub(crate) mod clipboard;
pub(crate) mod files;
pub(crate) mod js;
pub(crate) mod locks;
pub(crate) mod socket;
pub(crate) mod storage;
pub(crate) mod time;
pub(crate) mod visit;
pub(crate) mod worker;
