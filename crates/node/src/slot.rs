//! The log's slots: what it holds beside entries, the newest value of each.
//!
//! ```text
//!  slot 1  Identity    names, incarnation, the formation list once there is one
//!  slot 2  Boots       the nonce of every run of this directory
//!  slot 3  HardState   raft's, in raft's own protobuf
//!  slot 4  Sightings   of each peer: the highest boot seen, the highest index acknowledged
//!  slot 5  Stored      which generation of the store is current, and where the log begins
//! ```

use bytes::Bytes;
use wal::Record;

pub(crate) const IDENTITY: u8 = 1;
pub(crate) const BOOTS: u8 = 2;
pub(crate) const HARD_STATE: u8 = 3;
pub(crate) const SIGHTINGS: u8 = 4;
pub(crate) const STORED: u8 = 5;

/// Says the value of a slot.
pub(crate) fn record(slot: u8, value: Vec<u8>) -> Record {
    Record::Set { slot, value: Bytes::from(value) }
}
