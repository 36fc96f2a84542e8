//! `cargo xtask vopr`: lives of whole clusters in the simulator (`crates/sim`).

use std::process::{Command, ExitCode};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;

use crate::run;

/// Which lives.
#[derive(Args)]
pub(crate) struct Options {
    /// Live this one and tell of it, or begin with it if there is a time.
    seed: Option<u64>,
    /// Live one seed after the other for so long.
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<u64>,
}

/// Lives without a seed and a time last so long.
const MINUTES: u64 = 1;

/// Runs the simulator; its exit code is ours.
pub(crate) fn vopr(options: &Options) -> Result<ExitCode> {
    let words = match (options.seed, options.minutes) {
        (Some(seed), None) => vec!["one".into(), seed.to_string()],
        (seed, minutes) => {
            let seed = seed.unwrap_or_else(drawn).to_string();
            let minutes = minutes.unwrap_or(MINUTES).to_string();
            vec!["minutes".into(), minutes, "from".into(), seed]
        }
    };
    let mut command = command(&words);
    let status = command.status().context("cannot start cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The simulator's program, optimised, with these words.
pub(crate) fn command(words: &[String]) -> Command {
    let mut cargo = run::cargo();
    cargo.args(["run", "--release", "--quiet", "--package", "kvorum-sim", "--bin", "vopr", "--"]);
    cargo.args(words);
    cargo
}

/// A first seed that was probably never lived.
fn drawn() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() << 20
}
