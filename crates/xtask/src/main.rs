//! `cargo xtask …`: build, run, test and tidy, with nothing but Rust installed.

mod bindgen;
mod compile;
mod digest;
mod protoc;
mod root;
mod run;
mod site;
mod size;
mod up;

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
    /// Put this machine's protoc where plain cargo and an editor find it (every command does).
    Setup,
}

fn main() -> Result<()> {
    let args = Args::parse();
    protoc::install(root::dir())?;
    match args.command {
        Command::Build(options) => site::build(options).map(drop),
        Command::Up(options) => up::up(&options),
        Command::Setup => Ok(()),
    }
}
