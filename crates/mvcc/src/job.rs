//! What a store wants done to its base, by whoever keeps it, beside all reads and writes.
//!
//! One job is under way at a time. A *generation* is a base in a file of its own: the next one
//! is filled while the current one serves, and takes over all at once. That is how a peer's
//! snapshot arrives, and how space is given back.
//!
//! ```text
//!  current   ──Move──Scrub──Move─────────Move──Move──────────►  gone
//!                                          │     │  every move goes to both,
//!  next               Begin──Copy──Copy────┴─────┴──Copy──Finish──Switch──Move──►
//!  next (a peer's)    Begin──Fill──Fill──Fill──────────── Finish──Switch──►
//! ```

use api::Bytes;

use crate::base::{SharedBase, Summary};
use crate::draft::Run;

/// Something to do.
#[derive(Clone, Debug)]
pub enum Job {
    /// Move a run to the current generation, which is made with this number if there is none.
    Move {
        /// The current generation.
        generation: u64,
        /// What to move.
        run: Run,
    },
    /// Drop a part of what compactions left.
    Scrub,
    /// Begin the next generation, with this number.
    Begin {
        /// Its number.
        generation: u64,
        /// What fills it.
        from: Source,
    },
    /// Add a piece of a peer's snapshot to the next generation.
    Fill(Bytes),
    /// Copy a part of the current generation to the next one.
    Copy,
    /// The next generation has all that it is to have: check it and make it safe.
    Finish {
        /// The snapshot's summary; nothing if it was copied here.
        summary: Option<Summary>,
    },
    /// The next generation is the current one from now on; the other goes.
    Switch,
    /// The next generation is not wanted any more.
    Abandon,
}

/// What fills a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The current generation; what is moved meanwhile goes to both.
    Here,
    /// A peer's snapshot.
    Peer,
}

/// A job is done.
#[derive(Clone, Debug)]
pub enum Done {
    /// The current generation, after a move or a scrub. It is safe.
    Base(SharedBase),
    /// The next generation has begun, or has got its piece.
    Ready,
    /// A part was copied.
    Copied {
        /// That was all.
        all: bool,
    },
    /// The next generation, complete and safe.
    Finished(SharedBase),
    /// The piece of a snapshot is none, in words. The next generation is gone.
    Refused(String),
    /// The next generation has taken over, or is gone.
    Settled,
    /// There was no room. The current generation holds what it held, and the job may be tried again
    /// when there is; but a next generation that it was to fill is gone.
    NoSpace {
        /// What there was no room for, in words.
        why: String,
        /// The current generation after it gave up its reserve, which is of use only when nobody
        /// reads it as it was before.
        base: Option<SharedBase>,
    },
}
