//! `cargo xtask …`: build, run, test and tidy, with nothing but Rust installed.

mod bindgen;
mod compile;
mod digest;
mod protoc;
mod root;
mod run;
mod site;
mod size;
mod test;
mod up;
mod verify;
mod vopr;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Build, run, test and tidy Kvorum.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the page, the node's wasm and the native program.
    Build(site::Options),
    /// Build, then serve the page, gRPC and the relay until Ctrl-C.
    Up(up::Options),
    /// Run every test there is.
    Test(test::Options),
    /// Live whole clusters in the simulator, from a seed: exits with 127 after a crash, 128 when
    /// one did not heal, 129 when a promise was broken.
    Vopr(vopr::Options),
    /// Measure how many puts members in a browser and in Node take, beside their files alone.
    Figures,
    /// Check format, lints, docs, dependency rules and licences; it only reads.
    Verify,
    /// Format, and take clippy's suggestions.
    Fix,
    /// Put this machine's protoc where plain cargo and an editor find it (every command does).
    Setup,
}

fn main() -> ExitCode {
    // Not anyhow's own way out of `main`: it adds a backtrace to what a person should read.
    run_command(&Args::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run_command(command: &Command) -> Result<ExitCode> {
    protoc::install(root::dir())?;
    match command {
        Command::Build(options) => drop(site::build(*options)?),
        Command::Up(options) => up::up(options)?,
        Command::Test(options) => return test::test(options),
        Command::Vopr(options) => return vopr::vopr(options),
        Command::Figures => return test::figures(),
        Command::Verify => return verify::verify(),
        Command::Fix => return verify::fix(),
        Command::Setup => {}
    }
    Ok(ExitCode::SUCCESS)
}
