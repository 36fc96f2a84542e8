//! `cargo xtask test --long NAME`: proofs that take hours, in as many runs as one likes.
//!
//! Each run adds a line to `tests/long-runs.tsv`. A line vouches for the code that it ran on: its
//! `code` is a hash over the directories and files that the proof is about, as committed. Counts of
//! one `code` add up; when one of those changes they start again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::count::{self, Counts};
use super::steps::{IN_BROWSERS, Need, logged, node_tests};
use super::{Prepared, prepare};
use crate::digest::Digest;
use crate::{root, run, vopr};

/// One proof with a long form.
pub(crate) struct Long {
    /// For `--long`.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) about: &'static str,
    /// What is counted.
    unit: &'static str,
    /// The directories and files whose change makes all earlier runs void.
    proves: &'static [&'static str],
    /// What one round runs, a round being a minute or a few.
    how: How,
}

/// What a round runs.
enum How {
    /// Property tests, of new cases each time.
    Cases {
        /// The package whose tests these are.
        package: &'static str,
        /// The integration test that holds them.
        tests: &'static str,
        /// Parts of their names, where that test holds others, too.
        names: &'static [&'static str],
        /// Cases of each.
        cases: u64,
    },
    /// Rounds of a test that is told how many, and its seed.
    Rounds {
        /// The package whose test this is.
        package: &'static str,
        /// The integration test that holds it.
        tests: &'static str,
        /// A part of its name.
        name: &'static str,
        /// How many at once.
        rounds: u64,
    },
    /// A target of the fuzzer, for so many seconds; it keeps what brought something new.
    Fuzz(u64),
    /// So many lives of the simulator, of the seeds that come next.
    Lives(u64),
    /// Every broken build of the simulator; one round is all there is.
    Mutants,
    /// So many rounds of a test that reads their number from `KVORUM_ROUNDS`.
    InBrowsers { test: &'static str, rounds: u64 },
}

/// Every long form.
pub(crate) const LONGS: &[Long] = &[
    Long {
        name: "mvcc-model",
        about: "random histories of the store against its model",
        unit: "cases",
        proves: &["crates/api", "crates/mvcc"],
        how: How::Cases { package: "kvorum-mvcc", tests: "model", names: &[], cases: 20_000 },
    },
    Long {
        name: "wal-crash",
        about: "random crashes of the log: what was synced is there, what was torn is cut",
        unit: "cases",
        proves: &["crates/wal", "crates/storage"],
        how: How::Cases {
            package: "kvorum-storage",
            tests: "crash",
            names: &["a_crash", "a_failing_disk", "a_lying_disk"],
            cases: 20_000,
        },
    },
    Long {
        name: "vopr",
        about: "lives of whole clusters in the simulator, each from its seed",
        unit: "lives",
        proves: SIMULATED,
        how: How::Lives(1000),
    },
    Long {
        name: "mutants",
        about: "builds that are broken on purpose: the simulator notices each",
        unit: "broken builds",
        proves: SIMULATED,
        how: How::Mutants,
    },
    Long {
        name: "native-kill",
        about: "members killed under load on disks that lose what was not synced",
        unit: "rounds",
        proves: &[
            "crates/api",
            "crates/kvorum",
            "crates/mvcc",
            "crates/node",
            "crates/storage",
            "crates/wal",
        ],
        how: How::Rounds { package: "kvorum", tests: "kill", name: "killed_at_random", rounds: 50 },
    },
    Long {
        name: "browser-kill",
        about: "browsers that are killed under load: no acknowledged put is lost",
        unit: "rounds",
        proves: IN_A_TAB,
        how: How::InBrowsers { test: "tests/browser/killed.test.mjs", rounds: 10 },
    },
    fuzz("fuzz-frame", "fuzzing: frames of peers and clients, and what is in them", FRAMES),
    fuzz("fuzz-command", "fuzzing: commands, as the log's entries hold them", COMMANDS),
    fuzz("fuzz-snapshot", "fuzzing: pieces of snapshots and their summaries", SNAPSHOTS),
    fuzz("fuzz-wal", "fuzzing: files that are logs, or nearly so", LOGS),
    fuzz("fuzz-node_follower", "fuzzing: a follower, under messages that are wrong", MEMBERS),
    fuzz("fuzz-node_candidate", "fuzzing: a candidate, under messages that are wrong", MEMBERS),
    fuzz("fuzz-node_leader", "fuzzing: a leader, under messages that are wrong", MEMBERS),
    fuzz("fuzz-node_learner", "fuzzing: a learner, under messages that are wrong", MEMBERS),
];

/// A target of the fuzzer, by the name of its test behind `fuzz-`.
const fn fuzz(name: &'static str, about: &'static str, proves: &'static [&'static str]) -> Long {
    Long { name, about, unit: "inputs", proves, how: How::Fuzz(60) }
}

/// What the fuzzer's targets call, and the targets.
const FRAMES: &[&str] = &["crates/api", "crates/sim/tests/fuzz"];
const COMMANDS: &[&str] = &[
    "crates/api",
    "crates/node/src/command.rs",
    "crates/node/src/testing.rs",
    "crates/sim/tests/fuzz",
];
const SNAPSHOTS: &[&str] =
    &["crates/api", "crates/mvcc", "crates/storage", "crates/sim/tests/fuzz"];
const LOGS: &[&str] = &[
    "crates/api",
    "crates/storage/src/directory.rs",
    "crates/storage/src/file.rs",
    "crates/storage/src/log.rs",
    "crates/storage/src/memory.rs",
    "crates/wal",
    "crates/sim/tests/fuzz",
];
const MEMBERS: &[&str] = &[
    "crates/api",
    "crates/mvcc",
    "crates/node",
    "crates/storage",
    "crates/wal",
    "crates/sim/tests/fuzz",
];

/// All that a member in a tab is made of.
const IN_A_TAB: &[&str] =
    &["crates/api", "crates/mvcc", "crates/node", "crates/storage", "crates/wal", "worker"];

/// All that runs in the simulator, and itself.
const SIMULATED: &[&str] = &[
    "crates/api",
    "crates/mvcc",
    "crates/node",
    "crates/relay",
    "crates/sim",
    "crates/storage",
    "crates/wal",
];

/// What the file's first line names.
const HEAD: &str = "name\tcommit\tcode\tcount\tunit\tseconds\tresult";

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    commit: String,
    code: String,
    count: u64,
    unit: String,
    seconds: u64,
    result: String,
}

/// Runs rounds for that long, keeps what ran, and prints the sums.
pub(crate) fn run(name: &str, minutes: u64) -> Result<ExitCode> {
    let long = LONGS.iter().find(|long| long.name == name).ok_or_else(|| {
        let names: Vec<_> = LONGS.iter().map(|long| long.name).collect();
        anyhow!("there is no long form {name}; there are {}", names.join(", "))
    })?;
    let file = root::path("tests/long-runs.tsv");
    let earlier = read(&file)?;
    let mut row = start(long)?;
    report(long, &earlier, &row.code);
    let (begun, limit) = (Instant::now(), Duration::from_secs(minutes * 60));
    let mut result = Ok(());
    let (before, _) = sum(&earlier, name, &row.code);
    let mut lives = Lives::default();
    let prepared = prepare(long.needs());
    prepared.complete()?;
    while result.is_ok() && (row.count == 0 || (begun.elapsed() < limit && !long.is_once())) {
        let (count, outcome) = round(long, &prepared, before + row.count, &mut lives);
        result = outcome;
        row.count += count;
        row.seconds = begun.elapsed().as_secs();
        row.result = if result.is_ok() { "passed" } else { "failed" }.into();
        row.result += &lives.show();
        // After every round, so that a run that is interrupted has not run for nothing.
        write(&file, earlier.iter().chain([&row]))?;
        println!("{name}: {} {} in {} s, {}", row.count, long.unit, row.seconds, row.result);
    }
    report(long, &read(&file)?, &row.code);
    if let Err(error) = result {
        println!("\nFAILED {name}: {error:#}");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The row of this run, before anything ran.
fn start(long: &Long) -> Result<Row> {
    let git = |args: &[&str]| run::output(run::command("git").args(args));
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(long.proves);
    let changed = git(&status)?;
    if !changed.is_empty() {
        bail!("commit first: a run vouches for committed code, and this is not:\n{changed}");
    }
    let mut code = Digest::default();
    for dir in long.proves {
        code.add(dir, git(&["rev-parse", &format!("HEAD:{dir}")])?.trim().as_bytes());
    }
    Ok(Row {
        name: long.name.into(),
        commit: git(&["rev-parse", "--short=12", "HEAD"])?.trim().into(),
        code: code.hex(),
        count: 0,
        unit: long.unit.into(),
        seconds: 0,
        result: "passed".into(),
    })
}

/// One round. Proptest draws new cases each time and keeps the seed of one that failed beside the
/// test, where the next run of any form tries it first.
fn round(long: &Long, prepared: &Prepared, done: u64, lives: &mut Lives) -> (u64, Result<()>) {
    let log = format!("long-{}", long.name);
    match long.how {
        How::Cases { package, tests, names, cases } => {
            let mut cargo = run::cargo();
            cargo.args(["test", "--release", "--package", package, "--test", tests, "--"]);
            cargo.args(names);
            cargo.env("PROPTEST_CASES", cases.to_string());
            let (counts, result) = logged(&log, &mut cargo, Counts::of_cargo);
            let ran = counts.passed + counts.failed > 0;
            let none = anyhow!("{package} has no test in `{tests}`");
            (cases * counts.passed, result.and_then(|()| if ran { Ok(()) } else { Err(none) }))
        }
        How::Rounds { package, tests, name, rounds } => {
            let mut cargo = run::cargo();
            cargo.args(["test", "--release", "--package", package, "--test", tests, "--", name]);
            cargo.env("KVORUM_TEST_ROUNDS", rounds.to_string());
            cargo.env("KVORUM_TEST_SEED", done.to_string());
            let (counts, result) = logged(&log, &mut cargo, Counts::of_cargo);
            (rounds * counts.passed, result)
        }
        How::Fuzz(seconds) => {
            let target = long.name.trim_start_matches("fuzz-");
            let mut cargo = run::cargo();
            cargo.args(["test", "--release", "--package", "kvorum-sim", "--test", "fuzz", "--"]);
            cargo.args(["--nocapture", "--exact", target]);
            cargo.env("KVORUM_FUZZ_SECONDS", seconds.to_string()).env("KVORUM_FUZZ_KEEP", "1");
            logged(&log, &mut cargo, count::fuzzed)
        }
        How::Lives(count) => {
            let words = ["lives", &count.to_string(), "from", &done.to_string()].map(String::from);
            let (new, result) = logged(&log, &mut vopr::command(&words), Lives::of_log);
            lives.hours += new.hours;
            lives.faults += new.faults;
            (new.count, result)
        }
        How::Mutants => {
            let noticed = |log: &str| log.lines().filter(|l| l.contains(": noticed at ")).count();
            let (count, result) = logged(&log, &mut vopr::command(&["mutants".into()]), noticed);
            (count as u64, result)
        }
        How::InBrowsers { test, rounds } => {
            let mut node = node_tests(prepared, &[root::path(test)]);
            node.env("KVORUM_ROUNDS", rounds.to_string());
            logged(&log, &mut node, rounds_of_log)
        }
    }
}

/// From the lines `# round 3: …` that a test prints after each of its rounds.
fn rounds_of_log(log: &str) -> u64 {
    log.lines()
        .filter(|line| line.trim_start_matches(['#', '\\', ' ']).starts_with("round "))
        .count() as u64
}

impl Long {
    /// Whether another round would show the same again.
    fn is_once(&self) -> bool {
        matches!(self.how, How::Mutants)
    }

    fn needs(&self) -> &'static [Need] {
        match self.how {
            How::InBrowsers { .. } => IN_BROWSERS,
            _ => &[],
        }
    }
}

/// What lives of the simulator came to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Lives {
    count: u64,
    /// Of virtual time.
    hours: f64,
    faults: u64,
}

impl Lives {
    /// From the last line of the simulator, `N lives, N virtual hours, N faults injected`. Of lives
    /// that ended badly there is none.
    fn of_log(log: &str) -> Self {
        let line = log.lines().rev().find(|line| line.ends_with(" faults injected"));
        let failed = log.lines().any(|line| line.starts_with("FAILED"));
        let words: Vec<&str> = line.filter(|_| !failed).unwrap_or_default().split(' ').collect();
        let [count, "lives,", hours, "virtual", "hours,", faults, "faults", "injected"] = words[..]
        else {
            return Self::default();
        };
        Self {
            count: count.parse().unwrap_or(0),
            hours: hours.parse().unwrap_or(0.0),
            faults: faults.parse().unwrap_or(0),
        }
    }

    /// For the result of a row.
    fn show(&self) -> String {
        match self.faults {
            0 => String::new(),
            faults => format!(", {:.1} virtual hours, {faults} faults injected", self.hours),
        }
    }
}

/// Prints what stands for the code as it is now.
fn report(long: &Long, rows: &[Row], code: &str) {
    let (count, seconds) = sum(rows, long.name, code);
    println!("{}: {count} {} in {seconds} s stand for code {code}", long.name, long.unit);
}

/// What passed for this code, over all runs.
fn sum(rows: &[Row], name: &str, code: &str) -> (u64, u64) {
    rows.iter()
        .filter(|row| row.name == name && row.code == code && row.result.starts_with("passed"))
        .fold((0, 0), |(count, seconds), row| (count + row.count, seconds + row.seconds))
}

fn read(file: &Path) -> Result<Vec<Row>> {
    if !file.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(file)?;
    let rows = text.lines().skip(1).filter(|line| !line.is_empty());
    rows.map(|line| parse(line).with_context(|| format!("tests/long-runs.tsv: {line}"))).collect()
}

fn parse(line: &str) -> Result<Row> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [name, commit, code, count, unit, seconds, result] = fields[..] else {
        bail!("a line has seven fields");
    };
    Ok(Row {
        name: name.into(),
        commit: commit.into(),
        code: code.into(),
        count: count.parse()?,
        unit: unit.into(),
        seconds: seconds.parse()?,
        result: result.into(),
    })
}

/// Replaces the file at once, so that an interruption leaves the old one.
fn write<'a>(file: &PathBuf, rows: impl Iterator<Item = &'a Row>) -> Result<()> {
    let mut text = format!("{HEAD}\n");
    for row in rows {
        let Row { name, commit, code, count, unit, seconds, result } = row;
        text += &format!("{name}\t{commit}\t{code}\t{count}\t{unit}\t{seconds}\t{result}\n");
    }
    let fresh = file.with_extension("tsv.new");
    fs::write(&fresh, text).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, file).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::{How, LONGS, Lives, Row, parse, read, rounds_of_log, sum, write};

    fn row(code: &str, count: u64, result: &str) -> Row {
        parse(&format!("mvcc-model\tc0ffee\t{code}\t{count}\tcases\t60\t{result}")).unwrap()
    }

    #[test]
    fn counts_add_up_for_one_code_only() {
        let rows = [
            row("old", 7, "passed"),
            row("new", 1, "passed"),
            row("new", 2, "passed"),
            row("new", 4, "failed"),
        ];
        assert_eq!(sum(&rows, "mvcc-model", "new"), (3, 120));
        assert_eq!(sum(&rows, "wal-crash", "new"), (0, 0));
    }

    #[test]
    fn lives_are_read_from_their_last_line() {
        let log = "seed 9: 10 lives\n20 lives, 1.5 virtual hours, 300 faults injected\n";
        let lives = Lives { count: 20, hours: 1.5, faults: 300 };
        assert_eq!(Lives::of_log(log), lives);
        assert_eq!(lives.show(), ", 1.5 virtual hours, 300 faults injected");
        assert_eq!(Lives::of_log(&format!("{log}FAILED seed 7: liveness\n")), Lives::default());
        assert_eq!(Lives::of_log("thread main panicked"), Lives::default());
        let rows = [row("new", 5, &format!("passed{}", lives.show()))];
        assert_eq!(sum(&rows, "mvcc-model", "new"), (5, 60));
    }

    #[test]
    fn every_target_of_the_fuzzer_has_its_test() {
        let tests = include_str!("../../../sim/tests/fuzz/main.rs");
        for long in LONGS.iter().filter(|long| matches!(long.how, How::Fuzz(_))) {
            let name = long.name.trim_start_matches("fuzz-");
            assert!(tests.contains(&format!("fn {name}()")), "{name}");
        }
    }

    #[test]
    fn rounds_are_counted_by_their_lines() {
        let log = "# \\# round 1: all there\n# round 2: all there\n# 2 rounds\nok 1 - a round\n";
        assert_eq!(rounds_of_log(log), 2);
    }

    #[test]
    fn the_file_keeps_every_row() {
        let dir = crate::root::target().join("self-test");
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("long-runs.tsv");
        let rows = vec![row("a", 1, "passed"), row("b", 2, "failed")];
        write(&file, rows.iter()).unwrap();
        assert_eq!(read(&file).unwrap(), rows);
        assert!(parse("too\tfew").is_err());
    }
}
