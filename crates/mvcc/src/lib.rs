//! The revisioned store: every change of every key, each at its revision, until compaction.
//!
//! Pure and deterministic: the same calls in the same order give the same answers, events and
//! hash on every member. Knows nothing of raft, members, clocks or files.
//!
//! ```text
//!  before the log          at apply, on every member alike            reads
//!  check::request ──────►  Store::{put, compact}, Writing             Reading, TxnReading
//!                                        │
//!                          Watchers::step(&store) ──► (session, WatchResponse) …
//! ```
//!
//! # Revisions
//!
//! A fresh store is at revision 1; the first write makes 2. Everything that one request changes
//! shares one main revision, its changes are numbered by sub revision in the order of
//! operations. What changes nothing makes no revision.
//!
//! ```text
//!            revision   2       3       4       5       6
//!  key a                put ··· put ··· del ··········· put     create_revision 2,2,-,6
//!  key b                                ┆       put             version         1,2,0,1
//!                                       └ a deletion ends a life: the next put starts anew
//! ```
//!
//! # Use
//!
//! * [`check::request`] before anything is proposed: what can be refused without a store.
//! * [`Store::put`], [`Store::compact`], and for deletions and transactions [`Writing`] at apply.
//!   They are total: whatever comes, they answer or refuse, and a refusal changes nothing.
//! * What may be about many keys is done in slices, so that nobody waits for all of it: reads as
//!   well as writes. [`Store::delete_range`], [`Store::txn`] and [`Store::range`] do all at once.
//! * [`check::is_read_only`] tells which transactions need no log: [`TxnReading`].
//! * [`Watchers::request`] for what a client says, [`Watchers::changed`] after each change that
//!   is applied, [`Watchers::step`] for the messages, again while it says that more waits,
//!   [`Watchers::hold`] for a session that is full, [`Watchers::end`] when it is over.
//!
//! Every header has only its `revision` filled; the node adds cluster, member and term.
//!
//! ```
//! use api::kv::PutRequest;
//! use api::watch::{WatchCreateRequest, WatchRequest};
//! use kvorum_mvcc::{Store, Watchers};
//!
//! let mut store = Store::new();
//! let mut watchers = Watchers::new(&store);
//! let key = api::Bytes::from_static(b"key1");
//! let create = WatchCreateRequest { key: key.clone(), ..Default::default() };
//! watchers.request(&store, 1, &WatchRequest::Create(create))?;
//!
//! let put = PutRequest { key, value: "value1".into(), ..Default::default() };
//! let response = store.put(&put)?;
//! assert_eq!(response.header.revision, 2);
//! watchers.changed(&store)?;
//!
//! let step = watchers.step(&store)?;
//! let [(1, created), (1, told)] = &step.messages[..] else { panic!("two for session 1") };
//! assert!(created.created);
//! assert_eq!(told.events[0].kv.value, "value1");
//! # Ok::<(), api::Error>(())
//! ```

pub mod base;
pub mod check;
mod compact;
pub mod draft;
mod encode;
mod hash;
pub mod job;
mod layer;
mod mark;
mod merge;
mod overlap;
pub mod piece;
mod range;
mod size;
mod slice;
mod span;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod txn;
mod watch;
mod write;

pub use hash::{Hash, Hashing};
pub use mark::{Mark, Revision};
pub use range::Reading;
pub use slice::Slice;
pub use span::Span;
pub use store::{Store, Weight};
pub use txn::TxnReading;
pub use watch::{Step, Watchers};
pub use write::Writing;
