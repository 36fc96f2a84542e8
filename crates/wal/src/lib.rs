//! The log as bytes: records, batches, and what a crash leaves of them.
//!
//! A log is a row of segments, files of a header and batches each. A [`Batch`] is one unit of
//! persistence; after a crash it is there whole or not at all. [`Tail::encode`] turns the next
//! batch into bytes, [`Tail::next_segment`] goes on in another file, [`recover()`] turns the
//! segments' bytes back into what the batches said. `docs/format.md` draws all of it byte by
//! byte.
//!
//! Nothing here knows what a record is for: an entry is an index with some bytes, a slot is a
//! number with some bytes. Nothing here reads or writes a file either: bytes come in and go
//! out, and `storage` moves them.
//!
//! ```text
//!            number n, checked against the tail
//!   Batch ──────────────► Tail::encode ──────────────► bytes at Tail::position
//!                              │
//!                              └──► the next Tail
//!
//!   bytes ──► recover ──► Recovered { slots, entries, next, …, torn }  and the Tail
//! ```

mod error;
mod format;
mod record;
mod recover;
mod scan;
mod tail;
#[cfg(feature = "testing")]
pub mod testing;

pub use error::{BatchError, Damage, RecoverError, Refusal, Refused};
pub use format::{BATCH_BYTES, FORMAT_VERSION, SEGMENT_HEADER_BYTES};
pub use record::{Batch, FIRST_NUMBER, Record};
pub use recover::{
    Recovered, Segment, Torn, fuzz_recover, recover, recover_bytes, recover_segments,
};
pub use tail::Tail;
