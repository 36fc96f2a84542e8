//! Lives of clusters, from the command line: `cargo xtask vopr` runs this.
//!
//! ```text
//!  vopr one SEED [of NAME]        one life, told; of a broken build
//!  vopr minutes N from SEED       lives for so long
//!  vopr lives N from SEED         so many lives
//!  vopr mutants [WORD]            each broken build, or those so named, until lives notice
//! ```
//!
//! Exit codes: 0 all went well, 127 a crash, 128 not alive, 129 not safe.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use kvorum_sim::trace::Kind;
use kvorum_sim::vopr::mutants::{MUTANTS, Mutant};
use kvorum_sim::vopr::{Failure, Outcome, Plan, Tally, live, live_with};

/// Progress is shown this often.
const PROGRESS: Duration = Duration::from_secs(10);

/// So much of a life is told when it ended badly.
const LINES: usize = 150;

const KINDS: [Kind; 8] = [
    Kind::Forward,
    Kind::Hello,
    Kind::Hub,
    Kind::Job,
    Kind::Persist,
    Kind::Raft,
    Kind::Reply,
    Kind::Role,
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().ok();
    match words.as_slice() {
        ["one", seed] => number(seed).map(|seed| one(seed, None)),
        ["one", seed, "of", name] => {
            let mutant = MUTANTS.iter().find(|mutant| mutant.name == *name);
            number(seed).zip(mutant).map(|(seed, mutant)| one(seed, Some(mutant)))
        }
        ["minutes", minutes, "from", seed] => number(minutes).zip(number(seed)).map(|(n, seed)| {
            let end = Instant::now() + Duration::from_secs(n * 60);
            many(seed, |_| Instant::now() < end)
        }),
        ["lives", lives, "from", seed] => {
            number(lives).zip(number(seed)).map(|(n, seed)| many(seed, |done| done < n))
        }
        ["mutants"] => Some(mutants("")),
        ["mutants", word] => Some(mutants(word)),
        _ => None,
    }
    .unwrap_or_else(|| {
        eprintln!(
            "vopr one SEED [of NAME] | minutes N from SEED | lives N from SEED | mutants [WORD]"
        );
        ExitCode::FAILURE
    })
}

/// One life, with what can be told of it.
fn one(seed: u64, mutant: Option<&Mutant>) -> ExitCode {
    println!("seed {seed}: {:?}", Plan::of(seed));
    let outcome = live_with(seed, mutant, &KINDS);
    let skip = outcome.account.len().saturating_sub(LINES);
    if outcome.result.is_err() {
        println!("the last {LINES} lines of {}:", outcome.account.len());
        outcome.account.iter().skip(skip).for_each(|line| println!("{line}"));
    }
    show(&outcome.tally);
    println!("trace hash {:016x}", outcome.hash);
    judge(seed, &outcome)
}

/// Lives from a seed on, as long as there are to be more.
fn many(first: u64, more: impl Fn(u64) -> bool) -> ExitCode {
    let mut tally = Tally::default();
    let mut shown = Instant::now();
    for seed in (first..).take_while(|seed| more(seed - first)) {
        let outcome = live(seed);
        if outcome.result.is_err() {
            // Once more, told.
            return one(seed, None);
        }
        tally.add(&outcome.tally);
        if shown.elapsed() >= PROGRESS {
            shown = Instant::now();
            println!("seed {seed}: {} lives, {} virtual hours", tally.lives, hours(&tally));
        }
    }
    show(&tally);
    ExitCode::SUCCESS
}

fn judge(seed: u64, outcome: &Outcome) -> ExitCode {
    let Err(failure) = &outcome.result else { return ExitCode::SUCCESS };
    println!("\nFAILED seed {seed}: {failure}\nreplay with: cargo xtask vopr {seed}");
    ExitCode::from(code_of(failure))
}

fn code_of(failure: &Failure) -> u8 {
    match failure {
        Failure::Crash(_) => 127,
        Failure::Liveness(_) => 128,
        Failure::Safety(_) => 129,
    }
}

fn mutants(word: &str) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for mutant in MUTANTS.iter().filter(|mutant| mutant.name.contains(word)) {
        match noticed(mutant) {
            Some((seed, how)) => {
                println!(
                    "{}: noticed at seed {seed} of {}: {how:.100}",
                    mutant.name, mutant.within
                );
            }
            None => {
                println!("FAILED {}: not noticed in {} seeds", mutant.name, mutant.within);
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The first seed that notices, and how.
fn noticed(mutant: &Mutant) -> Option<(u64, String)> {
    (0..mutant.within).find_map(|seed| {
        // Only a broken promise counts: every rule that is left out here guards one.
        match live_with(seed, Some(mutant), &[]).result {
            Err(failure @ Failure::Safety(_)) => Some((seed, failure.to_string())),
            Err(Failure::Crash(_) | Failure::Liveness(_)) | Ok(()) => None,
        }
    })
}

fn hours(tally: &Tally) -> String {
    format!("{:.1}", tally.virtual_ms as f64 / 3_600_000.0)
}

fn show(tally: &Tally) {
    for (fault, times) in &tally.faults {
        println!("{times:>9} {fault}");
    }
    println!();
    for (job, times) in &tally.jobs {
        println!("{times:>9} {job}");
    }
    println!("{:>9} steps", tally.steps);
    println!("{:>9} requests answered, {} failed", tally.answered, tally.failed);
    println!("{:>9} entries committed, {} events told", tally.committed, tally.events);
    // The last line is read by `cargo xtask test --long vopr`.
    println!(
        "{} lives, {} virtual hours, {} faults injected",
        tally.lives,
        hours(tally),
        tally.injected()
    );
}

#[cfg(test)]
mod tests {
    use kvorum_sim::vopr::Failure;

    #[test]
    fn exit_codes_tell_crash_liveness_and_safety_apart() {
        let (property, text) = ("log_matching", String::new());
        let violation = kvorum_sim::invariants::Violation { property, text };
        let failures =
            [Failure::Crash(String::new()), Failure::Liveness(String::new()), violation.into()];
        assert_eq!(failures.map(|failure| super::code_of(&failure)), [127, 128, 129]);
    }
}
