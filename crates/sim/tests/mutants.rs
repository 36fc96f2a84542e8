//! The simulator earns its trust: builds that are broken on purpose, and the seeds that notice.
//! Here those that few seeds notice; `cargo xtask test --long mutants` runs them all.

use kvorum_sim::vopr::mutants::MUTANTS;
use kvorum_sim::vopr::{Failure, live_with};

/// Mutants that need more seeds take too long for each test run.
const WITHIN: u64 = 50;

#[test]
fn broken_builds_are_noticed() {
    let quick: Vec<_> = MUTANTS.iter().filter(|mutant| mutant.within <= WITHIN).collect();
    assert!(quick.len() >= 8, "there are {}", quick.len());
    for mutant in quick {
        let badly = |seed: &u64| {
            let outcome = live_with(*seed, Some(mutant), &[]);
            matches!(outcome.result, Err(Failure::Safety(_)))
        };
        let noticed = (0..mutant.within).find(badly);
        assert!(noticed.is_some(), "{}: not noticed in {} seeds", mutant.name, mutant.within);
    }
}

/// The issue asks for twelve.
#[test]
fn there_are_enough_of_them() {
    assert!(MUTANTS.len() >= 12);
    let mut names: Vec<_> = MUTANTS.iter().map(|mutant| mutant.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MUTANTS.len());
}
