//! The log as bytes: records, batches, and what a crash leaves of them.
//!
//! A log is one file: a header, then batches. A [`Batch`] is one unit of persistence; after a
//! crash it is there whole or not at all. [`Tail::encode`] turns the next batch into bytes,
//! [`recover()`] turns a file's bytes back into what the batches said. `docs/format.md` draws
//! both byte by byte.
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
//!   bytes ──► recover ──► Recovered { slots, entries, next, end, torn }  and the Tail
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
pub use format::{BATCH_BYTES, FILE_HEADER_BYTES, FORMAT_VERSION, file_header};
pub use record::{Batch, FIRST_NUMBER, Record};
pub use recover::{Recovered, Torn, fuzz_recover, recover, recover_bytes};
pub use tail::Tail;
