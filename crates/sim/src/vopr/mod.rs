//! Whole lives of clusters, each from one seed: trouble, then healing, all of it watched.
//!
//! ```text
//!  seed ─► Plan ─► trouble (6 to 10 s) ─► faults off ─► led and serving in time? ─► coda ─► end
//!            │        │ acts: what happens to the cluster                    │
//!            │        │ workload: what clients ask                 wiped, rolled back,
//!            │        └ invariants: after every step               or neither
//!            └ how many members, which faults, how fast
//! ```
//!
//! A life ends well, or with a [`Failure`]: a *crash* if a node panicked, of *liveness* if the
//! cluster did not heal in time, of *safety* if a property did not hold. The same seed lives the
//! same life, natively and in wasm: [`trace_hash`].
//!
//! # Earning trust
//!
//! Each rule of [`mutants::MUTANTS`] is left out in turn, and lives must notice. The table there
//! says within how many seeds.

mod acts;
mod coda;
mod life;
pub mod mutants;
mod plan;
mod workload;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::invariants::Violation;
use crate::trace::Kind;
use life::Life;
use mutants::Mutant;
pub use plan::Plan;

/// How a life can end badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A node panicked, with these words.
    Crash(String),
    /// It did not heal, or not in time.
    Liveness(String),
    /// A property did not hold.
    Safety(Violation),
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Safety(violation)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Crash(text) => write!(f, "crash: {text}"),
            Self::Liveness(text) => write!(f, "liveness: {text}"),
            Self::Safety(violation) => {
                write!(f, "safety, {}: {}", violation.property, violation.text)
            }
        }
    }
}

/// What happened in a life, or in several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lives.
    pub lives: u64,
    /// Virtual milliseconds.
    pub virtual_ms: u64,
    /// Steps of the simulation.
    pub steps: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that ended with an error.
    pub failed: u64,
    /// Entries committed.
    pub committed: u64,
    /// Events told to watches.
    pub events: u64,
    /// What members had done below memory, by kind.
    pub jobs: BTreeMap<&'static str, u64>,
    /// Faults, by kind.
    pub faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// All faults.
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.faults.values().sum()
    }

    pub(crate) fn count(&mut self, fault: &'static str, times: u64) {
        *self.faults.entry(fault).or_default() += times;
    }

    /// Adds what happened in other lives.
    pub fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.virtual_ms += other.virtual_ms;
        self.steps += other.steps;
        self.answered += other.answered;
        self.failed += other.failed;
        self.committed += other.committed;
        self.events += other.events;
        for (job, times) in &other.jobs {
            *self.jobs.entry(job).or_default() += times;
        }
        for (fault, times) in &other.faults {
            self.count(fault, *times);
        }
    }
}

/// A life that has been lived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What happened.
    pub tally: Tally,
    /// A hash of all that nodes wanted done, and when.
    pub hash: u64,
    /// How it ended.
    pub result: Result<(), Failure>,
    /// What was told of it, oldest first; empty unless asked for.
    pub account: Vec<String>,
}

/// Lives the life of a seed.
#[must_use]
pub fn live(seed: u64) -> Outcome {
    live_with(seed, None, &[])
}

/// Lives the life of a seed, with a rule left out, and tells of these kinds of things.
#[must_use]
pub fn live_with(seed: u64, mutant: Option<&Mutant>, show: &[Kind]) -> Outcome {
    let _broken = mutants::leave_out(mutant);
    let lying_disks = mutant.is_some_and(Mutant::lying_disks);
    let mut life = Life::new(seed, lying_disks);
    life.cluster.trace.show(show.iter().copied());
    let result = caught(|| life.live());
    life.outcome(result)
}

/// Lives; a panic is one way to end. Of a life in pieces only its account is looked at.
fn caught(live: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(live)).unwrap_or_else(|panic| {
        let fixed = panic.downcast_ref::<&str>().map(ToString::to_string);
        let words = fixed.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Failure::Crash(words.unwrap_or_default()))
    })
}

/// Lives whose traces are pinned: a line each, the seed and its [`trace_hash`] in hexadecimal.
pub const TRACES: &str = include_str!("../../traces.txt");

/// The pinned lives as they are lived here, in the form of [`TRACES`].
#[must_use]
pub fn traces() -> String {
    let seed = |line: &str| line.split(' ').next().and_then(|seed| seed.parse().ok());
    let seeds = TRACES.lines().filter_map(seed);
    seeds.map(|seed: u64| format!("{seed} {:016x}\n", trace_hash(seed))).collect()
}

/// A hash of everything that the nodes of a life wanted done, and when: the same on every
/// platform, every time.
#[must_use]
pub fn trace_hash(seed: u64) -> u64 {
    live(seed).hash
}

#[cfg(test)]
mod tests {
    use super::{Failure, caught};

    #[test]
    fn a_panic_ends_a_life_as_a_crash() {
        let crash = |words: &str| Err(Failure::Crash(words.into()));
        assert_eq!(caught(|| panic!("the log is gone")), crash("the log is gone"));
        let entry = 7;
        assert_eq!(caught(|| panic!("entry {entry} is gone")), crash("entry 7 is gone"));
        let late = Failure::Liveness("late".into());
        assert_eq!(caught(|| Err(late.clone())), Err(late.clone()));
        assert_eq!(caught(|| Ok(())), Ok(()));
    }
}
