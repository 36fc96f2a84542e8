//! The table of steps: what each is, what it needs, how it runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use super::count::Counts;
use super::quote::{failed, quote};
use super::{Prepared, imports, tools};
use crate::{compile, root, run};

/// What a step needs beyond Rust, in the order in which it is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Chromium and chromedriver.
    Chromium,
    /// Node.js and the npm packages.
    Node,
    /// etcd, etcdctl and etcdutl.
    Etcd,
    /// The page, the node's wasm and the native program.
    Site,
    /// What runs a wasm test module in a browser.
    WasmRunner,
}

/// One step. It returns what it counted even when it failed.
pub(crate) struct Step {
    /// For `--only`.
    pub(crate) name: &'static str,
    /// What it shows.
    pub(crate) about: &'static str,
    /// What has to be there.
    pub(crate) needs: &'static [Need],
    /// Runs it.
    pub(crate) run: fn(&Prepared) -> (Counts, Result<()>),
}

/// What a test in a browser needs.
pub(crate) const IN_BROWSERS: &[Need] = &[Need::Chromium, Need::Node, Need::Etcd, Need::Site];

/// Every step, the quick ones first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "native", about: "every crate's own tests", needs: &[Need::Etcd], run: native },
    Step {
        name: "imports",
        about: "the node's wasm imports what worker/imports.txt lists",
        needs: &[Need::Site],
        run: |prepared| check(|| imports::check(site(prepared)?)),
    },
    Step {
        name: "size",
        about: "the first load is within its budgets",
        needs: &[Need::Site],
        run: |prepared| check(|| crate::site::sizes(site(prepared)?)?.check()),
    },
    Step {
        name: "wasm",
        about: "the store, the log and the node inside a browser's Worker",
        needs: &[Need::Chromium, Need::WasmRunner],
        run: wasm,
    },
    Step {
        name: "node",
        about: "clusters in Node, on real files, driven by the real etcdctl",
        needs: &[Need::Node, Need::Etcd, Need::Site],
        run: |prepared| scenes("node", prepared),
    },
    Step {
        name: "browser",
        about: "clusters in tabs, driven by Playwright and the real etcdctl",
        needs: IN_BROWSERS,
        run: |prepared| scenes("browser", prepared),
    },
];

fn site(prepared: &Prepared) -> Result<&Path> {
    prepared.site.as_ref().map(|site| site.dir.as_path()).context("the site is not built")
}

/// One check that is no suite of tests.
fn check(check: impl FnOnce() -> Result<()>) -> (Counts, Result<()>) {
    match check() {
        Ok(()) => (Counts::ONE, Ok(())),
        Err(error) => (Counts::default(), Err(error)),
    }
}

fn native(prepared: &Prepared) -> (Counts, Result<()>) {
    let mut cargo = run::cargo();
    // Ignored are the tests that need what this step has prepared.
    cargo.args(["test", "--workspace", "--no-fail-fast", "--", "--include-ignored"]);
    logged("native", tools::give(&mut cargo, &prepared.env), Counts::of_cargo)
}

fn wasm(prepared: &Prepared) -> (Counts, Result<()>) {
    let mut cargo = run::cargo();
    cargo.args(["test", "--no-fail-fast", "--target", compile::WASM]);
    cargo.args(["--package", "kvorum-worker"]);
    cargo.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", root::path("tests/webdriver.json"));
    // Seconds for one module; a debug build in a browser on two busy cores takes its time.
    cargo.env("WASM_BINDGEN_TEST_TIMEOUT", "300").env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "30");
    logged("wasm", tools::give(&mut cargo, &prepared.env), Counts::of_cargo)
}

/// The scenes in `tests/NAME`.
fn scenes(name: &str, prepared: &Prepared) -> (Counts, Result<()>) {
    let files = match test_files(&root::path(&format!("tests/{name}"))) {
        Ok(files) => files,
        Err(error) => return (Counts::default(), Err(error)),
    };
    logged(name, &mut node_tests(prepared, &files), Counts::of_node)
}

/// Node's test runner on these files, with all that is prepared.
pub(crate) fn node_tests(prepared: &Prepared, files: &[PathBuf]) -> Command {
    let node = prepared.env.iter().find(|(name, _)| *name == "NODE").map(|(_, node)| node);
    let mut command = run::command(node.map_or(Path::new("node"), PathBuf::as_path));
    // One file at a time: several browsers on two cores would time each other out.
    command.args(["--test", "--test-concurrency=1", "--test-reporter=tap"]).args(files);
    tools::give(&mut command, &prepared.env);
    command
}

/// The test files of a directory: `*.test.mjs`. Named one by one, because what Node makes of a
/// directory changed between its versions.
pub(super) fn test_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    if files.is_empty() {
        bail!("there is no *.test.mjs in {}", dir.display());
    }
    files.sort();
    Ok(files)
}

/// Runs a command with all it prints going to the step's log, then counts in the log and names the
/// tests that failed.
pub(crate) fn logged<C>(
    name: &str,
    command: &mut Command,
    count: impl Fn(&str) -> C,
) -> (C, Result<()>) {
    let path = root::target().join("test-logs").join(format!("{name}.log"));
    let result = run_into(command, &path);
    let log = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let log = log.unwrap_or_default();
    let counts = count(&log);
    for test in failed(&log) {
        run::step("Failed", test.name);
    }
    for what in skipped(&log) {
        run::step("Skipped", what);
    }
    let result = result
        .map_err(|error| anyhow!("{error:#}\n{}\n  (all of it: {})", quote(&log), path.display()));
    (counts, result)
}

/// What tests say that they could not test here.
fn skipped(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter_map(|line| line.split_once("SKIPPED: ")).map(|(_, what)| what)
}

fn run_into(command: &mut Command, log: &Path) -> Result<()> {
    fs::create_dir_all(log.parent().unwrap_or(log))?;
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    run::run(command.stdout(file.try_clone()?).stderr(file))
}

#[cfg(test)]
mod tests {
    use super::{Counts, STEPS, logged, skipped, test_files};
    use crate::run;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }

    #[test]
    fn a_failing_program_is_counted_and_quoted() {
        let script = "echo 'test result: FAILED. 2 passed; 1 failed; 0 ignored'; exit 1";
        let mut command = run::command("sh");
        let (counts, result) = logged("self-test", command.args(["-c", script]), Counts::of_cargo);
        assert_eq!(counts, Counts { passed: 2, failed: 1 });
        assert!(result.unwrap_err().to_string().contains("| test result: FAILED"));
    }

    #[test]
    fn what_could_not_be_tested_is_named() {
        let log = "test a ... SKIPPED: no room here\nok\n# SKIPPED: no strace here\n";
        assert_eq!(skipped(log).collect::<Vec<_>>(), ["no room here", "no strace here"]);
    }

    #[test]
    fn a_directory_without_tests_is_an_error() {
        assert!(test_files(&crate::root::path("crates")).is_err());
    }
}
