//! `kvorum`, the native program: the hub that serves a page's cluster to etcd's clients, and
//! the server, which is a member itself.

mod args;
mod doors;
mod hub;
mod net;
mod server;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use storage::{Directory, FileError};
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command};

/// Does what the command line says. `open` opens the directory that a member keeps its data in:
/// a test brings a disk that loses what was not synced.
pub fn run<D>(open: impl FnOnce(&Path) -> Result<D, FileError>) -> ExitCode
where
    D: Directory + Clone + Send + 'static,
    D::File: Send + Sync + 'static,
{
    match start(Args::parse(), open) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kvorum: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start<D>(args: Args, open: impl FnOnce(&Path) -> Result<D, FileError>) -> anyhow::Result<()>
where
    D: Directory + Clone + Send + 'static,
    D::File: Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&args.log).context("cannot use --log")?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match args.command {
        Command::Hub(args) => finish(hub::run(args)),
        Command::Server(args) => finish(server::run(args, open)),
    }
}

/// Runs on all processors until the work is done.
fn finish(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}
