//! What the page decides, without a browser: plain functions of plain facts, with their tests.

pub mod address;
pub mod alarm;
pub mod backoff;
pub mod bytes;
pub mod card;
pub mod compact;
pub mod course;
pub mod draft;
pub mod export;
pub mod fate;
pub mod giving;
pub mod import;
pub mod life;
pub mod listing;
pub mod native;
pub mod notice;
pub mod pace;
pub mod plan;
pub mod room;
pub mod route;
pub mod scope;
pub mod showing;
pub mod source;
pub mod text;
pub mod title;
pub mod undo;
