//! Fuzzing: bytes that no honest program wrote, at everything that reads bytes of others.
//!
//! ```text
//!  corpus ──► one or two of it ──► mutate ──► run ──► what came of it
//!    ▲                                                   │
//!    └──── never seen before: keep the input ◄───────────┘
//! ```
//!
//! There is no instrumentation, which would need another compiler: an input is kept when what
//! came of it, in words and without its numbers, is new. A corpus begins with what honest programs
//! write. `KVORUM_FUZZ_SECONDS` says how long each target runs, `KVORUM_FUZZ_KEEP` that it looks
//! elsewhere than the last time and that inputs which brought something new go to `tests/corpus`;
//! one that failed always does, and is tried first in all later runs. `KVORUM_FUZZ_SEED` has it do
//! again what it did.

mod decoders;
mod harness;
mod logs;
mod members;
mod protobuf;

use harness::fuzz;

#[test]
fn frame() {
    fuzz("frame", decoders::frames(), decoders::frame);
}

#[test]
fn command() {
    fuzz("command", decoders::commands(), decoders::command);
}

#[test]
fn snapshot() {
    fuzz("snapshot", decoders::snapshots(), decoders::snapshot);
}

#[test]
fn wal() {
    fuzz("wal", logs::seeds(), logs::run);
}

#[test]
fn node_follower() {
    fuzz("node_follower", members::seeds(), |input| members::run(members::Role::Follower, input));
}

#[test]
fn node_candidate() {
    fuzz("node_candidate", members::seeds(), |input| members::run(members::Role::Candidate, input));
}

#[test]
fn node_leader() {
    fuzz("node_leader", members::seeds(), |input| members::run(members::Role::Leader, input));
}

#[test]
fn node_learner() {
    fuzz("node_learner", members::seeds(), |input| members::run(members::Role::Learner, input));
}
