//! `cargo xtask test`: every test there is, step by step.
//!
//! ```text
//! needs      found, installed or named with the command, all before the first step
//! steps      one after the other, a failure does not stop the next; logs in target/test-logs
//! failures   all of them again
//! summary    N passed, N failed
//! ```

mod count;
mod figures;
mod imports;
mod long;
mod quote;
mod steps;
mod tools;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use clap::Args;

use self::count::Counts;
pub(crate) use self::figures::figures;
use self::steps::{Need, STEPS, Step};
use self::tools::Env;
use crate::run;
use crate::site::{self, Site};

/// What to test.
#[derive(Args)]
pub(crate) struct Options {
    /// Run one step only.
    #[arg(long, value_name = "NAME", conflicts_with = "long")]
    only: Option<String>,
    /// Run the long form of one proof and add what ran to tests/long-runs.tsv.
    #[arg(long, value_name = "NAME")]
    long: Option<String>,
    /// How long the long form runs.
    #[arg(long, value_name = "MINUTES", default_value_t = 10, requires = "long")]
    minutes: u64,
    /// Say which steps and long forms there are.
    #[arg(long)]
    list: bool,
}

/// What the steps find prepared.
pub(crate) struct Prepared {
    /// The built product, once a step needed it.
    site: Option<Site>,
    /// Where tools are, for the tests' environment.
    env: Env,
    /// What could not be prepared, and why.
    missing: BTreeMap<Need, String>,
}

impl Prepared {
    /// An error if something could not be prepared.
    fn complete(&self) -> Result<()> {
        match self.missing.values().next() {
            Some(missing) => bail!("could not run: {missing}"),
            None => Ok(()),
        }
    }
}

/// Runs the steps and prints the summary.
pub(crate) fn test(options: &Options) -> Result<ExitCode> {
    if options.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &options.long {
        return long::run(name, options.minutes);
    }
    let steps = chosen(options.only.as_deref())?;
    let prepared = prepare(steps.iter().flat_map(|step| step.needs));
    let start = Instant::now();
    let mut total = Counts::default();
    let mut failures = Vec::new();
    for step in &steps {
        match run_step(step, &prepared) {
            Ok(counts) => total += counts,
            Err((counts, error)) => {
                total += counts;
                failures.push(format!("{}: {error:#}", step.name));
            }
        }
    }
    for failure in &failures {
        println!("\nFAILED {failure}");
    }
    println!("\nsteps: {}, in {} s", steps.len(), start.elapsed().as_secs());
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list() {
    for step in STEPS {
        println!("{:12} {}", step.name, step.about);
    }
    for long in long::LONGS {
        println!("{:12} {} (--long)", long.name, long.about);
    }
}

fn chosen(only: Option<&str>) -> Result<Vec<&'static Step>> {
    let steps: Vec<_> = STEPS.iter().filter(|s| only.is_none_or(|name| name == s.name)).collect();
    if steps.is_empty() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step {}; there are {}", only.unwrap_or_default(), names.join(", "));
    }
    Ok(steps)
}

/// Prepares everything that is needed. What is missing is said before the long part.
fn prepare<'a>(needs: impl IntoIterator<Item = &'a Need>) -> Prepared {
    let mut prepared = Prepared { site: None, env: Env::new(), missing: BTreeMap::new() };
    // In the order of `Need`: what may be missing comes before the long builds.
    let mut needs: Vec<Need> = needs.into_iter().copied().collect();
    needs.sort();
    needs.dedup();
    for need in needs {
        if let Err(error) = prepare_one(need, &mut prepared) {
            println!("MISSING {need:?}: {error:#}");
            prepared.missing.insert(need, format!("{error:#}"));
        }
    }
    prepared
}

fn prepare_one(need: Need, prepared: &mut Prepared) -> Result<()> {
    let env = match need {
        Need::Chromium => tools::chromium()?,
        Need::Node => tools::node()?,
        Need::Etcd => tools::etcd()?,
        Need::WasmRunner => tools::wasm_runner()?,
        Need::Site => {
            let site = site::build(site::Options::default())?;
            let env = vec![("KVORUM_BIN", site.program.clone()), ("KVORUM_SITE", site.dir.clone())];
            prepared.site = Some(site);
            env
        }
    };
    prepared.env.extend(env);
    Ok(())
}

/// Runs one step and prints one line about it. A failure counts at least once.
fn run_step(step: &Step, prepared: &Prepared) -> Result<Counts, (Counts, anyhow::Error)> {
    let start = Instant::now();
    run::step("Testing", &format!("{}: {}", step.name, step.about));
    let missing: Vec<_> =
        step.needs.iter().filter_map(|need| prepared.missing.get(need).cloned()).collect();
    let (counts, result) = if missing.is_empty() {
        (step.run)(prepared)
    } else {
        (Counts::default(), Err(anyhow!("could not run: {}", missing.join("\n"))))
    };
    let (counts, result) = judge(counts, result);
    println!(
        "{:12} {} passed, {} failed ({} s)",
        step.name,
        counts.passed,
        counts.failed,
        start.elapsed().as_secs()
    );
    result.map(|()| counts).map_err(|error| (counts, error))
}

/// A step that failed without saying which test did counts as one failure; so does one that ran no
/// test at all, or whose program was content though tests failed.
fn judge(mut counts: Counts, result: Result<()>) -> (Counts, Result<()>) {
    let result = match result {
        Ok(()) if counts.failed > 0 => Err(anyhow!("{} tests failed", counts.failed)),
        Ok(()) if counts.passed == 0 => Err(anyhow!("no test ran")),
        result => result,
    };
    if result.is_err() {
        counts.failed = counts.failed.max(1);
    }
    (counts, result)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::{Counts, chosen, judge};

    #[test]
    fn silence_is_no_success() {
        assert!(judge(Counts::default(), Ok(())).1.is_err());
        assert!(judge(Counts { passed: 3, failed: 1 }, Ok(())).1.is_err());
        let (counts, result) = judge(Counts { passed: 3, failed: 0 }, Err(anyhow!("crash")));
        assert_eq!((counts.failed, result.is_err()), (1, true));
        assert!(judge(Counts::ONE, Ok(())).1.is_ok());
    }

    #[test]
    fn one_step_is_chosen_by_its_name() {
        assert_eq!(chosen(Some("native")).unwrap().len(), 1);
        assert!(chosen(None).unwrap().len() > 1);
        assert!(chosen(Some("nativ")).is_err());
    }
}
