//! `cargo xtask test --long NAME`: proofs that take hours, in as many runs as one likes.
//!
//! Each run adds a line to `tests/long-runs.tsv`. A line vouches for the code that it ran on: its
//! `code` is a hash over the directories that the proof is about, as committed. Counts of one
//! `code` add up; when a directory changes they start again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::count::Counts;
use super::steps::logged;
use crate::digest::Digest;
use crate::{root, run};

/// One proof with a long form.
pub(crate) struct Long {
    /// For `--long`.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) about: &'static str,
    /// What is counted.
    unit: &'static str,
    /// The directories whose change makes all earlier runs void.
    proves: &'static [&'static str],
    /// The package whose tests these are.
    package: &'static str,
    /// The integration test that holds the property tests.
    tests: &'static str,
    /// Parts of their names, where that test holds others, too.
    names: &'static [&'static str],
    /// Cases of each property test in one round, a round being a minute or a few.
    cases: u64,
}

/// Every long form.
pub(crate) const LONGS: &[Long] = &[
    Long {
        name: "mvcc-model",
        about: "random histories of the store against its model",
        unit: "cases",
        proves: &["crates/api", "crates/mvcc"],
        package: "kvorum-mvcc",
        tests: "model",
        names: &[],
        cases: 20_000,
    },
    Long {
        name: "wal-crash",
        about: "random crashes of the log: what was synced is there, what was torn is cut",
        unit: "cases",
        proves: &["crates/wal", "crates/storage"],
        package: "kvorum-storage",
        tests: "crash",
        names: &["a_crash", "a_failing_disk", "a_lying_disk"],
        cases: 20_000,
    },
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
    while result.is_ok() && (row.count == 0 || begun.elapsed() < limit) {
        let (counts, outcome) = round(long);
        result = outcome;
        row.count += long.cases * counts.passed;
        row.seconds = begun.elapsed().as_secs();
        row.result = if result.is_ok() { "passed" } else { "failed" }.into();
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
fn round(long: &Long) -> (Counts, Result<()>) {
    let mut cargo = run::cargo();
    cargo.args(["test", "--release", "--package", long.package, "--test", long.tests, "--"]);
    cargo.args(long.names);
    cargo.env("PROPTEST_CASES", long.cases.to_string());
    let (counts, result) = logged(&format!("long-{}", long.name), &mut cargo, Counts::of_cargo);
    let ran = counts.passed + counts.failed > 0;
    let none = anyhow!("{} has no test in `{}`", long.package, long.tests);
    (counts, result.and_then(|()| if ran { Ok(()) } else { Err(none) }))
}

/// Prints what stands for the code as it is now.
fn report(long: &Long, rows: &[Row], code: &str) {
    let (count, seconds) = sum(rows, long.name, code);
    println!("{}: {count} {} in {seconds} s stand for code {code}", long.name, long.unit);
}

/// What passed for this code, over all runs.
fn sum(rows: &[Row], name: &str, code: &str) -> (u64, u64) {
    rows.iter()
        .filter(|row| row.name == name && row.code == code && row.result == "passed")
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
    use super::{Row, parse, read, sum, write};

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
