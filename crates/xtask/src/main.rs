//! `cargo xtask …`: build, run, test and tidy, with nothing but Rust installed.

mod protoc;
mod root;

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
    /// Put this machine's protoc where plain cargo and an editor find it (every command does).
    Setup,
}

fn main() -> Result<()> {
    let args = Args::parse();
    protoc::install(root::dir())?;
    match args.command {
        Command::Setup => Ok(()),
    }
}
