//! Five hundred lives, one seed each. `SEED=N` lives one of them, `SEEDS=N` lives so many.

use std::{env, fs};

use kvorum_sim::trace::Kind;
use kvorum_sim::vopr::{Plan, TRACES, Tally, live, live_with, trace_hash, traces};

/// In four parts, which run at once where there are processors for it.
const SEEDS: u64 = 500;
const PARTS: u64 = 4;

fn part(part: u64) -> Tally {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let count = number("SEEDS").unwrap_or(SEEDS);
    let mut tally = Tally::default();
    for seed in (part..count).step_by(PARTS as usize) {
        if number("SEED").is_some_and(|only| only != seed) {
            continue;
        }
        let outcome = live(seed);
        if let Err(failure) = outcome.result {
            let account = live_with(seed, None, &[Kind::Reply, Kind::Role]).account;
            panic!("{}\nseed {seed}, {:?}: {failure}", account.join("\n"), Plan::of(seed));
        }
        tally.add(&outcome.tally);
    }
    if number("SEED").is_none() && number("SEEDS").is_none() {
        // A cluster that nobody asks anything, or that answers nothing, shows nothing.
        assert!(tally.answered > 100 * tally.lives, "{tally:?}");
        assert!(tally.committed > 60 * tally.lives, "{tally:?}");
        assert!(tally.events > 100 * tally.lives, "{tally:?}");
        assert!(tally.injected() > 40 * tally.lives, "{tally:?}");
        assert!(tally.faults.len() >= 27, "{tally:?}");
        assert!(tally.faults.values().all(|times| *times > 5), "{tally:?}");
        for job in ["runs moved", "parts scrubbed", "snapshots taken", "files written anew"] {
            assert!(tally.jobs.get(job).is_some_and(|times| *times > 20), "{job}: {tally:?}");
        }
    }
    tally
}

#[test]
fn lives_1() {
    part(0);
}

#[test]
fn lives_2() {
    part(1);
}

#[test]
fn lives_3() {
    part(2);
}

#[test]
fn lives_4() {
    part(3);
}

/// What these lives do is written down; a browser's Worker lives them, too, and must do the same.
/// `UPDATE_GOLDENFILES=1` writes them anew.
#[test]
fn traces_are_what_they_were() {
    let (pinned, now) = (TRACES, traces());
    if env::var_os("UPDATE_GOLDENFILES").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/traces.txt");
        fs::write(path, &now).unwrap();
    } else {
        assert_eq!(pinned, now, "the product does other things than before: UPDATE_GOLDENFILES=1");
    }
}

/// The same seed does the same, whether told or not.
#[test]
fn a_life_is_a_function_of_its_seed() {
    for seed in 0..4 {
        let kinds = [Kind::Hello, Kind::Raft, Kind::Reply, Kind::Persist, Kind::Role];
        let (one, other) = (live_with(seed, None, &kinds), live_with(seed, None, &kinds));
        assert_eq!(one, other);
        assert_eq!(one.hash, trace_hash(seed));
        assert!(one.account.len() > 200);
    }
    assert_ne!(trace_hash(0), trace_hash(1));
}
